"""Who talks to the broker in a run, until the run ends: each lives through kills and reconnects."""
import asyncio
import time

from client import Client, Habits, make_payload
from packets import EXPIRY_NEVER, V5

OPEN_MAX = 20           # publishes of one client without acknowledgement
STALL_SECONDS_MAX = 0.5  # so long a client with bad habits waits before it connects again
RETRY_SECONDS = 0.02    # between attempts to connect to a broker that is down
DRAIN_SECONDS_MAX = 60


class Actor:
    """Connects, works for a while, leaves in one way or another, and comes back."""

    def __init__(self, world, name, version):
        self.world = world
        self.rng = world.rng_of(name)
        self.name = name
        self.client = Client(world, name, version, Habits.bad(self.rng))
        self.client.reuses_ids = self.rng.random() < 0.5
        self.wants_clean = False  # until a CONNACK says that it got it

    async def live(self):
        while not self.world.draining.is_set():
            await self.world.up.wait()
            if self.world.draining.is_set():
                break
            if await self.enter() is None:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            end = time.monotonic() + self.rng.uniform(0.1, 1.5)
            while self.client.is_connected and not self.world.draining.is_set():
                if time.monotonic() > end:
                    await self.leave()
                    break
                await self.work()

    async def enter(self):
        """Connects; None if that failed, else whether the session was present."""
        present = await self.client.connect(clean=self.wants_clean, expiry=self.expiry())
        if present is not None:
            self.wants_clean = False
        return present

    def expiry(self):
        return EXPIRY_NEVER

    async def work(self):
        raise NotImplementedError

    async def leave(self):
        if self.rng.random() < 0.6:
            self.client.cut()
        else:
            await self.client.disconnect()

    async def pause(self, low, high):
        try:
            await asyncio.wait_for(self.world.draining.wait(), self.rng.uniform(low, high))
        except asyncio.TimeoutError:
            pass

    async def return_for_good(self):
        """Connects with good habits, however long it takes; what was withheld is sent again."""
        self.client.cut()
        self.client.habits = Habits.good(self.rng)
        end = time.monotonic() + DRAIN_SECONDS_MAX
        while not self.client.is_connected and time.monotonic() < end:
            if await self.enter() is None:
                await asyncio.sleep(RETRY_SECONDS)


class Publisher(Actor):
    """Publishes numbered messages at QoS 1 and 2 to topics of its choice."""

    TOPICS = ["t/0", "t/1", "t/2", "t/3", "g/0", "h/0"]

    def __init__(self, world, name, version):
        super().__init__(world, name, version)
        self._count = 0

    async def work(self):
        for _ in range(self.rng.randint(1, 6)):
            if not await self._has_room():
                await self.leave()
                return
            if not self.client.is_connected:
                return
            self.client.publish(self.next_message())
        await self.pause(0.002, 0.06)

    async def _has_room(self):
        try:
            await asyncio.wait_for(self.client.room(OPEN_MAX), STALL_SECONDS_MAX)
            return True
        except asyncio.TimeoutError:
            return False

    async def leave(self):
        await super().leave()
        self.wants_clean = self.wants_clean or self.rng.random() < 0.02
        await self.pause(0, 0.1)

    def next_message(self):
        self._count += 1
        message = f"{self.name}.{self._count}"
        return {"m": message, "topic": self.rng.choice(self.TOPICS), "qos": self.rng.choice([1, 2]),
                "retain": False, "payload": make_payload(message, self._size()),
                "expiry": self._message_expiry()}

    def _size(self):
        return self.rng.choices([self.rng.randint(0, 200), self.rng.randint(8000, 20000)],
                                [0.98, 0.02])[0]

    def _message_expiry(self):
        if self.client.version != V5:
            return None
        return self.rng.choices([None, 300, 1, 2], [0.7, 0.1, 0.1, 0.1])[0]

    async def drain(self):
        """True once everything is acknowledged."""
        await self.return_for_good()
        try:
            return await asyncio.wait_for(self.client.all_acknowledged(), DRAIN_SECONDS_MAX)
        except asyncio.TimeoutError:
            return False


class RetainedWriter(Publisher):
    """Sets and clears the retained messages of topics that nobody else writes to.

    Each topic has one QoS: a write at QoS 1 that is sent again after a kill may take the place of a
    later one at QoS 2, which is not taken again.
    """

    def __init__(self, world, name, version, topics):
        super().__init__(world, name, version)
        self._topics = topics

    def next_message(self):
        message = super().next_message()
        topic = self.rng.choice(self._topics)
        message |= {"topic": topic, "retain": True, "qos": 1 + int(topic[-1]) % 2}
        if self.rng.random() < 0.25:
            message |= {"payload": b"", "expiry": None}
        return message

    async def leave(self):
        await Actor.leave(self)
        await self.pause(0, 0.1)


