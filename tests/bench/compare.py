#!/usr/bin/env python3
"""Measures our broker and Debian's mosquitto side by side and prints a Markdown table.

Each broker runs alone on one core, the load generator on another. For every work the two take turns,
each time in a fresh process, and the medians are compared. The exit code is 0 if everything could be
measured (with --strict: and every mark is met).
"""
import argparse
import dataclasses
import json
import os
import platform
import statistics
import sys

import brokers

CPU = "CPU per delivered message"
MEMORY = "RSS"


@dataclasses.dataclass(frozen=True)
class Work:
    """One line of the table: what is run, which figure of the report counts, and what it may be."""
    name: str
    title: str
    arguments: tuple
    figure: str
    unit: str
    mark: float  # ours is at most that share of mosquitto's


WORKS = (
    Work("p2p-qos0", f"p2p 50 pairs QoS 0, window 50, {CPU}",
         ("p2p", "--pairs", "50", "--qos", "0", "--window", "50"),
         "broker_cpu_us_per_message", "us", 0.25),
    Work("p2p-qos1", f"p2p 50 pairs QoS 1, window 50, {CPU}",
         ("p2p", "--pairs", "50", "--qos", "1", "--window", "50"),
         "broker_cpu_us_per_message", "us", 0.25),
    Work("p2p-qos1-window1", f"p2p 50 pairs QoS 1, window 1, {CPU}",
         ("p2p", "--pairs", "50", "--qos", "1", "--window", "1"),
         "broker_cpu_us_per_message", "us", 0.85),
    # The window decides how many messages a receiver gets by one write, so both ends of it are shown.
    Work("fanout", f"fan-out 1 to 1000 QoS 0, window 50, {CPU}",
         ("fanout", "--subscribers", "1000", "--qos", "0", "--window", "50"),
         "broker_cpu_us_per_message", "us", 0.30),
    Work("fanout-window1", f"fan-out 1 to 1000 QoS 0, window 1, {CPU}",
         ("fanout", "--subscribers", "1000", "--qos", "0", "--window", "1"),
         "broker_cpu_us_per_message", "us", 0.30),
    Work("conn", f"{MEMORY} per idle connection, 10 000 of them",
         ("conn", "--connections", "10000"), "rss_per_connection", "bytes", 1.5),
    Work("subs", f"{MEMORY} per subscription, 100 000 of them",
         ("subs", "--subscriptions", "100000"), "rss_per_subscription", "bytes", 0.5),
)


def time_arguments(work, options):
    if work.arguments[0] == "conn":
        return ("--seconds", "0")
    if work.arguments[0] == "subs":
        return ()
    return ("--warmup", str(options.warmup), "--seconds", str(options.seconds))


def measure(work, broker, generator, cores, options):
    """One run in a fresh broker: the whole report."""
    versioned = (*work.arguments, "--mqtt", options.mqtt, *time_arguments(work, options))
    with brokers.running(broker, cores[0]) as endpoint:
        report, code = brokers.load(generator, list(versioned), endpoint, cores[1])
    if code != 0:
        raise brokers.BenchError(f"{work.name} with {broker.name}: not every message arrived as it "
                                 f"should: {json.dumps(report)}")
    note = ", generator bound" if report.get("generator_bound") else ""
    note += ", contended" if report.get("contended") else ""
    print(f"   {work.name:18} {broker.name:10} {report[work.figure]:10.3f} {work.unit}{note}",
          file=sys.stderr, flush=True)
    return report


def measure_work(work, sides, generator, cores, options):
    """Reports by broker name; the brokers take turns."""
    reports = {broker.name: [] for broker in sides}
    for _ in range(options.runs):
        for broker in sides:
            reports[broker.name].append(measure(work, broker, generator, cores, options))
    return reports


def median(work, reports):
    return statistics.median(report[work.figure] for report in reports)


def shown(value, unit):
    if value is None:
        return "-"
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.2f} {unit}"


def result_of(work, reports):
    """What the table says about a work."""
    ours = median(work, reports["ours"]) if "ours" in reports else None
    peer = median(work, reports["mosquitto"]) if "mosquitto" in reports else None
    ratio = ours / peer if ours is not None and peer else None
    return {
        "work": work.name, "title": work.title, "unit": work.unit, "ours": ours, "mosquitto": peer,
        "ratio": ratio, "mark": work.mark, "met": None if ratio is None else ratio <= work.mark,
        "generator_bound": {name: any(r.get("generator_bound", False) for r in runs)
                            for name, runs in reports.items()},
        "contended": any(r.get("contended", False) for runs in reports.values() for r in runs),
        "runs": reports,
    }


