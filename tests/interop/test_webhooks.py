"""Webhooks of the running bridge: a receiver of the test's own verifies every signature; it fails,
hangs, is gone for good; the bridge is killed in between, and nothing is lost."""
import json
import os
import tempfile
import time
import unittest

from certificates import Authority
from hook_receiver import Receiver, verify
from programs import DEADLINE_SECONDS, Bridge, Broker, free_port

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bridge", "EVENTS.md")
OPEN = """
    [hooks]
    allow_private = true
    allow_http = true
    timeout = "1 s"
"""


class Hooked(Bridge):
    def __init__(self, *arguments, more=OPEN, **options):
        self.CONFIG = Bridge.CONFIG + more
        super().__init__(*arguments, **options)

    def put_hook(self, name, url, secret=None, status=201, **members):
        body = {"url": url, "topics": ["t/#"], **members}
        if secret:
            body["secret"] = secret
        reply = self.curl(f"/v1/hooks/{name}", method="PUT", body=body)
        if reply.status != status:
            raise AssertionError(f"{reply.status}: {reply.body}")
        return reply.body

    def publish(self, topic, data):
        reply = self.curl(f"/v1/publish/{topic}?qos=1", body=json.dumps(data))
        if reply.status != 200:
            raise AssertionError(f"{reply.status}: {reply.body}")

    def hook(self, name):
        return self.curl(f"/v1/hooks/{name}").body

    def await_waiting(self, name):
        """Returns once a failure of it is stored."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.hook(name)["waiting"] == 0:
            if time.monotonic() > deadline:
                raise AssertionError(f"hook {name}: {self.hook(name)}")

    def deliveries(self, name):
        return self.curl(f"/v1/hooks/{name}/deliveries").body["deliveries"]


def verify_of_the_docs():
    """The function that EVENTS.md shows."""
    with open(DOCS, encoding="utf-8") as file:
        code = file.read().partition("```python\n")[2].partition("```")[0]
    names = {}
    exec(code, names)
    return names["verify"]


def data_of(receiver):
    return [json.loads(body)["data"] for _, body in receiver.requests]


class WebhookTest(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(Broker())
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.store = os.path.join(self.folder, "bridge.db")

    def start(self, **options):
        bridge = self.enterContext(Hooked(self.broker.port, store=self.store, **options))
        bridge.ready()
        return bridge

    def receiver(self, *arguments, **options):
        receiver = Receiver(*arguments, **options)
        self.addCleanup(receiver.close)
        return receiver

    def test_events_come_signed_and_in_order(self):
        bridge, receiver = self.start(), self.receiver()
        secret = bridge.put_hook("shop", receiver.url)["secret"]
        receiver.secrets = [secret]
        self.assertNotIn("secret", bridge.hook("shop"))
        for i in range(3):
            bridge.publish("t/1", {"type": "bid", "i": i})
            receiver.await_that(lambda n=i: len(receiver.taken) == n + 1, "an event is missing")
        self.assertEqual([d["i"] for d in data_of(receiver)], [0, 1, 2])
        headers, body = receiver.requests[0]
        event = json.loads(body)
        self.assertEqual(event["id"], headers["Webhook-Id"])
        self.assertEqual((event["topic"], event["type"]), ("t/1", "bid"))
        self.assertEqual(receiver.problems, [])
        self.check_that_verification_can_fail(secret, headers, body)

        # The secret is changed: both sign for a while.
        new = bridge.put_hook("shop", receiver.url, "whsec_" + "MTIz" * 10, status=200)["secret"]
        bridge.publish("t/1", 3)
        receiver.await_that(lambda: len(receiver.taken) == 4, "the fourth event is missing")
        headers, body = receiver.requests[3]
        verify(secret, {k.lower(): v for k, v in headers.items()}, body, time.time())
        verify(new, {k.lower(): v for k, v in headers.items()}, body, time.time())

        bridge.put_hook("shop", receiver.url, status=200, format="cloudevents")
        bridge.publish("t/2", {"type": "bid"})
        receiver.await_that(lambda: len(receiver.taken) == 5, "the fifth event is missing")
        headers, body = receiver.requests[4]
        self.assertEqual(headers["Content-Type"], "application/cloudevents+json")
        event = json.loads(body)
        self.assertEqual((event["specversion"], event["type"], event["subject"], event["data"]),
                         ("1.0", "bid", "t/2", {"type": "bid"}))

    def check_that_verification_can_fail(self, secret, headers, body):
        headers = {k.lower(): v for k, v in headers.items()}
        now = int(headers["webhook-timestamp"])
        verify(secret, headers, body, now)
        self.assertEqual(verify_of_the_docs()(secret, headers, body), headers["webhook-id"])
        with self.assertRaises(ValueError):
            verify_of_the_docs()(secret, headers, body + b" ")
        for bad in ((secret, headers, body + b" ", now), ("whsec_AAAA", headers, body, now),
                    (secret, headers, body, now + 301), (secret, {**headers, "webhook-id": "x"}, body, now)):
            with self.assertRaises(ValueError):
                verify(*bad)

    def test_nothing_is_lost_through_failures_and_kills(self):
        seen = set()

        def fail_once(event):
            if event in seen:
                return 200
            seen.add(event)
            return None if len(seen) % 2 else 500

        receiver = self.receiver(fail_once)
        bridge = self.start()
        receiver.secrets = [bridge.put_hook("shop", receiver.url)["secret"]]
        for i in range(3):
            bridge.publish("t/1", i)
        receiver.await_that(lambda: {500, None} <= {status for _, status in receiver.asked},
                            "it did not fail in both ways")
        bridge.await_waiting("shop")
        bridge.kill()

        bridge = self.start()
        bridge.publish("t/1", 3)
        receiver.await_that(lambda: len({event for event, _ in receiver.asked}) == 4,
                            "an event is missing")
        bridge.kill()

        bridge = self.start()
        bridge.publish("t/1", 4)
        receiver.await_that(lambda: len(set(receiver.taken)) == 5, "an event was lost")
        self.assertEqual(sorted({json.loads(body)["data"] for _, body in receiver.requests}),
                         [0, 1, 2, 3, 4])
        # One event has one id, however often it comes.
        pairs = {(headers["Webhook-Id"], body) for headers, body in receiver.requests}
        self.assertEqual(len(pairs), 5)
        self.assertEqual(receiver.problems, [])
        states = {one["state"] for one in bridge.deliveries("shop")}
        self.assertLessEqual(states, {"delivered", "sending"})

    def test_410_disables_a_hook_for_good(self):
        receiver = self.receiver(lambda _: 410)
        bridge = self.start()
        bridge.put_hook("shop", receiver.url)
        bridge.publish("t/1", 1)
        bridge.await_line("hook shop: disabled")
        bridge.publish("t/1", 2)
        bridge.stop()
        bridge = self.start()
        self.assertEqual(bridge.hook("shop")["state"], "disabled")
        self.assertIn("410", bridge.hook("shop")["why"])
        audit = [json.loads(line) for line in bridge.curl("/v1/audit").body.splitlines()]
        self.assertEqual([e["what"] for e in audit if e["what"].startswith("hook")],
                         ["hook.made", "hook.disabled"])
        self.assertEqual(len(receiver.asked), 1)
        receiver.answer = lambda _: 200
        bridge.put_hook("shop", receiver.url, status=200)
        # The first one has failed, and comes again by the schedule.
        receiver.await_that(lambda: len(receiver.taken) >= 2 and set(data_of(receiver)[1:]) == {1, 2},
                            "an event was lost")

    def test_addresses_are_restricted_whatever_the_name(self):
        bridge = self.start(more='[hooks]\nallow_http = true\n')
        receiver = self.receiver()
        for host in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "10.1.2.3", "0.0.0.0"):
            reply = bridge.curl("/v1/hooks/a", method="PUT",
                                body={"url": f"http://{host}:{receiver.port}/", "topics": ["t/#"]})
            self.assertEqual((reply.status, reply.body["member"]), (400, "url"), host)
        # What a name stands for is judged when it is used.
        bridge.put_hook("a", f"http://localhost:{receiver.port}/")
        bridge.publish("t/1", 1)
        bridge.await_waiting("a")
        self.assertIn("not public", bridge.deliveries("a")[0]["outcome"])
        self.assertEqual(receiver.asked, [])

    def test_certificates_are_checked(self):
        authority = Authority(self.folder, "authority")
        other = Authority(self.folder, "other")
        receivers = {
            "good": self.receiver(certificate=authority.sign("good", "IP:127.0.0.1")),
            "of-another-host": self.receiver(certificate=authority.sign("bad", "DNS:shop.example")),
            "of-nobody": self.receiver(certificate=other.sign("alien", "IP:127.0.0.1"))}
        bridge = self.start(more=f'''
            [hooks]
            allow_private = true
            ca_file = "{authority.certificate}"
        ''')
        self.assertEqual(bridge.curl("/v1/hooks/plain", method="PUT", body={
            "url": "http://127.0.0.1:1/", "topics": ["t/#"]}).status, 400)
        for name, receiver in receivers.items():
            bridge.put_hook(name, receiver.url)
        bridge.publish("t/1", 1)
        receivers["good"].await_that(lambda: receivers["good"].taken, "the event is missing")
        for name in ("of-another-host", "of-nobody"):
            bridge.await_waiting(name)
            self.assertIn("TLS", bridge.deliveries(name)[0]["outcome"])
            self.assertEqual(receivers[name].asked, [])

    def test_redirects_are_not_followed(self):
        target = self.receiver()
        receiver = self.receiver(lambda _: 302)
        bridge = self.start()
        bridge.put_hook("shop", receiver.url)
        bridge.put_hook("nowhere", f"http://127.0.0.1:{free_port()}/")
        bridge.publish("t/1", 1)
        for name in ("shop", "nowhere"):
            bridge.await_waiting(name)
        self.assertEqual(bridge.deliveries("shop")[0]["outcome"], "302")
        self.assertIn("refused", bridge.deliveries("nowhere")[0]["outcome"])
        self.assertEqual(target.asked, [])
        # Sent again when it is asked for.
        receiver.answer = lambda _: 200
        delivery = bridge.deliveries("shop")[0]["id"]
        self.assertEqual(bridge.curl(f"/v1/hooks/shop/deliveries/{delivery}", method="POST").status, 202)
        receiver.await_taken([delivery])

    def test_an_answer_without_end_is_not_read_to_its_end(self):
        receiver = self.receiver()
        receiver.is_endless = True
        bridge = self.start(more=OPEN.replace("1 s", "1 min"))
        bridge.put_hook("shop", receiver.url)
        bridge.publish("t/1", 1)
        receiver.await_that(lambda: not receiver.is_endless, "the bridge reads on and on")
        self.assertLess(receiver.sent, 16 << 20)  # what was read, and what the kernel keeps
        bridge.publish("t/1", 2)
        receiver.await_that(lambda: len(receiver.taken) == 2, "an event is missing")
        self.assertEqual({one["state"] for one in bridge.deliveries("shop")} - {"sending"}, {"delivered"})


if __name__ == "__main__":
    unittest.main()
