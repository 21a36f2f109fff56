#!/usr/bin/env python3
"""Kills and starves the programs of a build: `run.py --bin build/dev/bin [NAME...]`."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import run_unittests  # noqa: E402

if __name__ == "__main__":
    sys.exit(run_unittests.main(HERE, __doc__))
