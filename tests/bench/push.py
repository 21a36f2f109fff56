#!/usr/bin/env python3
"""Measures how events are pushed to many: memory for each idle stream, one event to all streams, polls
that find nothing new, events recorded per second, and the way from a publish to a stream. Prints a
Markdown table of marks.

Streams and polls are measured at our bridge and at Debian's nginx with its module nchan, in turns, by
the same generator; the server alone on one core (our broker beside it), the generator on the other. For
what is recorded, all programs share the cores. The data lie on the file system of --directory, whose sync
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
import nginx
import store

TOPIC = "t/bench/0"
STREAM = ("-H", "Accept: text/event-stream")
READY_SECONDS_MAX = 60
LOW_RATE = 100

BRIDGE_CONFIG = """\
[http]
port = {http}
connections_max = {connections}
connections_per_address_max = {connections}
[broker]
port = {mqtt}
[store]
path = "{data}/bridge.db"
[log]
level = "warning"
[events]
streams_max = {streams}
"""


class Ours:
    """A broker and a bridge with stores of their own, fresh; both on `core`, or on all if it is None."""

    def __init__(self, bench, core):
        self.bench = bench
        self.core = core
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            folder = tempfile.mkdtemp(dir=self.bench.directory)
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            os.mkdir(os.path.join(folder, "broker"))
            broker = store.Stored(self.bench.broker, os.path.join(folder, "broker"))
            self.broker, self.mqtt = brokers.start(broker, self.core, folder)
            stack.callback(brokers.stop, self.broker)
            self.start_bridge(stack, folder)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        return self.stack.__exit__(*exception)

    def start_bridge(self, stack, folder):
        self.port = brokers.free_port()
        config = os.path.join(folder, "bridge.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(BRIDGE_CONFIG.format(http=self.port, mqtt=self.mqtt, data=folder,
                                            streams=self.bench.options.streams + 100,
                                            connections=self.bench.options.streams + 200))
        log = os.path.join(folder, "bridge.log")
        with open(log, "w", encoding="utf-8") as out:
            self.bridge = subprocess.Popen(
                brokers.pinned([self.bench.bridge, "-c", config], self.core), stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True)
        stack.callback(brokers.stop, self.bridge)
        brokers.await_port(self.bridge, self.port, log, brokers.START_SECONDS_MAX)
        self.await_ready()

    def await_ready(self):
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.get("/readyz")
                return
            time.sleep(0.05)
        raise brokers.BenchError("the bridge is not ready")

    def get(self, path):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10)

    def pids(self):
        return ("--pid", str(self.bridge.pid), "--pid", str(self.broker.pid))

    def stream_arguments(self):
        return ("--target", f"/v1/events?topic={TOPIC}", *STREAM, "--post",
                f"/v1/publish/{TOPIC}?qos=1")

    def poll_arguments(self):
        """A poll that finds nothing new: one event is there, and it is known."""
        body = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/publish/{TOPIC}?qos=1",
                                      data=b'"one"', method="POST")
        urllib.request.urlopen(body, timeout=10).close()
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            with self.get(f"/v1/events?topic={TOPIC}&since=oldest") as answer:
                page = json.load(answer)
                if page["events"]:
                    break
        else:
            raise brokers.BenchError("what was published is not in the log")
        with self.get(f"/v1/events?topic={TOPIC}&since={page['next']}") as answer:
            etag = answer.headers["ETag"]
        return ("--target", f"/v1/events?topic={TOPIC}&since={page['next']}",
                "-H", f"If-None-Match: {etag}")


class Peer:
    """nginx, fresh, on `core`."""

    def __init__(self, _, core):
        self.core = core
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        self.pid, self.port = self.stack.enter_context(brokers.running(nginx.Nginx(), self.core))
        self.worker = nginx.worker_of(self.pid)
        return self

    def __exit__(self, *exception):
        return self.stack.__exit__(*exception)

    def pids(self):
        return ("--pid", str(self.worker))

    @staticmethod
    def stream_arguments():
        return ("--target", "/events", *STREAM, "--post", "/publish")

    @staticmethod
    def poll_arguments():
        return ("--target", "/empty")


SIDES = {"ours": Ours, "nchan": Peer}


class Bench:
    """What the rows have in common."""

    def __init__(self, options):
        self.options = options
        self.broker = options.spoke_broker or brokers.program("spoke-broker", options.build)
        self.bridge = options.spoke_bridge or brokers.program("spoke-bridge", options.build)
        self.generator = brokers.program("spoke-sim", options.build)
        nginx.fetch()
        os.makedirs(options.directory, exist_ok=True)
        self.directory = tempfile.mkdtemp(prefix="push-", dir=os.path.abspath(options.directory))
        os.chmod(self.directory, 0o755)
        self.cores = brokers.cores()
        self.contended = False

    def say(self, text):
        print(f"   {text} (load {os.getloadavg()[0]:.2f})", file=sys.stderr, flush=True)

    def load(self, mode, *arguments, core=None):
        """Runs `spoke-sim load MODE`: its report."""
        command = [self.generator, "load", mode, *map(str, arguments)]
        if core is not None:
            command += ["--cpu", str(core)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise brokers.BenchError(f"{mode}: {done.stderr.strip()} {done.stdout.strip()}")
        return json.loads(done.stdout)

    def in_turns(self, measure):
        """Reports of `measure(side)` by the side's name; the sides take turns."""
        reports = {name: [] for name in SIDES}
        for _ in range(self.options.runs):
            for name, side in SIDES.items():
                with side(self, self.cores[0]) as running:
                    reports[name].append(measure(running))
                    self.tell(name, reports[name][-1])
        return reports

    def tell(self, name, report):
        figures = ("rss_per_stream", "last_ms_p50", "cpu_us_per_delivery", "per_second",
                   "per_core_second")
        shown = ", ".join(f"{figure} {report[figure]:,.2f}" for figure in figures
                          if figure in report)
        self.say(f"{report['mode']:8} {name:6} {shown}")


