"""Users of a file that mosquitto_passwd writes, rights of an ACL file, and each client library."""
import os
import signal
import tempfile
import unittest

from clients import KINDS, V5, V311, Endpoint, Refused, fresh, matrix, stop_all
from programs import Broker, run

ACL = """\
topic read public/#

user alice
topic readwrite home/#
topic deny home/safe
topic write public/#

user bob
topic read home/#

pattern readwrite own/%u/%c/#
"""


def setUpModule():
    unittest.addModuleCleanup(stop_all)


class WithUsers(unittest.TestCase):
    ANONYMOUS = "no"

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.passwords = os.path.join(folder.name, "passwords")
        cls.rules = os.path.join(folder.name, "acl")
        cls.passwd("-c", "-b", cls.passwords, "alice", "in wonderland: é")
        cls.passwd("-b", cls.passwords, "bob", "b")
        cls.write_rules(ACL)
        cls.broker = Broker(more=f'[auth]\nanonymous = "{cls.ANONYMOUS}"\n'
                                 f'password_file = "{cls.passwords}"\nacl_file = "{cls.rules}"\n')
        cls.addClassCleanup(cls.broker.kill)
        cls.at = Endpoint(cls.broker.port)

    @classmethod
    def passwd(cls, *words):
        done = run(["mosquitto_passwd", *words])
        if done.returncode != 0:
            raise AssertionError(f"mosquitto_passwd: {done.stderr}")

    @classmethod
    def write_rules(cls, text):
        with open(f"{cls.rules}.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(f"{cls.rules}.new", cls.rules)

    def client(self, kind, version, **options):
        client = kind.client(version, self.at, **options)
        self.addCleanup(client.close)
        return client.connect()

    def alice(self, kind, version, **options):
        return self.client(kind, version, user="alice", password="in wonderland: é", **options)

    def bob(self, kind, version, **options):
        return self.client(kind, version, user="bob", password="b", **options)

    def witness(self):
        return self.alice(KINDS["paho_c_async"], V5)


@matrix()
class Passwords(WithUsers):
    def check_right_password(self, kind, version):
        topic = fresh("home/x")
        client = self.alice(kind, version)
        client.subscribe(topic, qos=1)
        client.publish(topic, b"let in", qos=1)
        self.assertEqual(client.message().payload, b"let in")

    def check_wrong_password(self, kind, version):
        wrong = [{"user": "alice", "password": "in wonderland"}, {"user": "nobody", "password": "b"},
                 {"user": "bob", "password": ""}, {}]
        for options in wrong:
            with self.subTest(options):
                client = kind.client(version, self.at, **options)
                self.addCleanup(client.close)
                with self.assertRaises(AssertionError) as refused:
                    client.connect()
                    client.publish("home/x", b"break-in", qos=1)  # mosquitto connects with this
                if isinstance(refused.exception, Refused):
                    self.assertIn(refused.exception.reason,
                                  (0x86, 0x87) if version == V5 else (4, 5))


@matrix(versions=(V311, V5))
class Rights(WithUsers):
    def check_publish(self, kind, version):
        topic, witness = fresh("home/y"), self.witness()
        witness.subscribe("home/#", qos=2)
        bob = self.bob(kind, version)
        # The synchronous library does not tell of a PUBREC that refuses.
        for qos in (0, 1) if (kind.name, version) == ("paho_c_sync", V5) else (0, 1, 2):
            self.try_to_publish(bob, topic, b"not bob's", qos)
            self.try_to_publish(bob, topic, b"kept neither", qos, retain=True)
        alice = self.alice(kind, version)
        self.try_to_publish(alice, "home/safe", b"denied", 1)
        alice.publish(topic, b"alice's", qos=1)
        self.assertEqual(witness.message().facts(), (topic, b"alice's", 1, False))
        late = self.witness()
        late.subscribe(topic, qos=1)
        alice.publish(topic, b"again", qos=1)
        self.assertEqual(late.message().facts(), (topic, b"again", 1, False))

    @staticmethod
    def try_to_publish(client, topic, payload, qos, retain=False):
        """With whatever answer: 5.0 says no, the older ones act as if."""
        client.send(topic, payload, qos=qos, retain=retain)
        client.answered()

    def check_subscribe(self, kind, version):
        """Refused where nothing can be read; else what may be read comes."""
        bob = self.bob(kind, version)
        with self.assertRaises(AssertionError):
            bob.subscribe("elsewhere/#", qos=1)
        bob.close()
        again = self.bob(kind, version, id="phone")
        again.subscribe("home/#", "own/bob/phone/+", qos=1)
        alice = self.witness()
        alice.publish("own/alice/" + alice.options["id"] + "/a", b"alice's own", qos=1)
        alice.publish("home/a", b"for bob, too", qos=1)
        self.assertEqual(again.message().payload, b"for bob, too")

    def check_own_topics(self, kind, version):
        name = fresh("client")
        bob = self.bob(kind, version, id=name)
        bob.subscribe(f"own/bob/{name}/#", qos=1)
        other = self.bob(KINDS["paho_c_sync"], V5, id=fresh("other"))
        self.try_to_publish(other, f"own/bob/{name}/a", b"of another client", 1)
        with self.subTest("the client itself"):
            itself = bob if kind.name != "mosquitto" else self.bob(KINDS["mqttjs"], version, id=name)
            if itself is not bob:
                itself.subscribe(f"own/bob/{name}/#", qos=1)
            itself.publish(f"own/bob/{name}/a", b"mine", qos=1)
            self.assertEqual(itself.message().payload, b"mine")

    def check_will(self, kind, version):
        witness = self.witness()
        witness.subscribe("home/#", qos=1)
        topic = fresh("home/will")
        for who, text in ((self.bob, b"not bob's"), (self.alice, b"alice's")):
            client = who(kind, version, will={"topic": topic, "payload": text, "qos": 1})
            client.subscribe("home/nothing")
            client.kill()
        self.assertEqual(witness.message().payload, b"alice's")


class Changes(WithUsers):
    ANONYMOUS = "local"

    def test_new_user_after_a_signal(self):
        with self.assertRaises(Refused):
            self.client(KINDS["paho_c_sync"], V5, user="carol", password="c")
        self.passwd("-b", self.passwords, "carol", "c")
        self.broker.signal(signal.SIGHUP)
        client = self.when_known("carol", "c")
        client.publish("own/carol/x", b"", qos=0)
        self.passwd("-D", self.passwords, "carol")

    def when_known(self, user, password):
        """The file is read in the background: tries until it is."""
        while True:
            try:
                return self.client(KINDS["paho_c_sync"], V5, user=user, password=password)
            except Refused:
                self.assertIsNone(self.broker.process.poll())

    def test_anonymous_client_has_the_rights_before_the_first_user(self):
        anonymous = self.client(KINDS["mqttjs"], V5)
        anonymous.subscribe("public/#", qos=1)
        witness = self.witness()
        witness.publish("public/news", b"for all", qos=1)
        self.assertEqual(anonymous.message().payload, b"for all")
        with self.assertRaises(AssertionError):
            anonymous.subscribe("home/#", qos=1)


if __name__ == "__main__":
    unittest.main()
