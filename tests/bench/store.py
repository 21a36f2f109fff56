#!/usr/bin/env python3
"""Measures the durable store of our broker, beside mosquitto with its persistence on, and prints a
Markdown table of marks.

Each broker runs alone on one core (all of its threads), the load generator on another. The data lie
on the file system of --directory, whose sync rate is measured in the same run. Brokers take turns,
each time in a fresh process with a fresh directory; medians count. The exit code is 0 if everything
could be measured (with --strict: and every mark is met).
"""
import argparse
import contextlib
import dataclasses
import getpass
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import sys
import tempfile
import time

import brokers
import compare
import marks

SYNC_BYTES = 512
SYNC_SECONDS = 1.0
LARGE = 1_000_000
START_SECONDS_MAX = 120

PERSISTENCE = """\
[persistence]
directory = "{data}"
sync = "{sync}"
"""
MOSQUITTO_PERSISTENCE = """\
user {user}
persistence true
persistence_location {data}/
"""


class Stored(brokers.Ours):
    """spoke-broker with a store in `data`."""

    def __init__(self, path, data, sync="always"):
        super().__init__(path)
        self.data = data
        self.sync = sync

    def command(self, folder, port):
        command = super().command(folder, port)
        with open(os.path.join(folder, "spoke-broker.toml"), "a", encoding="utf-8") as file:
            file.write(PERSISTENCE.format(data=self.data, sync=self.sync))
        return command


class StoredMosquitto(brokers.Mosquitto):
    """mosquitto which keeps its state in `data`: it writes it every half an hour and at its end."""

    def __init__(self, data):
        super().__init__()
        self.data = data

    def command(self, folder, port):
        command = super().command(folder, port)
        config = os.path.join(folder, "mosquitto.conf")
        with open(config, encoding="utf-8") as file:
            text = file.read().replace("persistence false\n", MOSQUITTO_PERSISTENCE.format(
                user=getpass.getuser(), data=self.data))
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
        return command


@dataclasses.dataclass(frozen=True)
class Syncs:
    """How fast the device takes appended blocks, each followed by fdatasync."""
    per_second: float
    milliseconds: float  # the middle one


def measure_syncs(directory, rate=0):
    """One after another, or `rate` each second."""
    path = os.path.join(directory, "syncs")
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    took = []
    try:
        until = time.monotonic() + SYNC_SECONDS
        while time.monotonic() < until:
            if rate:
                time.sleep(1 / rate)
            begun = time.perf_counter()
            os.write(descriptor, b"x" * SYNC_BYTES)
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - begun)
    finally:
        os.close(descriptor)
        os.unlink(path)
    return Syncs(len(took) / sum(took), statistics.median(took) * 1e3)


