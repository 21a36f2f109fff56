"""spoke-bridge between curl, spoke-broker and the bikes of spoke-sim."""
import os
import signal
import subprocess
import tempfile
import unittest

from programs import (DEADLINE_SECONDS, Bikes, Bridge, Broker, Mosquitto, Program, Subscriber,
                      binary, free_port, publish, run)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WAIT = ("-H", "Prefer: wait=30")
RECEIPTS = '[receipts]\npublishers = ["client:spoke-bridge"]\n'


class Orders(unittest.TestCase):
    has_receipts = True

    @staticmethod
    def make_broker():
        return Broker(more=RECEIPTS)

    @classmethod
    def setUpClass(cls):
        cls.broker = cls.make_broker()
        cls.addClassCleanup(cls.broker.kill)
        cls.bridge = Bridge(cls.broker.port)
        cls.addClassCleanup(cls.bridge.kill)
        cls.bridge.ready()
        # Every second speaks 3.1.1, the others 5.
        cls.bikes = Bikes(cls.broker.port, 4, "--v3-every", 2)
        cls.addClassCleanup(cls.bikes.kill)
        cls.bridge.knows("t1", "t2", "t3", "t4")

    def test_unlock_succeeds_and_tells_its_life(self):
        for bike in ("t1", "t2"):
            with self.subTest(bike):
                reply = self.bridge.order(bike, {"do": "unlock", "args": {"ride": "r1"},
                                                 "ref": f"unlock-{bike}"}, *WAIT)
                self.assertEqual(reply.status, 200, reply.body)
                self.assertEqual(reply.headers["preference-applied"], "wait=30")
                self.assertEqual((reply.body["state"], reply.body["settled"]), ("succeeded", True))
                self.assertEqual(reply.body["answer"]["lock"], "unlocked")
                states = [step["state"] for step in reply.body["timeline"]]
                self.assertEqual((states[0], states[-1]), ("queued", "succeeded"))
                # Nobody else tells the bridge that an order has left.
                self.assertEqual("sent" in states, self.has_receipts)
                times = [step["t"] for step in reply.body["timeline"]]
                self.assertEqual(times, sorted(times))
                shown = self.bridge.curl(f"/v1/commands/{reply.body['id']}")
                self.assertEqual((shown.status, shown.body["state"]), (200, "succeeded"))

    def test_device_shows_presence_and_state(self):
        self.bridge.order("t3", {"do": "unlock", "ref": "for-its-state"}, *WAIT)
        with Subscriber(self.broker.port, "d/t3/state") as subscriber:
            subscriber.await_line('"lock":"unlocked"')
        reply = self.bridge.curl("/v1/devices/t3")
        self.assertEqual((reply.status, reply.body["presence"]), (200, "online"))
        reply = self.bridge.curl("/v1/devices")
        self.assertEqual([device["id"] for device in reply.body["devices"]],
                         ["t1", "t2", "t3", "t4"])

    def test_without_wait_the_record_is_there_at_once(self):
        reply = self.bridge.order("t1", {"do": "ring", "ref": "ring-1"})
        self.assertEqual(reply.status, 202, reply.body)
        self.assertEqual(reply.headers["location"], f"/v1/commands/{reply.body['id']}")
        settled = self.bridge.curl(reply.headers["location"] + "?wait=30")
        self.assertEqual((settled.status, settled.body["state"]), (200, "succeeded"))

    def test_retry_with_the_same_key_joins_the_first(self):
        key = ("-H", 'Idempotency-Key: "k-1"')
        first = self.bridge.order("t4", {"do": "unlock"}, *WAIT, *key)
        again = self.bridge.order("t4", {"do": "unlock"}, *WAIT, *key)
        self.assertEqual((first.status, again.status), (200, 200))
        self.assertEqual(again.body["id"], first.body["id"])
        self.assertEqual(again.headers["idempotent-replayed"], "true")
        other = self.bridge.order("t4", {"do": "lock"}, *key)
        self.assertEqual((other.status, other.body["type"]), (422, "/problems/key-reused"))

    def test_what_is_wrong_is_told_and_nothing_is_sent(self):
        with Subscriber(self.broker.port, "d/+/cmd") as watcher:
            for body, options, status, problem, detail in (
                    ("{", (), 400, "invalid", ""),
                    ("[1]", (), 400, "invalid", ""),
                    ("", (), 400, "invalid", ""),
                    ({"do": "unlock"}, (), 400, "key-required", "Idempotency-Key"),
                    ({"ref": "x"}, (), 400, "invalid", "do"),
                    ({"do": "unlock", "ref": 7}, (), 400, "invalid", "ref"),
                    ({"do": "unlock", "ref": "x", "ttl": 5}, (), 400, "invalid", "ttl"),
                    ({"do": "unlock", "ref": "x", "ttl_ms": 1}, (), 400, "invalid", "ttl_ms"),
                    ({"do": "unlock", "ref": "x" * 5000}, (), 413, None, ""),
                    ("<a/>", ("-H", "Content-Type: text/xml"), 415, "media-type", "")):
                with self.subTest(body):
                    if isinstance(body, str) and not options:
                        options = ("-H", "Content-Type: application/json")
                    reply = self.bridge.order("t1", body, *options)
                    self.assertEqual(reply.status, status, reply.body)
                    self.assertEqual(reply.headers["content-type"], "application/problem+json")
                    self.assertEqual((reply.body["status"], reply.body["sent"]), (status, False))
                    if problem:
                        self.assertEqual(reply.body["type"], f"/problems/{problem}")
                    self.assertIn(detail, str(reply.body))
            publish(self.broker.port, "d/end/cmd", "end", qos=1)
            self.assertEqual(watcher.message(), "d/end/cmd qos=1 retain=0 end")

    def test_unknown_member_is_answered_with_the_nearest_name(self):
        reply = self.bridge.order("t1", {"do": "unlock", "ref": "x", "ttl_msec": 5})
        self.assertEqual((reply.body["member"], reply.body["nearest"]), ("ttl_msec", "ttl_ms"))

    def test_verb_that_the_device_does_not_know(self):
        reply = self.bridge.order("t1", {"do": "unlok", "ref": "x"}, *WAIT)
        self.assertEqual((reply.status, reply.body["state"]), (200, "rejected"))
        self.assertEqual(reply.body["answer"]["why"], "unknown_verb")

    def test_wrong_paths_and_methods(self):
        for path, method, status in (("/v1/nothing", "GET", 404), ("/v1/devices/nobody", "GET", 404),
                                     ("/v1/commands/c_0", "GET", 404),
                                     ("/v1/devices", "DELETE", 405), ("/healthz", "POST", 405)):
            with self.subTest(path):
                reply = self.bridge.curl(path, method=method)
                self.assertEqual(reply.status, status, reply.body)
                self.assertEqual(reply.headers["content-type"], "application/problem+json")

    def test_device_that_was_never_seen(self):
        reply = self.bridge.order("nobody", {"do": "unlock", "ref": "x"})
        self.assertEqual((reply.status, reply.body["type"]), (404, "/problems/no-such-device"))

    def test_precondition_of_the_order(self):
        self.bridge.order("t2", {"do": "unlock", "ref": "pre-1"}, *WAIT)
        reply = self.bridge.order("t2", {"do": "unlock", "ref": "pre-2", "if": {"lock": "locked"}},
                                  *WAIT)
        # Refused by the bridge if it has seen the new state already, by the bike otherwise.
        if reply.status == 412:
            self.assertFalse(reply.body["sent"])
        else:
            self.assertEqual((reply.status, reply.body["state"]), (200, "rejected"))

    def test_published_message_reaches_subscribers(self):
        with Subscriber(self.broker.port, "news/today") as subscriber:
            done = self.bridge.curl("/v1/publish/news/today?qos=1", "-d", "hello from curl")
            self.assertEqual((done.status, done.body["acknowledged"]), (200, True))
            self.assertEqual(subscriber.message(), "news/today qos=1 retain=0 hello from curl")
        for path in ("/v1/publish/a/%23", "/v1/publish/a?qos=3", "/v1/publish/a?colour=red"):
            with self.subTest(path):
                self.assertEqual(self.bridge.curl(path, "-d", "x").status, 400)

    def test_health(self):
        self.assertEqual(self.bridge.curl("/healthz").status, 200)
        self.assertEqual(self.bridge.curl("/readyz").body, {"ready": True})


