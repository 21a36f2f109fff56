"""Runs the tests in Python of one folder against the programs of a build."""
import argparse
import os
import sys
import unittest


def main(folder, about, passed_elsewhere=lambda: 0):
    """Takes the command line. `passed_elsewhere`: tests that passed in programs the tests ran.
    Gives the exit code."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--bin", required=True, help="folder with spoke-broker and the others")
    parser.add_argument("names", nargs="*", help="only tests whose name holds one of these")
    options = parser.parse_args()
    os.environ["SPOKE_BIN"] = os.path.abspath(options.bin)
    loader = unittest.TestLoader()
    if options.names:
        loader.testNamePatterns = [f"*{name}*" for name in options.names]
    tests = loader.discover(folder, "test_*.py")
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests)
    failed = len(result.failures) + len(result.errors)
    print(f"{max(0, result.testsRun - failed) + passed_elsewhere()} passed, {failed} failed")
    return 0 if result.wasSuccessful() and result.testsRun > 0 else 1
