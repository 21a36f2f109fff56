"""The same scenarios for every client library and version, and every library against every other."""
import unittest

from clients import KINDS, V5, VERSION_NAMES, Endpoint, fresh, matrix, side_by_side, stop_all
from programs import Broker
from wire import PUBACK, PUBCOMP, PUBREC, Wire

# Every property that a PUBLISH carries to its receiver.
PROPERTIES = {"format": 1, "content_type": "text/plain; charset=utf-8", "response_topic": "answers/é",
              "correlation": b"c-42".hex(), "user": [["a", "1"], ["a", "2"]]}
BYTES = bytes(range(256))


def setUpModule():
    unittest.addModuleCleanup(stop_all)


class WithBroker(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.kill)
        cls.at = Endpoint(cls.broker.port)

    def client(self, kind, version, at=None, **options):
        """A client that is connected; it ends with the test."""
        client = kind.client(version, at or self.at, **options)
        self.addCleanup(client.close)
        return client.connect()

    def witness(self, **options):
        """A client that is not the one under test."""
        return self.client(KINDS["paho_c_async"], V5, **options)


class EveryPair(WithBroker):
    """Subscribers of all kinds and versions at once; publishers of all kinds and versions in turn."""

    def everyone(self):
        return [(kind, version, f"{kind.name} {VERSION_NAMES[version]}")
                for kind in KINDS.values() for version in kind.versions]

    def test_each_qos_from_every_publisher_to_every_subscriber(self):
        topic = fresh("every/pär")
        subscribers = []
        for kind, version, name in self.everyone():
            subscriber = self.client(kind, version)
            subscriber.subscribe(f"{topic}/#", qos=2)
            subscribers.append((name, version, subscriber))
        for kind, version, name in self.everyone():
            publisher = self.client(kind, version)
            for qos in (0, 1, 2):
                # One on the way at a time: which QoS comes first is not said.
                publisher.publish(f"{topic}/{qos}", BYTES, qos=qos, properties=PROPERTIES)
                for reader, reader_version, subscriber in subscribers:
                    with self.subTest(publisher=name, subscriber=reader, qos=qos):
                        message = subscriber.message()
                        self.assertEqual(message.facts(), (f"{topic}/{qos}", BYTES, qos, False))
                        self.assertFalse(message.dup)
                        both_v5 = version == reader_version == V5
                        self.assertEqual(message.properties, PROPERTIES if both_v5 else {})
            publisher.close()
        for _, _, subscriber in subscribers:
            self.assertEqual(subscriber.waiting(), 0)

    def test_retained_messages_of_every_publisher_for_every_subscriber(self):
        topic = fresh("kept")
        written = {}
        for kind, version, name in self.everyone():
            publisher = self.client(kind, version)
            for qos in (0, 1, 2):
                where = f"{topic}/{name.replace(' ', '/')}/{qos}"
                publisher.publish(where, b"old", qos=qos, retain=True)
                publisher.publish(where, name.encode(), qos=qos, retain=True)
                publisher.publish(f"{where}/gone", b"x", qos=1, retain=True)
                publisher.publish(f"{where}/gone", b"", qos=1, retain=True)
                written[where] = (where, name.encode(), qos, True)
            publisher.close()
        self.witness().publish(f"{topic}/live", b"live", qos=1)  # not kept
        for kind, version, name in self.everyone():
            with self.subTest(subscriber=name):
                subscriber = self.client(kind, version)
                subscriber.subscribe(f"{topic}/#", qos=2)
                found = {m.topic: m.facts() for m in subscriber.messages(len(written))}
                self.assertEqual(found, written)
                self.assertEqual(subscriber.waiting(), 0)
                subscriber.close()


@matrix(
    # mosquitto_pub ends with its connection; mosquitto_sub does not unsubscribe while it runs.
    publisher_resumes=["mosquitto"], unsubscribe=["mosquitto"])
