"""A disk that is full, broken or read-only for a while: nothing is promised, nothing is lost."""
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

import packets
from packets import EXPIRY_NEVER, V311, V5
from programs import Program, binary
from talker import Talker

NO_MATCHING_SUBSCRIBERS = 0x10
QUOTA_EXCEEDED, IMPLEMENTATION_SPECIFIC, SERVER_UNAVAILABLE = 0x97, 0x83, 0x88
V311_SERVER_UNAVAILABLE = 3

CONFIG = """
[[listener]]
port = 0
[performance]
shards = 2
[persistence]
directory = "{directory}"
{more}
"""


class Folder:
    """A data directory, a configuration, and what the disk refuses now."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="spoke-disk-")
        self._faults = os.path.join(self.path, "faults")
        self.refuse("")

    def refuse(self, line):
        """At once: the broker sees the old line or the new one."""
        fresh = self._faults + ".new"
        with open(fresh, "w", encoding="ascii") as file:
            file.write(line)
        os.replace(fresh, self._faults)

    def program(self, more=""):
        config = os.path.join(self.path, "broker.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(directory=os.path.join(self.path, "data"), more=more))
        return Program([binary("spoke-broker-fault"), "-c", config],
                       environment={"SPOKE_DISK_FAULTS": self._faults})

    def remove(self):
        shutil.rmtree(self.path)


class DiskTest(unittest.TestCase):
    def setUp(self):
        self.folder = Folder()
        self.addCleanup(self.folder.remove)

    def start(self, more=""):
        broker = self.folder.program(more)
        self.addCleanup(broker.kill)
        self.port = int(broker.await_line(r"listening on 127\.0\.0\.1:(\d+)")[1])
        return broker

    def durable(self, name, version=V5):
        expiry = EXPIRY_NEVER if version == V5 else 0
        return self.connect(name, version, expiry=expiry)

    def clean(self, name, version=V5):
        return self.connect(name, version, clean=True)

    def connect(self, name, version, **options):
        talker = Talker(self.port, name, version, **options)
        self.addCleanup(talker.__exit__)
        return talker


class FailureTest(DiskTest):
    def test_no_space_to_write(self):
        self.fails_for_a_while("write ENOSPC", QUOTA_EXCEEDED)

    def test_no_space_for_anything(self):
        self.fails_for_a_while("write,name ENOSPC", QUOTA_EXCEEDED)

    def test_writes_fail(self):
        self.fails_for_a_while("write EIO", IMPLEMENTATION_SPECIFIC)

    def test_syncs_fail(self):
        self.fails_for_a_while("sync EIO", IMPLEMENTATION_SPECIFIC)

    def test_read_only(self):
        self.fails_for_a_while("write,sync,name EROFS", IMPLEMENTATION_SPECIFIC)

    def fails_for_a_while(self, line, reason):
        broker = self.start()
        self.prepare()
        self.folder.refuse(line)
        # One of the first is told while it waits, the others at once, on whatever shard they are.
        for _ in range(4):
            self.assertEqual(self.refusal("kept/2"), reason)
        self.is_refused(reason)
        self.goes_on()
        self.folder.refuse("")
        broker.await_line("can be written again")
        self.assertEqual(self.clean("good").published("kept/3", b"3"), 0)
        broker.kill()
        self.start()
        self.has_kept()

    def prepare(self):
        self.stays = self.durable("stays")
        with self.durable("away") as away:
            self.assertEqual(away.subscribe("kept/#"), 1)
            with self.clean("publisher") as publisher:
                self.assertEqual(publisher.published("kept/1", b"1"), 0)
                self.assertEqual(publisher.published("state", b"old", retain=True),
                                 NO_MATCHING_SUBSCRIBERS)
        self.passing = self.clean("passing")
        self.assertEqual(self.passing.subscribe("passing/#"), 1)

    def refusal(self, topic, qos=1, retain=False):
        """The reason with which a publisher is told that its message was not taken."""
        with self.clean("unlucky") as publisher:
            publisher.publish(topic, b"refused", qos, retain)
            told = publisher.next()
            kinds = (packets.DISCONNECT, packets.PUBACK if qos == 1 else packets.PUBREC)
            self.assertIn(told.kind, kinds)
            return told.code

    def is_refused(self, reason):
        self.assertEqual(self.refusal("kept/2", qos=2), reason)
        self.assertEqual(self.refusal("state", retain=True), reason)
        with self.clean("old", V311) as old:
            old.publish("kept/2", b"refused")
            self.assertTrue(old.is_closed())
        self.assertEqual(self.stays.subscribe("more"), reason)
        self.assertEqual(self.durable("new").connack.code, SERVER_UNAVAILABLE)
        self.assertEqual(self.durable("newer", V311).connack.code, V311_SERVER_UNAVAILABLE)

    def goes_on(self):
        """What needs no disk."""
        publisher = self.clean("publisher")
        self.assertEqual(publisher.published("passing/1", b"x"), 0)
        self.assertEqual(self.passing.message(), ("passing/1", "x"))
        publisher.publish("passing/2", b"y", qos=0)
        self.assertEqual(self.passing.message(), ("passing/2", "y"))
        with self.clean("old", V311) as old:
            self.assertEqual(old.published("passing/3", b"z"), 0)
        self.assertEqual(self.passing.message(), ("passing/3", "z"))

    def has_kept(self):
        """After a power cut: what was acknowledged."""
        away = self.durable("away")
        self.assertTrue(away.connack.present)
        got = []
        while not got or got[-1] != ("kept/3", "3"):
            got.append(away.message())
        # Those under way may have been kept; they were told that they may be sent again.
        self.assertEqual([m for m in got if m[1] != "refused"], [("kept/1", "1"), ("kept/3", "3")])
        self.assertTrue(self.durable("stays").connack.present)
        self.assertFalse(self.durable("new").connack.present)
        looker = self.clean("looker")
        looker.subscribe("state")
        self.assertEqual(looker.message(), ("state", "old"))

    def test_full_when_it_starts(self):
        self.folder.refuse("write,name ENOSPC")
        broker = self.folder.program()
        self.addCleanup(broker.kill)
        self.assertEqual(broker.wait(), 1)
        self.assertIn("No space", broker.output())
        self.assertIn(os.path.join(self.folder.path, "data"), broker.output())
        self.folder.refuse("")
        self.start()

    def test_messages_that_cannot_be_read_for_a_while(self):
        # Large, so that not all of them are in a block that was read at the start.
        sent = [str(number).rjust(20_000) for number in range(31)]
        broker = self.start("queue_window = 2")
        with self.durable("away") as away:
            away.subscribe("kept/#")
        with self.clean("publisher") as publisher:
            for payload in sent[:30]:
                self.assertEqual(publisher.published("kept/1", payload.encode()), 0)
        broker.kill()
        self.start("queue_window = 2")  # no message is in memory, nor in RocksDB's
        self.folder.refuse("read EIO")
        away = self.durable("away")
        with self.clean("publisher") as publisher:
            self.assertEqual(publisher.published("kept/1", sent[30].encode()), 0)
        self.assertFalse(away.has_more())
        self.folder.refuse("")
        self.assertEqual([away.message()[1] for _ in sent], sent)


class DirectoryTest(DiskTest):
    def test_directory_of_another_broker(self):
        first = self.start()
        second = self.folder.program()
        self.addCleanup(second.kill)
        self.assertEqual(second.wait(), 1)
        self.assertRegex(second.output(), "in use|another|other process")
        self.assertIn(os.path.join(self.folder.path, "data"), second.output())
        with self.clean("publisher") as publisher:
            self.assertEqual(publisher.published("a", b"1"), NO_MATCHING_SUBSCRIBERS)
        self.assertEqual(first.stop(), 0)
        self.start()


if __name__ == "__main__":
    unittest.main()
