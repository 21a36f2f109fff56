"""GET /v1/events of the whole program when things go wrong: cursors that are of no use, more readers than
there may be, readers that do not read, storms, a full store, and both programs killed while clients
read in every way."""
import os
import tempfile
import time
import unittest

from programs import DEADLINE_SECONDS, Bridge, Broker, free_port
from push_clients import (TOPIC, Herd, PollReader, Publisher, SseReader, WebSocketReader,
                          request_text)

# The sanitizers keep what was freed, which is not what is measured here.
ENVIRONMENT = {"ASAN_OPTIONS": "quarantine_size_mb=1"}
MB = 1 << 20
EVENTS_KEPT = 40
OPTIONS = f"""
    [events]
    streams_max = 3
    polls_max = 2
    slow_timeout = "1 s"
    tail_events_max = 1
    [[record]]
    filter = "t/#"
    events_max = {EVENTS_KEPT}
"""
MANY = """
    [events]
    streams_max = 5000
    slow_timeout = "1 s"
"""


class Pushing(Bridge):
    def __init__(self, broker_port, options, port=0, **more):
        self.CONFIG = Bridge.CONFIG.replace("port = 0", f"port = {port}") + options
        super().__init__(broker_port, **more)
        self.port = int(self.url.rpartition(":")[2])

    def events(self, since, *options, **parameters):
        query = "".join(f"&{name}={value}" for name, value in parameters.items())
        return self.curl(f"/v1/events?topic={TOPIC}&since={since}{query}", *options)


