"""A client as the specification wants it across reconnects, with bad habits where it allows them.

What it keeps of a session (unacknowledged publishes with their packet ids, QoS 2 ids received and
not released) outlives its connections. Everything it says and hears goes into the history.
"""
import asyncio

import packets
from packets import V5

CONNACK_SECONDS_MAX = 30


def make_payload(message, size):
    """Says which message it is, and shows when a byte of it is not what it was."""
    head = f"{message}|{size}|".encode()
    return head + (head * (size // len(head) + 1))[:size]


def read_payload(payload):
    """(message, whether it is as make_payload() made it)."""
    if not payload:
        return None, True
    try:
        message, size, _ = payload[:60].decode("ascii", "replace").split("|", 2)
        return message, payload == make_payload(message, int(size))
    except ValueError:
        return None, False


class Habits:
    """How a client treats the acknowledgements it owes."""

    def __init__(self, rng, now=1.0, late=0.0, twice=0.0, never=0.0):
        self._rng = rng
        self._kinds = ["now", "late", "twice", "never"]
        self._weights = [now, late, twice, never]

    def choose(self):
        return self._rng.choices(self._kinds, self._weights)[0]

    def delay(self):
        return self._rng.uniform(0.005, 0.15)

    @classmethod
    def good(cls, rng):
        return cls(rng)

    @classmethod
    def bad(cls, rng):
        return cls(rng, 0.84, 0.08, 0.05, 0.03)


class Link(asyncio.Protocol):
    """One connection."""

    def __init__(self, client):
        self.client = client
        self.is_open = False
        self.was_cut = False
        self.transport = None
        self.closed = asyncio.get_running_loop().create_future()
        self._reader = packets.Reader(client.version)

    def connection_made(self, transport):
        self.transport = transport
        self.is_open = True

    def data_received(self, data):
        for packet in self._reader.feed(data):
            self.client.on_packet(self, packet)

    def connection_lost(self, _):
        self.is_open = False
        if not self.closed.done():
            self.closed.set_result(None)
        self.client.on_lost(self)

    def send(self, data):
        if self.is_open:
            self.transport.write(data)

    def abort(self):
        self.is_open = False
        self.transport.abort()


class Outgoing:
    """A publish that is not done: its message until PUBREC, then its packet id until PUBCOMP."""

    __slots__ = ("message", "released")

    def __init__(self, message):
        self.message = message
        self.released = False


class Client:
    def __init__(self, world, name, version, habits):
        self.world = world
        self.name = name
        self.version = version
        self.habits = habits
        self.link = None
        self.outgoing = {}  # by packet id, in the order of first sending
        self.held = set()   # QoS 2 packet ids received and not yet released
        self.packets_heard = 0
        self.has_state = False        # of a session that the broker may have, too
        self.must_begin_anew = False  # until a clean start is accepted
        self._is_passing = False      # whether the session ends with the connection
        self.reuses_ids = False  # takes the lowest packet id that is free, not the next
        self._next_id = 0
        self._connack = None
        self._answers = {}  # packet id of a SUBSCRIBE or UNSUBSCRIBE -> future
        self._awaited = {}  # message id -> future
        self._room = asyncio.Event()
        self._room.set()

    def record(self, kind, **fields):
        return self.world.history.record(kind, c=self.name, **fields)

    @property
    def is_connected(self):
        return self.link is not None and self.link.is_open

    # --- connecting ---

    async def connect(self, *, clean=False, expiry=packets.EXPIRY_NEVER, will=None,
                      receive_maximum=None):
        """None if the connection was lost first, else whether a session was present.

        One that is present though this client knows of none is left at once, and ended by a clean
        start the next time (MQTT 3.1.1, 3.2.2-4).
        """
        clean = clean or self.must_begin_anew
        loop = asyncio.get_running_loop()
        try:
            _, link = await loop.create_connection(lambda: Link(self), "127.0.0.1",
                                                   self.world.port)
        except OSError:
            return None
        if self.version != V5:
            expiry = 0 if clean else packets.EXPIRY_NEVER
        self._connack = loop.create_future()
        self.link = link
        self.record("connect", clean=clean, expiry=expiry, v=self.version,
                    will={k: v for k, v in will.items() if k != "payload"} if will else None)
        link.send(packets.connect(self.version, self.name, clean,
                                  expiry if self.version == V5 else 0, will, receive_maximum))
        try:
            present = await asyncio.wait_for(self._connack, CONNACK_SECONDS_MAX)
        except asyncio.TimeoutError:
            self.record("silent", what="CONNECT")
            self.cut()
            return None
        if present is None:
            return None
        self.has_state, self.must_begin_anew, self._is_passing = True, False, expiry == 0
        self._resume(present)
        return present

    def _resume(self, present):
        if present:
            for packet_id, outgoing in self.outgoing.items():
                if outgoing.released:
                    self._send_pubrel(packet_id, outgoing)
                else:
                    self._send_publish(packet_id, outgoing, dup=True)
            return
        for outgoing in self.outgoing.values():
            self.record("abandon", m=outgoing.message["m"])
        self.outgoing.clear()
        self.held.clear()
        self._room.set()

    def cut(self):
        """Ends the connection without a word."""
        if self.is_connected:
            self.record("cut")
            self.link.was_cut = True
            self.link.abort()
            self._give_up_waiting()

    async def disconnect(self, code=0, expiry=None):
        """Says DISCONNECT and waits until the broker has closed."""
        link = self.link
        if link is None or not link.is_open:
            return
        self.record("disconnect", code=code, expiry=expiry)
        if expiry is not None:
            self._is_passing = expiry == 0
        link.send(packets.disconnect(self.version, code, expiry))
        try:
            await asyncio.wait_for(link.closed, CONNACK_SECONDS_MAX)
        except asyncio.TimeoutError:
            self.record("silent", what="DISCONNECT")
            link.abort()

    def on_lost(self, link):
        if link is not self.link or link.was_cut:
            return
        self.record("lost")
        self._give_up_waiting()

    def _give_up_waiting(self):
        if self._is_passing:
            self.has_state = self._is_passing = False
        if self._connack is not None and not self._connack.done():
            self._connack.set_result(None)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(None)
        self._answers.clear()
        self._room.set()

    # --- publishing ---

    def new_id(self):
        if self.reuses_ids:
            self._next_id = 0
        while True:
            self._next_id = self._next_id % 65535 + 1
            if self._next_id not in self.outgoing and self._next_id not in self._answers:
                return self._next_id

    def publish(self, message):
        """`message`: with m, topic, payload, qos, retain and expiry."""
        packet_id = self.new_id()
        outgoing = self.outgoing[packet_id] = Outgoing(message)
        self._send_publish(packet_id, outgoing, dup=False)

    def _send_publish(self, packet_id, outgoing, dup):
        message = outgoing.message
        self.record("publish", id=packet_id, dup=dup, empty=not message["payload"],
                    **{k: v for k, v in message.items() if k != "payload"})
        self.link.send(packets.publish(self.version, message["topic"], message["payload"],
                                       qos=message["qos"], packet_id=packet_id, dup=dup,
                                       retain=message["retain"], expiry=message["expiry"]))

    def _send_pubrel(self, packet_id, outgoing):
        self.record("pubrel", id=packet_id, m=outgoing.message["m"])
        self.link.send(packets.ack(packets.PUBREL, packet_id))

    async def room(self, window):
        """Returns once fewer than `window` publishes are open, or the connection is gone."""
        while self.is_connected and len(self.outgoing) >= window:
            self._room.clear()
            await self._room.wait()

    async def all_acknowledged(self):
        await self.room(1)
        return not self.outgoing

    # --- subscribing ---

    async def subscribe(self, topic_filter, qos):
        """The reason code of SUBACK; None if the connection was lost first."""
        if not self.is_connected:
            return None
        packet_id = self.new_id()
        self.record("subscribe", filter=topic_filter, qos=qos)
        code = await self._ask(packet_id,
                               packets.subscribe(self.version, packet_id, topic_filter, qos))
        if code is not None:
            self.record("suback", filter=topic_filter, code=code)
        return code

    async def unsubscribe(self, topic_filter):
        if not self.is_connected:
            return None
        packet_id = self.new_id()
        self.record("unsubscribe", filter=topic_filter)
        code = await self._ask(packet_id, packets.unsubscribe(self.version, packet_id, topic_filter))
        if code is not None:
            self.record("unsuback", filter=topic_filter, code=code)
        return code

    async def _ask(self, packet_id, data):
        answer = self._answers[packet_id] = asyncio.get_running_loop().create_future()
        self.link.send(data)
        return await answer

    # --- what comes ---

    def on_packet(self, link, packet):
        handler = self._HANDLERS.get(packet.kind)
        self.packets_heard += 1
        if link is self.link and link.is_open and handler is not None:
            handler(self, link, packet)

    def _on_connack(self, link, packet):
        self.record("connack", present=packet.present, code=packet.code)
        if packet.present and not self.has_state:
            self.must_begin_anew = True
            self.cut()
        if not self._connack.done():
            self._connack.set_result(packet.present if packet.code == 0 else None)
        if packet.code != 0:
            link.abort()

    def _on_puback(self, _, packet):
        if (outgoing := self.outgoing.pop(packet.packet_id, None)) is not None:
            self.record("ack", id=packet.packet_id, m=outgoing.message["m"], code=packet.code)
        self._room.set()

    def _on_pubrec(self, link, packet):
        outgoing = self.outgoing.get(packet.packet_id)
        if outgoing is None:
            link.send(packets.ack(packets.PUBREL, packet.packet_id))
            return
        if not outgoing.released:
            self.record("ack", id=packet.packet_id, m=outgoing.message["m"], code=packet.code)
        if packet.code >= 0x80:
            del self.outgoing[packet.packet_id]
            self._room.set()
            return
        outgoing.released = True
        self._owe(link, packets.PUBREL, packet.packet_id,
                  lambda: self.record("pubrel", id=packet.packet_id, m=outgoing.message["m"]))

    def _on_pubcomp(self, _, packet):
        if (outgoing := self.outgoing.get(packet.packet_id)) is not None and outgoing.released:
            del self.outgoing[packet.packet_id]
            self.record("pubcomp", id=packet.packet_id, m=outgoing.message["m"], code=packet.code)
        self._room.set()

    def _on_publish(self, link, packet):
        is_new = packet.qos < 2 or packet.packet_id not in self.held
        message, is_sound = read_payload(packet.payload)
        self.record("receive", m=message, topic=packet.topic, qos=packet.qos, id=packet.packet_id,
                    dup=packet.dup, retain=packet.retain, new=is_new, sound=is_sound,
                    expiry=packet.properties.get(packets.MESSAGE_EXPIRY))
        if packet.qos == 1:
            self._owe(link, packets.PUBACK, packet.packet_id)
        elif packet.qos == 2:
            self.held.add(packet.packet_id)
            self._owe(link, packets.PUBREC, packet.packet_id)

        if (awaited := self._awaited.get(message)) is not None and not awaited.done():
            awaited.set_result(None)

    def await_message(self, message):
        """A future that is done once the message has come."""
        return self._awaited.setdefault(message, asyncio.get_running_loop().create_future())

    def _on_pubrel(self, link, packet):
        self.held.discard(packet.packet_id)
        self._owe(link, packets.PUBCOMP, packet.packet_id)

    def _on_answer(self, _, packet):
        if (answer := self._answers.pop(packet.packet_id, None)) is not None and not answer.done():
            answer.set_result(packet.code)

    def _on_disconnect(self, _, packet):
        self.record("refused", code=packet.code)

    _HANDLERS = {
        packets.CONNACK: _on_connack, packets.PUBLISH: _on_publish, packets.PUBACK: _on_puback,
        packets.PUBREC: _on_pubrec, packets.PUBREL: _on_pubrel, packets.PUBCOMP: _on_pubcomp,
        packets.SUBACK: _on_answer, packets.UNSUBACK: _on_answer,
        packets.DISCONNECT: _on_disconnect,
    }

    def _owe(self, link, kind, packet_id, tell=lambda: None):
        """Acknowledges as the habits are; on this connection, or never."""
        def send():
            if link.is_open:
                tell()
                link.send(packets.ack(kind, packet_id))

        habit = self.habits.choose()
        if habit == "late":
            asyncio.get_running_loop().call_later(self.habits.delay(), send)
        elif habit != "never":
            send()
            if habit == "twice":
                link.send(packets.ack(kind, packet_id))
