#!/usr/bin/env python3
"""Runs the test programs of a build and the checks by script, and adds up what they report.

The last line is `N passed, M failed`: test cases of Catch2, Python and Node; a check that reports
no cases counts as one. The exit code is 0 only if nothing failed.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS_MAX = 900

CATCH_ALL_PASSED = re.compile(r"^All tests passed \(\d+ assertions? in (\d+) test cases?\)", re.M)
CATCH_COUNTS = re.compile(r"^test cases: +\d+ \|(.*)$", re.M)
UNITTEST_RAN = re.compile(r"^Ran (\d+) tests? in", re.M)
UNITTEST_FAILED = re.compile(r"^FAILED \((.*)\)", re.M)
OWN_COUNTS = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)


def catch_programs(build):
    """(name, path, labels) of the Catch2 programs that CMake knows in `build`."""
    listing = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"],
                             capture_output=True, text=True, check=True).stdout
    for test in json.loads(listing)["tests"]:
        labels = [p["value"] for p in test.get("properties", []) if p["name"] == "LABELS"]
        yield test["name"], os.path.join(build, "bin", test["name"]), sum(labels, [])


def counts(output, exit_code):
    """What a program's output says has passed and failed. A crash is one failure more."""
    passed = failed = 0
    if found := CATCH_ALL_PASSED.search(output):
        passed = int(found[1])
    elif found := CATCH_COUNTS.search(output):
        parts = dict(reversed(part.split()) for part in found[1].split("|"))
        passed, failed = int(parts.get("passed", 0)), int(parts.get("failed", 0))
    elif found := OWN_COUNTS.findall(output):
        passed, failed = (int(n) for n in found[-1])
    elif found := UNITTEST_RAN.search(output):
        wrong = UNITTEST_FAILED.search(output)
        failed = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", wrong[1])) if wrong else 0
        passed = int(found[1]) - failed
    elif exit_code == 0 and "No tests ran" not in output:
        passed = 1
    if failed == 0 and (exit_code != 0 or passed == 0):
        failed = 1
    return passed, failed


def run(job):
    name, command, environment = job
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace", env={**os.environ, **environment})
    try:
        output, _ = process.communicate(timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        output = process.communicate()[0] + f"\nstopped after {SECONDS_MAX} s\n"
    passed, failed = counts(output, process.returncode)
    verdict = "FAIL" if failed else "ok"
    print(f"{verdict:4} {name:28} {passed:5} passed {failed:4} failed "
          f"{time.monotonic() - begin:8.1f} s", flush=True)
    if failed:
        print(output, flush=True)
    return passed, failed


def tsan_prefix():
    """ThreadSanitizer of GCC 12 dies where the kernel randomises addresses further than it knows."""
    probe = subprocess.run(["setarch", "-R", "true"], capture_output=True, check=False)
    return ["setarch", "-R"] if probe.returncode == 0 else []


def tsan_options():
    return "halt_on_error=1:suppressions=" + os.path.join(HERE, "support", "tsan.supp")


def jobs_of(options):
    for name, path, _ in catch_programs(options.build):
        yield name, [path], {}
    if options.tsan and os.path.isdir(options.tsan):
        for name, path, labels in catch_programs(options.tsan):
            if "threads" in labels:
                yield name + " (tsan)", [*tsan_prefix(), path], {"TSAN_OPTIONS": tsan_options()}


def script_jobs():
    yield "lint rules", [sys.executable, os.path.join(HERE, "lint", "test_lint.py")], {}
    yield "lint", [sys.executable, os.path.join(HERE, "lint", "lint.py")], {}
    yield "conformance tags", [sys.executable,
                               os.path.join(HERE, "conformance", "conformance.py"),
                               "--missing"], {}
    yield "gotchas", [sys.executable, os.path.join(HERE, "conformance", "gotchas.py")], {}


def conformance_jobs(options):
    runner = os.path.join(HERE, "conformance", "conformance.py")
    yield "conformance", [sys.executable, runner, "--build", options.build], {}
    yield "conformance with a store", [sys.executable, runner, "--build", options.build,
                                       "--store"], {}


def interop_jobs(options):
    runner = os.path.join(HERE, "interop", "run.py")
    yield "interop", [sys.executable, runner, "--bin", os.path.join(options.build, "bin")], {}


def fault_jobs(options):
    runner = os.path.join(HERE, "fault", "run.py")
    yield "fault", [sys.executable, runner, "--bin", os.path.join(options.build, "bin")], {}


def browser_jobs(options):
    runner = os.path.join(HERE, "browser", "run.py")
    yield "browser", [sys.executable, runner, "--bin", os.path.join(options.build, "bin")], {}


def wanted(jobs, names):
    return [job for job in jobs if not names or any(name in job[0] for name in names)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="build directory with the programs")
    parser.add_argument("--tsan", help="build directory for the programs with the label `threads`")
    parser.add_argument("--list", metavar="LABEL", help="print the programs with LABEL and stop")
    parser.add_argument("names", nargs="*", help="only programs whose name holds one of these")
    options = parser.parse_args()
    if options.list:
        for name, _, labels in catch_programs(options.build):
            if options.list in labels:
                print(name)
        return 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        quick = [*jobs_of(options), *script_jobs()]
        results = list(pool.map(run, wanted(quick, options.names)))
    # Alone, after the others: these have deadlines, which a busy machine would stretch.
    alone = [*conformance_jobs(options), *interop_jobs(options),
             *browser_jobs(options), *fault_jobs(options)]
    results += [run(job) for job in wanted(alone, options.names)]
    passed = sum(result[0] for result in results)
    failed = sum(result[1] for result in results)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
