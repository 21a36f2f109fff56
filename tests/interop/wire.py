"""A wire between a client and the broker that knows packets: it can lose some kinds and be cut."""
import collections
import socket
import threading
import time

from programs import DEADLINE_SECONDS

PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 3, 4, 5, 6, 7


def packets_of(connection):
    """Whole packets as they come, until the peer closes."""
    data = b""
    while True:
        while (size := packet_size(data)) and size <= len(data):
            yield data[:size]
            data = data[size:]
        try:
            more = connection.recv(1 << 16)
        except OSError:
            return
        if not more:
            return
        data += more


def packet_size(data):
    """Size of the packet that `data` begins with, 0 if that is not known yet."""
    length = 0
    for index, byte in enumerate(data[1:5]):
        length |= (byte & 127) << 7 * index
        if byte < 128:
            return 2 + index + length
    return 0


class Wire:
    """Listens on `port` and connects on to the broker. Use as a context manager."""

    def __init__(self, broker_port):
        self._broker_port = broker_port
        self._changed = threading.Condition()
        self._lose = set()
        self._lost = collections.Counter()
        self._passed = collections.Counter()
        self._open = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            broker = socket.create_connection(("127.0.0.1", self._broker_port))
            for end in (client, broker):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self._open += [client, broker]
            for source, sink, side in ((client, broker, "client"), (broker, client, "broker")):
                thread = threading.Thread(target=self._carry, args=(source, sink, side),
                                          daemon=True)
                self._threads.append(thread)
                thread.start()

    def _carry(self, source, sink, side):
        for packet in packets_of(source):
            kind = side, packet[0] >> 4
            with self._changed:
                is_lost = kind in self._lose
                (self._lost if is_lost else self._passed)[kind] += 1
                self._changed.notify_all()
            if not is_lost:
                try:
                    sink.sendall(packet)
                except OSError:
                    break
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def lose(self, side, packet_type):
        """From now on packets of this type that come from `side` (client, broker) get lost."""
        with self._changed:
            self._lose.add((side, packet_type))

    def mend(self):
        """Nothing gets lost any more."""
        with self._changed:
            self._lose.clear()

    def await_lost(self, side, packet_type, count):
        self._await(self._lost, (side, packet_type), count)

    def await_passed(self, side, packet_type, count):
        self._await(self._passed, (side, packet_type), count)

    def _await(self, counter, kind, count):
        deadline = time.monotonic() + DEADLINE_SECONDS
        with self._changed:
            while counter[kind] < count:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"{counter[kind]} of {count} packets {kind}")
                self._changed.wait(left)

    def cut(self):
        """Ends the connections that are there."""
        with self._changed:
            ends, self._open = self._open, []
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
