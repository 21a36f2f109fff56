"""The judge must see what is wrong: a good history, and the same with one thing made worse."""
import copy
import unittest

import judge
from packets import EXPIRY_NEVER, V5


class Script:
    """Writes a history with times of its own, a hundredth of a second apart."""

    def __init__(self):
        self.events = []
        self.now = 100.0

    def say(self, kind, c=None, after=0.01, **fields):
        self.now += after
        self.events.append({"t": self.now, "kind": kind, **({"c": c} if c else {}), **fields})

    def connect(self, c, present, *, clean=False, expiry=EXPIRY_NEVER, will=None):
        self.say("connect", c, clean=clean, expiry=expiry, v=V5, will=will)
        self.say("connack", c, present=present, code=0)

    def subscribe(self, c, topic_filter, qos):
        self.say("subscribe", c, filter=topic_filter, qos=qos)
        self.say("suback", c, filter=topic_filter, code=qos)

    def publish(self, m, topic, qos, *, dup=False, retain=False, expiry=None, empty=False):
        c = m.split(".")[0]
        self.say("publish", c, m=m, id=int(m.split(".")[1]), topic=topic, qos=qos, dup=dup,
                 retain=retain, expiry=expiry, empty=empty)

    def ack(self, m, qos, code=0):
        c = m.split(".")[0]
        self.say("ack", c, m=m, id=1, code=code)
        if qos == 2 and code < 0x80:
            self.say("pubrel", c, m=m, id=1)
            self.say("pubcomp", c, m=m, id=1, code=0)

    def send(self, m, topic, qos, **options):
        self.publish(m, topic, qos, **options)
        self.ack(m, qos)

    def receive(self, c, m, topic, qos, *, dup=False, retain=0, new=True, expiry=None, after=0.01):
        self.say("receive", c, after, m=m, topic=topic, qos=qos, id=1, dup=dup, retain=retain,
                 new=new, sound=True, expiry=expiry)

    def kill(self, *clients):
        for client in clients:
            self.say("lost", client)
        self.say("kill", how="SIGKILL")
        self.say("start", after=0.2)


def will(m, delay=0, retain=False):
    return {"m": m, "topic": "w/w", "qos": 1, "retain": retain, "delay": delay}


def good_history():
    s = Script()
    s.say("start")
    s.connect("s", False)
    s.subscribe("s", "t/#", 2)
    s.subscribe("s", "w/#", 1)
    for publisher in ("p", "r"):
        s.connect(publisher, False)
    s.connect("w", False, will=will("w.1"))
    s.send("p.1", "t/0", 1)
    s.send("p.2", "t/0", 2)
    s.receive("s", "p.1", "t/0", 1)
    s.receive("s", "p.2", "t/0", 2)
    s.send("r.3", "r/0", 1, retain=True)
    s.publish("r.4", "r/1", 1, retain=True)
    s.send("p.5", "t/0", 1, expiry=300)
    s.publish("p.6", "t/0", 2)
    s.publish("p.7", "x", 1)
    s.kill("s", "p", "r", "w")
    s.say("retained", begin=s.now, found={"r/0": "r.3"})
    s.connect("p", True)
    s.publish("p.6", "t/0", 2, dup=True)
    s.ack("p.6", 2)
    s.publish("p.7", "x", 1, dup=True)
    s.ack("p.7", 1)
    s.connect("s", True)
    s.receive("s", "p.2", "t/0", 2, dup=True, new=False)
    s.receive("s", "p.5", "t/0", 1, expiry=300)
    s.receive("s", "p.6", "t/0", 2)
    s.receive("s", "w.1", "w/w", 1)
    s.connect("w", True)
    s.say("drain")
    return s


