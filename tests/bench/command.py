#!/usr/bin/env python3
"""Measures commands from the HTTP request to their end: bridge and broker with their stores on, riders
who wait for their orders, devices that answer at once. Prints a Markdown table of marks.

All programs share the cores of the machine. The data lie on the file system of --directory, whose sync
rate is measured in the same run. Medians count. The exit code is 0 if everything could be measured
(with --strict: and every mark is met).
"""
import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import brokers
import compare
import marks
import store

RUN_ID = "x"
PREFIX = f"load-{RUN_ID}-d-"
READY_SECONDS_MAX = 240
FIRST_OPEN = 5_000
FIRST_KNOWN = 25_000  # their messages fill what the log keeps in memory, however many devices there are
STAGES = ("queue", "down", "device", "up")

RECEIPTS = """
[receipts]
publishers = ["client:spoke-bridge"]
"""
BRIDGE_CONFIG = """\
[http]
port = {http}
[broker]
port = {mqtt}
[store]
path = "{data}/bridge.db"
[log]
level = "warning"
"""


class Receipts(store.Stored):
    """spoke-broker with a store, which tells the bridge what becomes of its orders."""

    def command(self, folder, port):
        command = super().command(folder, port)
        with open(os.path.join(folder, "spoke-broker.toml"), "a", encoding="utf-8") as file:
            file.write(RECEIPTS)
        return command


