"""One interface to every client library, so that a scenario is written once.

A Kind makes clients of one library. Most are driven through a process of their own, which takes
one JSON object per line and prints one per event:

    connect      host port transport path uri id version clean [expiry keep_alive user password
                 will tls reconnects]                    -> connected session_present | refused reason
    subscribe    filters qos                  -> subscribed codes
    unsubscribe  filters                      -> unsubscribed
    publish      topic payload|file qos retain [properties]  -> published reason, once answered
    publish_many topic count qos retain       to TOPIC/0, TOPIC/1, ...; each `published`
    disconnect                                -> disconnected
    close        the client is forgotten      -> closed
    at any time  reconnected (with `reconnects`, of a library that does it by itself) | message topic qos retain dup size payload|sha256 properties | lost | error what

A second `connect` is the same client once more, with what it had in flight. Bytes are written in
hexadecimal; of a payload above 1 KiB the event has the digest alone.
"""
import collections
import dataclasses
import functools
import hashlib
import inspect
import itertools
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time

from programs import DEADLINE_SECONDS, Program, binary, run

HERE = os.path.dirname(os.path.abspath(__file__))
V31, V311, V5 = 3, 4, 5
VERSION_NAMES = {V31: "3.1", V311: "3.1.1", V5: "5.0"}
SESSION_SECONDS = 300
SHOWN_MAX = 1024  # as in the drivers
# Paho's C library leaks a little when it is asked to disconnect.
DRIVER_ENVIRONMENT = {"LSAN_OPTIONS": "detect_leaks=0"}

_numbers = itertools.count(1)


