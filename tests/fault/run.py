#!/usr/bin/env python3
"""Kills and starves the programs of a build: `run.py --bin build/dev/bin [NAME...]`."""
import argparse
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, help="folder with spoke-broker and the others")
    parser.add_argument("names", nargs="*", help="only tests whose name holds one of these")
    options = parser.parse_args()
    os.environ["SPOKE_BIN"] = os.path.abspath(options.bin)
    loader = unittest.TestLoader()
    if options.names:
        loader.testNamePatterns = [f"*{name}*" for name in options.names]
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(
        loader.discover(HERE, "test_*.py"))
    failed = len(result.failures) + len(result.errors)
    print(f"{max(0, result.testsRun - failed)} passed, {failed} failed")
    return 0 if result.wasSuccessful() and result.testsRun > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
