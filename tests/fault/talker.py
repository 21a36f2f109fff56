"""A client that does one thing after the other, for tests that say what comes next."""
import select
import socket

import packets
from packets import V5

DEADLINE_SECONDS = 60


class Closed(Exception):
    """The broker has closed the connection."""


class Talker:
    """Use as a context manager: it goes without a word."""

    def __init__(self, port, name, version=V5, **connect):
        self.version = version
        self._reader = packets.Reader(version)
        self._waiting = []
        self._next_id = 0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS)
        self._socket.sendall(packets.connect(version, name, **connect))
        self.connack = self.expect(packets.CONNACK)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def next(self):
        """The next packet. Throws Closed."""
        while not self._waiting:
            try:
                data = self._socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                raise Closed
            self._waiting += self._reader.feed(data)
        return self._waiting.pop(0)

    def expect(self, kind):
        packet = self.next()
        if packet.kind != kind:
            raise AssertionError(f"packet type {packet.kind} (code {packet.code:#x}), not {kind}")
        return packet

    def is_closed(self):
        """Waits for the end; False if something else comes."""
        try:
            self.next()
            return False
        except Closed:
            return True

    def has_more(self):
        """Whether anything has come that was not looked at."""
        return bool(self._waiting) or bool(select.select([self._socket], [], [], 0)[0])

    def publish(self, topic, payload, qos=1, retain=False):
        self._next_id += 1
        self._socket.sendall(packets.publish(self.version, topic, payload, qos=qos, retain=retain,
                                             packet_id=self._next_id))

    def published(self, topic, payload, qos=1, retain=False):
        """The reason code of its PUBACK or PUBREC."""
        self.publish(topic, payload, qos, retain)
        return self.expect(packets.PUBACK if qos == 1 else packets.PUBREC).code

    def subscribe(self, topic_filter, qos=1):
        self._next_id += 1
        self._socket.sendall(packets.subscribe(self.version, self._next_id, topic_filter, qos))
        return self.expect(packets.SUBACK).code

    def message(self):
        """(topic, payload) of the next message, acknowledged if it is QoS 1."""
        message = self.expect(packets.PUBLISH)
        if message.qos == 1:
            self._socket.sendall(packets.ack(packets.PUBACK, message.packet_id))
        return message.topic, message.payload.decode()
