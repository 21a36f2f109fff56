"""The client's side of SCRAM-SHA-256 over MQTT 5, byte by byte (RFC 5802; MQTT 5, 4.12)."""
import base64
import hashlib
import hmac
import os

METHOD = b"SCRAM-SHA-256"
CONTINUE, RE_AUTHENTICATE = 0x18, 0x19


def field(data):
    return len(data).to_bytes(2, "big") + data


def properties(data):
    """Authentication method and data, with their length in front; short enough for two bytes."""
    body = b"\x15" + field(METHOD) + (b"" if data is None else b"\x16" + field(data))
    return variable(len(body)) + body


def variable(number):
    return bytes([number]) if number < 128 else bytes([number & 127 | 128, number >> 7])


def packet(first_byte, body):
    return bytes([first_byte]) + variable(len(body)) + body


def connect(client_id, data):
    head = field(b"MQTT") + b"\x05\x02" + (60).to_bytes(2, "big")
    return packet(0x10, head + properties(data) + field(client_id))


def auth(reason, data):
    return packet(0xF0, bytes([reason]) + properties(data))


def read_packet(raw):
    """First byte and body."""
    first, length, shift = raw.read(1), 0, 0
    if not first:
        return None, b""
    while True:
        byte = raw.read(1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return first[0], raw.read(length)


def data_of(body):
    """Authentication data among the properties of AUTH or CONNACK."""
    at = body.index(b"\x15" + field(METHOD)) + 3 + len(METHOD)
    rest = body[at:]
    if not rest or rest[0] != 0x16:
        at = body.index(b"\x16")
        rest = body[at:]
    return rest[3:3 + int.from_bytes(rest[1:3], "big")]


class Exchange:
    def __init__(self, user, password):
        self.password = password.encode()
        nonce = base64.b64encode(os.urandom(12)).decode()
        self.bare = f"n={user},r={nonce}"
        self.first = f"n,,{self.bare}".encode()
        self.server_final = None

    def final(self, server_first):
        """client-final; from then on `server_final` is what a server that knows the user says."""
        server_first = server_first.decode()
        values = dict(part.split("=", 1) for part in server_first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(values["s"]),
                                     int(values["i"]))
        without_proof = f"c=biws,r={values['r']}"
        text = ",".join((self.bare, server_first, without_proof)).encode()
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), text, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self.server_final = b"v=" + base64.b64encode(hmac.digest(server_key, text, "sha256"))
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()