class Pushed(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def start_broker(self, port=0):
        directory = os.path.join(self.folder, "broker")
        return self.enterContext(Broker(port, more=f'[persistence]\ndirectory = "{directory}"\n'))

    def start_bridge(self, broker_port, options, **more):
        bridge = Pushing(broker_port, options, store=os.path.join(self.folder, "bridge.db"),
                         environment=ENVIRONMENT, **more)
        self.enterContext(bridge)
        bridge.ready()
        return bridge

    def start(self, options):
        self.broker = self.start_broker()
        self.bridge = self.start_bridge(self.broker.port, options)

    def reader(self, form, *arguments, **options):
        reader = form(self.bridge.port, *arguments, **options)
        self.addCleanup(reader.stop)
        return reader

    def herd(self, port=None):
        herd = Herd(port or self.bridge.port)
        self.addCleanup(herd.close)
        return herd

    def publish(self, count, **options):
        return Publisher(self.broker.port, count, **options).finish()

    def record(self, count, **options):
        """Publishes so many events; the epoch, once all are in the log."""
        reader = self.reader(SseReader)
        self.publish(count, **options)
        reader.await_events(count)
        reader.stop()
        return reader.cursor.partition(".")[0]


class CursorTest(Pushed):
    """One that is of no use is told in every way, with where to go on, and the way goes on there."""

    def setUp(self):
        super().setUp()
        self.start(OPTIONS)
        self.count = 2 * EVENTS_KEPT + 10
        epoch = self.record(self.count)
        self.epoch, self.head = epoch, f"{epoch}.{self.count}"
        self.bad = [("", "malformed"), ("x", "malformed"), (epoch, "malformed"),
                    (f"{epoch}.", "malformed"), (f"{epoch}.01", "malformed"),
                    (f"{epoch}.-1", "malformed"), (f"{epoch}.1.1", "malformed"),
                    (f"{epoch}.99999999999999999999999", "malformed"), (f"{epoch.upper()}Z.1", "malformed"),
                    ("x" * 3000, "malformed"), ("zzz.1", "epoch"), ("zzz.999999", "epoch"),
                    (f"{epoch}.{self.count + 1}", "future"), (f"{epoch}.1", "too-old"),
                    (f"{epoch}.{self.count - EVENTS_KEPT - 1}", "too-old")]
        self.bad = [(cursor, reason) for cursor, reason in self.bad if cursor]  # empty: from now on

    def test_polls_get_409_with_the_cursor_to_go_on_from(self):
        for cursor, reason in self.bad:
            for more in ({}, {"wait": 30}):
                reply = self.bridge.events(cursor, **more)
                with self.subTest(cursor=cursor[:40], **more):
                    self.assertEqual((reply.status, reply.body["type"], reply.body["reason"]),
                                     (409, "/problems/cursor", reason))
                    self.assertEqual(reply.body["cursor"], self.head)
                    self.assertTrue(reply.body["snapshot"].startswith("/v1/"))
        self.assertEqual(self.bridge.events(self.head).body, {"events": [], "next": self.head})
        # The oldest that is still of use, and the oldest event there is.
        oldest = f"{self.epoch}.{self.count - EVENTS_KEPT}"
        self.assertEqual(len(self.bridge.events(oldest, limit=1000).body["events"]), EVENTS_KEPT)
        self.assertEqual(len(self.bridge.events("oldest", limit=1000).body["events"]), EVENTS_KEPT)

    def test_streams_tell_a_reset_and_go_on(self):
        for cursor, reason in self.bad:
            with self.subTest(cursor=cursor[:40]):
                reader = self.reader(SseReader, since=cursor)
                reset = reader.await_told("reset")
                self.assertEqual((reset["reason"], reset["cursor"]), (reason, self.head))
                hello = reader.await_told("hello")
                self.assertEqual((hello["resumed"], hello["from"]), (False, self.head))
                reader.stop()
        self.check_that_it_goes_on(SseReader)

    def test_web_sockets_tell_a_reset_and_go_on(self):
        for cursor, reason in self.bad:
            with self.subTest(cursor=cursor[:40]):
                reader = self.reader(WebSocketReader, since=cursor)
                reset = reader.await_told("reset")
                self.assertEqual((reset["reason"], reset["cursor"]), (reason, self.head))
                self.assertFalse(reader.await_told("hello")["resumed"])
                reader.stop()
        self.check_that_it_goes_on(WebSocketReader)

    def check_that_it_goes_on(self, form):
        reader = self.reader(form, since="zzz.1")
        reader.await_told("reset")
        self.publish(3, first=self.count)
        reader.await_events(3)
        self.assertEqual([event["id"] for event in reader.events[:3]],
                         [f"{self.epoch}.{self.count + i}" for i in (1, 2, 3)])

    def test_no_more_readers_than_configured(self):
        herd = self.herd()
        herd.open(3, request_text(f"/v1/events?topic={TOPIC}", "Accept: text/event-stream"))
        herd.await_all(b"event: hello")
        reply = self.bridge.curl(f"/v1/events?topic={TOPIC}", "-H", "Accept: text/event-stream")
        self.assertEqual((reply.status, reply.body["type"]), (503, "/problems/too-many-readers"))
        self.assertGreater(int(reply.headers["retry-after"]), 0)
        polls = self.herd()
        polls.open(2, request_text(f"/v1/events?topic={TOPIC}&since={self.head}&wait=50"))
        self.await_refusal_of_polls()
        self.assertEqual(self.bridge.events(self.head).status, 200)  # one that does not wait
        # Who goes makes room.
        herd.close()
        polls.close()
        readers = [self.reader(SseReader, since=self.head), self.reader(PollReader, since=self.head)]
        self.publish(1, first=self.count)
        for reader in readers:
            reader.await_events(1)

    def await_refusal_of_polls(self):
        """The two are held once a third one is refused; until then it is held for no time."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            reply = self.bridge.events(self.head, wait=1)
            if reply.status == 503:
                self.assertEqual(reply.body["type"], "/problems/too-many-readers")
                self.assertGreater(int(reply.headers["retry-after"]), 0)
                return
        raise AssertionError("more long polls are held than may be")


class CrowdTest(Pushed):
    def setUp(self):
        super().setUp()
        self.start(MANY)
        self.stream = request_text(f"/v1/events?topic={TOPIC}", "Accept: text/event-stream")

    def test_who_does_not_read_costs_little_and_harms_nobody(self):
        count, size = 600, 4000
        good = self.reader(SseReader)
        good.await_told("hello")
        before = self.bridge.memory("VmRSS")
        silent, slow = self.herd(), self.herd()
        silent.open(100, self.stream, receive_bytes=4096)
        slow.open(20, self.stream, receive_bytes=4096)
        socket_reader = self.herd()
        socket_reader.open(50, request_text(
            f"/v1/events?topic={TOPIC}", "Connection: Upgrade", "Upgrade: websocket",
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==", "Sec-WebSocket-Version: 13"), 4096)
        # Who is not there yet when the messages come gets none, and is not slow.
        self.await_number("event_streams", 171)
        publisher = Publisher(self.broker.port, count, window=50, payload=lambda n: f"{n} ".ljust(size, "x"))
        longest = 0.0
        while not publisher.is_done():
            begin = time.monotonic()
            self.assertEqual(self.bridge.curl("/healthz").status, 200)
            longest = max(longest, time.monotonic() - begin)
            slow.read(1)
        publisher.finish()
        good.await_events(count)
        # 170 readers and 2.4 MB each would be 400 MB.
        self.assertLess(self.bridge.memory("VmRSS") - before, 60 * MB)
        self.assertLess(longest, 5)
        self.assertEqual(good.connections, 1)
        self.await_number("event_readers_given_up_total", 150)  # those that dribble may be alive
        for got in silent.await_ends():
            self.assertNotIn(b"event: bye", got)
        for got in socket_reader.await_ends():
            self.assertIn(b" 101 ", got)
        self.check_that_nothing_is_lost(got_by=next(iter(silent.sockets.values())), count=count)

    def await_number(self, name, least):
        """Not a byte of those who do not read is read meanwhile: it would give the bridge room."""
        start = f"spoke_bridge_{name} "
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            lines = self.bridge.curl("/metrics").body.splitlines()
            number = int(next(line for line in lines if line.startswith(start))[len(start):])
            if number >= least:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} is {number}, not {least}")

    def check_that_nothing_is_lost(self, got_by, count):
        """Who was cut off goes on behind the last event that he has got as a whole."""
        frames = got_by.rpartition(b"\n\n")[0].split(b"\n\n")
        last = [f.partition(b"id: ")[2].split(b"\n")[0] for f in frames if b"id: " in f][-1].decode()
        had = sum(1 for f in frames if b"data: {\"id\"" in f)
        reader = self.reader(SseReader, since=last)
        reader.await_events(count - had)
        self.assertTrue(reader.await_told("hello")["resumed"])

    def test_two_thousand_streams_and_their_storm(self):
        count = 2000
        herd = self.herd()
        herd.open(20, self.stream)
        herd.await_all(b"event: hello", forget=False)
        before = self.bridge.memory("VmRSS")
        herd.open(count - 20, self.stream)
        herd.await_all(b"event: hello")
        self.assertLess((self.bridge.memory("VmRSS") - before) / count, 24 * 1024)
        self.publish(1)
        herd.await_all(b"data: {")
        herd.close()
        # They all come back at once, for what they have missed.
        self.publish(3)
        cursor = self.bridge.curl(f"/v1/events?topic={TOPIC}&since=oldest").body["events"][0]["id"]
        storm = self.herd()
        storm.open(count, request_text(f"/v1/events?topic={TOPIC}", "Accept: text/event-stream",
                                       f"Last-Event-ID: {cursor}"))
        storm.await_all(b'"data":2')
        self.assertEqual(self.bridge.curl("/healthz").status, 200)
        self.assertLess(self.bridge.memory("VmRSS") - before, 100 * MB)


class FullStoreTest(Pushed):
    def test_writes_are_refused_by_name_and_reads_go_on(self):
        self.start('bytes_max = "1 MiB"\n' + MANY)
        self.record(5)
        reader = self.reader(SseReader)
        reader.await_events(5)
        filler = {"type": "note", "data": "x" * 3000}
        for _ in range(1000):
            reply = self.bridge.curl("/v1/inboxes/7777/messages", body=filler)
            if reply.status != 201:
                break
        self.assertEqual((reply.status, reply.body["type"]), (503, "/problems/log-full"))
        self.assertIn("retry-after", reply.headers)
        for method, path, body in (("PUT", "/v1/hooks/a", {"url": "https://shop.example/", "topics": ["t/#"]}),
                                   ("PUT", "/v1/devices/b1", {"alias": "blue"})):
            reply = self.bridge.curl(path, method=method, body=body)
            self.assertEqual((reply.status, reply.body["type"]), (503, "/problems/log-full"), path)
        self.assertEqual(len(self.bridge.events("oldest").body["events"]), 5)
        self.assertEqual(self.bridge.curl("/v1/inboxes/7777").status, 200)
        self.assertEqual(self.bridge.curl("/v1/hooks").body, {"hooks": []})
        self.reader(WebSocketReader).await_events(5)
        self.bridge.await_line("store.bytes_max is reached")


class KillTest(Pushed):
    def test_nothing_is_lost_or_doubled_in_any_way(self):
        broker_port, bridge_port = free_port(), free_port()
        broker = self.start_broker(broker_port)
        self.bridge = self.start_bridge(broker_port, MANY, port=bridge_port)
        readers = [self.reader(form) for form in (SseReader, PollReader, WebSocketReader)]
        publisher = Publisher(broker_port)
        for step in range(4):
            for reader in readers:
                reader.await_events(len(reader.events) + 20)
            if step % 2 == 0 or step == 3:
                self.bridge.kill()
            if step > 0:
                broker.kill()
                broker = self.start_broker(broker_port)
            if self.bridge.process.poll() is not None:
                self.bridge = self.start_bridge(broker_port, MANY, port=bridge_port)
        count = publisher.finish()
        for reader in readers:
            reader.await_events(count)
            self.check(reader, count)
        first, *others = [[event["id"] for event in reader.events] for reader in readers]
        for other in others:
            self.assertEqual(other, first)

    def check(self, reader, count):
        name = type(reader).__name__
        offsets = [int(event["id"].partition(".")[2]) for event in reader.events]
        self.assertEqual(offsets, sorted(set(offsets)), name)
        self.assertEqual([event["data"] for event in reader.events], list(range(count)), name)
        self.assertEqual([event["n"] for event in reader.events], list(range(1, count + 1)), name)
        self.assertEqual([v for n, v in reader.told if n == "reset"], [], name)
        self.assertGreater(reader.connections, 1, name)


if __name__ == "__main__":
    unittest.main()