class Bench:
    """What the rows have in common: programs, cores, directories, and how to run one load."""

    def __init__(self, options):
        self.options = options
        self.ours = options.spoke_broker or brokers.program("spoke-broker", options.build)
        self.generator = brokers.program("spoke-sim", options.build)
        self.cores = brokers.cores()
        os.makedirs(options.directory, exist_ok=True)
        self.directory = tempfile.mkdtemp(prefix="store-", dir=os.path.abspath(options.directory))
        self.syncs = []
        self.contended = False

    @contextlib.contextmanager
    def data(self):
        """A directory for one run of a broker."""
        path = tempfile.mkdtemp(dir=self.directory)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def sync(self):
        self.syncs.append(measure_syncs(self.directory))
        print(f"   {'syncs':16} {self.syncs[-1].per_second:10.0f} /s, "
              f"{self.syncs[-1].milliseconds:.3f} ms", file=sys.stderr, flush=True)
        return self.syncs[-1]

    def load(self, name, endpoint, arguments, figure):
        """One load on a broker that runs; says its figure."""
        report, code = brokers.load(self.generator, list(arguments), endpoint, self.cores[1])
        if code != 0:
            raise brokers.BenchError(f"{name}: not every message arrived as it should: "
                                     f"{json.dumps(report)}")
        notes = [word for word in ("generator_bound", "contended") if report.get(word)]
        self.contended = self.contended or bool(report.get("contended"))
        report["load_average"] = os.getloadavg()[0]
        value = report
        for key in figure.split("."):
            value = value[key]
        print(f"   {name:16} {value:14.3f} {figure} (load {report['load_average']:.2f}"
              f"{''.join(', ' + note for note in notes)})", file=sys.stderr, flush=True)
        return report

    def with_store(self, name, arguments, figure):
        with self.data() as data, \
                brokers.running(Stored(self.ours, data), self.cores[0]) as endpoint:
            return self.load(f"{name} store", endpoint, arguments, figure)

    def without_store(self, name, arguments, figure):
        with brokers.running(brokers.Ours(self.ours), self.cores[0]) as endpoint:
            return self.load(f"{name} memory", endpoint, arguments, figure)

    def with_mosquitto(self, name, arguments, figure):
        with self.data() as data, \
                brokers.running(StoredMosquitto(data), self.cores[0]) as endpoint:
            return self.load(f"{name} mosquitto", endpoint, arguments, figure)

    def timed(self):
        return ("--warmup", str(self.options.warmup), "--seconds", str(self.options.seconds))


def middle(reports, *keys):
    """Median of a figure of the reports."""
    values = []
    for report in reports:
        for key in keys:
            report = report[key]
        values.append(report)
    return statistics.median(values)


# --- Rows: each gives lines of the table ------------------------------------------------------------

def online(bench):
    """QoS 1 to durable sessions that are online."""
    arguments = ("p2p", "--pairs", "50", "--qos", "1", "--window", "100", "--durable",
                 *bench.timed())
    figure = "delivered_per_second"
    runs = {"store": [], "memory": [], "syncs": []}
    for _ in range(bench.options.runs):
        runs["syncs"].append(dataclasses.asdict(bench.sync()))
        runs["memory"].append(bench.without_store("online", arguments, figure))
        runs["store"].append(bench.with_store("online", arguments, figure))
    rate, memory = middle(runs["store"], figure), middle(runs["memory"], figure)
    syncs = middle(runs["syncs"], "per_second")
    cpu = middle(runs["store"], "broker_cpu_us_per_message")
    title = "QoS 1, 50 publishers to 50 durable sessions online, window 100"
    return [
        marks.Line(f"{title}: rate against no store", f"{rate:,.0f} /s ({cpu:.2f} us CPU)",
             f"{memory:,.0f} /s", rate / memory, ">= 0.50", rate >= 0.5 * memory, runs),
        marks.Line("the same against one sync per message", f"{rate:,.0f} /s", f"{syncs:,.0f} syncs/s",
             rate / syncs, ">= 10", rate >= 10 * syncs, {}),
    ]


def latency(bench):
    """PUBACK at a low rate, to a session that is online and to one that is not."""
    seconds = bench.options.seconds
    loads = {
        "online": (("p2p", "--pairs", "1", "--qos", "1", "--rate", "100", "--durable",
                    *bench.timed()), "a durable session online"),
        "offline": (("store", "--sessions", "1", "--rate", "100", "--messages",
                     str(int(100 * seconds))), "a durable session offline"),
    }
    lines = []
    for name, (arguments, receiver) in loads.items():
        runs = {"store": [], "syncs": []}
        for _ in range(bench.options.runs):
            runs["syncs"].append(dataclasses.asdict(bench.sync()))
            runs["store"].append(bench.with_store(f"latency {name}", arguments,
                                                  "acknowledge_latency_us.p50"))
        p50 = middle(runs["store"], "acknowledge_latency_us", "p50") / 1e3
        p99 = middle(runs["store"], "acknowledge_latency_us", "p99") / 1e3
        sync = middle(runs["syncs"], "milliseconds")
        limit = 1.5 * sync + 1
        lines.append(marks.Line(f"PUBACK p50 at 100/s to {receiver}", f"{p50:.2f} ms (p99 {p99:.2f} ms)",
                          f"sync {sync:.2f} ms", p50, f"<= {limit:.2f} ms", p50 <= limit, runs))
    return lines