class City:
    """A broker, a bridge and devices, each in a fresh process with fresh data."""

    def __init__(self, bench, devices, known=0):
        self.bench = bench
        self.stack = contextlib.ExitStack()
        self.devices_wanted = devices
        self.known = known

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            folder = tempfile.mkdtemp(dir=self.bench.directory)
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            os.mkdir(os.path.join(folder, "broker"))
            broker = Receipts(self.bench.broker, os.path.join(folder, "broker"))
            self.broker, self.mqtt = brokers.start(broker, None, folder)
            stack.callback(brokers.stop, self.broker)
            self.start_bridge(stack, folder)
            self.rss_before_devices = store.status_bytes(self.bridge.pid, "VmRSS")
            self.start_devices(stack)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        return self.stack.__exit__(*exception)

    def start_bridge(self, stack, folder):
        self.http = brokers.free_port()
        config = os.path.join(folder, "bridge.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(BRIDGE_CONFIG.format(http=self.http, mqtt=self.mqtt, data=folder))
        log = os.path.join(folder, "bridge.log")
        with open(log, "w", encoding="utf-8") as out:
            self.bridge = subprocess.Popen([self.bench.bridge, "-c", config], stdout=out,
                                           stderr=subprocess.STDOUT, start_new_session=True)
        stack.callback(brokers.stop, self.bridge)
        brokers.await_port(self.bridge, self.http, log, brokers.START_SECONDS_MAX)
        self.await_status("/readyz", brokers.START_SECONDS_MAX)

    def await_status(self, path, seconds_max):
        """Asks until the bridge says 200."""
        deadline = time.monotonic() + seconds_max
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), \
                    urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=5):
                return
            time.sleep(0.05)
        raise brokers.BenchError(f"the bridge does not say 200 to {path}")

    def start_devices(self, stack):
        command = [self.bench.generator, "load", "devices", "--run-id", RUN_ID, "--devices",
                   str(self.devices_wanted), "--known", str(self.known), "--port", str(self.mqtt),
                   "--mqtt", "5", "--seconds", "3600"]
        self.devices = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                        start_new_session=True)
        stack.callback(self.devices.stdout.close)
        stack.callback(brokers.stop, self.devices)
        if '"ready"' not in self.devices.stdout.readline():
            raise brokers.BenchError("the devices did not come up")
        last = self.devices_wanted + self.known - 1
        self.await_status(f"/v1/devices/{PREFIX}{last}", READY_SECONDS_MAX)

    def ride(self, *arguments):
        """Riders until their measurement is over: their report."""
        command = [self.bench.generator, "load", "commands", "--port", str(self.http), "--prefix",
                   PREFIX, "--seed", str(self.bench.next_seed()), "--pid", str(self.broker.pid),
                   "--pid", str(self.bridge.pid), *map(str, arguments)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise brokers.BenchError(f"not every order came to its end: {done.stdout.strip()}")
        return json.loads(done.stdout)

    def round_trips(self, seconds):
        report, code = brokers.load(self.bench.generator,
                                    ["rtt", "--pairs", "1", "--qos", "1", "--mqtt", "5", "--warmup",
                                     "0.5", "--seconds", str(seconds)],
                                    (self.broker.pid, self.mqtt), None)
        if code != 0:
            raise brokers.BenchError("round trips were lost")
        self.bench.contended = self.bench.contended or bool(report.get("contended"))
        return report


class Bench:
    """What the rows have in common."""

    def __init__(self, options):
        self.options = options
        self.broker = options.spoke_broker or brokers.program("spoke-broker", options.build)
        self.bridge = options.spoke_bridge or brokers.program("spoke-bridge", options.build)
        self.generator = brokers.program("spoke-sim", options.build)
        os.makedirs(options.directory, exist_ok=True)
        self.directory = tempfile.mkdtemp(prefix="command-", dir=os.path.abspath(options.directory))
        os.chmod(self.directory, 0o755)
        self.seed = 0
        self.contended = False

    def next_seed(self):
        self.seed += 1
        return self.seed

    def say(self, text):
        print(f"   {text} (load {os.getloadavg()[0]:.2f})", file=sys.stderr, flush=True)


# --- Rows: each gives lines of the table -------------------------------------------------------------

def one(bench):
    """One command at a time."""
    runs = []
    for _ in range(bench.options.runs):
        with City(bench, 100, known=1000) as city:
            syncs = store.measure_syncs(bench.directory)
            rtt = city.round_trips(bench.options.seconds)
            ride = city.ride("--devices", 100, "--riders", 1, "--seconds", bench.options.seconds)
            record = city.ride("--first", 100, "--devices", 1000, "--riders", 1, "--do", "locate",
                               "--ttl-ms", 600_000, "--if-offline-wait", "--wait", 0, "--warmup",
                               "0.5", "--seconds", 1)
        runs.append({"sync_ms": syncs.milliseconds, "rtt": rtt, "ride": ride, "record": record})
        bench.say(f"one at a time: p50 {ride['latency_us']['p50']:.0f} us, rtt p50 "
                  f"{rtt['latency_us']['p50']:.0f} us, sync {syncs.milliseconds:.3f} ms")
    sync = statistics.median(run["sync_ms"] for run in runs)
    lines = []
    for point, factor in (("p50", 2.0), ("p99", 3.0)):
        ours = statistics.median(run["ride"]["latency_us"][point] for run in runs) / 1e3
        rtt = statistics.median(run["rtt"]["latency_us"][point] for run in runs) / 1e3
        limit = factor * rtt + 2 * sync
        lines.append(marks.Line(
            f"one command at a time, POST with wait to the device and back, {point}",
            f"{ours:.2f} ms", f"rtt {rtt:.3f} ms, sync {sync:.3f} ms", ours / limit,
            f"<= {factor:g} rtt + 2 syncs = {limit:.2f} ms", ours <= limit, runs))
    whole, recorded, rtt = (statistics.median(run[name]["latency_us"]["p50"] for run in runs) / 1e3
                            for name in ("ride", "record", "rtt"))
    lines[0].note = (f"until the order is on disk and the device is away (202): {recorded:.2f} ms; two "
                     f"messages through the broker and back: {rtt:.2f} ms; the rest, in which the end "
                     f"is written: {whole - recorded - rtt:.2f} ms. In whole milliseconds the commands "
                     f"themselves tell, on average: {stages_of(runs)}")
    return lines


def stages_of(runs):
    shares = []
    for stage in STAGES:
        values = [run["ride"]["spent_ms_mean"][stage] for run in runs
                  if stage in run["ride"]["spent_ms_mean"]]
        if values:
            shares.append(f"{stage} {statistics.median(values):.2f} ms")
    return ", ".join(shares)


def many(bench):
    """Riders in closed loop."""
    riders, devices = bench.options.riders, bench.options.devices
    runs = []
    for _ in range(bench.options.runs):
        with City(bench, devices) as city:
            runs.append(city.ride("--devices", devices, "--riders", riders, "--warmup", 2,
                                  "--seconds", bench.options.seconds * 2))
        bench.say(f"{riders} riders: {runs[-1]['per_second']:.0f} commands/s, p99 "
                  f"{runs[-1]['latency_us']['p99'] / 1e3:.0f} ms")
    rate = statistics.median(run["per_second"] for run in runs)
    p99 = statistics.median(run["latency_us"]["p99"] for run in runs) / 1e3
    cpu = [statistics.median(run[f"process_{at}"]["cpu_us_per_command"] for run in runs)
           for at in (0, 1)]
    title = f"{riders} riders in closed loop over {devices} devices"
    return [
        marks.Line(f"{title}: commands per second", f"{rate:,.0f} /s",
                   f"CPU per command: bridge {cpu[1]:.0f} us, broker {cpu[0]:.0f} us", rate,
                   ">= 3,000", rate >= 3000, runs),
        marks.Line(f"{title}: p99", f"{p99:.0f} ms", "", p99, "< 500 ms", p99 < 500, {}),
    ]


def memory(bench):
    """What a known device and an open command take, and requests that are held."""
    known, opened, held = bench.options.known, bench.options.open, bench.options.held
    runs = []
    for _ in range(bench.options.runs):
        with City(bench, 1, FIRST_KNOWN) as city:
            after_few = store.status_bytes(city.bridge.pid, "VmRSS")
            full = after_few - city.rss_before_devices
        with City(bench, 1, FIRST_KNOWN + known) as city:
            after_devices = store.status_bytes(city.bridge.pid, "VmRSS")
            arguments = ("--first", 1, "--devices", known, "--do", "locate", "--ttl-ms", 3_600_000,
                         "--if-offline-wait")
            recording = (*arguments, "--riders", 50, "--wait", 0, "-n")
            city.ride(*recording, FIRST_OPEN)  # the database's caches are full from here on
            after_first = store.status_bytes(city.bridge.pid, "VmRSS")
            city.ride(*recording, opened)
            after_open = store.status_bytes(city.bridge.pid, "VmRSS")
            city.ride(*arguments, "--riders", held, "--wait", 5, "-n", held)
            highest = store.status_bytes(city.bridge.pid, "VmHWM")
        runs.append({"device": (after_devices - after_few) / known, "full": full,
                     "open": (after_open - after_first) / opened,
                     "held": (highest - after_open) / held})
        bench.say(f"RSS: {runs[-1]['device']:.0f} bytes per device, {runs[-1]['open']:.0f} per "
                  f"open command, {runs[-1]['held']:.0f} per held request")
    device = statistics.median(run["device"] for run in runs)
    command = statistics.median(run["open"] for run in runs)
    request = statistics.median(run["held"] for run in runs)
    lines = [
        marks.Line(f"RSS of the bridge per open command, {opened} more of them", f"{command:.0f} bytes",
                   "", command, "<= 2048 bytes", command <= 2048, runs),
        marks.Line(f"RSS of the bridge per known device, {known} more of them", f"{device:.0f} bytes",
                   "", device, "<= 1024 bytes", device <= 1024, {}),
    ]
    full = statistics.median(run["full"] for run in runs) / 2**20
    lines[1].note = (f"the first {FIRST_KNOWN} and what the log keeps of their messages in memory, "
                     f"which does not grow with the devices: {full:.0f} MiB")
    lines[0].note = (f"{held} requests held at a time, each with an open command of its own: "
                     f"{request:.0f} bytes of RSS each, connection included")
    return lines


ROWS = {"one": one, "many": many, "memory": memory}


def conditions(bench):
    options = bench.options
    return "\n".join((
        f"{compare.processor()}, Linux {platform.release()}; build type "
        f"{compare.build_type(options.build)}; {brokers.Ours(bench.broker).version()}",
        f"all programs on {len(os.sched_getaffinity(0))} cores; median of {options.runs}; load "
        f"average before: {os.getloadavg()[0]:.2f}; data on {store.file_system_of(bench.directory)}",
    ))


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    marks.add_options(parser, ROWS)
    parser.add_argument("--build", default=os.path.join(brokers.ROOT, "build", "release"),
                        help="build directory with our programs")
    parser.add_argument("--spoke-broker", metavar="PATH", help="another build of our broker")
    parser.add_argument("--spoke-bridge", metavar="PATH", help="another build of our bridge")
    parser.add_argument("--directory", metavar="DIR",
                        default=os.path.join(brokers.ROOT, "build", "bench"),
                        help="where data directories are made, on the disk to be measured")
    parser.add_argument("--quick", action="store_true", help="one short run of each: a rough idea")
    parser.add_argument("--runs", type=int, help="runs to take the median of (3)")
    parser.add_argument("--seconds", type=float, default=5, help="length of each measurement (5)")
    parser.add_argument("--riders", type=int, default=500)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--known", type=int, default=100_000, help="devices of the row `memory`")
    parser.add_argument("--open", type=int, default=20_000, help="open commands of the row `memory`")
    parser.add_argument("--held", type=int, default=2_000, help="held requests of the row `memory`")
    options = parser.parse_args(arguments)
    marks.check_rows(parser, options, ROWS)
    options.rows = options.rows or list(ROWS)
    options.runs = options.runs or (1 if options.quick else 3)
    if options.quick:
        options.seconds = min(options.seconds, 2)
    return options


if __name__ == "__main__":
    sys.exit(marks.main(parse(sys.argv[1:]), Bench, ROWS, conditions))
