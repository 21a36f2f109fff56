"""Clients of GET /v1/events as little as it takes: one for each way, which goes on behind the last event
it had when its connection ends, and one that publishes through everything."""
import base64
import http.client
import json
import os
import selectors
import socket
import struct
import threading
import time
import urllib.parse

from programs import DEADLINE_SECONDS
from wire import PUBACK, packets_of

TOPIC = "t/%23"


def request_text(target, *headers):
    lines = [f"GET {target} HTTP/1.1", "Host: bridge", *headers, "", ""]
    return "\r\n".join(lines).encode()


class Reader(threading.Thread):
    """Collects `events` (documents, in the order in which they came) until it is stopped. `told`: what
    came besides, as (name, object)."""

    def __init__(self, port, since="oldest", topic=TOPIC):
        super().__init__(daemon=True)
        self.port, self.topic = port, topic
        self.cursor = since
        self.events, self.told = [], []
        self.connections = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._socket = None
        self.start()

    def run(self):
        while not self._stopping.is_set():
            try:
                self.session()
            except (OSError, http.client.HTTPException, EOFError):
                pass  # it is gone
            self._stopping.wait(0.02)

    def target(self, **more):
        query = "&".join([f"topic={self.topic}", f"since={self.cursor}",
                          *(f"{name}={value}" for name, value in more.items())])
        return f"/v1/events?{query}"

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_SECONDS)
        self._socket = connection
        self.connections += 1
        return connection

    def take(self, events, cursor):
        with self._changed:
            self.events += events
            self.cursor = cursor
            self._changed.notify_all()

    def tell(self, name, value):
        with self._changed:
            self.told.append((name, value))
            self._changed.notify_all()

    def await_that(self, is_so, what):
        with self._changed:
            if not self._changed.wait_for(is_so, DEADLINE_SECONDS):
                raise AssertionError(f"{type(self).__name__}: {what}; {len(self.events)} events, "
                                     f"cursor {self.cursor}, told {self.told[-5:]}")

    def await_events(self, count):
        self.await_that(lambda: len(self.events) >= count, f"fewer than {count} events")

    def await_told(self, name):
        self.await_that(lambda: any(n == name for n, _ in self.told), f"no {name}")
        return next(value for n, value in self.told if n == name)

    def stop(self):
        self._stopping.set()
        if self._socket:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the bridge was first
        self.join(DEADLINE_SECONDS)

    def session(self):
        raise NotImplementedError