def beside_mosquitto(bench, name, arguments, figure):
    runs = {"store": [], "mosquitto": []}
    for _ in range(bench.options.runs):
        runs["store"].append(bench.with_store(name, arguments, figure))
        runs["mosquitto"].append(bench.with_mosquitto(name, arguments, figure))
    return runs


def ratio_line(title, runs, figure, unit, mark):
    ours, peer = middle(runs["store"], figure), middle(runs["mosquitto"], figure)
    return marks.Line(title, compare.shown(ours, unit), f"mosquitto {compare.shown(peer, unit)}",
                ours / peer, f"<= {mark:.2f}", ours <= mark * peer, runs)


def offline(bench):
    """Queueing for a session that is away."""
    figure = "broker_cpu_us_per_stored"
    runs = beside_mosquitto(bench, "offline", ("store", "--sessions", "1", "--window", "100",
                                               "--messages", "60000"), figure)
    return [ratio_line("offline queueing, 60 000 messages to one durable session: CPU per message",
                       runs, figure, "us", 1.5)]


def drain(bench):
    """What was queued is fetched; and what it took while it lay there."""
    figure = "broker_cpu_us_per_drained"
    runs = beside_mosquitto(bench, "drain", ("store", "--sessions", "1", "--window", "100",
                                             "--messages", "100000"), figure)
    return [
        ratio_line("drain of 100 000 queued messages: CPU per message", runs, figure, "us", 1.0),
        ratio_line("RSS per queued message of 64 bytes, 100 000 of them", runs, "rss_per_message",
                   "bytes", 0.5),
    ]


def clean(bench):
    """Traffic that has nothing to do with the store, with and without one."""
    loads = {"50": "window 50", "1": "window 1"}
    lines = []
    for window, shown in loads.items():
        arguments = ("p2p", "--pairs", "50", "--qos", "1", "--window", window, "--warmup", "0.5",
                     "--seconds", "1")
        figure = "broker_cpu_us_per_message"
        runs = {"store": [], "memory": []}
        for turn in range(bench.options.clean_pairs):
            pair = [(runs["store"], bench.with_store), (runs["memory"], bench.without_store)]
            for reports, run in pair if turn % 2 == 0 else reversed(pair):
                reports.append(run(f"clean {window}", arguments, figure))
        ratios = sorted(a[figure] / b[figure] for a, b in zip(runs["store"], runs["memory"]))
        ratio = statistics.median(ratios)
        quarter = len(ratios) // 4
        lines.append(marks.Line(
            f"clean sessions, p2p 50 pairs QoS 1, {shown}: CPU per message, store on against off",
            compare.shown(middle(runs["store"], figure), "us"),
            f"off {compare.shown(middle(runs['memory'], figure), 'us')}", ratio, "<= 1.03",
            ratio <= 1.03, runs,
            f"{len(ratios)} pairs, middle half {ratios[quarter]:.3f} to {ratios[-1 - quarter]:.3f}"))
    return lines


# --- A million of everything ------------------------------------------------------------------------