def table(results):
    rows = [("work", "ours", "mosquitto", "ratio", "mark", "met?"),
            ("---", "--:", "--:", "--:", "--:", "---")]
    for result in results:
        verdict = {None: "-", True: "yes", False: "no"}[result["met"]]
        ratio = "-" if result["ratio"] is None else f"{result['ratio']:.3f}"
        rows.append((result["title"], shown(result["ours"], result["unit"]),
                     shown(result["mosquitto"], result["unit"]), ratio,
                     f"{result['mark']:.2f}", verdict))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()


def build_type(build):
    try:
        with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as file:
            return next(line.split("=", 1)[1].strip() for line in file
                        if line.startswith("CMAKE_BUILD_TYPE:"))
    except (OSError, StopIteration):
        return "unknown"


def conditions(sides, cores, options):
    pinned = (f"broker alone on core {cores[0]}, generator on core {cores[1]}"
              if cores[0] is not None else "one core for all: figures are not comparable")
    busy = os.getloadavg()[0]
    lines = [
        f"{processor()}, Linux {platform.release()}; build type {build_type(options.build)}; "
        + " against ".join(broker.version() for broker in sides),
        f"{pinned}; MQTT {options.mqtt}, 64-byte payloads; median of {options.runs} "
        f"run{'s' if options.runs > 1 else ''} of {options.seconds:g} s after "
        f"{options.warmup:g} s of warm-up; load average before: {busy:.2f}",
    ]
    return "\n".join(lines)


def add_options(parser, works):
    parser.add_argument("--build", default=os.path.join(brokers.ROOT, "build", "release"),
                        help="build directory with our programs")
    parser.add_argument("--spoke-broker", metavar="PATH", help="another build of our broker")
    parser.add_argument("--mosquitto-only", action="store_true", help="without ours")
    parser.add_argument("--only", metavar="NAME", action="append",
                        choices=[work.name for work in works],
                        help="this work alone, may be repeated: "
                        + ", ".join(work.name for work in works))
    parser.add_argument("--mqtt", choices=("3.1.1", "5"), default="3.1.1")
    parser.add_argument("--quick", action="store_true", help="one short run of each: a rough idea")
    parser.add_argument("--runs", type=int, help="runs to take the median of (3)")
    parser.add_argument("--seconds", type=float, help="length of each measurement (5)")
    parser.add_argument("--json", metavar="FILE", help="write all reports there")
    parser.add_argument("--strict", action="store_true", help="a mark that is not met is a failure")


def completed(options):
    options.runs = options.runs or (1 if options.quick else 3)
    options.seconds = options.seconds or (2 if options.quick else 5)
    options.warmup = 0.5 if options.quick else 1
    return options


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, WORKS)
    return completed(parser.parse_args(arguments))


def sides_of(options):
    if options.mosquitto_only:
        return [brokers.Mosquitto()]
    path = options.spoke_broker or brokers.program("spoke-broker", options.build)
    return [brokers.Ours(path), brokers.Mosquitto()]


def compare(options, works, sides):
    generator = brokers.program("spoke-sim", options.build)
    brokers.raise_open_files()
    cores = brokers.cores()
    print(conditions(sides, cores, options) + "\n", flush=True)
    results = []
    for work in works:
        if not options.only or work.name in options.only:
            results.append(result_of(work, measure_work(work, sides, generator, cores, options)))
    print(table(results))
    if any(any(result["generator_bound"].values()) for result in results):
        print("\nIn some runs the generator was the limit; see the lines above.")
    if any(result["contended"] for result in results):
        print("\nOther processes had the cores during some runs. A broker kept waiting batches more, so "
              "these figures\nfavour the one that batches: not fit to be quoted, repeat on a free "
              "machine.")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=2)
    return 1 if options.strict and any(result["met"] is False for result in results) else 0


def main():
    options = parse(sys.argv[1:])
    brokers.stop_on_signals()
    try:
        return compare(options, WORKS, sides_of(options))
    except (brokers.BenchError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
