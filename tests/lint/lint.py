#!/usr/bin/env python3
"""Checks the rules of this project that a compiler does not know.

Prints the ten longest functions and files (to look at; they do not fail), then one line per
finding, and exits 1 if there was one.
"""
import argparse
import collections
import concurrent.futures
import os
import subprocess
import sys

import awaits
import includes
import text_rules
from source import Source

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def git(*words):
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True,
                          check=True).stdout.splitlines()


def project_files():
    """Tracked files and new ones which are not ignored, as they are in the working tree."""
    names = set(git("ls-files")) | set(git("ls-files", "--others", "--exclude-standard"))
    return sorted(name for name in names if os.path.isfile(os.path.join(ROOT, name)))


def changed_files():
    changed = set(git("diff", "--name-only", "HEAD"))
    changed |= set(git("ls-files", "--others", "--exclude-standard"))
    return changed or set(git("diff", "--name-only", "HEAD~1", "HEAD"))


def clang_format(names):
    result = subprocess.run(["clang-format", "--dry-run", "-Werror", *names], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    wrong = {line.split(":")[0] for line in result.stderr.splitlines() if ": error:" in line}
    return [f"{name}: is not formatted; ./dev fmt" for name in sorted(wrong)]


def clang_tidy(build, names):
    def one(name):
        result = subprocess.run(["clang-tidy", "-p", build, "--quiet", name], cwd=ROOT,
                                capture_output=True, text=True, check=False)
        lines = [line for line in result.stdout.splitlines()
                 if ": error:" in line or ": warning:" in line]
        if result.returncode != 0 and not lines:
            lines = [f"{name}: clang-tidy failed: {result.stderr.strip()[-300:]}"]
        return lines

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [line for lines in pool.map(one, names) for line in lines]
    return sorted({line.replace(ROOT + "/", "") for line in found})


def show_longest(sources):
    sources = [source for source in sources if not source.name.startswith("tests/")]
    lengths = collections.Counter()
    for source in sources:
        for name, line, length in source.functions():
            lengths[f"{source.name}:{line} {name}"] = length
    print("longest functions:")
    for what, length in lengths.most_common(10):
        print(f"  {length:5} {what}")
    print("longest files:")
    for source in sorted(sources, key=lambda s: -s.line_count)[:10]:
        print(f"  {source.line_count:5} {source.name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", help="build directory with compile_commands.json")
    parser.add_argument("--tidy", action="store_true", help="run clang-tidy on changed files")
    parser.add_argument("--all", action="store_true", help="clang-tidy on every file")
    options = parser.parse_args()

    names = project_files()
    sources = [Source(ROOT, name) for name in names if name.endswith((".cpp", ".hpp"))]
    findings = text_rules.check(ROOT, names) + includes.check(sources) + awaits.check(sources)
    findings += clang_format([source.name for source in sources])
    if options.tidy:
        changed = set(names) if options.all else changed_files()
        findings += clang_tidy(os.path.join(ROOT, options.build),
                               [s.name for s in sources
                                if s.name in changed and s.name.endswith(".cpp")
                                and not s.name.startswith("tests/fuzz/")])
    show_longest(sources)
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings in {len(names)} files")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