class OrdersOverMosquitto(Orders):
    """Another broker, which makes no receipts: all but the states that they tell is the same."""
    has_receipts = False

    @staticmethod
    def make_broker():
        return Mosquitto()

    def test_delivered_is_not_known_either(self):
        reply = self.bridge.order("t3", {"do": "ring", "ref": "ring-m"}, *WAIT)
        states = {step["state"] for step in reply.body["timeline"]}
        self.assertEqual((reply.status, reply.body["state"]), (200, "succeeded"))
        self.assertFalse(states & {"sent", "delivered"}, states)


class Failures(unittest.TestCase):
    make_broker = staticmethod(lambda: Broker(more=RECEIPTS))

    def start(self, program):
        self.addCleanup(program.kill)
        return program

    def test_offline_device_is_refused_at_once(self):
        broker = self.start(self.make_broker())
        bridge = self.start(Bridge(broker.port))
        bridge.ready()
        bikes = self.start(Bikes(broker.port, 2, "--v3-every", 1))
        bridge.knows("t1", "t2")
        with Subscriber(broker.port, "d/t1/up") as up, Subscriber(broker.port, "d/+/cmd") as orders:
            up.await_line('"on":true')
            bikes.kill()
            up.await_line('"on":false')
            # The bridge got the will before its answer to this, which it asked for afterwards.
            publish(broker.port, "d/mark/up", '{"on":true,"boot":1,"up":1}', qos=1)
            bridge.knows("mark")
            reply = bridge.order("t1", {"do": "unlock", "ref": "x"})
            self.assertEqual((reply.status, reply.body["type"]), (409, "/problems/device-offline"))
            self.assertEqual((reply.body["presence"], reply.body["sent"]), ("offline", False))
            publish(broker.port, "d/end/cmd", "end", qos=1)
            self.assertEqual(orders.message(), "d/end/cmd qos=1 retain=0 end")

    def test_device_that_never_answers_leaves_the_order_unknown(self):
        broker = self.start(self.make_broker())
        bridge = self.start(Bridge(broker.port))
        bridge.ready()
        self.start(Bikes(broker.port, 1, "--mute", "1.0"))
        bridge.knows("t1")
        reply = bridge.order("t1", {"do": "unlock", "ref": "x", "ttl_ms": 300}, *WAIT)
        self.assertEqual((reply.status, reply.body["state"], reply.body["settled"]),
                         (200, "unknown", False))
        self.assertGreaterEqual(reply.body["timeline"][-1]["t"], 500)  # deadline and grace

    def test_broker_that_dies_and_comes_back(self):
        port = free_port()
        broker = self.start(Broker(port))
        bridge = self.start(Bridge(port))
        bridge.ready()
        bikes = self.start(Bikes(port, 2, "--reconnect-max", "1s"))
        bridge.knows("t1", "t2")
        broker.kill()
        bridge.await_line("trying again until it answers")
        ready = bridge.curl("/readyz")
        self.assertEqual((ready.status, ready.body["type"]), (503, "/problems/not-ready"))
        self.assertIn(str(port), ready.body["detail"])
        self.assertEqual(bridge.curl("/healthz").status, 200)
        refused = bridge.order("t1", {"do": "unlock", "ref": "x"})
        self.assertEqual((refused.status, refused.body["sent"]), (503, False))
        self.assertIn("retry-after", refused.headers)
        self.assertEqual(bridge.curl("/v1/publish/a", "-d", "x").status, 503)

        self.start(Broker(port))
        bridge.ready(times=2)
        bridge.knows("t1", times=2)
        self.assertEqual(bridge.curl("/readyz").status, 200)
        reply = bridge.order("t1", {"do": "unlock", "ref": "y"}, *WAIT)
        self.assertEqual((reply.status, reply.body["state"]), (200, "succeeded"))
        self.assertEqual(bikes.stop(), 0)

    def test_bridge_and_bikes_wait_for_the_broker_and_say_so(self):
        port = free_port()
        bridge = self.start(Bridge(port))
        bridge.await_line(f"127.0.0.1:{port}.*trying again until it answers")
        bikes = self.start(Bikes(port, 2, wait=False))
        bikes.await_line("waiting for the broker")
        self.start(Broker(port))
        bridge.ready()
        bikes.await_line("online 2/2")
        bridge.knows("t1")
        reply = bridge.order("t1", {"do": "unlock", "ref": "x"}, *WAIT)
        self.assertEqual((reply.status, reply.body["state"]), (200, "succeeded"))