class WillOwner(Actor):
    """Connects with a will and leaves, mostly without a word."""

    def __init__(self, world, name, version):
        super().__init__(world, name, version)
        self._count = 0
        self._expiry = EXPIRY_NEVER

    def expiry(self):
        return self._expiry

    async def enter(self):
        self.wants_clean = self.wants_clean or self.rng.random() < 0.15
        self._expiry = self.rng.choice([EXPIRY_NEVER, EXPIRY_NEVER, 30, 2, 0])
        self._count += 1
        message = f"{self.name}.{self._count}"
        delay = self.rng.choice([0, 0, 1]) if self.client.version == V5 else 0
        will = {"m": message, "topic": f"w/{self.name}", "payload": make_payload(message, 30),
                "qos": self.rng.choice([1, 2]), "retain": self.rng.random() < 0.5, "delay": delay}
        present = await self.client.connect(clean=self.wants_clean, expiry=self._expiry, will=will)
        if present is not None:
            self.wants_clean = False
        return present

    async def work(self):
        await self.pause(0.01, 0.1)

    async def leave(self):
        how = self.rng.random()
        if how < 0.55:
            self.client.cut()
        elif how < 0.75 and self.client.version == V5:
            await self.client.disconnect(code=4)
        else:
            await self.client.disconnect()
        await self.pause(0.05, 2.2 if self.rng.random() < 0.5 else 0.4)

    async def drain(self):
        await self.return_for_good()
        await self.client.disconnect()
        return True


class Subscriber(Actor):
    """A durable subscriber that comes and goes.

    `filters`: {filter: QoS} that it keeps; `changing`: filters it subscribes to and leaves again.
    `is_mortal`: it ends its session at times, in each of the ways there are.
    """

    def __init__(self, world, name, version, filters, *, changing=(), is_mortal=False,
                 away_seconds_max=0.6):
        super().__init__(world, name, version)
        self._filters = {**filters, self.barrier_topic: 1}
        self._missing = dict(self._filters)
        self._changing = list(changing)
        self._is_mortal = is_mortal
        self._away_seconds_max = away_seconds_max
        self._expiry = EXPIRY_NEVER

    @property
    def barrier_topic(self):
        return f"z/{self.name}"

    def expiry(self):
        return self._expiry

    async def enter(self):
        if self._is_mortal:
            self._expiry = self._next_expiry()
        present = await super().enter()
        if present is False:
            self._missing = dict(self._filters)
        return present

    def _next_expiry(self):
        # A DISCONNECT has no acknowledgement: that the session is gone is sure once the CONNACK of
        # another that is kept has come.
        may_be_there = not self.client.has_state
        return self.rng.choice([EXPIRY_NEVER, EXPIRY_NEVER, 3600] + [1, 0] * (not may_be_there))

    async def _subscribe_missing(self):
        for topic_filter, qos in list(self._missing.items()):
            code = await self.client.subscribe(topic_filter, qos)
            if code is None or code >= 0x80:
                return
            del self._missing[topic_filter]

    async def work(self):
        await self._subscribe_missing()
        if self._changing and self.rng.random() < 0.3:
            topic_filter = self.rng.choice(self._changing)
            if self.rng.random() < 0.6:
                await self.client.subscribe(topic_filter, self.rng.choice([1, 2]))
            else:
                await self.client.unsubscribe(topic_filter)
        await self.pause(0.01, 0.1)

    async def leave(self):
        way = self.rng.random()
        if self._is_mortal and way < 0.3:
            self.wants_clean = True
        if self._is_mortal and way > 0.7 and self.client.version == V5 and self._expiry != 0:
            await self.client.disconnect(expiry=self.rng.choice([0, 0, 1, 3600]))
        else:
            await super().leave()
        is_long = self.rng.random() < 0.3
        await self.pause(0, 4 * self._away_seconds_max if is_long else self._away_seconds_max)

    async def drain(self):
        """True once it has every filter it keeps."""
        self._is_mortal = False
        await self.return_for_good()
        await self._subscribe_missing()
        return not self._missing


def cast(world):
    """Everybody who plays in a run."""
    t_filters = ["t/#", "t/0", "t/+", "+/1", "t/2", "r/#"]
    return [
        Publisher(world, "pa", V5), Publisher(world, "pb", 4), Publisher(world, "pc", V5),
        RetainedWriter(world, "ra", V5, [f"r/{i}" for i in range(5)]),
        RetainedWriter(world, "rb", 4, [f"r/{i}" for i in range(5, 9)]),
        WillOwner(world, "wa", V5), WillOwner(world, "wb", V5), WillOwner(world, "wc", 4),
        Subscriber(world, "watch5", V5, {"t/#": 2, "r/#": 2, "w/#": 2}, away_seconds_max=0.05),
        Subscriber(world, "watch3", 4, {"t/#": 1, "r/#": 1, "w/#": 2}, away_seconds_max=0.3),
        Subscriber(world, "away", V5, {"t/+": 2, "t/#": 1}, away_seconds_max=2),
        Subscriber(world, "change5", V5, {}, changing=t_filters),
        Subscriber(world, "change3", 4, {"t/3": 2}, changing=t_filters),
        Subscriber(world, "mortal5", V5, {"t/#": 2}, changing=["r/#", "w/#"], is_mortal=True),
        Subscriber(world, "mortal3", 4, {"t/+": 2, "t/1": 1}, is_mortal=True),
        Subscriber(world, "ga", V5, {"$share/g/g/#": 2}),
        Subscriber(world, "gb", 4, {"$share/g/g/#": 2}, away_seconds_max=1),
        Subscriber(world, "ha", V5, {"$share/h/h/#": 1}),
        Subscriber(world, "hb", V5, {"$share/h/h/#": 1}, is_mortal=True),
    ]