def status_bytes(pid, name):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        line = next(line for line in file if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024


def size_of(directory):
    return sum(os.stat(os.path.join(folder, name)).st_size
               for folder, _, names in os.walk(directory) for name in names)


def greet(port):
    """Waits until the broker answers a CONNECT: it may listen before it has read its store."""
    with socket.create_connection(("127.0.0.1", port), START_SECONDS_MAX) as link:
        link.sendall(bytes.fromhex("100c 0004 4d515454 0402 0000 0000"))
        if link.recv(4)[:1] != b"\x20":
            raise brokers.BenchError("the broker did not answer a CONNECT")


class Life:
    """One process of a broker with a store, ended by SIGKILL."""

    def __init__(self, bench, data):
        self.bench = bench
        self.folder = tempfile.mkdtemp(prefix="spoke-bench-")
        self.process = None
        begun = time.monotonic()
        try:
            self.process, self.port = brokers.start(Stored(bench.ours, data), bench.cores[0],
                                                    self.folder, START_SECONDS_MAX)
            greet(self.port)
        except BaseException:
            self.end()
            raise
        self.start_seconds = time.monotonic() - begun
        self.start_bytes = status_bytes(self.process.pid, "VmRSS")

    def load(self, name, arguments, figure):
        return self.bench.load(name, (self.process.pid, self.port), arguments, figure)

    def peak_bytes(self):
        return status_bytes(self.process.pid, "VmHWM")

    def end(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def mega(value):
    return f"{value / 1e6:.0f} MB"


def large_queue(bench):
    """1 000 000 messages of 256 bytes over 1 000 sessions, killed, started and drained."""
    common = ("store", "--sessions", "1000", "--messages", str(LARGE), "--size", "256", "--run-id",
              "large", "--window", "1000")
    with bench.data() as data:
        with Life(bench, data) as life:
            filled = life.load("queue fill", (*common, "--part", "fill"), "stored_per_second")
            fill_peak = life.peak_bytes()
        size = size_of(data)
        with Life(bench, data) as life:
            drained = life.load("queue drain", (*common, "--part", "read", "--probe", "100"),
                                "drained_per_second")
            drain_peak = life.peak_bytes()
    peak = max(fill_peak, drain_peak)
    runs = {"fill": [filled], "drain": [drained]}
    away = drained["bystander_latency_us"]
    title = "1 000 000 queued messages of 256 bytes, 1000 sessions"
    return [
        marks.Line(f"{title}: highest RSS", f"{mega(fill_peak)} filling, {mega(life.start_bytes)} after "
             f"start, {mega(drain_peak)} draining", f"{mega(size)} on disk", peak / 1e6, "< 300 MB",
             peak < 300e6, runs),
        marks.Line("the same: start after SIGKILL", f"{life.start_seconds:.1f} s", "-",
             life.start_seconds, "< 10 s", life.start_seconds < 10, {}),
        marks.Line("the same: drained, complete and in order", f"{drained['drained_per_second']:,.0f} /s",
             f"filled {filled['stored_per_second']:,.0f} /s", drained["drained"] / LARGE,
             "all", drained["drained"] == LARGE, {},
             f"another client's QoS 0 round trip meanwhile: p99 {away['p99'] / 1e3:.1f} ms, "
             f"longest {away['max'] / 1e3:.1f} ms"),
    ]


def large_topics(bench):
    """1 000 000 retained messages and as many durable subscriptions, killed, started and read."""
    retain = ("retain", "--messages", str(LARGE), "--run-id", "large", "--window", "1000")
    subs = ("subs", "--durable", "--connections", "1000", "--subscriptions", str(LARGE), "--run-id",
            "large")
    with bench.data() as data:
        with Life(bench, data) as life:
            stored = life.load("retained fill", (*retain, "--part", "fill"), "stored_per_second")
            subscribed = life.load("subs fill", (*subs, "--part", "fill"), "subscribes_per_second")
            fill_peak = life.peak_bytes()
        size = size_of(data)
        with Life(bench, data) as life:
            read = life.load("retained read", (*retain, "--part", "read", "--probe", "200"),
                             "bystander_latency_us.max")
            checked = life.load("subs read", (*subs, "--part", "read"), "read")
            read_peak = life.peak_bytes()
    runs = {"retained": [stored, read], "subscriptions": [subscribed, checked]}
    away = read["bystander_latency_us"]
    turn = read["generator_turn_max_us"] / 1e3
    title = "1 000 000 retained messages and 1 000 000 durable subscriptions"
    is_all_there = read["read"] == LARGE and checked["read"] == LARGE
    return [
        marks.Line(f"{title}: all there after SIGKILL", f"start {life.start_seconds:.1f} s",
             f"{mega(size)} on disk", (read["read"] + checked["read"]) / (2 * LARGE), "all",
             is_all_there, runs,
             f"RSS {mega(fill_peak)} when stored (highest), {mega(life.start_bytes)} after start, "
             f"{mega(read_peak)} when read (highest)"),
        marks.Line("the same: another client's QoS 0 round trip while a wildcard reads all",
             f"p99 {away['p99'] / 1e3:.1f} ms, longest {away['max'] / 1e3:.1f} ms",
             f"{read['read_per_second']:,.0f} read/s", away["max"] / 1e3, "< 100 ms",
             away["max"] < 100e3, {}, f"longest turn of the generator {turn:.1f} ms"),
    ]


ROWS = {
    "online": online,
    "latency": latency,
    "offline": offline,
    "drain": drain,
    "clean": clean,
    "large-queue": large_queue,
    "large-topics": large_topics,
}


def file_system_of(directory):
    mounts = []
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            device, point, kind = line.split()[:3]
            if os.path.commonpath([point, directory]) == point:
                mounts.append((len(point), f"{kind} on {device}"))
    return max(mounts)[1]


def conditions(bench):
    options = bench.options
    pinned = (f"broker (all threads) on core {bench.cores[0]}, generator on core {bench.cores[1]}"
              if bench.cores[0] is not None else "one core for all: figures are not comparable")
    sides = " against ".join((brokers.Ours(bench.ours).version(), brokers.Mosquitto().version()))
    syncs = bench.sync()
    return "\n".join((
        f"{compare.processor()}, Linux {platform.release()}; "
        f"build type {compare.build_type(options.build)}; {sides}",
        f"{pinned}; MQTT 3.1.1, 64-byte payloads, sync = \"always\"; median of {options.runs}; "
        f"rates over {options.seconds:g} s after {options.warmup:g} s of warm-up; load average "
        f"before: {os.getloadavg()[0]:.2f}",
        f"data on {file_system_of(bench.directory)}: {syncs.per_second:.0f} syncs/s of appended "
        f"{SYNC_BYTES} bytes, {syncs.milliseconds:.2f} ms each",
    ))


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    marks.add_options(parser, ROWS)
    parser.add_argument("--build", default=os.path.join(brokers.ROOT, "build", "release"),
                        help="build directory with our programs")
    parser.add_argument("--spoke-broker", metavar="PATH", help="another build of our broker")
    parser.add_argument("--directory", metavar="DIR",
                        default=os.path.join(brokers.ROOT, "build", "bench"),
                        help="where data directories are made, on the disk to be measured")
    parser.add_argument("--quick", action="store_true", help="one short run of each, without the large rows: a rough idea")
    parser.add_argument("--runs", type=int, help="runs to take the median of (3)")
    parser.add_argument("--seconds", type=float, help="length of each measurement of a rate (3)")
    parser.add_argument("--clean-pairs", type=int, metavar="N",
                        help="runs with and without the store in the row `clean` (12)")
    options = parser.parse_args(arguments)
    marks.check_rows(parser, options, ROWS)
    options.rows = options.rows or [row for row in ROWS
                                    if not (options.quick and row.startswith("large"))]
    options.runs = options.runs or (1 if options.quick else 3)
    options.seconds = options.seconds or (1 if options.quick else 3)
    options.clean_pairs = options.clean_pairs or (4 if options.quick else 12)
    options.warmup = 0.5 if options.quick else 1
    return options


if __name__ == "__main__":
    sys.exit(marks.main(parse(sys.argv[1:]), Bench, ROWS, conditions))
