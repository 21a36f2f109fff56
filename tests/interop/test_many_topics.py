"""Ten thousand topics: live, kept, by one wildcard and by one subscription each."""
import unittest

from clients import KINDS, V5, V311, Endpoint, fresh, matrix, stop_all
from programs import Broker

COUNT = 10_000
NUMBERS = [str(number).encode() for number in range(COUNT)]
# mosquitto_pub has one topic per process.
PUBLISHERS = [kind for name, kind in KINDS.items() if name != "mosquitto"]


def setUpModule():
    unittest.addModuleCleanup(stop_all)


def next_publisher(kind):
    """Another library than `kind`; all of them have their turn."""
    return PUBLISHERS[list(KINDS.values()).index(kind) % len(PUBLISHERS)]


@matrix()
class ManyTopics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.kill)
        cls.at = Endpoint(cls.broker.port)

    def client(self, kind, version):
        client = kind.client(version, self.at)
        self.addCleanup(client.close)
        return client.connect()

    def check_ten_thousand(self, kind):
        topic = fresh("many")
        topics = [f"{topic}/{number}" for number in range(COUNT)]
        wildcard, single = self.client(kind, V5), self.client(kind, V311)
        wildcard.subscribe(f"{topic}/+", qos=1)
        single.subscribe(*topics, qos=1)
        publisher = self.client(next_publisher(kind), V5)
        publisher.send_many(topic, COUNT, qos=1, retain=True)
        for subscriber in (wildcard, single):
            got = subscriber.messages(COUNT)
            self.assertEqual([m.topic for m in got], topics)
            self.assertEqual([m.payload for m in got], NUMBERS)
            self.assertFalse(any(m.retain for m in got))
            self.assertEqual(subscriber.waiting(), 0)
            subscriber.close()
        publisher.published(COUNT)
        publisher.close()
        late = self.client(kind, V311)
        late.subscribe(f"{topic}/#", qos=1)
        kept = late.messages(COUNT)
        self.assertEqual({m.topic: m.payload for m in kept}, dict(zip(topics, NUMBERS)))
        self.assertTrue(all(m.retain for m in kept))
        self.assertEqual(late.waiting(), 0)


if __name__ == "__main__":
    unittest.main()
