"""spoke-broker store as a process, on what a broker has left behind."""
import json
import os
import tempfile
import unittest

from programs import Broker, Program, binary, publish, run


def store(*words):
    return run([binary("spoke-broker"), "store", *words])


def files_below(folder):
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                found[os.path.join(path, name)] = (file.read(), os.stat(file.fileno()).st_mtime_ns)
    return found


class StoreTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.directory = os.path.join(folder.name, "store")

    def broker(self):
        return Broker(more=f'[persistence]\ndirectory = "{self.directory}"\n')

    def fill(self):
        """One session with messages for it, another without, and a retained message."""
        with self.broker() as broker:
            for client in "bike-7", "bike-8":
                done = run(["mosquitto_sub", "-p", broker.port, "-V", "5", "-i", client, "-c",
                            "-x", 4000, "-q", 1, "-t", f"{client}/#", "-E"])
                self.assertEqual(done.returncode, 0, done.stderr)
            publish(broker.port, "bike-7/cmd", "unlock", "-D", "publish", "content-type", "text",
                    "-D", "publish", "user-property", "by", "bob", qos=1)
            publish(broker.port, "bike-7/cmd", "lock", "-D", "publish", "message-expiry-interval",
                    "3000", qos=1)
            publish(broker.port, "rooms/1", "warm", "-r", qos=1)
            self.assertEqual(broker.stop(), 0, broker.output())

    def done(self, code, *words):
        """The output; nothing in the directory has changed meanwhile."""
        before = files_below(self.directory)
        done = store(*words, self.directory)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(files_below(self.directory), before)
        return done

    def objects(self, *words):
        done = self.done(0, "dump", *words)
        self.assertEqual(done.stderr, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def table(self):
        """The largest file of tables, once a broker has started again."""
        with self.broker() as broker:
            broker.stop()
        files = [path for path in files_below(self.directory) if path.endswith(".sst")]
        self.assertTrue(files)
        return max(files, key=os.path.getsize)


class Looking(StoreTest):
    def test_check(self):
        self.fill()
        done = self.done(0, "check")
        self.assertRegex(done.stdout, r"\Anothing is wrong with \d+ records and 0 tables\n\Z")
        self.assertEqual(done.stderr, "")

    def test_dump(self):
        self.fill()
        objects = self.objects()
        self.assertEqual([thing["kind"] for thing in objects],
                         ["session"] * 2 + ["subscription"] * 2 + ["delivery"] * 2 + ["retained"])
        seven, eight = objects[:2]
        self.assertEqual((seven["client_id"], seven["connected"], seven["expiry_interval"]),
                         ("bike-7", False, 4000))
        self.assertRegex(seven["expires_at"], r"\A20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
        self.assertEqual(eight["client_id"], "bike-8")
        self.assertEqual([thing["filter"] for thing in objects[2:4]], ["bike-7/#", "bike-8/#"])
        self.assertLess(objects[4]["number"], objects[5]["number"])
        self.assertNotIn("expires_at", objects[4])
        self.assertIn("expires_at", objects[5])
        self.assertEqual({thing["state"] for thing in objects[4:6]}, {"waiting"})
        self.assertEqual(objects[6], {"kind": "retained", "topic": "rooms/1", "qos": 1,
                                      "payload_bytes": 4})

    def test_dump_with_messages(self):
        self.fill()
        objects = self.objects("--messages")
        messages = [thing for thing in objects if thing["kind"] == "message"]
        self.assertEqual([thing["payload"] for thing in messages], ["unlock", "lock"])
        self.assertEqual(messages[0]["content_type"], "text")
        self.assertEqual(messages[0]["user_properties"], [["by", "bob"]])
        self.assertEqual(messages[0]["topic"], "bike-7/cmd")
        self.assertEqual(objects[-1]["payload"], "warm")

    def test_dump_of_one_client(self):
        self.fill()
        seven = self.objects("--messages", "--session", "bike-7")
        self.assertEqual([thing["kind"] for thing in seven],
                         ["session", "subscription", "delivery", "delivery", "message", "message"])
        eight = self.objects("--session", "bike-8")
        self.assertEqual([thing["kind"] for thing in eight], ["session", "subscription"])
        done = self.done(1, "dump", "--session", "bike-9")
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\A.*has no session of client 'bike-9'\n\Z")

    def test_stats(self):
        self.fill()
        text = self.done(0, "stats").stdout
        for line in (r"  format 2, opened 1 times", r"  sessions +2 +\d+ bytes",
                     r"  subscriptions +2 +\d+ bytes", r"  deliveries +2 +\d+ bytes",
                     r"  messages +2 +\d+ bytes", r"  retained +1 +\d+ bytes",
                     r"  bike-7 +2 +\d+ bytes", r"  number \d+ of bike-7", r"  logs +1 +\d+ bytes",
                     r"  quarantine +0 +0 bytes"):
            self.assertRegex(text, rf"(?m)^{line}$")

    def test_damage_is_told_and_repaired_by_the_broker(self):
        self.fill()
        table = self.table()
        with open(table, "rb") as file:
            content = file.read()
        at = content.index(b"unlock")
        with open(table, "wb") as file:
            file.write(content[:at] + b"!" + content[at + 1:])
        done = self.done(1, "check")
        self.assertIn("1 damaged blocks\n", done.stdout)
        self.assertIn("is damaged: ", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^3 problems; .*/quarantine$")
        with self.broker() as broker:
            sub = run(["mosquitto_sub", "-p", broker.port, "-V", "5", "-i", "bike-7", "-c",
                       "-x", 4000, "-q", 1, "-t", "bike-7/#", "-C", 1])
            self.assertEqual(sub.stdout, "lock\n")
            broker.await_line("made anew with .* in quarantine")
            broker.stop()
        self.assertRegex(self.done(0, "stats").stdout, r"(?m)^  quarantine +[1-9]")


class Errors(StoreTest):
    def fails(self, error, *words):
        done = store(*words)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertRegex(done.stderr, error)

    def test_not_while_a_broker_has_it(self):
        with self.broker() as broker:
            for command in "check", "dump", "stats":
                self.fails(rf"'{self.directory}' is in use by process {broker.process.pid}: ",
                           command, self.directory)
            self.assertEqual(broker.stop(), 0)
        self.done(0, "check")

    def test_a_second_broker_ends_with_one_line(self):
        with self.broker() as first:
            config = os.path.join(os.path.dirname(self.directory), "second.toml")
            with open(config, "w", encoding="utf-8") as file:
                file.write(f'[[listener]]\nport = 0\n[persistence]\n'
                           f'directory = "{self.directory}"\n')
            with Program([binary("spoke-broker"), "-c", config]) as second:
                self.assertEqual(second.wait(), 1)
                self.assertEqual(second.lines(), [
                    f"spoke-broker: the store '{self.directory}' is in use by process "
                    f"{first.process.pid}: stop that, or name another directory"])

    def test_no_store(self):
        self.fails("cannot be read: No such file or directory", "check", self.directory)
        os.mkdir(self.directory)
        self.fails("there is no store in", "dump", self.directory)
        with open(os.path.join(self.directory, "mine"), "w", encoding="utf-8") as file:
            file.write("text")
        self.fails("holds 'mine', which is not of a store", "stats", self.directory)

    def test_command_line(self):
        self.fails("subcommand is required.*--help")
        self.fails("DIR is required.*--help", "check")
        self.fails("--help", "stats", "--messages", self.directory)
        done = store("--help")
        self.assertEqual(done.returncode, 0)
        for word in "check", "dump", "stats", "/var/lib/spoke":
            self.assertIn(word, done.stdout)
        self.assertIn("--session CLIENT_ID", store("dump", "--help").stdout)
