"""Real processes for the tests: started on free ports, watched by their output, always stopped."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

# How long anything may take before a test gives up. Long: sanitizers on a busy machine are slow.
# No test passes sooner or later because of it.
DEADLINE_SECONDS = 60


class Program:
    """A process whose output lines can be awaited. Use as a context manager."""

    def __init__(self, command, stdin=None, environment=None):
        self.command = [str(word) for word in command]
        self._lines = []
        self._changed = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            self.command, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", bufsize=1,
            env={**os.environ, **(environment or {})})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self._keep(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _keep(self, line):
        self._lines.append(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def lines(self):
        with self._changed:
            return list(self._lines)

    def await_lines(self, pattern, count=1):
        """The first `count` lines that match, as match objects."""
        wanted = re.compile(pattern)
        deadline = time.monotonic() + DEADLINE_SECONDS
        with self._changed:
            while True:
                found = [m for m in map(wanted.search, self._lines) if m]
                if len(found) >= count:
                    return found[:count]
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = "ended" if self._ended else "is silent"
                    raise AssertionError(
                        f"{self.command[0]} {why}: {len(found)} of {count} lines with {pattern!r} "
                        "in its output:\n" + "\n".join(self._lines[-40:]))
                self._changed.wait(left)

    def await_line(self, pattern):
        return self.await_lines(pattern)[0]

    def signal(self, number):
        self.process.send_signal(number)

    def freeze(self):
        """Stops it in the middle of what it does; it is stopped once this returns."""
        self.signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def await_rest(self):
        """Returns once it waits for the world. mosquitto_sub must be told to end only then: its
        signal handler may lock what it interrupts, and never come back."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
                if file.read().rpartition(")")[2].split()[0] == "S":
                    return
            os.sched_yield()
        raise AssertionError(f"{self.command[0]} does not rest")

    def thaw(self):
        self.signal(signal.SIGCONT)

    def forget_memory_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")

    def memory(self, what):
        """Bytes of VmRSS (now) or VmHWM (the most there was)."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(rf"^{what}:\s+(\d+) kB", file.read(), re.MULTILINE)[1]) * 1024

    def wait(self):
        """Exit code, when it ends by itself."""
        code = self.process.wait(timeout=DEADLINE_SECONDS)
        self._reader.join(DEADLINE_SECONDS)
        return code

    def stop(self):
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(DEADLINE_SECONDS)
        self.process.stdout.close()

    def output(self):
        return "\n".join(self.lines())


def binary(name):
    return os.path.join(os.environ["SPOKE_BIN"], name)


class Broker(Program):
    """spoke-broker on a free port, two shards, so that clients meet across threads."""

    CONFIG = """
        [[listener]]
        port = {port}
        {listener}
        [performance]
        shards = 2
        {more}
    """

    def __init__(self, port=0, listener="", more="", environment=None):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(self.CONFIG.format(port=port, listener=listener, more=more))
            file.flush()
            super().__init__([binary("spoke-broker"), "-c", file.name],
                             environment=environment)
            try:
                self.port = int(self.await_line(r"listening on 127\.0\.0\.1:(\d+)")[1])
            except AssertionError:
                self.kill()
                raise


class Mosquitto(Program):
    """Debian's mosquitto: a broker that knows nothing of receipts and client events."""

    def __init__(self):
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="mosquitto-")
        path = os.path.join(self._folder.name, "mosquitto.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        super().__init__([mosquitto(), "-c", path])
        try:
            self.await_line(r"mosquitto version .* running")
        except AssertionError:
            self.kill()
            raise

    def kill(self):
        super().kill()
        self._folder.cleanup()


def mosquitto():
    """Debian puts it where only administrators look."""
    return shutil.which("mosquitto") or "/usr/sbin/mosquitto"


class Subscriber(Program):
    """mosquitto_sub that is subscribed once it is made. Each message is a line 'MSG ...'."""

    FORMAT = "MSG %t qos=%q retain=%r %p"

    def __init__(self, port, topics, *options, version="mqttv5", qos=2, output=FORMAT):
        topics = [topics] if isinstance(topics, str) else topics
        super().__init__(["stdbuf", "-oL", "mosquitto_sub", "-p", port, "-V", version, "-q", qos,
                          "-d", "-F", output, *options,
                          *(word for topic in topics for word in ("-t", topic))])
        try:
            self.await_line(r"received SUBACK|Subscribed \(mid")
        except AssertionError:
            self.kill()
            raise

    def messages(self, count):
        """The first `count` messages, without their mark."""
        return [match[1] for match in self.await_lines(r"^MSG (.*)$", count)]

    def message(self):
        return self.messages(1)[0]


def run(command, stdin=""):
    """Runs to the end; the completed process with its output as text."""
    return subprocess.run([str(word) for word in command], input=stdin, capture_output=True,
                          text=True, timeout=DEADLINE_SECONDS, check=False)


def publish(port, topic, payload, *options, version="mqttv5", qos=0):
    """mosquitto_pub; returns once it has ended, for QoS 1 and 2 with the acknowledgement."""
    done = run(["mosquitto_pub", "-p", port, "-V", version, "-q", qos, "-t", topic, "-m", payload,
                *options])
    if done.returncode != 0:
        raise AssertionError(f"mosquitto_pub: {done.stderr}")


def free_port():
    """A port nobody listens on now, for a program that must come back on the one it had."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Bridge(Program):
    """spoke-bridge on a free port. `ready()` once it has its subscriptions at the broker."""

    CONFIG = """
        [http]
        port = 0
        body_bytes_max = "4 KiB"
        [broker]
        port = {broker_port}
        reconnect_delay_min = "10 ms"
        reconnect_delay_max = "100 ms"
        [commands]
        grace = "200 ms"
        [store]
        path = "{store}"
        {more}
        """

    def __init__(self, broker_port, store=None, environment=None, more=""):
        """`store`: the file of the records; without one they are in a folder of its own."""
        self._folder = tempfile.TemporaryDirectory(prefix="spoke-bridge-")
        store = store or os.path.join(self._folder.name, "bridge.db")
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(self.CONFIG.format(broker_port=broker_port, store=store, more=more))
            file.flush()
            super().__init__([binary("spoke-bridge"), "-v", "-c", file.name],
                             environment=environment)
            try:
                port = self.await_line(r"listening on 127\.0\.0\.1:(\d+)")[1]
            except AssertionError:
                self.kill()
                raise
        self.url = f"http://127.0.0.1:{port}"

    def kill(self):
        super().kill()
        self._folder.cleanup()

    def ready(self, times=1):
        self.await_lines("ready for orders", times)

    def knows(self, *devices, times=1):
        """Returns once the bridge has noticed `times` times that each of them is reachable."""
        for device in devices:
            self.await_lines(f"device {device}: reachable", times)

    def curl(self, path, *options, method=None, body=None):
        """What curl gets: `status`, `headers` (lower case) and `body`, parsed if it is JSON."""
        command = ["curl", "-sS", "-i", "--max-time", DEADLINE_SECONDS, self.url + path, *options]
        if method:
            command += ["-X", method]
        if body is not None:
            command += ["--data-binary", "@-"]
            if not isinstance(body, str):
                command += ["-H", "Content-Type: application/json"]
                body = json.dumps(body)
        done = run(command, stdin=body or "")
        if done.returncode != 0:
            raise AssertionError(f"curl: {done.stderr}")
        return Reply(done.stdout)

    def order(self, device, body, *options):
        return self.curl(f"/v1/devices/{device}/commands", *options, body=body)


class Reply:
    def __init__(self, text):
        head, _, rest = text.replace("\r\n", "\n").partition("\n\n")
        while head.split()[1] == "100":  # Continue
            head, _, rest = rest.partition("\n\n")
        status, *lines = head.split("\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value.strip()
                        for name, _, value in (line.partition(":") for line in lines)}
        content_type = self.headers.get("content-type", "").partition(";")[0]
        self.body = json.loads(rest) if content_type.endswith(("/json", "+json")) else rest


class Bikes(Program):
    """spoke-sim with bikes t1, t2, ... that are online once it is made."""

    def __init__(self, broker_port, count=3, *options, wait=True):
        super().__init__([binary("spoke-sim"), "run", "--bikes", count, "--prefix", "t", "--port",
                          broker_port, "--seed", 7, *options])
        if wait:
            try:
                self.await_line(f"online {count}/{count}")
            except AssertionError:
                self.kill()
                raise