class EachClient(WithBroker):
    def check_messages_keep_their_order(self, kind, version):
        topic = fresh("order")
        subscriber = self.client(kind, version)
        subscriber.subscribe(topic, qos=2)
        publisher = self.client(kind, version)
        count = 20 if kind.name == "mosquitto" else 300  # a process for each
        sent = [(topic, str(number).encode()) for number in range(count)]
        for qos in (1, 2):
            publisher.publish_all(sent, qos=qos)
            self.assertEqual([m.payload for m in subscriber.messages(count)],
                             [payload for _, payload in sent])

    def check_unsubscribe(self, kind, version):
        topic = fresh("leave")
        client = self.client(kind, version)
        client.subscribe(f"{topic}/a", f"{topic}/b", qos=1)
        client.unsubscribe(f"{topic}/a")
        witness = self.witness()
        witness.publish(f"{topic}/a", b"no longer", qos=1)
        witness.publish(f"{topic}/b", b"still", qos=1)
        self.assertEqual(client.message().payload, b"still")

    def check_will(self, kind, version):
        topic = fresh("will")
        watcher = self.witness()
        watcher.subscribe(f"{topic}/#", qos=2)
        for name, qos, retain in (("dies", 1, False), ("dies/kept", 2, True), ("leaves", 1, False)):
            client = self.client(kind, version, will={
                "topic": f"{topic}/{name}", "payload": name.encode(), "qos": qos, "retain": retain})
            client.subscribe(fresh("anything"))
            if name == "leaves":
                client.disconnect()
                if (kind.name, version) == ("mosquitto", V5):  # it leaves with reason 0x04
                    self.assertEqual(watcher.message().payload, b"leaves")
                watcher.publish(f"{topic}/end", b"end", qos=1)
            else:
                client.kill()
            told = name if name != "leaves" else "end"
            # RETAIN is for those who subscribe later.
            self.assertEqual(watcher.message().facts(),
                             (f"{topic}/{told}", told.encode(), qos, False))
        late = self.witness()
        late.subscribe(f"{topic}/#", qos=2)
        self.assertEqual(late.message().facts(), (f"{topic}/dies/kept", b"dies/kept", 2, True))

    def check_takeover(self, kind, version):
        topic, name = fresh("taken"), fresh("twin")
        watcher = self.witness()
        watcher.subscribe(topic, qos=1)
        first = self.client(kind, version, id=name,
                            will={"topic": topic, "payload": b"gone", "qos": 1})
        first.subscribe(fresh("anything"))
        second = self.client(KINDS["paho_c_sync"], version, id=name)
        self.assertEqual(watcher.message().payload, b"gone")
        first.lost()
        first.kill()
        second.subscribe(topic, qos=1)
        watcher.publish(topic, b"to the second", qos=1)
        self.assertEqual(second.message().payload, b"to the second")

    def check_session_waits(self, kind, version):
        topic, name = fresh("away"), fresh("session")
        client = self.client(kind, version, id=name, keep=True)
        self.assertIn(client.session_present, (False, None))
        client.subscribe(f"{topic}/+", qos=2)
        client.disconnect()
        witness = self.witness()
        for number in range(10):
            witness.publish(f"{topic}/{number % 3}", str(number).encode(), qos=1 + number % 2)
        client.close()
        again = self.client(kind, version, id=name, keep=True)
        self.assertIn(again.session_present, (True, None))
        if kind.name == "mosquitto":
            again.subscribe(f"{topic}/+", qos=2)
        got = again.messages(10)
        # A QoS 2 message is the application's only with its PUBREL.
        for qos in (1, 2):
            self.assertEqual([m.payload for m in got if m.qos == qos],
                             [str(number).encode() for number in range(qos - 1, 10, 2)])

    def check_frozen_and_killed(self, kind, version):
        """More than the window holds is on its way to a process that dies of it."""
        topic, name, count = fresh("frozen"), fresh("session"), 300
        client = self.client(kind, version, id=name, keep=True)
        client.subscribe(f"{topic}/#", qos=2)
        witness = self.witness()
        witness.publish(topic, b"before", qos=1)
        self.assertEqual(client.message().payload, b"before")
        client.freeze()
        for qos in (1, 2):
            witness.publish_all([(f"{topic}/{qos}", str(number).encode())
                                 for number in range(count)], qos=qos)
        client.kill()
        again = self.client(kind, version, id=name, keep=True)
        self.assertIn(again.session_present, (True, None))
        if kind.name == "mosquitto":
            again.subscribe(f"{topic}/#", qos=2)
        # Whether the acknowledgement of the first was written before the end nobody knows.
        got = [m for m in again.messages(2 * count) if m.payload != b"before"]
        got += again.messages(2 * count - len(got))
        for qos in (1, 2):
            self.assertEqual([int(m.payload) for m in got if m.topic == f"{topic}/{qos}"],
                             list(range(count)))

    def check_acknowledgements_lost(self, kind):
        """The subscriber's acknowledgements do not arrive and its connection breaks."""
        side_by_side(self.subscriber_resumes(kind, version, lost, qos)
                     for version in kind.versions
                     for lost, qos in ((PUBACK, 1), (PUBREC, 2), (PUBCOMP, 2)))

    def subscriber_resumes(self, kind, version, lost, qos):
        with Wire(self.broker.port) as wire:
            topic = fresh("unacked")
            client = self.client(kind, version, Endpoint(wire.port), keep=True)
            client.subscribe(topic, qos=2)
            wire.lose("client", lost)
            witness = self.witness()
            payloads = [str(number).encode() for number in range(10)]
            witness.publish_all([(topic, payload) for payload in payloads], qos=qos)
            wire.await_lost("client", lost, 10)
            wire.cut()
            wire.mend()
            yield
            client.lost()
            client.reconnect()
            witness.publish(topic, b"after", qos=qos)
            if qos == 1:
                first = client.messages(10)
                self.assertEqual([m.payload for m in first], payloads)
                self.assertFalse(any(m.dup for m in first))
            last = client.messages(10)
            self.assertEqual([m.payload for m in last], payloads)
            if qos == 1:
                self.assertTrue(all(m.dup for m in last))
            self.assertEqual(client.message().payload, b"after")
            self.assertEqual(client.waiting(), 0)
            client.close()

    def check_publisher_resumes(self, kind):
        """The broker's acknowledgements do not arrive and the publisher's connection breaks."""
        side_by_side(self.publisher_resumes(kind, version, lost, qos)
                     for version in kind.versions
                     for lost, qos in ((PUBACK, 1), (PUBREC, 2), (PUBCOMP, 2)))

    def publisher_resumes(self, kind, version, lost, qos):
        with Wire(self.broker.port) as wire:
            topic = fresh("again")
            watcher = self.witness()
            watcher.subscribe(topic, qos=2)
            client = self.client(kind, version, Endpoint(wire.port), keep=True)
            wire.lose("broker", lost)
            payloads = [str(number).encode() for number in range(5)]
            for payload in payloads:
                client.send(topic, payload, qos=qos)
            wire.await_lost("broker", lost, 5)
            wire.cut()
            wire.mend()
            yield
            client.lost()
            client.reconnect()
            client.published(5)
            client.publish(topic, b"after", qos=qos)
            # QoS 1: at least once, and here twice.
            expected = payloads * (2 if qos == 1 else 1)
            self.assertEqual([m.payload for m in watcher.messages(len(expected))], expected)
            self.assertEqual(watcher.message().payload, b"after")
            self.assertEqual(watcher.waiting(), 0)
            client.close()


if __name__ == "__main__":
    unittest.main()
