#!/usr/bin/env python3
"""Runs the conformance tests and says per chapter of the specifications what they have shown.

The tables beside this script list the numbered statements. A test claims one by a tag with its id
in brackets, behind the tags of the versions it holds for, v3.1.1 and v5.0; README.md shows one.
The tests run against the spoke-broker of the build, or with --host against any other broker.
With --missing nothing is run: it lists the statements without a test.

Exits 1 if a test failed, a statement has no test, or a tag names no statement of its version.
"""
import argparse
import collections
import concurrent.futures
import csv
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
ROOT = os.path.dirname(TESTS)
VERSIONS = ("3.1.1", "5.0")
SOURCES = (".cpp", ".hpp", ".py", ".js", ".mjs")
SECONDS_MAX = 600  # for one file of tests

# String literals side by side are one, wherever a formatter broke it.
JOINT = re.compile(r'"\s*\n\s*"')
TEST_CASE = re.compile(r'TEST_CASE\(\s*"((?:[^"\\]|\\.)*)"\s*(?:,\s*"([^"]*)")?\s*\)')
# Tags side by side form one list.
TAG_LIST = re.compile(r"(?:\[[^\[\]\n]+\][ ]*)+")
TAG = re.compile(r"\[([^\[\]]+)\]")
STATEMENT = re.compile(r"MQTT-\d[\d.]*-\d+$")
OWN = "[own]"  # a test that sets up a broker

CHAPTERS = {
    "1": "strings and data", "2": "packet structure", "3.1": "CONNECT", "3.2": "CONNACK",
    "3.3": "PUBLISH", "3.4": "PUBACK", "3.5": "PUBREC", "3.6": "PUBREL", "3.7": "PUBCOMP",
    "3.8": "SUBSCRIBE", "3.9": "SUBACK", "3.10": "UNSUBSCRIBE", "3.11": "UNSUBACK",
    "3.12": "PINGREQ", "3.13": "PINGRESP", "3.14": "DISCONNECT", "3.15": "AUTH",
    "4": "operation", "6": "WebSocket",
    "7": "conformance",
}


def chapter_of(section):
    parts = section.split(".")
    return ".".join(parts[:2]) if parts[0] == "3" else parts[0]


def statements(version):
    """The rows of one version that bind a server and can be seen on the wire, and all its ids."""
    path = os.path.join(HERE, f"mqtt-{version}.tsv")
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    ours = [row for row in rows if row["binds"] != "client" and row["observable"] != "-"]
    return ours, {row["id"] for row in rows}


def claims_of(tags):
    """(version, id) of one tag list; version None: the tags name none."""
    versions, after_id = [], False
    for tag in tags:
        if tag[:1] == "v" and tag[1:] in VERSIONS:
            versions = [tag[1:]] if after_id else [*versions, tag[1:]]
            after_id = False
        elif STATEMENT.match(tag):
            after_id = True
            yield from ((version, tag) for version in versions or [None])


def sources_below(folder):
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - {"node_modules", "__pycache__"})
        for name in sorted(names):
            path = os.path.join(place, name)
            if name.endswith(SOURCES) and path != os.path.abspath(__file__):
                with open(path, encoding="utf-8") as file:
                    yield path, JOINT.sub("", file.read())


class Test:
    """A test case over the wire: its file, name, tags and what it claims."""

    def __init__(self, path, name, tags):
        self.path, self.name, self.tags = path, name, tags
        self.claims = set(claims_of(TAG.findall(tags)))
        self.passed = None  # None: not run

    def needs_own_broker(self):
        return OWN in self.tags


def wire_tests():
    return [Test(path, found[1], found[2] or "")
            for path, text in sources_below(HERE) if path.endswith("_test.cpp")
            for found in TEST_CASE.finditer(text)]


def wrong_tags(tables):
    """Every tag below tests/ that names no statement of its version."""
    wrong = set()
    for path, text in sources_below(TESTS):
        for tags in TAG_LIST.finditer(text):
            for version, statement in claims_of(TAG.findall(tags.group())):
                if version is None:
                    wrong.add(f"{os.path.relpath(path, ROOT)}: [{statement}] has no version tag")
                elif statement not in tables[version][1]:
                    wrong.add(f"{os.path.relpath(path, ROOT)}: MQTT {version} has no {statement}")
    return sorted(wrong)


# --- Running -----------------------------------------------------------------------------------

def run_file(job):
    """Runs the tests of one source file; their results by name, and what the program said."""
    options, path = job
    tag = "#" + os.path.splitext(os.path.basename(path))[0]
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.xml")
        command = [os.path.join(options.build, "bin", "conformance"), "-#", f"[{tag}]",
                   "-r", "xml", "-o", report]
        if options.host:
            command += ["--host", options.host, "--port", str(options.port)]
        if options.store:
            command.append("--store")
        begin = time.monotonic()
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace",
                                  timeout=SECONDS_MAX, check=False)
            said = done.stdout + done.stderr
        except subprocess.TimeoutExpired:
            said = f"stopped after {SECONDS_MAX} s\n"
        seconds = time.monotonic() - begin
        return path, seconds, said, *read_report(report)


