"""A socket that says to the broker exactly what it is told."""
import socket

from programs import DEADLINE_SECONDS

CONNECT_V5 = bytes.fromhex("10 10 0004 4D515454 05 02 003C 00 0003 726177")
CONNECT_V311 = bytes.fromhex("10 0F 0004 4D515454 04 02 003C 0003 726178")


class Raw:
    """A socket that says exactly what it is told."""

    def __init__(self, port, data=b""):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS)
        self.socket.sendall(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self, size):
        """Exactly `size` bytes, fewer only if the peer closed."""
        data = bytearray()
        while len(data) < size and (more := self.socket.recv(size - len(data))):
            data += more
        return bytes(data)

    def read_packet(self):
        head = self.read(2)
        return head + self.read(head[1]) if len(head) == 2 else head

    def read_rest(self):
        return self.read(1 << 20)


def connected(port, packet):
    raw = Raw(port, packet)
    connack = raw.read_packet()
    assert connack[0] == 0x20 and connack[3] == 0, connack.hex()
    return raw


def reason_of(disconnect):
    assert disconnect[0] == 0xE0 and disconnect[1] > 0, disconnect.hex()
    return disconnect[2]
