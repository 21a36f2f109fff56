#!/usr/bin/env python3
"""Which numbered statements of the MQTT specifications have a test.

The tables beside this script list the statements. A test claims one by a tag with its id in
brackets, behind the tags of the versions it holds for, v3.1.1 and v5.0; README.md shows one.
Exits 1 if a tag names no statement of its version.
"""
import argparse
import collections
import csv
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
VERSIONS = ("3.1.1", "5.0")
SOURCES = (".cpp", ".hpp", ".py", ".js", ".mjs")

# String literals side by side are one, wherever a formatter broke it.
JOINT = re.compile(r'"\s*\n\s*"')
# Tags side by side form one list.
TAG_LIST = re.compile(r"(?:\[[^\[\]\n]+\][ ]*)+")
TAG = re.compile(r"\[([^\[\]]+)\]")
STATEMENT = re.compile(r"MQTT-\d[\d.]*-\d+$")

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
    """(version, id) of one tag list."""
    versions, after_id = [], False
    for tag in tags:
        if tag[:1] == "v" and tag[1:] in VERSIONS:
            versions = [tag[1:]] if after_id else [*versions, tag[1:]]
            after_id = False
        elif STATEMENT.match(tag):
            after_id = True
            yield from ((version, tag) for version in versions or [None])


def claims():
    """(version, id, file) of every tag below tests/; version None: the tag names none."""
    for folder, folders, names in os.walk(TESTS):
        folders[:] = sorted(set(folders) - {"node_modules", "__pycache__"})
        for name in sorted(names):
            path = os.path.join(folder, name)
            if not name.endswith(SOURCES) or path == os.path.abspath(__file__):
                continue
            with open(path, encoding="utf-8") as file:
                text = file.read()
            for tags in TAG_LIST.finditer(JOINT.sub("", text)):
                for version, statement in claims_of(TAG.findall(tags.group())):
                    yield version, statement, os.path.relpath(path, os.path.dirname(TESTS))


def report(version, rows, tests, show_missing):
    print(f"MQTT {version}   statements  with a test  tests")
    by_chapter = collections.defaultdict(list)
    for row in rows:
        by_chapter[chapter_of(row["section"])].append(row)
    for chapter in sorted(by_chapter, key=lambda c: [int(part) for part in c.split(".")]):
        group = by_chapter[chapter]
        counts = [tests[version, row["id"]] for row in group]
        print(f"  {chapter:5}{CHAPTERS.get(chapter, ''):17}{len(group):4}"
              f"{sum(1 for n in counts if n):13}{sum(counts):7}")
        if show_missing:
            for row in group:
                if not tests[version, row["id"]]:
                    print(f"        {row['id']:16} {row['requirement']}")
    return sum(1 for row in rows if tests[version, row["id"]])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--missing", action="store_true", help="list the statements without a test")
    options = parser.parse_args()
    tables = {version: statements(version) for version in VERSIONS}
    tests, wrong = collections.Counter(), []
    for version, statement, path in claims():
        if version is None:
            wrong.append(f"{path}: [{statement}] has no version tag before it")
        elif statement not in tables[version][1]:
            wrong.append(f"{path}: MQTT {version} has no statement {statement}")
        else:
            tests[version, statement] += 1
    have = sum(report(version, tables[version][0], tests, options.missing) for version in VERSIONS)
    for line in sorted(set(wrong)):
        print(line)
    print(f"{have} of {sum(len(rows) for rows, _ in tables.values())} statements have a test")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