def median(reports, figure):
    return statistics.median(report[figure] for report in reports)


# --- Rows: each gives lines of the table -------------------------------------------------------------

def streams(bench):
    """Streams that are held, and events to all of them."""
    count = bench.options.streams

    def measure(side):
        return bench.load("streams", "--port", side.port, *side.stream_arguments(), "--connections",
                          count, "--events", bench.options.events, *side.pids(),
                          core=bench.cores[1])
    runs = bench.in_turns(measure)
    ours, peer = (median(runs[name], "rss_per_stream") for name in SIDES)
    limit = min(6 * 1024, peer)
    cpu, peer_cpu = (median(runs[name], "cpu_us_per_delivery") for name in SIDES)
    last, peer_last = (median(runs[name], "last_ms_p50") for name in SIDES)
    bridge, broker = (median(runs["ours"], f"cpu_us_per_delivery_{i}") for i in (0, 1))
    return [
        marks.Line(f"{count} idle SSE streams: RSS per stream", f"{ours:,.0f} bytes",
                   f"nchan {peer:,.0f} bytes", ours, "<= 6 KB, <= nchan", ours <= limit, runs),
        marks.Line(f"one event to {count} SSE streams: CPU per delivery", f"{cpu:.2f} us",
                   f"nchan {peer_cpu:.2f} us", cpu / peer_cpu, "<= 1.0 x nchan", cpu <= peer_cpu, {},
                   note=f"bridge {bridge:.2f} us, broker {broker:.2f} us; until the last stream has "
                        f"it, from the POST on: {last:.0f} ms, with nchan, which writes nothing to "
                        f"disk, {peer_last:.0f} ms"),
    ]


def polls(bench):
    """Short polls that find nothing new."""
    def measure(side):
        return bench.load("polls", "--port", side.port, *side.poll_arguments(), "--connections",
                          bench.options.pollers, "--seconds", bench.options.seconds, *side.pids(),
                          core=bench.cores[1])
    runs = bench.in_turns(measure)
    ours, peer = (median(runs[name], "per_core_second") for name in SIDES)
    wall, peer_wall = (median(runs[name], "per_second") for name in SIDES)
    return [marks.Line(
        f"short polls answered 304, {bench.options.pollers} connections: per second of a core",
        f"{ours:,.0f} /s", f"nginx, an empty 304: {peer:,.0f} /s", ours / peer,
        ">= 40,000, >= 0.5 x nginx", ours >= 40_000 and ours >= 0.5 * peer, runs,
        note=f"by the processor time of the server; by the clock {wall:,.0f} /s and {peer_wall:,.0f} /s")]


