"""MQTT 3.1.1 and 5 packets, by hand: as much of them as the crash test speaks.

No client library stands between, so that acknowledgements can be withheld, doubled and lost.
"""
import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(8, 15)

V311, V5 = 4, 5

EXPIRY_NEVER = 0xFFFFFFFF

MESSAGE_EXPIRY, SESSION_EXPIRY, WILL_DELAY, RECEIVE_MAXIMUM = 0x02, 0x11, 0x18, 0x21

# Property -> how many bytes its value has; "t": a text, "p": two, "v": variable byte integer.
PROPERTY_SIZE = {
    0x01: 1, 0x02: 4, 0x03: "t", 0x08: "t", 0x09: "t", 0x0B: "v", 0x11: 4, 0x12: "t", 0x13: 2,
    0x15: "t", 0x16: "t", 0x17: 1, 0x18: 4, 0x19: 1, 0x1A: "t", 0x1C: "t", 0x1F: "t", 0x21: 2,
    0x22: 2, 0x23: 2, 0x24: 1, 0x25: 1, 0x26: "p", 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1,
}


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(data)) + data


def length(value):
    out = bytearray()
    while True:
        value, low = value >> 7, value & 127
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)


def packet(first_byte, *parts):
    body = b"".join(parts)
    return bytes([first_byte]) + length(len(body)) + body


def properties(version, *pairs):
    """Of (property, number); those which are None are left out. Nothing in 3.1.1."""
    if version < V5:
        return b""
    data = b"".join(bytes([name]) + value.to_bytes(PROPERTY_SIZE[name], "big")
                    for name, value in pairs if value is not None)
    return length(len(data)) + data


def connect(version, client_id, clean=False, expiry=0, will=None, receive_maximum=None):
    """`will`: with topic, payload, qos, retain and delay."""
    flags = 2 if clean else 0
    tail = text(client_id)
    if will is not None:
        flags |= 4 | will["qos"] << 3 | (32 if will["retain"] else 0)
        tail += properties(version, (WILL_DELAY, will["delay"] or None))
        tail += text(will["topic"]) + text(will["payload"])
    return packet(CONNECT << 4, text("MQTT"), bytes([version, flags, 0, 0]),
                  properties(version, (SESSION_EXPIRY, expiry or None),
                             (RECEIVE_MAXIMUM, receive_maximum)), tail)


def publish(version, topic, payload, *, qos, packet_id=0, dup=False, retain=False, expiry=None):
    first_byte = PUBLISH << 4 | (8 if dup else 0) | qos << 1 | (1 if retain else 0)
    id_bytes = struct.pack("!H", packet_id) if qos else b""
    return packet(first_byte, text(topic), id_bytes,
                  properties(version, (MESSAGE_EXPIRY, expiry)), payload)


def ack(kind, packet_id):
    return packet(kind << 4 | (2 if kind == PUBREL else 0), struct.pack("!H", packet_id))


def subscribe(version, packet_id, topic_filter, qos):
    return packet(SUBSCRIBE << 4 | 2, struct.pack("!H", packet_id), properties(version),
                  text(topic_filter), bytes([qos]))


def unsubscribe(version, packet_id, topic_filter):
    return packet(UNSUBSCRIBE << 4 | 2, struct.pack("!H", packet_id), properties(version),
                  text(topic_filter))


def disconnect(version, code=0, expiry=None):
    if version < V5:
        return packet(DISCONNECT << 4)
    return packet(DISCONNECT << 4, bytes([code]), properties(version, (SESSION_EXPIRY, expiry)))


class Packet:
    """One that came: `kind` and what that kind has."""

    __slots__ = ("kind", "packet_id", "code", "present", "dup", "qos", "retain", "topic", "payload",
                 "properties")

    def __init__(self, version, first_byte, body):
        self.kind = first_byte >> 4
        self.packet_id = self.code = 0
        self.properties = {}
        if self.kind == PUBLISH:
            self._read_publish(version, first_byte, body)
        elif self.kind == CONNACK:
            self.present, self.code = bool(body[0] & 1), body[1]
            if version == V5:
                self.properties, _ = read_properties(body, 2)
        elif self.kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            self.packet_id = body[0] << 8 | body[1]
            self.code = body[2] if len(body) > 2 else 0
        elif self.kind in (SUBACK, UNSUBACK):
            self.packet_id = body[0] << 8 | body[1]
            self.code = body[-1] if self.kind == SUBACK or version == V5 else 0
        elif self.kind == DISCONNECT:
            self.code = body[0] if body else 0

    def _read_publish(self, version, first_byte, body):
        self.dup, self.qos, self.retain = bool(first_byte & 8), first_byte >> 1 & 3, first_byte & 1
        end = 2 + (body[0] << 8 | body[1])
        self.topic = bytes(body[2:end]).decode()
        if self.qos:
            self.packet_id = body[end] << 8 | body[end + 1]
            end += 2
        if version == V5:
            self.properties, end = read_properties(body, end)
        self.payload = bytes(body[end:])


def read_length(data, at):
    """(value, where it ends), or None if it is not whole yet."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    return None


def read_properties(data, at):
    """({property: number}, where they end); texts are skipped."""
    size, at = read_length(data, at)
    end = at + size
    found = {}
    while at < end:
        name, kind = data[at], PROPERTY_SIZE[data[at]]
        at += 1
        if kind == "v":
            found[name], at = read_length(data, at)
        elif kind in ("t", "p"):
            for _ in range(1 if kind == "t" else 2):
                at += 2 + (data[at] << 8 | data[at + 1])
        else:
            found[name] = int.from_bytes(data[at:at + kind], "big")
            at += kind
    return found, end


class Reader:
    """Cuts a stream of bytes into packets."""

    def __init__(self, version):
        self._version = version
        self._data = bytearray()

    def feed(self, data):
        self._data += data
        at = 0
        while (found := read_length(self._data, at + 1)) is not None:
            size, start = found
            if start + size > len(self._data):
                break
            yield Packet(self._version, self._data[at], bytes(self._data[start:start + size]))
            at = start + size
        del self._data[:at]
