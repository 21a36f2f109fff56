#!/usr/bin/env python3
"""Keeps GOTCHAS.md, the table of where each of the 60 points at which brokers go wrong is tested.

A test says so by a tag such as [gotcha-07] or [gotcha-7]. Without arguments: exits 1 if a point has
no test, a tag no point, a choice no row in broker/README.md, or the table is not what the tags say.
With --write it writes the table.
"""
import argparse
import collections
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TABLE = os.path.join(HERE, "GOTCHAS.md")
POINTS = range(1, 61)

JOINT = re.compile(r'"\s*\n\s*"')
TEST_CASE = re.compile(r'TEST_CASE\(\s*"((?:[^"\\]|\\.)*)"\s*,\s*"([^"]*)"')
TAG = re.compile(r"\[gotcha-(\d+)\]")

TITLES = """session present|session life in 5.0|takeover|will at takeover|will delay and expiry
cancelling a delayed will|which DISCONNECT kills the will|content of the will|expiry extremes
expiry in DISCONNECT|empty client id|names and levels|connect flags|refusing CONNECT
packets right behind CONNECT|packets out of place|keep alive|features announced|length encoding
UTF-8|field lengths and leftovers|fixed header flags|properties twice, unknown, misplaced
property ranges|short forms|packet ids|QoS 2 dedupe|when an id is new again|unknown ids
negative acknowledgements|resend only on a resumed session|order of the resends
order of acknowledgements and delivery|QoS of a delivery|receive maximum towards clients
receive maximum towards the server|a full window blocks nothing else|topic alias in|topic alias out
message expiry|maximum packet size out|maximum packet size in|reason strings, response information
forwarding properties|publish not allowed|retained store|subscription identifiers
overlapping subscriptions|retain handling|retain as published|no local|SUBSCRIBE checked whole
$share parsing|shared delivery|topics with $|matching edges|UNSUBSCRIBE|AUTH
the reason must reach the peer|WebSocket"""

# Points that leave a choice, and the rows of broker/README.md which say what is done.
CHOICES = {
    12: ["level 6 and up under the name MQTT", "level with bit 7 set, the mark of some bridges",
         "MQTT 3.1: client ids above 23 characters", "MQTT 3.1: a filter that is denied"],
    17: ["keep alive limit and 3.1.1 clients, who cannot be told"],
    18: ["wildcard, identifier or `$share` where CONNACK said no"],
    19: ["length in a longer form than needed"],
    20: ["control characters and noncharacters in strings"],
    24: ["payload format indicator above 1"],
    26: ["SUBSCRIBE or UNSUBSCRIBE with the packet id of an unfinished QoS 2 publish"],
    28: ["QoS 1 publish with the packet id of an unfinished QoS 2 one"],
    29: ["PUBACK for a QoS 2 delivery, PUBREC for a QoS 1 one"],
    36: ["ids of QoS 2 publishes left open by a former connection",
         "receive maximum towards 3.1.1 clients, who cannot be told"],
    40: ["message expiry interval 0"],
    44: ["content that is not what the payload format indicator says"],
    45: ["publish below `$SYS`"],
    48: ["overlapping subscriptions"],
    51: ["no local and retained messages sent for a new subscription"],
    53: ["`$share` in 3.1.1 and 3.1"],
    54: ["shared subscription"],
    56: ["malformed filter"],
    57: ["what waits for a filter that is unsubscribed", "UNSUBSCRIBE from a malformed filter"],
}


def titles():
    return dict(zip(POINTS, "|".join(TITLES.split("\n")).split("|"), strict=True))


def tests_of_points():
    """For each number in a tag: where the tests with it stand and what they are called."""
    found = collections.defaultdict(list)
    for folder, folders, files in os.walk(os.path.join(ROOT, "tests")):
        folders.sort()
        for name in sorted(files):
            if not name.endswith(".cpp"):
                continue
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as file:
                text = JOINT.sub("", file.read())
            for title, tags in TEST_CASE.findall(text):
                for number in sorted({int(tag) for tag in TAG.findall(tags)}):
                    found[number].append((os.path.relpath(path, os.path.join(ROOT, "tests")), title))
    return found


def table(found):
    lines = ["# Where brokers go wrong: 60 points and the tests that hold them", "",
             "Written by `gotchas.py --write` from the tags of the tests. Choices: see",
             "[broker/README.md](../../broker/README.md).", "",
             "| | point | tests | choice |", "|--:|---|---|---|"]
    for point, title in titles().items():
        by_file = collections.defaultdict(list)
        for path, name in found[point]:
            by_file[path].append(name.replace("|", "\\|"))
        tests = "<br>".join(f"`{path}`: {'; '.join(names)}" for path, names in by_file.items())
        choice = "; ".join(CHOICES.get(point, []))
        lines.append(f"| {point} | {title} | {tests} | {choice} |")
    return "\n".join(lines) + "\n"


def findings(found):
    for point, title in titles().items():
        if not found[point]:
            yield f"point {point} ({title}) has no test"
    for number in sorted(set(found) - set(POINTS)):
        yield f"[gotcha-{number}] is no point"
    with open(os.path.join(ROOT, "broker", "README.md"), encoding="utf-8") as file:
        readme = file.read()
    for point, rows in CHOICES.items():
        for row in rows:
            if f"| {row} |" not in readme:
                yield f"point {point}: broker/README.md has no row '{row}'"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--write", action="store_true", help="write GOTCHAS.md")
    options = parser.parse_args()
    found = tests_of_points()
    wanted = table(found)
    if options.write:
        with open(TABLE, "w", encoding="utf-8") as file:
            file.write(wanted)
    problems = list(findings(found))
    with open(TABLE, encoding="utf-8") as file:
        if file.read() != wanted:
            problems.append("GOTCHAS.md is not what the tags say: run gotchas.py --write")
    for problem in problems:
        print(problem)
    print(f"{sum(1 for point in POINTS if found[point])} of {len(POINTS)} points")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