def record(bench):
    """Messages over MQTT into the log, read from a stream once they are there."""
    runs = []
    for _ in range(bench.options.runs):
        with Ours(bench, None) as ours:
            runs.append(bench.load("record", "--port", ours.mqtt, "--http-port", ours.port, "--topic",
                                   TOPIC, "--window", bench.options.window, "--seconds",
                                   bench.options.seconds, *ours.pids()))
        bench.say(f"record   {runs[-1]['per_second']:,.0f} events/s, bridge "
                  f"{runs[-1]['cpu_us_per_event_0']:.1f} us, broker "
                  f"{runs[-1]['cpu_us_per_event_1']:.1f} us each")
    rate = median(runs, "per_second")
    cpu = [median(runs, f"cpu_us_per_event_{i}") for i in (0, 1)]
    return [marks.Line(
        f"recorded events per second, durable, window {bench.options.window}", f"{rate:,.0f} /s", "",
        rate, ">= 30,000", rate >= 30_000, {"ours": runs},
        note=f"MQTT QoS 1 to the broker's store, from there to the bridge's store and to one stream; "
             f"processor time for each: bridge {cpu[0]:.1f} us, broker {cpu[1]:.1f} us")]


def latency(bench):
    """From an MQTT publish to a stream: at a low rate, and one at a time."""
    paces = {f"at {LOW_RATE} /s": LOW_RATE, "one at a time": 0}
    runs = {name: [] for name in paces}
    for _ in range(bench.options.runs):
        with Ours(bench, None) as ours:
            for name, rate in paces.items():
                runs[name].append(measure_latency(bench, ours, rate))
                bench.say(f"latency  {name}: " + ", ".join(
                    f"{what} {value:.3f} ms" for what, value in runs[name][-1].items()))
    return [latency_line(name, runs[name]) for name in paces]


def measure_latency(bench, ours, rate):
    """p50 of the way to a stream, of a round trip and of a sync, all at one pace. A processor and a disk
    that sleep between two messages need longer for each than those that are never let go of."""
    push = bench.load("record", "--port", ours.mqtt, "--http-port", ours.port, "--topic", TOPIC,
                      "--seconds", bench.options.seconds,
                      *(["--rate", rate] if rate else ["--window", 1]))
    rtt, code = brokers.load(bench.generator,
                             ["rtt", "--pairs", "1", "--qos", "1", "--mqtt", "5", "--warmup", "0.5",
                              "--seconds", str(bench.options.seconds), "--rate", str(rate)],
                             (ours.broker.pid, ours.mqtt), None)
    if code != 0:
        raise brokers.BenchError("round trips were lost")
    bench.contended = bench.contended or bool(rtt.get("contended"))
    return {"push": push["latency_us"]["p50"] / 1e3, "rtt": rtt["latency_us"]["p50"] / 1e3,
            "sync": store.measure_syncs(bench.directory, rate).milliseconds}


def latency_line(name, runs):
    push, rtt, sync = (statistics.median(run[what] for run in runs) for what in ("push", "rtt", "sync"))
    limit = 1.5 * rtt + sync
    return marks.Line(f"MQTT publish to SSE client {name}, p50", f"{push:.2f} ms",
                      f"rtt {rtt:.3f} ms, sync {sync:.3f} ms, at the same pace", push / limit,
                      f"<= 1.5 rtt + 1 sync = {limit:.2f} ms", push <= limit, {"ours": runs})


ROWS = {"streams": streams, "polls": polls, "record": record, "latency": latency}


def conditions(bench):
    options = bench.options
    return "\n".join((
        f"{compare.processor()}, Linux {platform.release()}; build type "
        f"{compare.build_type(options.build)}; {brokers.Ours(bench.broker).version()} against "
        f"{nginx.Nginx().version()}",
        f"streams and polls: server on core {bench.cores[0]}, generator on core {bench.cores[1]}; "
        f"the rest: all programs on {len(os.sched_getaffinity(0))} cores; median of {options.runs}; "
        f"load average before: {os.getloadavg()[0]:.2f}; data on "
        f"{store.file_system_of(bench.directory)}",
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
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=20, help="events to all streams in each run")
    parser.add_argument("--pollers", type=int, default=50, help="connections that poll")
    parser.add_argument("--window", type=int, default=1000, help="of the row `record`")
    options = parser.parse_args(arguments)
    marks.check_rows(parser, options, ROWS)
    options.rows = options.rows or list(ROWS)
    options.runs = options.runs or (1 if options.quick else 3)
    if options.quick:
        options.seconds = min(options.seconds, 2)
    return options


if __name__ == "__main__":
    sys.exit(marks.main(parse(sys.argv[1:]), Bench, ROWS, conditions))