class JudgeTest(unittest.TestCase):
    def setUp(self):
        self.script = good_history()

    def find(self, kind, **fields):
        """The index of the first event of that kind with these fields."""
        return next(number for number, event in enumerate(self.script.events)
                    if event["kind"] == kind
                    and all(event[name] == value for name, value in fields.items()))

    def event(self, kind, **fields):
        return self.script.events[self.find(kind, **fields)]

    def insert_after(self, number, kind, **fields):
        event = {"t": self.script.events[number]["t"] + 0.001, "kind": kind, **fields}
        self.script.events.insert(number + 1, event)

    def assert_clean(self):
        self.assertEqual(judge.judge(self.script.events).findings, [])

    def assert_wrong(self, **expected):
        verdict = judge.judge(self.script.events)
        counts = {what: count for what, count in verdict.counts.items() if count}
        self.assertEqual(counts, expected, verdict.findings)

    def test_good_history(self):
        self.assert_clean()
        # p.1, p.2, r.3, p.5, p.6, p.7, and the will, which had to be published.
        self.assertEqual(judge.judge(self.script.events).acknowledged, 7)

    # --- deliveries ---

    def test_removed_delivery(self):
        for message, topic in (("p.5", "t/0"), ("p.6", "t/0")):
            with self.subTest(message):
                self.script = good_history()
                del self.script.events[self.find("receive", m=message, topic=topic)]
                self.assert_wrong(lost=1)

    def test_what_was_not_acknowledged_may_be_lost(self):
        for number in (self.find("receive", m="p.6"), self.find("pubcomp", m="p.6"),
                       self.find("pubrel", m="p.6"), self.find("ack", m="p.6")):
            del self.script.events[number]
        self.assert_clean()

    def test_what_came_before_the_subscription_is_not_missed(self):
        self.script.subscribe("s", "x", 1)
        self.assert_clean()

    def test_doubled_qos_2(self):
        number = self.find("receive", m="p.6")
        again = copy.deepcopy(self.script.events[number])
        self.script.events.insert(number + 1, again)
        self.assert_wrong(duplicated=1)

    def test_qos_2_again_after_a_kill(self):
        self.event("receive", m="p.2", dup=True)["new"] = True
        self.assert_wrong(duplicated=1)

    def test_doubled_qos_1_is_allowed(self):
        number = self.find("receive", m="p.5")
        self.script.events.insert(number + 1, copy.deepcopy(self.script.events[number]))
        self.assert_clean()

    def test_reordered(self):
        first = self.find("receive", m="p.1")
        one, other = self.script.events[first], self.event("receive", m="p.5")
        one["m"], other["m"] = other["m"], one["m"]
        one["expiry"], other["expiry"] = other["expiry"], one["expiry"]
        self.assertGreater(judge.judge(self.script.events).counts["out_of_order"], 0)

    def test_not_subscribed(self):
        number = self.find("receive", m="p.6")
        self.insert_after(number, "receive", c="s", m="p.7", topic="x", qos=1, id=1, dup=False,
                          retain=0, new=True, sound=True, expiry=None)
        self.assert_wrong(subscriptions=1)

    def test_unsubscribed(self):
        number = self.find("start")
        self.script.say("unsubscribe", "s", filter="t/#")
        self.script.say("unsuback", "s", filter="t/#", code=0)
        self.script.send("p.8", "t/0", 1)
        self.assert_clean()
        self.script.receive("s", "p.8", "t/0", 1)
        self.assert_wrong(subscriptions=1)
        self.assertEqual(number, 0)

    def test_other_qos(self):
        self.event("receive", m="p.2")["qos"] = 1
        self.assert_wrong(subscriptions=1)

    def test_never_published(self):
        self.event("receive", m="p.1")["m"] = "p.99"
        self.assertEqual(judge.judge(self.script.events).counts["corrupt"], 1)

    def test_damaged_payload(self):
        self.event("receive", m="p.2")["sound"] = False
        self.assertEqual(judge.judge(self.script.events).counts["corrupt"], 1)

    # --- expiry ---

    def expiring(self, **how):
        self.script.send("p.8", "t/0", 1, expiry=2)
        self.script.receive("s", "p.8", "t/0", 1, **how)

    def test_expired(self):
        self.expiring(after=4, expiry=1)
        self.assert_wrong(late=1)

    def test_begun_in_time(self):
        self.expiring(after=4, expiry=1, dup=True)
        self.assert_clean()

    def test_wrong_remaining_time(self):
        self.event("receive", m="p.5")["expiry"] = 290
        self.assert_wrong(late=1)

    def test_a_short_lived_message_may_be_gone(self):
        self.script.send("p.8", "t/0", 1, expiry=2)
        self.assert_clean()

    # --- retained messages ---

    def test_retained_missing(self):
        self.event("retained")["found"] = {}
        self.assert_wrong(retained=1)

    def test_retained_wrong(self):
        self.event("retained")["found"] = {"r/0": "r.1"}
        self.assert_wrong(retained=1)

    def test_retained_without_acknowledgement_may_be_there(self):
        self.event("retained")["found"]["r/1"] = "r.4"
        self.assert_clean()

    def test_retained_from_nowhere(self):
        self.event("retained")["found"]["r/7"] = "r.3"
        self.assert_wrong(retained=1)

    def test_retained_cleared(self):
        self.script.connect("r", True)
        self.script.publish("r.4", "r/1", 1, retain=True, dup=True)
        self.script.ack("r.4", 1)
        self.script.send("r.5", "r/0", 2, retain=True, empty=True)
        self.script.say("retained", begin=self.script.now, found={"r/1": "r.4"})
        self.assert_clean()
        self.script.events[-1]["found"]["r/0"] = "r.3"
        self.assert_wrong(retained=1)

    def test_retained_expired(self):
        self.script.connect("r", True)
        self.script.send("r.8", "r/0", 1, retain=True, expiry=1)
        begin = self.script.now
        self.script.say("retained", begin=begin, found={"r/0": "r.8"})
        self.assert_clean()
        self.script.say("retained", begin=begin + 5, found={"r/0": "r.8"}, after=5)
        self.assert_wrong(retained=1)

    # --- sessions ---

    def test_session_disappeared(self):
        self.event("connack", c="s", present=True)["present"] = False
        self.assertEqual(judge.judge(self.script.events).counts["sessions"], 1)

    def test_session_appeared(self):
        self.event("connack", c="s", present=False)["present"] = True
        self.assert_wrong(sessions=1)

    def test_session_without_connack_may_be_there(self):
        for present in (True, False):
            self.script = good_history()
            self.script.say("connect", "n", clean=False, expiry=EXPIRY_NEVER, v=V5, will=None)
            self.script.kill("n")
            self.script.connect("n", present)
            self.assert_clean()

    def test_ended_session_revived(self):
        self.script.say("disconnect", "s", code=0, expiry=0)
        self.script.say("lost", "s")
        self.script.say("connect", "s", clean=False, expiry=EXPIRY_NEVER, v=V5, will=None, after=2)
        self.script.say("connack", "s", present=True, code=0)
        self.assertEqual(judge.judge(self.script.events).counts["sessions"], 1)

    def end_session_and_kill(self, settles):
        s = self.script
        s.say("disconnect", "w", code=0, expiry=0)
        s.say("lost", "w")
        if settles:
            s.now += 1
            s.send("p.8", "x", 2)
        s.kill("p", "s")
        s.connect("w", True)

    def test_end_of_session_that_may_not_be_on_disk(self):
        self.end_session_and_kill(settles=False)
        self.assert_clean()

    def test_end_of_session_that_must_be_on_disk(self):
        self.end_session_and_kill(settles=True)
        self.assert_wrong(sessions=1)

    def test_session_outlived_its_expiry(self):
        s = self.script
        s.connect("n", False, expiry=3)
        s.kill("n", "p", "s", "w")
        s.now += 1
        s.connect("n", True, expiry=3)
        self.assert_clean()
        s.say("cut", "n")
        s.now += 6
        s.connect("n", True)
        self.assert_wrong(sessions=1)

    def test_session_expired_too_early(self):
        s = self.script
        s.connect("n", False, expiry=30)
        s.kill("n", "p", "s", "w")
        s.connect("n", False)
        self.assert_wrong(sessions=1)

    # --- wills ---

    def test_will_missing_after_a_kill(self):
        del self.script.events[self.find("receive", m="w.1")]
        self.assert_wrong(wills=1)

    def test_will_missing_after_a_cut(self):
        self.script.say("cut", "w")
        self.script.connect("w", True, will=will("w.2"))
        self.script.say("cut", "w")
        self.script.now += 2
        self.assert_wrong(wills=1)
        self.script.receive("s", "w.2", "w/w", 1)
        self.assert_clean()

    def leave_with_will(self, how, delay=0, **fields):
        self.script.say("cut", "w")
        self.script.connect("w", True, will=will("w.2", delay))
        self.script.say(how, "w", **fields)

    def test_will_after_disconnect(self):
        self.leave_with_will("disconnect", code=0, expiry=None)
        self.assert_clean()
        self.script.receive("s", "w.2", "w/w", 1)
        self.assert_wrong(wills=1)

    def test_will_too_early(self):
        self.leave_with_will("cut", delay=5)
        self.script.now += 1
        self.script.receive("s", "w.2", "w/w", 1)
        self.assert_wrong(wills=1)

    def test_will_of_a_client_that_came_back(self):
        self.leave_with_will("cut", delay=5)
        self.script.connect("w", True)
        self.script.now += 8
        self.assert_clean()
        self.script.receive("s", "w.2", "w/w", 1)
        self.assert_wrong(wills=1)

    def test_retained_will(self):
        s = self.script
        s.say("cut", "w")
        s.connect("w", True, will=will("w.2", retain=True))
        s.say("cut", "w")
        s.receive("s", "w.2", "w/w", 1, after=3)
        s.say("retained", begin=s.now, found={"r/0": "r.3", "w/w": "w.2"})
        self.assert_clean()
        del s.events[-1]["found"]["w/w"]
        self.assert_wrong(retained=1)

    # --- acknowledgements ---

    def test_error_code(self):
        self.event("ack", m="p.7")["code"] = 0x97
        self.assert_wrong(acks=1)

    def test_error_code_while_the_disk_fails(self):
        self.script.say("disk", refuses="write EIO")
        self.script.publish("p.8", "t/0", 1)
        self.script.ack("p.8", 1, code=0x83)
        self.script.say("disk", refuses="")
        self.assert_clean()
        self.script.publish("p.9", "t/0", 1)
        self.script.now += 10
        self.script.ack("p.9", 1, code=0x83)
        self.assert_wrong(acks=1)

    def test_a_failing_disk_excuses_no_loss(self):
        self.script.say("disk", refuses="write EIO")
        self.script.send("p.8", "t/0", 1)
        self.assert_wrong(lost=1)

    def test_acknowledged_out_of_order(self):
        self.script.publish("p.8", "x", 1)
        self.script.publish("p.9", "x", 1)
        self.script.ack("p.9", 1)
        self.assert_wrong(acks=1)

    def test_forgotten_packet_id(self):
        self.event("pubcomp", m="p.2")["code"] = 0x92
        self.assert_wrong(acks=1)

    def test_silence(self):
        self.script.say("silent", "p", what="drain")
        self.assert_wrong(broken=1)

    # --- share groups ---

    def test_group(self):
        s = self.script
        for member in ("a", "b"):
            s.connect(member, False)
            s.subscribe(member, "$share/g/g/#", 2)
        s.send("p.8", "g/0", 2)
        self.assert_wrong(lost=1)
        s.receive("a", "p.8", "g/0", 2)
        self.assert_clean()
        s.receive("b", "p.8", "g/0", 2)
        self.assert_wrong(duplicated=1)


if __name__ == "__main__":
    unittest.main()
