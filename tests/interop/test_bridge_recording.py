"""What spoke-bridge records of the messages of a broker, when both are killed again and again: each
message is one event, in order. And the feed and the replay over MQTT."""
import json
import os
import random
import re
import socket
import sqlite3
import tempfile
import threading
import unittest

from programs import DEADLINE_SECONDS, Bridge, Broker, Subscriber, free_port, publish
from wire import PUBACK, packets_of

SEED = int(os.environ.get("SPOKE_SEED", "6"))
WINDOW = 16
ALL = '[[record]]\nfilter = "t/#"\nevents_max = 10000000\nbytes_max = "4 GiB"\n'


def text(words):
    data = words.encode()
    return len(data).to_bytes(2, "big") + data


def packet(first_byte, body):
    size, length = len(body), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([first_byte]) + length + bytes([size]) + body


class Publisher(threading.Thread):
    """Publishes numbers with QoS 1, and again with DUP what is not acknowledged when it has to
    connect again. `again` holds those. `until` stops it, once all are acknowledged."""

    def __init__(self, port, name):
        super().__init__(daemon=True)
        self.port, self.name = port, name
        self.topics = [f"t/{name}/{i}" for i in range(3)]
        self.count = 0
        self.again = set()
        self._open = {}  # number: whether it was sent on this connection
        self._lock = threading.Condition()
        self._pace = threading.Event()  # never set
        self._stopping = False
        self.start()

    def topic(self, number):
        return self.topics[number % len(self.topics)]

    def _send(self, connection, number, dup):
        packet_id = number % 60_000 + 1
        # Many are alike but for their packet id.
        payload = json.dumps({"round": number // 30})
        connection.sendall(packet(0x32 | dup << 3, text(self.topic(number)) +
                                  packet_id.to_bytes(2, "big") + payload.encode()))

    def _take_acks(self, connection):
        for data in packets_of(connection):
            if data[0] >> 4 != PUBACK:
                continue
            packet_id = int.from_bytes(data[2:4], "big")
            with self._lock:
                for number in list(self._open):
                    if number % 60_000 + 1 == packet_id:
                        del self._open[number]
                self._lock.notify_all()
        with self._lock:
            self._gone = True
            self._lock.notify_all()

    def _session(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(packet(0x10, text("MQTT") + bytes([4, 0, 0, 60]) + text(self.name)))
            if len(connection.recv(4)) != 4:
                return
            connection.settimeout(None)
            self._gone = False
            reader = threading.Thread(target=self._take_acks, args=[connection], daemon=True)
            reader.start()
            try:
                with self._lock:
                    left = sorted(self._open)
                for number in left:
                    self.again.add(number)
                    self._send(connection, number, dup=True)
                while True:
                    with self._lock:
                        self._lock.wait_for(lambda: self._gone or len(self._open) < WINDOW)
                        if self._gone or self._stopping and not self._open:
                            return
                        if self._stopping:
                            self._lock.wait_for(lambda: self._gone or not self._open)
                            return
                        number = self.count
                        self.count += 1
                        self._open[number] = True
                        self._lock.notify_all()
                    self._send(connection, number, dup=False)
                    self._pace.wait(0.001)  # the queue of a bridge that is away is bounded
            finally:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it is gone
                reader.join(DEADLINE_SECONDS)

    def run(self):
        while not (self._stopping and not self._open):
            try:
                self._session()
            except OSError:
                self._pace.wait(0.02)  # until the broker is there again

    def goes_on(self, most):
        """Returns after some more messages, or soon where the broker is away."""
        with self._lock:
            enough = self.count + most
            self._lock.wait_for(lambda: self.count >= enough, timeout=2)

    def stop(self):
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        self.join(DEADLINE_SECONDS)
        if self.is_alive():
            raise AssertionError("the broker has not acknowledged everything")


class Recorded(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="spoke-recording-")
        self.addCleanup(self._folder.cleanup)
        self.store = os.path.join(self._folder.name, "bridge.db")
        self.port = free_port()
        self.random = random.Random(SEED)

    def start_broker(self):
        directory = os.path.join(self._folder.name, "broker")
        broker = Broker(self.port, more=f'[persistence]\ndirectory = "{directory}"\n')
        self.addCleanup(broker.kill)
        return broker

    def start_bridge(self):
        bridge = Bridge(self.port, store=self.store, more=ALL)
        self.addCleanup(bridge.kill)
        return bridge

    def events(self):
        """(topic, round) of each event, in order."""
        with sqlite3.connect(f"file:{self.store}?mode=ro", uri=True) as store:
            rows = store.execute("SELECT topic, data FROM events WHERE topic LIKE 't/%' "
                                 "ORDER BY offset").fetchall()
        store.close()
        return [(topic, json.loads(data)["round"]) for topic, data in rows]

    def await_events(self, bridge):
        """The broker delivers in order: when the mark behind them is there, all of them are."""
        bridge.ready()
        publish(self.port, "t/mark", '{"round": 0}', qos=1)
        last = "since=oldest&topic=t/mark&wait=30"
        self.assertTrue(bridge.curl(f"/v1/events?{last}").body["events"])

    def check(self, publisher):
        """Of each topic the numbers are there, in order; twice only what was published twice."""
        events = self.events()
        for topic in publisher.topics:
            sent = [n for n in range(publisher.count) if publisher.topic(n) == topic]
            found = [r for t, r in events if t == topic]
            wanted = [n // 30 for n in sent]
            twice = {n // 30 for n in sent if n in publisher.again}
            for number in sorted(set(wanted)):
                most = wanted.count(number) + sum(1 for n in publisher.again
                                                  if n in sent and n // 30 == number)
                have = found.count(number)
                self.assertGreaterEqual(have, wanted.count(number),
                                        f"{topic}: lost of round {number}, seed {SEED}")
                self.assertLessEqual(have, most if number in twice else wanted.count(number),
                                     f"{topic}: doubled in round {number}, seed {SEED}")

    def test_bridge_killed_at_random(self):
        self.start_broker()
        bridge = self.start_bridge()
        bridge.ready()
        publisher = Publisher(self.port, "p1")
        for _ in range(5):
            publisher.goes_on(self.random.randrange(20, 400))
            bridge.kill()
            bridge = self.start_bridge()
        publisher.stop()
        self.assertEqual(publisher.again, set())
        self.assertGreater(publisher.count, 100)
        self.await_events(bridge)
        self.check(publisher)

    def test_broker_and_bridge_killed_at_random(self):
        broker = self.start_broker()
        bridge = self.start_bridge()
        bridge.ready()
        publisher = Publisher(self.port, "p2")
        for turn in range(5):
            publisher.goes_on(self.random.randrange(20, 400))
            if turn != 1:
                broker.kill()
            if turn != 0:
                bridge.kill()
            if turn != 1:
                broker = self.start_broker()
            if turn != 0:
                bridge = self.start_bridge()
            else:
                bridge.ready(times=2)
        publisher.stop()
        self.assertGreater(publisher.count, 100)
        self.await_events(bridge)
        self.check(publisher)


class FeedAndReplay(unittest.TestCase):
    FORMAT = "MSG %t %P %p"

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.kill)
        cls.bridge = Bridge(cls.broker.port)
        cls.addClassCleanup(cls.bridge.kill)
        cls.bridge.ready()

    def test_feed(self):
        with Subscriber(self.broker.port, "e/t/feed/#", output=self.FORMAT) as reader:
            for i in range(3):
                publish(self.broker.port, "t/feed/1", json.dumps({"type": "move", "x": i}), qos=1)
            ids = []
            for i, line in enumerate(reader.messages(3)):
                self.assertRegex(line, rf'^e/t/feed/1 id:[0-9a-z]+\.\d+ n:{i + 1} type:move '
                                       rf'at:\S+Z {{"type": "move", "x": {i}}}$')
                ids.append(int(re.search(r"id:\w+\.(\d+)", line)[1]))
            self.assertEqual(ids, sorted(ids))

    def test_replay(self):
        for i in range(5):
            publish(self.broker.port, "t/replay/1", str(i), qos=1)
        me = "e/replay/tester"
        with Subscriber(self.broker.port, me, output=self.FORMAT) as reader:
            ask = ["-D", "publish", "response-topic", me, "-D", "publish", "correlation-data", "7"]
            wish = {"topic": ["t/replay/#"], "since": "oldest", "limit": 3}
            publish(self.broker.port, "$r/spoke-bridge/replay", json.dumps(wish), *ask, qos=1)
            lines = reader.messages(4)
            for i, line in enumerate(lines[:3]):
                self.assertRegex(line, rf"^{me} id:\S+ n:{i + 1} at:\S+ topic:t/replay/1 {i}$")
            self.assertRegex(lines[3], rf'^{me} end:1 {{"next":"\w+\.\d+","more":true,'
                                       r'"resumed":true}$')
            wish["since"] = json.loads(lines[3].split(" ", 2)[2])["next"]
            publish(self.broker.port, "$r/spoke-bridge/replay", json.dumps(wish), *ask, qos=1)
            self.assertEqual([line[-1] for line in reader.messages(6)[4:6]], ["3", "4"])
            self.assertIn('"more":false', reader.messages(7)[6])
            publish(self.broker.port, "$r/spoke-bridge/replay",
                    json.dumps({**wish, "since": "gone.1"}), *ask, qos=1)
            self.assertRegex(reader.messages(8)[7], r'{"reason":"epoch","cursor":"\w+\.\d+"}$')


if __name__ == "__main__":
    unittest.main()
