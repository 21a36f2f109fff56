"""`spoke-sim watch`: five ways to read, through cuts and kills, are told the same; and its judge can see."""
import unittest

from plays import BRIDGE, FAIL, INVALID, PASS, Play, complaint

WAYS = ("poll", "long-poll", "sse", "websocket", "mqtt")


class Watch(Play):
    """Readers and writers; of one topic the bridge keeps little, and in memory little of all."""

    RECORDED = ("d/+/evt", "d/+/ans", "d/+/up", "d/+/state", "u/+/in", "t/#")
    BRIDGE = BRIDGE + '[events]\ntail_events_max = 100\n' \
                      '[[record]]\nfilter = "old/#"\nevents_max = 10\n' + \
        "".join(f'[[record]]\nfilter = "{topic}"\n' for topic in RECORDED)

    def __init__(self, *options):
        super().__init__("watch", "--forgets", "old/x", *options, bridge=self.BRIDGE)


class TheJudge(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        few = ("--readers", "1", "--for", "6s", "--rate", "60")
        sound = (*few, "--faults", "none")
        cls.watches = {
            "faults and kills": Watch("--readers", "2", "--rate", "30", "--for", "12s", "--faults",
                                      "all,cut=300%,change=300%,cursor=900%",
                                      "--kill", "bridge@3s,broker@7s"),
            "drops": Watch(*sound, "--faulty-reader", "drops"),
            "doubles": Watch(*sound, "--faulty-reader", "doubles"),
            "hides": Watch("--readers", "2", "--for", "8s", "--rate", "60", "--faults", "cursor=3000%",
                           "--faulty-reader", "hides")}

    @classmethod
    def tearDownClass(cls):
        for watch in cls.watches.values():
            watch.close()

    def test_five_ways_are_told_the_same_through_faults_and_kills(self):
        watch = self.watches["faults and kills"]
        code, summary, output = watch.result()
        self.assertEqual(set(summary["wrong"].values()), {0}, output)
        # A machine that is too busy makes it prove nothing; it is never wrong.
        self.assertIn((code, summary["result"]), ((PASS, "PASS"), (INVALID, "INVALID")), output)
        self.assertEqual(watch.failed, [] if code == PASS else ["result"])
        self.assertEqual(summary["kills"], {"broker": 1, "bridge": 1})
        self.assertGreater(summary["faults"], 5)
        self.assertGreater(summary["acknowledged"], 50)
        self.assertGreater(summary["inbox_states"], 5)
        for count in ("expiring", "expired", "collapsing"):
            self.assertGreater(summary[count], 2, count)
        for way in WAYS:
            self.assertGreater(summary["told"][way], 20, way)

    def test_who_hides_that_his_cursor_was_of_no_use_is_convicted(self):
        watch = self.watches["hides"]
        code, summary, output = watch.result()
        self.assertGreater(summary["wrong"]["reset_untold"], 0, output)
        self.assertEqual((code, summary["result"]), (FAIL, "FAIL"))
        self.assertIn("reset_untold", watch.failed, output)
        self.assertEqual({example["who"] for example in summary["examples"]}, {"poll-0"}, output)
        # All the others are told of theirs, in every way, whatever is wrong with it.
        for way in WAYS:
            self.assertGreater(summary["resets_told"][way], 0, (way, output))
        self.assertEqual(set(summary["resets_why"]), {"malformed", "epoch", "future", "too-old"}, output)

    def test_a_reader_that_drops_events_is_convicted(self):
        watch = self.watches["drops"]
        code, summary, output = watch.result()
        self.assertGreater(summary["wrong"]["events_lost"], 0, output)
        self.assertEqual((code, summary["result"]), (FAIL, "FAIL"))
        self.assertEqual(watch.failed, ["events_lost", "result"], output)
        self.assertEqual({example["who"] for example in summary["examples"]}, {"poll-0"})

    def test_a_reader_that_tells_events_twice_is_convicted(self):
        watch = self.watches["doubles"]
        code, summary, output = watch.result()
        self.assertGreater(summary["wrong"]["events_doubled"], 0, output)
        self.assertEqual((code, summary["result"]), (FAIL, "FAIL"))
        self.assertEqual(watch.failed, ["events_doubled", "result"], output)


class TheCommandLine(unittest.TestCase):
    def test_what_makes_no_sense_is_told(self):
        programs = ("--start-broker", "true", "--start-bridge", "true")
        for options, words in ((("--kill", "broker@60s"), "--start-broker"),
                               ((*programs, "--kill", "sim@60s"), "broker@60s or bridge@120s"),
                               (("--faults", "fire=1%"), "there is no fault"),
                               (("--faults", "cut=1"), "no percentage"),
                               (("--readers", "0"), "--readers"),
                               (("--for", "10"), "--for"),
                               (("--faulty-reader", "bad"), "--faulty-reader"),
                               (("--forgets", "old/#"), "--forgets"),
                               (("--token", "x", "--token-file", "y"), "--token")):
            with self.subTest(options):
                self.assertIn(words, complaint("watch", *options) or "")


if __name__ == "__main__":
    unittest.main()