class FailuresOverMosquitto(Failures):
    make_broker = staticmethod(Mosquitto)
    # These start spoke-broker on a port that was given up.
    test_broker_that_dies_and_comes_back = None
    test_bridge_and_bikes_wait_for_the_broker_and_say_so = None


class Processes(unittest.TestCase):
    def test_signals_end_bridge_and_bikes_in_order(self):
        with Broker() as broker:
            for number in (signal.SIGTERM, signal.SIGINT):
                with self.subTest(number), Bridge(broker.port) as bridge, \
                        Bikes(broker.port, 2) as bikes:
                    bridge.ready()
                    bikes.signal(number)
                    self.assertEqual(bikes.wait(), 0, bikes.output())
                    bridge.signal(number)
                    self.assertEqual(bridge.wait(), 0, bridge.output())

    def test_waiting_request_is_answered_when_the_bridge_stops(self):
        with Broker(more=RECEIPTS) as broker, Bridge(broker.port) as bridge, \
                Bikes(broker.port, 1, "--mute", "1.0"):
            bridge.ready()
            bridge.knows("t1")
            with Program(["curl", "-sS", bridge.url + "/v1/devices/t1/commands", "-H",
                          "Prefer: wait=50", "--json", '{"do":"unlock","ref":"x"}']) as request:
                bridge.await_line("t1 unlock: (sent|delivered)")
                self.assertEqual(bridge.stop(), 0, bridge.output())
                self.assertEqual(request.wait(), 0, request.output())
                self.assertRegex(request.output(), '"state":"(sent|delivered)"')

    def test_port_in_use_ends_with_one_clear_line(self):
        with Broker() as broker:
            done = run([binary("spoke-bridge"), "-p", broker.port, "--store", ""])
            self.assertEqual(done.returncode, 1)
            line = done.stderr.splitlines()[-1]
            self.assertIn(f"127.0.0.1:{broker.port}", line)
            self.assertIn("in use", line)

    def test_wrong_configuration_ends_with_one_clear_line(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write("[http]\nprt = 1\n")
            file.flush()
            done = run([binary("spoke-bridge"), "-c", file.name])
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, f"spoke-bridge: {file.name}:2: http.prt: unknown key; "
                                      "the nearest known key is http.port\n")

    def test_printed_configuration_is_a_right_one(self):
        printed = run([binary("spoke-bridge"), "--print-config"])
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(printed.stdout)
            file.flush()
            done = run([binary("spoke-bridge"), "-c", file.name, "--check-config"])
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Demo(unittest.TestCase):
    def test_one_command_opens_a_lock_and_leaves_nothing_behind(self):
        done = subprocess.run([os.path.join(ROOT, "dev"), "run", "--demo"], capture_output=True,
                              text=True, timeout=3 * DEADLINE_SECONDS, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn('"state": "succeeded"', done.stdout)
        self.assertIn('"timeline"', done.stdout)
        for name in ("broker", "bridge"):
            with open(os.path.join(ROOT, "build", "demo", f"{name}.log"), encoding="utf-8") as log:
                self.assertTrue(log.read().endswith("stopped\n"), name)
