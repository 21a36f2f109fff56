"""The judge of `spoke-sim city` can see: it acquits good locks and convicts each wrong firmware."""
import json
import os
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

from programs import DEADLINE_SECONDS, binary

PASS, FAIL, INVALID = 0, 1, 3


class City:
    """A small city with a broker and a bridge of its own, started at once."""

    BROKER = '[persistence]\ndirectory = "{0}/store"\n' \
             '[receipts]\npublishers = ["client:spoke-bridge"]\n'
    BRIDGE = '[store]\npath = "{0}/bridge.db"\n[commands]\ngrace = "500 ms"\n' \
             '[broker]\nreconnect_delay_min = "10 ms"\nreconnect_delay_max = "200 ms"\n'

    def __init__(self, *options):
        self._folder = tempfile.TemporaryDirectory(prefix="spoke-city-")
        folder = self._folder.name
        for name, text in (("broker", self.BROKER), ("bridge", self.BRIDGE)):
            with open(os.path.join(folder, name + ".toml"), "w", encoding="utf-8") as file:
                file.write(text.format(folder))
        self.summary = os.path.join(folder, "summary.json")
        self.junit = os.path.join(folder, "junit.xml")
        command = [binary("spoke-sim"), "city", "--port", "0", "--http-port", "0", "--logs", folder,
                   "--summary", self.summary, "--junit", self.junit,
                   "--start-broker", f"{binary('spoke-broker')} -c {folder}/broker.toml -p {{mqtt}}",
                   "--start-bridge", f"{binary('spoke-bridge')} -c {folder}/bridge.toml -p {{http}} "
                                     "--broker 127.0.0.1:{mqtt}",
                   "--net", "perfect", "--ride", "1s", "--rest", "500ms", "--reconnect-max", "1s",
                   "--heartbeat", "2s", "--seed", "7", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)

    def result(self):
        """(exit code, summary, output) once it is over."""
        try:
            output, _ = self.process.communicate(timeout=4 * DEADLINE_SECONDS)
            with open(self.summary, encoding="utf-8") as file:
                summary = json.load(file)
            cases = xml.etree.ElementTree.parse(self.junit).getroot().findall("testcase")
            self.failed = [case.get("name") for case in cases if case.find("failure") is not None]
            return self.process.returncode, summary, output[-6000:]
        finally:
            self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self._folder.cleanup()


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
    def complaint(self, *options):
        done = subprocess.run([binary("spoke-sim"), "city", *options], capture_output=True,
                              text=True, timeout=DEADLINE_SECONDS, check=False)
        self.assertEqual(done.returncode, 2)
        return done.stdout + done.stderr

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
                self.assertIn(words, self.complaint(*options))


if __name__ == "__main__":
    unittest.main()