class SseReader(Reader):
    def session(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.sock = self.connect()
        connection.request("GET", f"/v1/events?topic={self.topic}", headers={
            "Accept": "text/event-stream", "Last-Event-ID": self.cursor})
        response = connection.getresponse()
        if response.status != 200:
            return self.tell("refused", (response.status, response.read()))
        fields = {}
        while line := response.readline():
            line = line.decode().rstrip("\n")
            if not line:
                self.dispatch(fields)
                fields = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
        return None

    def dispatch(self, fields):
        cursor = fields.get("id", self.cursor)
        if "data" not in fields:
            return self.take([], cursor)
        data = json.loads(fields["data"])
        if "event" not in fields:
            return self.take([data], cursor)
        self.take([], cursor)
        return self.tell(fields["event"], data)


class PollReader(Reader):
    """Long polls."""

    def session(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.sock = self.connect()
        while not self._stopping.is_set():
            connection.request("GET", self.target(wait=20))
            response = connection.getresponse()
            body = response.read()
            if response.status == 304:
                self.take([], response.headers["Event-Cursor"])
            elif response.status == 200:
                page = json.loads(body)
                self.take(page["events"], page["next"])
            else:
                return self.tell("refused", (response.status, body))
        return None


class WebSocketReader(Reader):
    def session(self):
        self.web_socket = WebSocket(self.connect(), self.target())
        while (message := self.web_socket.receive()) is not None:
            value = json.loads(message)
            if "op" not in value and "q" not in value:
                self.take([value], value["id"])
                continue
            if value.get("op") == "cursor":
                self.take([], value["id"])
            self.tell(value.get("op", "answer"), value)
        if self.web_socket.close_code:
            self.tell("close", (self.web_socket.close_code, self.web_socket.close_reason))


class WebSocket:
    """The client's side of RFC 6455 over a connected socket."""

    def __init__(self, connection, target):
        self.socket = connection
        self.close_code, self.close_reason = None, ""
        self._data = b""
        key = base64.b64encode(os.urandom(16)).decode()
        connection.sendall(request_text(target, "Connection: Upgrade", "Upgrade: websocket",
                                        f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"))
        while b"\r\n\r\n" not in self._data:
            self._more()
        self.head, _, self._data = self._data.partition(b"\r\n\r\n")
        if b" 101 " not in self.head:
            raise EOFError(self.head.decode())

    def _more(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError
        self._data += data

    def _bytes(self, count):
        while len(self._data) < count:
            self._more()
        out, self._data = self._data[:count], self._data[count:]
        return out

    def receive(self):
        """The next message; None: it was closed."""
        while True:
            first, size = self._bytes(2)
            if size == 126:
                size = struct.unpack(">H", self._bytes(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self._bytes(8))[0]
            body = self._bytes(size)
            if first & 15 == 8:
                self.close_code = struct.unpack(">H", body[:2])[0] if len(body) > 1 else 1005
                self.close_reason = body[2:].decode()
                return None
            if first & 15 == 9:
                self.send(body, opcode=10)
            elif first & 15 == 1:
                return body.decode()

    def send(self, body, opcode=1):
        body = body.encode() if isinstance(body, str) else body
        mask = os.urandom(4)
        size = len(body)
        head = bytes([0x80 | opcode])
        head += bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack(">H", size)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))
        self.socket.sendall(head + mask + masked)


def text(words):
    data = words.encode() if isinstance(words, str) else words
    return len(data).to_bytes(2, "big") + data


def packet(first_byte, body):
    size, length = len(body), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([first_byte]) + length + bytes([size]) + body


class Publisher(threading.Thread):
    """Publishes `first` and the numbers behind it to t/1 over MQTT 5 with QoS 1 and the number as event key, so that what it
    has to send again is one event. Goes on until it has `count` or is told to finish."""

    def __init__(self, port, count=None, window=8, payload=str, first=0):
        super().__init__(daemon=True)
        self.port, self.window, self.payload = port, window, payload
        self.count = count
        self.acknowledged = set()
        self._first = self._next = first
        self._open = {}  # packet id: number
        self._changed = threading.Condition()
        self._finishing = count is not None
        self.start()

    def run(self):
        while not self.is_done():
            try:
                self.session()
            except OSError:
                pass  # the broker is gone
            with self._changed:
                self._changed.wait_for(self.is_done, 0.02)

    def is_done(self):
        return self._finishing and len(self.acknowledged) >= self._wanted()

    def _wanted(self):
        return self._next - self._first if self.count is None else self.count

    def session(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_SECONDS) as connection:
            connection.sendall(packet(0x10, text("MQTT") + bytes([5, 2, 0, 60, 0]) + text("publisher")))
            again = sorted(self._open.values())
            self._open = {}
            for data in packets_of(connection):
                if data[0] >> 4 == PUBACK:
                    with self._changed:
                        self.acknowledged.add(self._open.pop(int.from_bytes(data[2:4], "big")))
                        self._changed.notify_all()
                while len(self._open) < self.window and (number := self._take(again)) is not None:
                    self._publish(connection, number)
                if self.is_done():
                    return

    def _take(self, again):
        if again:
            return again.pop(0)
        if self._finishing and (self.count is None or self.count == self._next - self._first):
            return None
        self._next += 1
        return self._next - 1

    def _publish(self, connection, number):
        packet_id = number % 60_000 + 1
        self._open[packet_id] = number
        properties = b"\x26" + text("key") + text(f"n{number}")
        connection.sendall(packet(0x32, text("t/1") + packet_id.to_bytes(2, "big") +
                                  bytes([len(properties)]) + properties +
                                  str(self.payload(number)).encode()))

    def finish(self):
        """Returns how many there are, all of them acknowledged."""
        self._finishing = True
        self.join(DEADLINE_SECONDS)
        if self.is_alive():
            raise AssertionError(f"only {len(self.acknowledged)} were acknowledged")
        return self._wanted()


class Herd:
    """Many connections that send one request each and read as the test says."""

    def __init__(self, port):
        self.port = port
        self.sockets = {}  # socket: what it has got, the end of it
        self.refused = 0
        self._selector = selectors.DefaultSelector()

    def open(self, count, request, receive_bytes=None):
        for _ in range(count):
            one = socket.socket()
            if receive_bytes:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            one.settimeout(DEADLINE_SECONDS)
            one.connect(("127.0.0.1", self.port))
            one.sendall(request)
            one.setblocking(False)
            self.sockets[one] = b""
            self._selector.register(one, selectors.EVENT_READ)

    def await_all(self, mark, forget=True):
        """Returns once each of them has got `mark`."""
        left = {one for one, got in self.sockets.items() if mark not in got}
        deadline = time.monotonic() + DEADLINE_SECONDS
        while left:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(left)} of {len(self.sockets)} have not got {mark}")
            for key, _ in self._selector.select(1):
                data = key.fileobj.recv(1 << 16)
                if not data:
                    raise AssertionError("a connection ended")
                self.sockets[key.fileobj] += data
                if mark in self.sockets[key.fileobj]:
                    left.discard(key.fileobj)
        if forget:
            self.sockets = dict.fromkeys(self.sockets, b"")

    def read(self, count):
        """A few bytes of each that has some."""
        for one in self.sockets:
            try:
                one.recv(count)
            except BlockingIOError:
                pass

    def await_ends(self):
        """Reads all of them until they end; what each has got."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        left = set(self.sockets)
        while left:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(left)} connections have not ended")
            for key, _ in self._selector.select(1):
                try:
                    data = key.fileobj.recv(1 << 16)
                except ConnectionResetError:
                    data = b""
                self.sockets[key.fileobj] += data
                if not data:
                    self._selector.unregister(key.fileobj)
                    left.discard(key.fileobj)
        return list(self.sockets.values())

    def close(self):
        for one in self.sockets:
            one.close()
        self._selector.close()
        self.sockets = {}


def quoted(topic):
    return urllib.parse.quote(topic, safe="")
