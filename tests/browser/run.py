#!/usr/bin/env python3
"""Runs the tests of the example pages, in Node and Chromium: `run.py --bin build/dev/bin [FILE...]`."""
import argparse
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, help="folder with spoke-broker and the others")
    parser.add_argument("files", nargs="*", help="only files whose name holds one of these")
    options = parser.parse_args()
    files = [name for name in sorted(os.listdir(HERE)) if name.endswith(".test.mjs")
             and (not options.files or any(part in name for part in options.files))]
    environment = {**os.environ, "SPOKE_BIN": os.path.abspath(options.bin)}
    # One file after the other: browsers and servers of several would wait for each other.
    passed = failed = 0
    for name in files:
        done = subprocess.run(["node", "--test", "--test-reporter=tap", name], cwd=HERE, env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        print(done.stdout, flush=True)
        count = {what: int(found[1]) if (found := re.search(rf"^# {what} (\d+)$", done.stdout, re.M)) else 0
                 for what in ("pass", "fail", "cancelled")}
        passed += count["pass"]
        failed += max(count["fail"] + count["cancelled"], int(done.returncode != 0))
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
