"""Starts brokers for measurements: ours and Debian's mosquitto, each alone on one core."""
import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MOSQUITTO = "/usr/sbin/mosquitto"
START_SECONDS_MAX = 15
STOP_SECONDS_MAX = 10

# Both without limits that would shape the traffic, and silent.
OURS_CONFIG = """\
[limits]
receive_maximum = 65535
inflight_max = 65535
queue_messages_max = 10000000
queue_bytes_max = "8 GiB"
memory_watermark_bytes = "8 GiB"
retained_messages_max = 10000000
retained_bytes_max = "8 GiB"
[performance]
shards = {shards}
[log]
level = "warning"
"""
MOSQUITTO_CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_dest none
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes 0
set_tcp_nodelay true
"""


class BenchError(Exception):
    """Something that makes a measurement impossible; the message is for the user."""


def program(name, build):
    """Path of one of our programs in the build directory `build`."""
    path = os.path.join(build, "bin", name)
    if not os.access(path, os.X_OK):
        raise BenchError(f"{path} is not there: ./dev build builds it")
    return path


def cores():
    """The core for the broker and the one for the generator; None where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (None, None)


def raise_open_files():
    """10 000 connections need as many descriptors, in the broker and in the generator."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1 << 20
    for limit in ((wanted, max(hard, wanted)), (hard, hard)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            return
    raise BenchError(f"cannot raise the limit of {soft} open files")


def stop_on_signals():
    """SIGTERM and SIGHUP end this process like Ctrl-C does: through its `finally` blocks."""
    def leave(number, _):
        raise SystemExit(128 + number)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def pinned(command, core):
    return command if core is None else ["taskset", "-c", str(core), *command]


def stop(process):
    """Ends a child, politely first, and collects it."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Ours:
    """spoke-broker of a build directory, or wherever `path` points."""
    name = "ours"

    def __init__(self, path, shards=1):
        self.path = path
        self.shards = shards

    def command(self, folder, port):
        config = os.path.join(folder, "spoke-broker.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(OURS_CONFIG.format(shards=self.shards))
        return [self.path, "-c", config, "-p", str(port)]

    def version(self):
        shown = subprocess.run([self.path, "--version"], capture_output=True, text=True, check=False)
        return shown.stdout.strip() or "spoke-broker"


class Mosquitto:
    """Debian's mosquitto."""
    name = "mosquitto"

    def __init__(self, path=MOSQUITTO):
        self.path = path
        if not os.access(path, os.X_OK):
            raise BenchError(f"{path} is not there: ./dev setup installs it")

    def command(self, folder, port):
        config = os.path.join(folder, "mosquitto.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(MOSQUITTO_CONFIG.format(port=port))
        return [self.path, "-c", config]

    def version(self):
        shown = subprocess.run([self.path, "-h"], capture_output=True, text=True, check=False)
        return (shown.stdout.splitlines() or ["mosquitto"])[0]


def await_port(process, port, log, seconds_max):
    deadline = time.monotonic() + seconds_max
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    with open(log, encoding="utf-8", errors="replace") as file:
        told = file.read().strip()[-500:]
    raise BenchError(f"the broker did not start: {told or 'it said nothing'}")


def start(broker, core, folder, seconds_max=START_SECONDS_MAX):
    """Starts a broker, alone on `core`, with its configuration and log in `folder`: (process, port)."""
    os.chmod(folder, 0o755)  # mosquitto gives up root before it reads
    log = os.path.join(folder, "log")
    port = free_port()
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen(pinned(broker.command(folder, port), core), stdout=out,
                                   stderr=subprocess.STDOUT, start_new_session=True)
    try:
        await_port(process, port, log, seconds_max)
    except BaseException:
        stop(process)
        raise
    return process, port


@contextlib.contextmanager
def running(broker, core):
    """Runs a broker, alone on `core`, for the length of the block: (pid, port)."""
    folder = tempfile.mkdtemp(prefix="spoke-bench-")
    process = None
    try:
        process, port = start(broker, core, folder)
        yield process.pid, port
        if process.poll() is not None:
            raise BenchError(f"{broker.name} ended by itself, exit code {process.returncode}")
    finally:
        if process is not None:
            stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def load(generator, arguments, endpoint, core):
    """Runs `spoke-sim load` with `arguments` against (pid, port). Gives its report and exit code."""
    pid, port = endpoint
    command = [generator, "load", *arguments, "--port", str(port), "--pid", str(pid)]
    if core is not None:
        command += ["--cpu", str(core)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        output, _ = process.communicate()
    finally:
        stop(process)
    try:
        return json.loads(output), process.returncode
    except ValueError:
        raise BenchError(f"`spoke-sim load {' '.join(arguments)}` gave no report, "
                         f"exit code {process.returncode}") from None
