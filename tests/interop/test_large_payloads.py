"""Payloads of a megabyte and of a hundred, byte by byte the same at the receiver."""
import hashlib
import os
import random
import tempfile
import unittest

from clients import KINDS, V5, V311, Endpoint, fresh, stop_all
from programs import Broker
from raw import Raw, connected, CONNECT_V311

MB = 1_000_000
LIMITS = """
    [limits]
    packet_size_max = "100 MiB"
    out_queue_bytes_max = "256 MiB"
    queue_bytes_max = "1 GiB"
    """
# What a sanitizer keeps of freed memory would hide what the broker keeps.
ENVIRONMENT = {"ASAN_OPTIONS": "quarantine_size_mb=8"}


def setUpModule():
    unittest.addModuleCleanup(stop_all)


class LargePayloads(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.broker = Broker(more=LIMITS, environment=ENVIRONMENT)
        cls.addClassCleanup(cls.broker.kill)
        cls.at = Endpoint(cls.broker.port)
        cls.at_start = cls.broker.memory("VmRSS")

    def client(self, kind, version):
        client = kind.client(version, self.at)
        self.addCleanup(client.close)
        return client.connect()

    def file(self, size):
        """A file of random bytes, and their digest."""
        name = os.path.join(self.folder.name, str(size))
        data = random.Random(size).randbytes(size)
        with open(name, "wb") as file:
            file.write(data)
        return name, hashlib.sha256(data).hexdigest()

    def test_a_megabyte_from_each_library_to_all(self):
        name, digest = self.file(MB)
        topic = fresh("mega")
        subscribers = [self.client(kind, version)
                       for kind in KINDS.values() for version in (V311, V5)]
        for subscriber in subscribers:
            subscriber.subscribe(topic, qos=2)
        for number, kind in enumerate(KINDS.values()):
            publisher = self.client(kind, (V311, V5)[number % 2])
            for qos in (0, 1, 2):
                publisher.publish(topic, name, qos=qos)
                for subscriber in subscribers:
                    self.expect(subscriber.message(), MB, digest, qos)
            publisher.close()

    def test_a_hundred_megabytes_from_library_to_library(self):
        name, digest = self.file(100 * MB)
        kinds = list(KINDS.values())
        pairs = [self.pair(sender, receiver, (V311, V5)[number // 2 % 2], (V5, V311)[number % 2])
                 for number, (sender, receiver) in enumerate(zip(kinds, kinds[1:] + kinds[:1]))]
        # Paho's asynchronous library needs twenty seconds for one, whatever the broker: they are
        # sent meanwhile.
        slow = [pair for pair in pairs if pair[0].kind.reconnects]
        for qos, (publisher, _, topic) in enumerate(slow, 1):
            publisher.send(topic, name, qos=qos)
        for publisher, subscriber, topic in pairs:
            if publisher.kind.reconnects:
                continue
            for qos in (0, 1, 2):
                with self.subTest(publisher.kind.name, qos=qos):
                    publisher.publish(topic, name, qos=qos)
                    self.expect(subscriber.message(), 100 * MB, digest, qos)
        for qos, (publisher, subscriber, _) in enumerate(slow, 1):
            with self.subTest(publisher.kind.name, qos=qos):
                publisher.published()
                self.expect(subscriber.message(), 100 * MB, digest, qos)
        self.assertLess(self.broker.memory("VmRSS"), self.at_start + 150 * MB)

    def pair(self, sender, receiver, sender_version, receiver_version):
        topic = fresh("giga")
        subscriber = self.client(receiver, receiver_version)
        subscriber.subscribe(topic, qos=2)
        return self.client(sender, sender_version), subscriber, topic

    def expect(self, message, size, digest, qos):
        self.assertEqual((message.size, message.sha256, message.qos), (size, digest, qos))

    def test_half_a_large_packet_holds_nobody_up(self):
        """Neither a sender that stops in the middle nor a receiver that does not read."""
        topic, size = fresh("half"), 100 * MB
        witness, reader = self.client(KINDS["paho_c_async"], V5), \
            self.client(KINDS["paho_c_sync"], V311)
        witness.subscribe(f"{topic}/small", qos=1)
        reader.subscribe(topic, qos=0)
        payload = random.Random(size).randbytes(size)

        def others_go_on():
            for number in range(50):
                witness.publish(f"{topic}/small", str(number).encode(), qos=1)
                self.assertEqual(witness.message().payload, str(number).encode())

        self.broker.forget_memory_peak()
        name = topic.encode()
        with connected(self.broker.port, CONNECT_V311) as sender, \
                Raw(self.broker.port, CONNECT_V311.replace(b"rax", b"slo")) as receiver:
            self.assertEqual(receiver.read_packet()[3], 0)
            receiver.socket.sendall(b"\x82" + bytes([5 + len(name)]) + b"\x00\x01"
                                    + len(name).to_bytes(2, "big") + name + b"\x00")
            self.assertEqual(receiver.read_packet()[0], 0x90)
            packet = publish_packet(name, payload)
            sender.socket.sendall(packet[:size // 2])
            others_go_on()
            sender.socket.sendall(packet[size // 2:])
            self.assertEqual(reader.message().sha256, hashlib.sha256(payload).hexdigest())
            others_go_on()
            self.assertEqual(hashlib.sha256(receiver.read(len(packet))).digest(),
                             hashlib.sha256(packet).digest())
        # What has come is held in a buffer that doubles; then there are packet and message.
        self.assertLess(self.broker.memory("VmHWM"), self.at_start + 350 * MB)
        self.assertLess(self.broker.memory("VmRSS"), self.at_start + 150 * MB)


def publish_packet(topic, payload):
    """QoS 0."""
    body_size, size = 2 + len(topic) + len(payload), b""
    while body_size > 127:
        size += bytes([body_size & 127 | 128])
        body_size >>= 7
    return b"\x30" + size + bytes([body_size]) + len(topic).to_bytes(2, "big") + topic + payload


if __name__ == "__main__":
    unittest.main()
