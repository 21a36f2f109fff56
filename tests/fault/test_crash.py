"""The crash test in short, and that it sees a broker that loses what it acknowledged."""
import contextlib
import io
import os
import random
import shutil
import tempfile
import unittest

import crash
import judge


class CrashTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="spoke-crash-test-")
        self.seed = int(os.environ.get("SPOKE_SEED") or random.SystemRandom().randrange(1 << 31))

    def arguments(self, *more):
        return ["--bin", os.environ["SPOKE_BIN"], "--folder", self.folder, "--seed",
                str(self.seed), *map(str, more)]

    def assert_nothing_lost(self, *more):
        """Leaves the folder behind if something is."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = crash.main(self.arguments(*more))
        self.assertEqual(code, 0, "\n" + said.getvalue())
        shutil.rmtree(self.folder)

    def test_kills(self):
        self.assert_nothing_lost("--cycles", 12)

    def test_power_loss(self):
        self.assert_nothing_lost("--cycles", 4, "--power-loss")

    def test_disk_faults(self):
        self.assert_nothing_lost("--cycles", 4, "--power-loss", "--disk-faults")

    def test_a_broker_that_does_not_sync_is_found_out(self):
        options = crash.options_of(self.arguments("--power-loss", "--sync", "never", "--points",
                                                  "none", "--show", 0))
        with contextlib.redirect_stdout(io.StringIO()):
            verdict = crash.play(options, self.seed, 4)
        seen = {what for what in judge.WRONG if verdict.counts[what]}
        self.assertTrue(seen & {"lost", "sessions", "retained"}, verdict.findings)
        shutil.rmtree(self.folder)


if __name__ == "__main__":
    unittest.main()
