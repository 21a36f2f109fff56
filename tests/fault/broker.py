"""The broker under test: a process that is started on a data directory and killed."""
import asyncio
import os
import re
import signal

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START_SECONDS_MAX = 60

CONFIG = """
[[listener]]
port = 0
[performance]
shards = 2
[limits]
queue_messages_max = 1000000
queue_bytes_max = "1 GiB"
[persistence]
directory = "{directory}"
sync = "{sync}"
queue_window = {queue_window}
"""

FAULT_POINT = re.compile(r'SPOKE_FAULT_POINT\("([\w.-]+)"\)')


def fault_points():
    """The names of all fault points in the broker's sources."""
    found = set()
    for folder, _, names in os.walk(os.path.join(ROOT, "broker")):
        for name in names:
            if name.endswith(".cpp"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    found |= set(FAULT_POINT.findall(file.read()))
    return sorted(found)


class Broker:
    """One data directory, and one process at a time on it."""

    def __init__(self, program, folder, **persistence):
        self._program = program
        self._folder = folder
        self._config = os.path.join(folder, "broker.toml")
        self._log = open(os.path.join(folder, "broker.log"), "ab")
        self._process = None
        self.port = None
        with open(self._config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(directory=os.path.join(folder, "data"), **persistence))

    async def start(self, environment):
        """True once it listens; False if it ended first (a fault point on the way)."""
        self._log.write(f"--- start {environment}\n".encode())
        self._log.flush()
        self._process = await asyncio.create_subprocess_exec(
            self._program, "-c", self._config, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **environment})
        listening = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(self._process.stdout, listening))
        self.port = await asyncio.wait_for(listening, START_SECONDS_MAX)
        if self.port is None:
            await self._process.wait()
        return self.port is not None

    async def _read(self, output, listening):
        async for line in output:
            self._log.write(line)
            found = re.search(rb"listening on 127\.0\.0\.1:(\d+)", line)
            if found and not listening.done():
                listening.set_result(int(found[1]))
        self._log.flush()
        if not listening.done():
            listening.set_result(None)

    async def ended(self, seconds):
        """True if it ends by itself within that time."""
        try:
            await asyncio.wait_for(asyncio.shield(self._process.wait()), seconds)
            return True
        except asyncio.TimeoutError:
            return False

    async def end(self, number):
        """Sends the signal if it still runs, and returns when it is gone; its exit code."""
        if self._process.returncode is None:
            self._process.send_signal(number)
        code = await self._process.wait()
        await self._reading
        return code

    @property
    def was_killed(self):
        return self._process.returncode == -signal.SIGKILL

    def close(self):
        self._log.close()