def read_report(path):
    """({name: passed}, failures as text) of Catch2's XML report, which a crash may have cut."""
    results, failures = {}, []
    name = None
    try:
        for event, node in xml.etree.ElementTree.iterparse(path, ["start", "end"]):
            if event == "start" and node.tag == "TestCase":
                name = node.get("name")
                results[name] = False  # until its result is there
            elif event == "end" and node.tag == "OverallResult":
                results[name] = node.get("success") == "true"
            elif event == "end" and node.tag in ("Failure", "Exception", "FatalErrorCondition"):
                failures.append(f"{name}: {' '.join((node.text or '').split())}")
            elif event == "end" and node.tag == "Expression" and node.get("success") == "false":
                where = f"{os.path.basename(node.get('filename'))}:{node.get('line')}"
                text = " | ".join((part.text or "").strip() for part in node
                                  if part.tag in ("Original", "Expanded", "Exception"))
                failures.append(f"{name}: {where}: {text}")
    except (OSError, xml.etree.ElementTree.ParseError):
        pass
    return results, failures


def run_tests(options, tests):
    """Runs all files, some side by side: they wait more than they work."""
    paths = sorted({test.path for test in tests})
    # Those that wait for seconds first, so that none of them is alone at the end.
    slow = {test.path for test in tests if "[slow]" in test.tags}
    paths.sort(key=lambda path: path not in slow)
    failures = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for path, seconds, said, results, wrong in pool.map(
                run_file, [(options, path) for path in paths]):
            ran = [test for test in tests if test.path == path and not left_out(options, test)]
            for test in ran:
                test.passed = results.get(test.name, False)
            failed = sum(not test.passed for test in ran)
            print(f"  {os.path.basename(path):32}{len(ran) - failed:4} passed{failed:4} failed"
                  f"{seconds:8.1f} s", flush=True)
            failures += wrong
            if failed and not wrong:
                failures.append(f"{os.path.basename(path)}: {said}")
    for line in failures:
        print(line)
    print()


def left_out(options, test):
    return bool(options.host) and test.needs_own_broker()


# --- Reporting ---------------------------------------------------------------------------------

def report(version, rows, tests, options):
    """Prints the chapters of one version. Out: its statements without a test."""
    print(f"MQTT {version:17} statements   tested   tests  passed")
    by_chapter = collections.defaultdict(list)
    for row in rows:
        by_chapter[chapter_of(row["section"])].append(row)
    without = []
    for chapter in sorted(by_chapter, key=lambda c: [int(part) for part in c.split(".")]):
        claims = {(version, row["id"]) for row in by_chapter[chapter]}
        claimed = {claim for test in tests for claim in test.claims}
        here = [test for test in tests if test.claims & claims]
        passed = "-" if options.missing else sum(bool(test.passed) for test in here)
        print(f"  {chapter:5}{CHAPTERS.get(chapter, ''):17}{len(claims):9}"
              f"{len(claims & claimed):9}{len(here):8}{passed:>8}")
        lacking = [row for row in by_chapter[chapter] if (version, row["id"]) not in claimed]
        without += lacking
        for row in lacking:
            print(f"        no test: {row['id']:16} {row['requirement']}")
    return without


def parsed_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--missing", action="store_true",
                        help="run nothing; list the statements without a test")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "dev"),
                        help="build directory with the programs (build/dev)")
    parser.add_argument("--host", help="run against the broker there instead of spoke-broker")
    parser.add_argument("--port", type=int, default=1883, help="its port (1883)")
    parser.add_argument("--store", action="store_true",
                        help="the brokers that are started keep what they acknowledge on disk")
    parser.add_argument("--jobs", type=int, default=4, help="files of tests at once (4)")
    return parser.parse_args()


def main():
    options = parsed_options()
    tables = {version: statements(version) for version in VERSIONS}
    tests = wire_tests()
    if not options.missing:
        run_tests(options, tests)
    without = sum(len(report(version, tables[version][0], tests, options)) for version in VERSIONS)
    total = sum(len(rows) for rows, _ in tables.values())
    wrong = wrong_tags(tables)
    for line in wrong:
        print(line)
    print(f"{total - without} of {total} statements have a test")
    failed = 0
    if not options.missing:
        skipped = [test for test in tests if left_out(options, test)]
        if skipped:
            print(f"{len(skipped)} tests skipped: they need a broker with options of their own")
        failed = sum(test.passed is False for test in tests)
        print(f"{sum(bool(test.passed) for test in tests)} passed, {failed} failed")
    return 1 if wrong or failed or without else 0


if __name__ == "__main__":
    sys.exit(main())
