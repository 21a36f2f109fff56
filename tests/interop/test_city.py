"""The judge of `spoke-sim city` can see: it acquits good locks and convicts each wrong firmware."""
import unittest

from plays import BRIDGE, BROKER, FAIL, INVALID, PASS, Play, complaint


class City(Play):
    """A small city."""

    BROKER = BROKER + '[receipts]\npublishers = ["client:spoke-bridge"]\n'
    BRIDGE = BRIDGE + '[commands]\ngrace = "500 ms"\n'

    def __init__(self, *options):
        super().__init__("city", "--net", "perfect", "--ride", "1s", "--rest", "500ms",
                         "--reconnect-max", "1s", "--heartbeat", "2s", *options,
                         broker=self.BROKER, bridge=self.BRIDGE)


class TheJudge(unittest.TestCase):
    # Every order comes twice, within 12 s; what repeats it within its 8 s may open again.
    TWICE = ("--bikes", "30", "--riders", "15", "--for", "10s", "--ttl", "8s",
             "--faults", "duplicate=100%")
    # Bikes stall several times a minute, for longer than an order lives.
    STALLED = ("--bikes", "30", "--riders", "20", "--for", "8s", "--ttl", "1s",
               "--faults", "stall=1200%")

    @classmethod
    def setUpClass(cls):
        cls.cities = {
            "good, twice": City(*cls.TWICE, "--kill", "broker@3s,bridge@6s"),
            "good, stalled": City(*cls.STALLED),
            "no-journal": City(*cls.TWICE, "--firmware", "no-journal"),
            "ignores-deadline": City(*cls.STALLED, "--firmware", "ignores-deadline")}

    @classmethod
    def tearDownClass(cls):
        for city in cls.cities.values():
            city.close()

    def test_good_locks_are_acquitted(self):
        for name in ("good, twice", "good, stalled"):
            with self.subTest(name):
                city = self.cities[name]
                code, summary, output = city.result()
                self.assertEqual(set(summary["safety"].values()), {0}, output)
                self.assertGreater(summary["openings"], 10)
                # A machine that is too busy makes it prove nothing; it is never wrong.
                self.assertIn((code, summary["result"]), ((PASS, "PASS"), (INVALID, "INVALID")),
                              output)
                self.assertEqual(city.failed, [] if code == PASS else ["result"])

    def test_a_firmware_without_journal_is_convicted(self):
        city = self.cities["no-journal"]
        code, summary, output = city.result()
        self.assertGreater(summary["safety"]["double_open"], 0, output)
        self.assertEqual((code, summary["result"]), (FAIL, "FAIL"))
        self.assertIn("double_open", city.failed)
        example = next(e for e in summary["examples"] if e["invariant"] == "double_open")
        self.assertRegex(example["order"], "^c_")

    def test_a_firmware_that_ignores_deadlines_is_convicted(self):
        city = self.cities["ignores-deadline"]
        code, summary, output = city.result()
        self.assertGreater(summary["safety"]["late_open"], 0, output)
        self.assertEqual((code, summary["result"]), (FAIL, "FAIL"))
        self.assertIn("late_open", city.failed)


class TheCommandLine(unittest.TestCase):
    def test_what_makes_no_sense_is_told(self):
        programs = ("--start-broker", "true", "--start-bridge", "true")
        for options, words in ((("--kill", "broker@60s"), "--start-broker"),
                               ((*programs, "--kill", "sim@60s"), "broker@60s or bridge@120s"),
                               ((*programs, "--kill", "broker"), "broker@60s or bridge@120s"),
                               (("--faults", "fire=1%"), "there is no fault"),
                               (("--net", "6g"), "there is no network"),
                               (("--riders", "0"), "--riders"),
                               (("--for", "10"), "--for"),
                               (("--firmware", "bad"), "--firmware"),
                               (("--token", "x", "--token-file", "y"), "--token")):
            with self.subTest(options):
                self.assertIn(words, complaint("city", *options) or "")


if __name__ == "__main__":
    unittest.main()
