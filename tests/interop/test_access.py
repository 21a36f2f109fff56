"""Who may connect and what they may do: real clients, real files that change under the broker."""
import os
import select
import signal
import tempfile
import unittest

import scram
from programs import DEADLINE_SECONDS, Broker, Program, Subscriber, binary, free_port, run
from raw import Raw

# What CONNACK 3.1.1 says, as mosquitto_pub prints it.
BAD_PASSWORD = "bad user name or password"


class AccessTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.users = self.path("users")
        self.rules = self.path("acl")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        """Puts a whole new file in place."""
        with open(self.path("new"), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(self.path("new"), self.path(name))

    def passwd(self, *words, password="open", file="--password-file"):
        done = run([binary("spoke-broker"), "passwd", file, self.users, *words], stdin=password)
        self.assertEqual(done.returncode, 0, done.stderr)

    def broker(self, options):
        broker = Broker(more="[auth]\nanonymous = \"no\"\n" + options)
        self.addCleanup(broker.kill)
        return broker

    def guarded_broker(self, rules):
        for user in "bob", "amy":
            self.passwd(user)
        self.write("acl", rules)
        return self.broker(f'password_file = "{self.users}"\nacl_file = "{self.rules}"\n')

    @staticmethod
    def publish(broker, topic, *options, user="bob", password="open", version="mqttv5"):
        return run(["mosquitto_pub", "-p", broker.port, "-V", version, "-u", user, "-P", password,
                    "-t", topic, "-m", "m", "-q", 1, *options])


class Passwords(AccessTest):
    def test_only_users_of_the_file_with_their_password(self):
        self.passwd("bob")
        self.passwd("amy", "--argon2id", password="sesame")
        broker = self.broker(f'password_file = "{self.users}"\n')
        for version in "mqttv311", "mqttv5":
            with self.subTest(version):
                publish = lambda *who: self.publish(broker, "t", user=who[0], password=who[1],
                                                    version=version)
                self.assertEqual(publish("bob", "open").returncode, 0)
                self.assertEqual(publish("amy", "sesame").returncode, 0)
                for who in ("bob", "sesame"), ("eve", "open"), ("bob", ""):
                    self.assertNotEqual(publish(*who).returncode, 0)
                self.assertNotEqual(run(["mosquitto_pub", "-p", broker.port, "-V", version, "-t",
                                         "t", "-m", "m"]).returncode, 0)
        self.assertIn(BAD_PASSWORD,
                      self.publish(broker, "t", password="x", version="mqttv311").stderr)

    def test_a_new_password_holds_once_the_file_has_changed(self):
        self.passwd("bob")
        broker = self.broker(f'password_file = "{self.users}"\n')
        self.passwd("bob", password="sesame")
        broker.await_line(r"users read again$")
        self.assertNotEqual(self.publish(broker, "t").returncode, 0)
        self.assertEqual(self.publish(broker, "t", password="sesame").returncode, 0)

        self.write("users", "bob\n")
        broker.await_line(r"users:1: no ':' behind the user name")
        self.assertEqual(self.publish(broker, "t", password="sesame").returncode, 0)

    def test_a_slow_check_holds_up_nobody(self):
        self.passwd("slow", "--iterations", "200000", password="slow")
        self.passwd("bob")
        broker = self.broker(f'password_file = "{self.users}"\n')
        with Subscriber(broker.port, "t", "-u", "bob", "-P", "open") as subscriber:
            slow = Raw(broker.port, scram.packet(0x10, scram.field(b"MQTT") + b"\x04\xC2\x00\x3C" +
                                                 3 * scram.field(b"slow")))
            self.addCleanup(slow.socket.close)
            # Answered without a look into the file, and meanwhile.
            with Raw(broker.port, scram.packet(0x10, scram.field(b"MQTT") + b"\x04\x02\x00\x3C" +
                                               scram.field(b"c"))) as other:
                self.assertEqual(scram.read_packet(other), (0x20, b"\0\5"))
            self.assertEqual(select.select([slow.socket], [], [], 0)[0], [])
            self.assertEqual(scram.read_packet(slow), (0x20, b"\0\0"))
            self.assertEqual(self.publish(broker, "t").returncode, 0)
            self.assertEqual(subscriber.message(), "t qos=1 retain=0 m")

    def test_a_bad_file_stops_the_start(self):
        self.write("users", "# none\nbob:secret\n")
        self.write("broker.toml", f'[auth]\npassword_file = "{self.users}"\n'
                                  "[[listener]]\nport = 0\n")
        done = run([binary("spoke-broker"), "-c", self.path("broker.toml")])
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{self.users}:2: user 'bob': the hash does not begin with $", done.stderr)
        self.assertNotIn("secret", done.stderr)


class Rules(AccessTest):
    RULES = ("user bob\ntopic write in/#\ntopic read out/#\n"
             "user amy\ntopic readwrite #\npattern deny +/secret\n")

    def test_write_and_read(self):
        broker = self.guarded_broker(self.RULES)
        with Subscriber(broker.port, "#", "-u", "amy", "-P", "open") as amy:
            self.assertEqual(self.publish(broker, "in/1").returncode, 0)
            for topic in "out/1", "in/secret":
                self.assertIn("Not authorized", self.publish(broker, topic).stderr)
            self.assertEqual(self.publish(broker, "in/2").returncode, 0)
            self.assertEqual(amy.messages(2), ["in/1 qos=1 retain=0 m", "in/2 qos=1 retain=0 m"])
        done = run(["mosquitto_sub", "-p", broker.port, "-u", "bob", "-P", "open", "-t", "in/1",
                    "-W", DEADLINE_SECONDS])
        self.assertIn("denied", done.stderr)

    def test_a_right_that_is_taken_away_stops_what_is_under_way(self):
        broker = self.guarded_broker(self.RULES)
        with Subscriber(broker.port, "out/#", "-u", "bob", "-P", "open") as bob:
            self.publish(broker, "out/1", user="amy")
            self.assertEqual(bob.message(), "out/1 qos=1 retain=0 m")
            self.write("acl", self.RULES + "user bob\ntopic deny out/2\n")
            broker.await_line(r"acl read again$")
            for topic in "out/2", "out/3":
                self.publish(broker, topic, user="amy")
            self.assertEqual(bob.messages(2)[1], "out/3 qos=1 retain=0 m")

    def test_a_bad_file_keeps_the_rules_and_names_the_line(self):
        broker = self.guarded_broker(self.RULES)
        self.write("acl", self.RULES + "topic everything #\n")
        broker.await_line(r"acl:7: unknown access 'everything'")
        self.assertEqual(self.publish(broker, "in/1").returncode, 0)
        self.assertIn("Not authorized", self.publish(broker, "out/1").stderr)

    def test_a_hangup_reads_them_again(self):
        broker = self.guarded_broker(self.RULES)
        broker.signal(signal.SIGHUP)
        broker.await_line(r"acl read again$")
        broker.await_line(r"users read again$")
        self.assertEqual(self.publish(broker, "in/1").returncode, 0)

    def test_symlinks_as_kubernetes_makes_them(self):
        for version, rules in ("..1", "topic read nothing\n"), ("..2", "user bob\ntopic in/1\n"):
            os.mkdir(self.path(version))
            self.write(f"{version}/acl", rules)
        os.symlink("..1", self.path("..data"))
        os.symlink("..data/acl", self.rules)
        self.passwd("bob")
        broker = self.broker(f'password_file = "{self.users}"\nacl_file = "{self.rules}"\n')
        self.assertIn("Not authorized", self.publish(broker, "in/1").stderr)
        os.symlink("..2", self.path("..tmp"))
        os.rename(self.path("..tmp"), self.path("..data"))
        broker.await_line(r"acl read again$")
        self.assertNotIn("Not authorized", self.publish(broker, "in/1").stderr)


class AsMosquitto(AccessTest):
    """The same files mean the same to both brokers."""

    RULES = """# for clients without a name
topic read free/#
topic write box

user root
topic #
user bob
topic readwrite a/+
topic deny a/secret
topic read b/#
topic write two words
topic write c
pattern write u/%u
pattern readwrite c/%c/x
topic read end

user amy
topic deny b/2
topic read b/#
topic readwrite +/x/#
topic read end
"""
    TOPICS = ("a/1", "a/secret", "a/1/2", "b", "b/2", "b/2/3", "c", "two words", "u/bob", "u/amy",
              "c/bobs/x", "c/amys/x", "free/1", "box", "q/x", "q/x/y")

    def mosquitto(self):
        port = free_port()
        self.write("mosquitto.conf", f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n"
                                     f"password_file {self.users}\nacl_file {self.rules}\n")
        broker = Program(["mosquitto", "-c", self.path("mosquitto.conf")])
        self.addCleanup(broker.kill)
        broker.await_line(r"mosquitto version \S+ running")
        return port

    @staticmethod
    def who(user):
        return ["-u", user, "-P", "open", "-i", f"{user}s"] if user else ["-i", "nobody"]

    def written(self, port, user):
        """What reaches root of what the user publishes."""
        with Subscriber(port, "#", *self.who("root"), output="MSG %t") as root:
            for topic in self.TOPICS:
                run(["mosquitto_pub", "-p", port, *self.who(user), "-t", topic, "-m", "m"])
            return self.up_to_end(port, root)

    def had(self, port, user):
        """What reaches the user of what root publishes."""
        with Subscriber(port, ["#", "end"], *self.who(user), output="MSG %t") as subscriber:
            for topic in self.TOPICS:
                run(["mosquitto_pub", "-p", port, *self.who("root")[:4], "-t", topic, "-m", "m"])
            return self.up_to_end(port, subscriber)

    def up_to_end(self, port, subscriber):
        run(["mosquitto_pub", "-p", port, *self.who("root")[:4], "-t", "end", "-m", "m"])
        subscriber.await_line("^MSG end$")
        topics = {line[4:] for line in subscriber.lines() if line.startswith("MSG ")}
        return sorted(topics - {"end"})

    def test_the_same_messages_pass(self):
        for user in "root", "bob", "amy":
            self.passwd(user, "--iterations", "4096")
        self.write("acl", self.RULES)
        theirs = self.mosquitto()
        ours = Broker(more=f'[auth]\nanonymous = "yes"\npassword_file = "{self.users}"\n'
                           f'acl_file = "{self.rules}"\n')
        self.addCleanup(ours.kill)
        for user in "bob", "amy", None:
            with self.subTest(user=user):
                written = self.written(ours.port, user)
                self.assertEqual(written, self.written(theirs, user))
                self.assertNotEqual(written, [])
                if user:
                    had = self.had(ours.port, user)
                    self.assertEqual(had, self.had(theirs, user))
                    self.assertNotEqual(had, [])


class Scram(AccessTest):
    def setUp(self):
        super().setUp()
        self.passwd("bob", file="--scram")
        self.scram_broker = self.broker(f'scram_file = "{self.users}"\n')

    def connected(self, user="bob", password="open"):
        """The connection and the CONNACK that ends the exchange."""
        exchange = scram.Exchange(user, password)
        raw = Raw(self.scram_broker.port, scram.connect(b"c", exchange.first))
        self.addCleanup(raw.socket.close)
        first, body = scram.read_packet(raw)
        self.assertEqual((first, body[0]), (0xF0, scram.CONTINUE))
        raw.socket.sendall(scram.auth(scram.CONTINUE, exchange.final(scram.data_of(body))))
        return raw, exchange, scram.read_packet(raw)

    def test_the_right_password(self):
        _, exchange, (first, body) = self.connected()
        self.assertEqual((first, body[1]), (0x20, 0))
        self.assertEqual(scram.data_of(body), exchange.server_final)

    def test_wrong_passwords_and_unknown_users(self):
        for user, password in ("bob", "shut"), ("eve", "open"):
            raw, _, (first, body) = self.connected(user, password)
            self.assertEqual((first, body[1]), (0x20, 0x87))
            self.assertEqual(raw.read_rest(), b"")

    def test_once_more_while_connected(self):
        raw, _, _ = self.connected()
        for password, answer in ("open", (0xF0, 0)), ("shut", (0xE0, 0x87)):
            exchange = scram.Exchange("bob", password)
            raw.socket.sendall(scram.auth(scram.RE_AUTHENTICATE, exchange.first))
            first, body = scram.read_packet(raw)
            self.assertEqual((first, body[0]), (0xF0, scram.CONTINUE))
            raw.socket.sendall(scram.auth(scram.CONTINUE, exchange.final(scram.data_of(body))))
            first, body = scram.read_packet(raw)
            self.assertEqual((first, body[0]), answer)
        self.assertEqual(raw.read_rest(), b"")

    def test_a_user_that_is_deleted(self):
        self.passwd("-D", "bob", file="--scram")
        self.scram_broker.await_line(r"users read again$")
        _, _, (first, body) = self.connected()
        self.assertEqual((first, body[1]), (0x20, 0x87))


if __name__ == "__main__":
    unittest.main()
