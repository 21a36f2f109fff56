"""Broker and bridge together when things go wrong: a lock that is played by the test says what no sound
one would, and the broker is killed in the middle of orders."""
import json
import queue
import socket
import threading
import unittest

from programs import DEADLINE_SECONDS, Bridge, Broker, free_port
from wire import PUBACK, PUBLISH, packets_of

RECEIPTS = '[receipts]\npublishers = ["client:spoke-bridge"]\n'
SETTLED = ("succeeded", "failed", "rejected", "expired", "cancelled", "superseded", "abandoned")


def text(words):
    data = words.encode() if isinstance(words, str) else words
    return len(data).to_bytes(2, "big") + data


def packet(first_byte, body):
    size, length = len(body), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([first_byte]) + length + bytes([size]) + body


class Client:
    """MQTT 3.1.1 with QoS 1, as little as it takes. `messages` come acknowledged."""

    def __init__(self, port, name, topic):
        self.messages = queue.Queue()
        self._answers = queue.Queue()
        self._last_id = 1
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS)
        self._socket.settimeout(None)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self._ask(packet(0x10, text("MQTT") + bytes([4, 2, 0, 0]) + text(name)))
        self._ask(packet(0x82, bytes([0, 1]) + text(topic) + bytes([1])))

    def _read(self):
        for data in packets_of(self._socket):
            if data[0] >> 4 != PUBLISH:
                self._answers.put(data)
                continue
            body = data[2 if data[1] < 128 else 3:]
            size = int.from_bytes(body[:2], "big")
            if data[0] & 6:
                self._socket.sendall(packet(PUBACK << 4, body[2 + size:4 + size]))
            self.messages.put(body[4 + size:] if data[0] & 6 else body[2 + size:])

    def _ask(self, data):
        self._socket.sendall(data)
        return self._answers.get(timeout=DEADLINE_SECONDS)

    def publish(self, topic, payload, retain=False):
        """Returns once the broker has it."""
        self._last_id += 1
        self._ask(packet(PUBLISH << 4 | 2 | retain,
                         text(topic) + self._last_id.to_bytes(2, "big") + payload))

    def close(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the broker was first
        self._socket.close()
        self._thread.join(DEADLINE_SECONDS)


class Lock:
    """A device that says what the test tells it to. Each order it gets can be taken once."""

    def __init__(self, port, name, boot=7):
        self.port, self.name, self.boot, self.uptime = port, name, boot, 1000
        self.connects()

    def connects(self):
        self.client = Client(self.port, self.name, f"d/{self.name}/cmd")
        self.says("up", {"on": True, "proto": 5}, retain=True)

    def says(self, topic, what, boot=None, retain=False):
        """Returns once the broker has it."""
        self.uptime += 10
        what = {"boot": boot or self.boot, "up": self.uptime, **what}
        self.client.publish(f"d/{self.name}/{topic}", json.dumps(what).encode(), retain)

    def order(self):
        return json.loads(self.client.messages.get(timeout=DEADLINE_SECONDS))

    def answers(self, order, result, boot=None, **more):
        self.says("ans", {"id": order["id"], "n": order["n"], "r": result, **more}, boot)

    def journal(self, order, result):
        """Its state, which holds what became of the order."""
        self.says("state", {"lock": "unlocked", "last_n": {"lock": order["n"]},
                            "jrn": [[order["id"], result, order["n"]]]}, retain=True)

    def goes(self):
        self.client.close()


class Faults(unittest.TestCase):
    def setUp(self):
        self.port = free_port()
        self.broker = self.start(Broker(self.port, more=RECEIPTS))
        self.bridge = self.start(Bridge(self.port))
        self.bridge.ready()
        self.lock = self.device("b1")
        self.marks = 0

    def start(self, program):
        self.addCleanup(program.kill)
        return program

    def device(self, name, **options):
        lock = Lock(self.port, name, **options)
        self.addCleanup(lambda: lock.goes())
        self.bridge.knows(name)
        return lock

    def unlock(self, ref, ttl_ms=8000):
        reply = self.bridge.order(self.lock.name, {"do": "unlock", "ref": ref, "ttl_ms": ttl_ms})
        self.assertEqual(reply.status, 202, reply.body)
        return reply.body["id"], self.lock.order()

    def command(self, command):
        return self.bridge.curl(f"/v1/commands/{command}").body

    def settled(self, command):
        """Once it is settled, or unknown."""
        body = self.bridge.curl(f"/v1/commands/{command}?wait=30").body
        self.assertIn(body["state"], (*SETTLED, "unknown"))
        return body

    def settled_late(self, command):
        """Once it is settled, from `unknown` on: not before that is stored."""
        reply = self.bridge.curl(f"/v1/commands/{command}")
        while not reply.body["settled"]:
            same = reply.headers["etag"]
            reply = self.bridge.curl(f"/v1/commands/{command}?wait=30", "-H",
                                     f"If-None-Match: {same}")
            self.assertEqual(reply.status, 200, "nothing has changed")
        return reply.body

    def caught_up(self):
        """Returns once the bridge has taken all that was published before."""
        self.marks += 1
        name = f"mark{self.marks}"
        self.lock.client.publish(f"d/{name}/up", b'{"on":true,"boot":1,"up":1}')
        self.bridge.knows(name)

    def test_an_answer_that_comes_twice_counts_once(self):
        command, order = self.unlock("twice")
        self.lock.answers(order, "ok", lock="unlocked")
        first = self.settled(command)
        self.assertEqual(first["state"], "succeeded")
        self.lock.answers(order, "ok", lock="unlocked")
        self.lock.answers(order, "fail", why="jam")
        self.caught_up()
        self.assertEqual(self.command(command)["timeline"], first["timeline"])

    def test_answers_in_the_wrong_order(self):
        command, order = self.unlock("order")
        self.lock.answers(order, "ok", lock="unlocked")
        self.lock.answers(order, "started")
        body = self.settled(command)
        self.caught_up()
        self.assertEqual((body["state"], self.command(command)["state"]), ("succeeded",) * 2)
        states = [step["state"] for step in self.command(command)["timeline"]]
        self.assertEqual(states[-1], "succeeded")
        self.assertNotIn("running", states)

    def test_another_device_cannot_answer(self):
        other = self.device("b2")
        command, order = self.unlock("other")
        other.answers(order, "ok", lock="unlocked")
        other.journal(order, "ok")
        self.caught_up()
        self.assertFalse(self.command(command)["settled"])
        self.lock.answers(order, "fail", why="jam")
        self.assertEqual(self.settled(command)["state"], "failed")

    def test_an_answer_of_an_older_boot_says_nothing(self):
        command, order = self.unlock("boot", ttl_ms=300)
        self.assertEqual(self.settled(command)["state"], "unknown")
        self.lock.answers(order, "fail", boot=6, why="jam")
        self.caught_up()
        self.assertEqual(self.command(command)["state"], "unknown")
        self.lock.answers(order, "ok", lock="unlocked")
        body = self.settled_late(command)
        self.assertEqual((body["state"], body["late"]), ("succeeded", True))

    def test_answers_to_no_order(self):
        for order in ({"id": "c_unknown", "n": 1}, {"id": "", "n": 0}, {"id": "x" * 500, "n": -1}):
            self.lock.answers(order, "ok")
        self.lock.client.publish("d/b1/ans", b"\xFF{no json")
        self.lock.client.publish("d/b1/ans", b"[1]")
        self.caught_up()
        command, order = self.unlock("after")
        self.lock.answers(order, "ok", lock="unlocked")
        self.assertEqual(self.settled(command)["state"], "succeeded")

    def test_broker_that_is_killed_with_an_order_under_way(self):
        command, order = self.unlock("killed", ttl_ms=2000)
        self.broker.kill()
        self.lock.goes()
        self.bridge.await_line("trying again until it answers")
        # It was handed over: what became of it is not known, whatever the broker says later.
        body = self.settled(command)
        self.assertEqual((body["state"], body["settled"]), ("unknown", False))
        self.broker = self.start(Broker(self.port, more=RECEIPTS))
        self.bridge.ready(times=2)
        self.lock.connects()
        self.bridge.knows("b1", times=2)
        self.lock.journal(order, "ok")
        body = self.settled_late(command)
        self.assertEqual((body["state"], body["late"]), ("succeeded", True))
        self.assertTrue(self.lock.client.messages.empty(), "it was sent again")

    def test_broker_that_is_killed_and_back_in_time(self):
        command, order = self.unlock("back", ttl_ms=60000)
        self.broker.kill()
        self.lock.goes()
        self.bridge.await_line("trying again until it answers")
        self.broker = self.start(Broker(self.port, more=RECEIPTS))
        self.bridge.ready(times=2)
        self.lock.connects()
        self.lock.answers(order, "ok", lock="unlocked")
        body = self.settled(command)
        self.assertEqual((body["state"], body["late"]), ("succeeded", False))
        self.assertTrue(self.lock.client.messages.empty(), "it was sent again")


if __name__ == "__main__":
    unittest.main()