def fresh(name):
    """Differs for every call: tests must not meet each other's sessions and topics."""
    return f"{name}-{os.getpid()}-{next(_numbers)}"


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where and how to connect."""
    port: int
    host: str = "127.0.0.1"     # of a Unix socket: its path
    transport: str = "tcp"      # tls, ws, wss, unix
    path: str = "/mqtt"
    tls: tuple = ()             # pairs: ca, certificate, key, psk, psk_identity

    def uri(self):
        scheme = {"tls": "ssl"}.get(self.transport, self.transport)
        path = self.path if self.transport in ("ws", "wss") else ""
        return f"{scheme}://{self.host}:{self.port}{path}"


@dataclasses.dataclass
class Message:
    topic: str
    qos: int
    retain: bool
    size: int
    sha256: str
    payload: bytes = None  # unless it was too large to be shown
    dup: bool = False
    properties: dict = dataclasses.field(default_factory=dict)

    def facts(self):
        return self.topic, self.payload, self.qos, self.retain


class Refused(AssertionError):
    """The broker said no to a CONNECT."""

    def __init__(self, reason):
        super().__init__(f"refused: {reason}")
        self.reason = reason


class Driver(Program):
    """A process with one client."""

    def __init__(self, command):
        self._events = collections.defaultdict(collections.deque)
        super().__init__(command, stdin=subprocess.PIPE, environment=DRIVER_ENVIRONMENT)

    def _keep(self, line):
        if line.startswith('{"event":'):
            event = json.loads(line)
            self._events[event["event"]].append(event)
        else:
            super()._keep(line)

    def say(self, what, **fields):
        self.process.stdin.write(json.dumps({"do": what, **fields}) + "\n")
        self.process.stdin.flush()

    def events(self, count, *names):
        """The next `count` events that have one of `names`."""
        found = []
        deadline = time.monotonic() + DEADLINE_SECONDS
        with self._changed:
            while len(found) < count:
                if self._events["error"]:
                    raise AssertionError(f"{self.command}: {self._events['error'][0]['what']}")
                queue = next((self._events[name] for name in names if self._events[name]), None)
                if queue:
                    found.append(queue.popleft())
                    continue
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = "ended" if self._ended else "is silent"
                    raise AssertionError(
                        f"{self.command} {why}: {len(found)} of {count} events {names}; others: "
                        f"{ {name: len(queue) for name, queue in self._events.items()} }\n"
                        + "\n".join(self._lines[-40:]))
                self._changed.wait(left)
        return found

    def event(self, *names):
        return self.events(1, *names)[0]

    def forget(self):
        with self._changed:
            self._events.clear()

    def waiting(self, name):
        with self._changed:
            return len(self._events[name])


class Client:
    """What every kind's client can do. `options` of the constructor:

    id, keep (the session outlives the connection), user, password, will (topic, payload, qos,
    retain), keep_alive.
    """

    def __init__(self, kind, version, endpoint, options):
        self.kind = kind
        self.version = version
        self.endpoint = endpoint
        self.options = {"id": fresh("client"), "keep": False, **options}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def message(self):
        return self.messages(1)[0]

    def publish_all(self, messages, **options):
        """Publishes (topic, payload) pairs, then awaits that all are acknowledged."""
        for topic, payload in messages:
            self.send(topic, payload, **options)
        self.published(len(messages))

    def publish(self, topic, payload=b"", **options):
        self.publish_all([(topic, payload)], **options)


class DriverClient(Client):
    def __init__(self, kind, version, endpoint, options):
        super().__init__(kind, version, endpoint, options)
        self._driver = kind.take()
        self.session_present = None
        self._is_open = False

    def connect(self):
        at, options = self.endpoint, self.options
        fields = {"host": at.host, "port": at.port, "transport": at.transport, "path": at.path,
                  "uri": at.uri(), "id": options["id"], "version": self.version,
                  "clean": not options["keep"]}
        if at.tls:
            fields["tls"] = dict(at.tls)
        if options["keep"]:
            fields["reconnects"] = True
        if options["keep"] and self.version == V5:
            fields["expiry"] = SESSION_SECONDS
        if "will" in options:
            will = options["will"]
            fields["will"] = {**will, "payload": will["payload"].hex()}
        fields.update((key, options[key]) for key in ("user", "password", "keep_alive")
                      if key in options)
        self._driver.say("connect", **fields)
        event = self._driver.event("connected", "refused")
        if event["event"] == "refused":
            raise Refused(event["reason"])
        self._is_open = True
        # None: the CONNACK of 3.1, or the library, does not say.
        is_told = self.version not in (V31, *self.kind.hides_session_present)
        self.session_present = event["session_present"] if is_told else None
        return self

    def subscribe(self, *filters, qos=2):
        self._driver.say("subscribe", filters=filters, qos=qos)
        codes = self._driver.event("subscribed")["codes"]
        if len(codes) != len(filters) or any(code > 2 for code in codes):
            raise AssertionError(f"SUBACK {codes} for {len(filters)} filters")

    def unsubscribe(self, *filters):
        self._driver.say("unsubscribe", filters=filters)
        self._driver.event("unsubscribed")

    def send(self, topic, payload, qos=0, retain=False, properties=None):
        """`payload`: bytes, or the name of a file. Does not wait for the acknowledgement."""
        content = {"file": payload} if isinstance(payload, str) else {"payload": payload.hex()}
        if properties and self.version == V5:
            content["properties"] = properties
        self._driver.say("publish", topic=topic, qos=qos, retain=retain, **content)

    def send_many(self, topic, count, qos=1, retain=False):
        self._driver.say("publish_many", topic=topic, count=count, qos=qos, retain=retain)

    def answered(self, count=1):
        """The reasons; 0 also where the library does not tell."""
        return [event["reason"] for event in self._driver.events(count, "published")]

    def published(self, count=1):
        # 0x92 in a second PUBCOMP, when the first got lost: the broker has done its part.
        refused = [reason for reason in self.answered(count) if reason >= 0x80 and reason != 0x92]
        if refused:
            raise AssertionError(f"not published: {refused}")

    def messages(self, count):
        return [message_of(event) for event in self._driver.events(count, "message")]

    def waiting(self):
        """Messages that have arrived and were not asked for yet."""
        return self._driver.waiting("message")

    def lost(self):
        """Returns once the client has noticed that its connection is gone."""
        self._driver.event("lost")
        self._is_open = False

    def reconnect(self):
        if self.kind.reconnects:
            self._driver.event("reconnected")
            self._is_open = True
        else:
            self.connect()

    def disconnect(self):
        self._driver.say("disconnect")
        self._driver.event("disconnected")
        self._is_open = False

    def freeze(self):
        self._driver.freeze()

    def thaw(self):
        self._driver.thaw()

    def kill(self):
        self._driver.kill()
        self._driver = None

    def close(self):
        if self._driver is None:
            return
        if self._driver.process.poll() is None and not self._driver.waiting("error"):
            self._driver.say("close")
            self._driver.event("closed")
            self.kind.give_back(self._driver)
        else:
            self._driver.kill()
        self._driver = None


def message_of(event):
    payload = bytes.fromhex(event["payload"]) if "payload" in event else None
    digest = event.get("sha256") or hashlib.sha256(payload).hexdigest()
    return Message(event["topic"], event["qos"], event["retain"], event["size"], digest, payload,
                   event["dup"], event["properties"])


class DriverKind:
    """Keeps its processes for the next client: some take long to start."""

    versions = (V31, V311, V5)

    def __init__(self, name, command, transports=("tcp", "tls", "ws", "wss"), reconnects=False,
                 hides_session_present=()):
        self.name = name
        self.command = command
        self.transports = transports
        self.reconnects = reconnects
        self.hides_session_present = hides_session_present
        self._idle = []

    def client(self, version, endpoint, **options):
        return DriverClient(self, version, endpoint, options)

    def take(self):
        return self._idle.pop() if self._idle else Driver(self.command())

    def give_back(self, driver):
        driver.forget()
        self._idle.append(driver)

    def stop(self):
        while self._idle:
            self._idle.pop().kill()


class MosquittoSubscriber:
    """mosquitto_sub, its output read as bytes: payloads may be anything."""

    HEAD = "=\\t%t\\t%q\\t%r\\t%l\\t%m\\t%C\\t%R\\t%D\\t%F\\t%E\\t%P\\n%p\\n"

    def __init__(self, command):
        self.command = command
        self._messages = collections.deque()
        self._seen_lines = []
        self._dups = {}
        self._changed = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", *command, "-d", "-F", self.HEAD], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while line := self.process.stdout.readline():
            if line.startswith(b"=\t"):
                message = self._read_message(line)
                self._add(self._messages, message)
            else:
                text = line.decode(errors="replace").rstrip("\n")
                if published := re.search(r"received PUBLISH \(d(\d), q\d, r\d, m(\d+)", text):
                    self._dups[published[2]] = published[1] == "1"
                self._add(self._seen_lines, text)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _add(self, queue, item):
        with self._changed:
            queue.append(item)
            self._changed.notify_all()

    def _read_message(self, line):
        topic, qos, retain, size, number, content_type, answer, correlation, form, expiry, user = \
            line.decode().rstrip("\n").split("\t")[1:]
        size = int(size)
        digest, payload, left = hashlib.sha256(), b"", size
        while left > 0 and (part := self.process.stdout.read(min(left, 1 << 16))):
            digest.update(part)
            left -= len(part)
            if size <= SHOWN_MAX:
                payload += part
        self.process.stdout.readline()
        properties = {"content_type": content_type, "response_topic": answer,
                      "correlation": correlation.encode().hex(), "format": form and int(form),
                      "expiry": expiry and int(expiry),
                      "user": [pair.split(":") for pair in user.split()]}
        return Message(topic, int(qos), retain == "1", size, digest.hexdigest(),
                       payload if size <= SHOWN_MAX else None, self._dups.pop(number, False),
                       {key: value for key, value in properties.items() if value})

    def _await(self, is_true):
        deadline = time.monotonic() + DEADLINE_SECONDS
        with self._changed:
            while not is_true():
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = "ended" if self._ended else "is silent"
                    raise AssertionError(f"mosquitto_sub {why}:\n"
                                         + "\n".join(self._seen_lines[-40:]))
                self._changed.wait(left)

    def await_lines(self, pattern, count=1):
        """What the group in the last of the first `count` lines that match stands for, if any."""
        found = []
        wanted = re.compile(pattern)

        def are_there():
            found[:] = filter(None, map(wanted.search, self._seen_lines))
            return len(found) >= count
        self._await(are_there)
        return found[count - 1][wanted.groups]

    def take(self, count):
        self._await(lambda: len(self._messages) >= count)
        with self._changed:
            return [self._messages.popleft() for _ in range(count)]

    def waiting(self):
        with self._changed:
            return len(self._messages)

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, kill):
        if not kill:
            Program.await_rest(self)
        if self.process.poll() is None:
            (self.process.kill if kill else self.process.terminate)()
        self.process.wait(DEADLINE_SECONDS)
        self._reader.join(DEADLINE_SECONDS)
        self.process.stdout.close()


class MosquittoClient(Client):
    """mosquitto_sub and mosquitto_pub. A connection is made by what needs one."""

    VERSION_WORDS = {V31: "mqttv31", V311: "mqttv311", V5: "mqttv5"}

    def __init__(self, kind, version, endpoint, options):
        super().__init__(kind, version, endpoint, options)
        self.session_present = None  # the programs do not tell
        self._subscriber = None
        self._connects = 0

    def connect(self):
        return self

    def _words(self):
        at = self.endpoint
        words = ["-V", self.VERSION_WORDS[self.version]]
        words += ["--unix", at.host] if at.transport == "unix" else ["-h", at.host, "-p", at.port]
        for name, value in at.tls:
            words += [{"ca": "--cafile", "certificate": "--cert", "key": "--key", "psk": "--psk",
                       "psk_identity": "--psk-identity"}[name], value]
        for option, word in (("user", "-u"), ("password", "-P"), ("keep_alive", "-k")):
            if option in self.options:
                words += [word, self.options[option]]
        return [str(word) for word in words]

    def subscribe(self, *filters, qos=2):
        words = ["mosquitto_sub", *self._words(), "-i", self.options["id"], "-q", str(qos)]
        if self.options["keep"]:
            words += ["-c"] + (["-x", str(SESSION_SECONDS)] if self.version == V5 else [])
        if "will" in self.options:
            will = self.options["will"]
            words += ["--will-topic", will["topic"], "--will-payload", will["payload"].decode(),
                      "--will-qos", str(will.get("qos", 0))]
            words += ["--will-retain"] if will.get("retain") else []
        for topic in filters:
            words += ["-t", topic]
        self._subscriber = MosquittoSubscriber(words)
        self._connects = 1
        answer = self._subscriber.await_lines(r"Subscribed \(mid: \d+\): (.*)")
        if any(int(code) > 2 for code in answer.split(", ")):
            raise AssertionError(f"SUBACK {answer} for {len(filters)} filters")

    def unsubscribe(self, *filters):
        raise NotImplementedError("mosquitto_sub unsubscribes at its start alone: -U")

    def send(self, topic, payload, qos=0, retain=False, properties=None):
        words = ["mosquitto_pub", *self._words(), "-t", topic, "-q", qos]
        words += ["-r"] if retain else []
        if properties and self.version == V5:
            words += self._property_words(properties)
        with tempfile.NamedTemporaryFile() as file:
            if isinstance(payload, bytes):
                file.write(payload)
                file.flush()
                payload = payload and file.name
            done = run([*words, *(["-f", payload] if payload else ["-n"])])
        if done.returncode != 0:
            raise AssertionError(f"mosquitto_pub: {done.stderr}")

    @staticmethod
    def _property_words(properties):
        names = {"content_type": "content-type", "response_topic": "response-topic",
                 "format": "payload-format-indicator", "expiry": "message-expiry-interval"}
        words = []
        for key, value in properties.items():
            if key == "user":
                for name, text in value:
                    words += ["-D", "publish", "user-property", name, text]
            elif key == "correlation":
                words += ["-D", "publish", "correlation-data", bytes.fromhex(value).decode()]
            else:
                words += ["-D", "publish", names[key], value]
        return words

    def answered(self, count=1):
        """send() has waited already."""

    published = answered

    def messages(self, count):
        return self._subscriber.take(count)

    def waiting(self):
        return self._subscriber.waiting()

    def lost(self):
        """mosquitto_sub does not tell; it connects again by itself."""

    def reconnect(self):
        self._connects += 1
        self._subscriber.await_lines(r"Subscribed \(mid", self._connects)

    def disconnect(self):
        self._subscriber.end(kill=False)
        self._subscriber = None

    def freeze(self):
        Program.freeze(self._subscriber)

    def thaw(self):
        self._subscriber.signal(signal.SIGCONT)

    def kill(self):
        self._subscriber.end(kill=True)
        self._subscriber = None

    def close(self):
        if self._subscriber is not None:
            self.kill()


class MosquittoKind:
    name = "mosquitto"
    versions = (V31, V311, V5)
    transports = ("tcp", "tls", "unix")
    reconnects = False  # mosquitto_sub does; mosquitto_pub ends with its connection

    def client(self, version, endpoint, **options):
        return MosquittoClient(self, version, endpoint, options)

    def stop(self):
        """Nothing is kept."""


KINDS = {kind.name: kind for kind in (
    MosquittoKind(),
    DriverKind("paho_c_sync", lambda: [binary("interop_c_sync")],
               hides_session_present=(V5,)),
    DriverKind("paho_c_async", lambda: [binary("interop_c_async")], reconnects=True),
    DriverKind("paho_cpp", lambda: [binary("interop_cpp")], reconnects=True),
    DriverKind("paho_python", lambda: ["/usr/bin/python3", "-u",
                                       os.path.join(HERE, "paho_python", "driver.py")]),
    DriverKind("mqttjs", lambda: ["node", os.path.join(HERE, "mqttjs", "driver.mjs")],
               transports=("tcp", "tls", "ws", "wss", "unix")),
)}


def stop_all():
    for kind in KINDS.values():
        kind.stop()


def matrix(versions=tuple(VERSION_NAMES), **skipped):
    """Class decorator: each `check_NAME(kind, version)` becomes one test per kind and version, each
    `check_NAME(kind)` one per kind.

    skipped: NAME of a check, and the kinds which leave it out.
    """
    def decorate(cls):
        for name in [name for name in dir(cls) if name.startswith("check_")]:
            what = name.removeprefix("check_")
            by_version = "version" in inspect.signature(getattr(cls, name)).parameters
            for kind in KINDS.values():
                if kind.name in skipped.get(what, ()):
                    continue
                for version in versions if by_version else (None,):
                    arguments = (kind,) if version is None else (kind, version)
                    label = VERSION_NAMES.get(version, "").replace(".", "")
                    setattr(cls, f"test_{what}__{kind.name}" + (label and f"_v{label}"),
                            functools.partialmethod(getattr(cls, name), *arguments))
        return cls
    return decorate


def side_by_side(cases):
    """Runs generators step by step, all of them up to their next `yield`: they wait together."""
    cases = list(cases)
    while cases:
        cases = [case for case in cases if next(case, cases) is not cases]
