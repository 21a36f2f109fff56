"""Real processes for the tests: started on free ports, watched by their output, always stopped."""
import os
import re
import signal
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
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

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

    def __init__(self, port=0, listener="", more=""):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(self.CONFIG.format(port=port, listener=listener, more=more))
            file.flush()
            super().__init__([binary("spoke-broker"), "-c", file.name])
            try:
                self.port = int(self.await_line(r"listening on 127\.0\.0\.1:(\d+)")[1])
            except AssertionError:
                self.kill()
                raise


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
