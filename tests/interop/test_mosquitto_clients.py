"""mosquitto_pub, mosquitto_sub and mosquitto_rr against spoke-broker."""
import functools
import hashlib
import itertools
import tempfile
import unittest

from programs import Broker, Program, Subscriber, publish, run

VERSIONS = ("mqttv31", "mqttv311", "mqttv5")


def each_version(test):
    """Runs the test once per protocol version, which is its argument."""
    @functools.wraps(test)
    def run_all(self):
        for version in VERSIONS:
            with self.subTest(version):
                test(self, version)
    return run_all


class MosquittoClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.kill)
        cls.port = cls.broker.port

    @each_version
    def test_every_qos_reaches_the_subscriber_once(self, version):
        with Subscriber(self.port, f"q/{version}", version=version) as subscriber:
            for qos in (0, 1, 2):
                publish(self.port, f"q/{version}", f"m{qos}", version=version, qos=qos)
                subscriber.await_line(f"m{qos}$")
            self.assertEqual(subscriber.messages(3),
                             [f"q/{version} qos={qos} retain=0 m{qos}" for qos in (0, 1, 2)])

    @each_version
    def test_the_lower_qos_of_publisher_and_subscriber_counts(self, version):
        with Subscriber(self.port, f"low/{version}", version=version, qos=1) as subscriber:
            publish(self.port, f"low/{version}", "m", version=version, qos=2)
            self.assertEqual(subscriber.message(), f"low/{version} qos=1 retain=0 m")

    def test_versions_meet(self):
        for publisher, reader in itertools.permutations(VERSIONS, 2):
            with self.subTest(publisher), Subscriber(self.port, "mix", version=reader) as subscriber:
                publish(self.port, "mix", "hello", version=publisher, qos=2)
                self.assertEqual(subscriber.message(), "mix qos=2 retain=0 hello")

    @each_version
    def test_retained_message_is_kept_replaced_and_deleted(self, version):
        topic = f"kept/{version}"
        publish(self.port, topic, "old", "-r", version=version, qos=1)
        publish(self.port, topic, "new", "-r", version=version, qos=1)
        with Subscriber(self.port, topic, version=version) as subscriber:
            self.assertEqual(subscriber.message(), f"{topic} qos=1 retain=1 new")
            publish(self.port, topic, "live", "-r", version=version, qos=1)
            self.assertEqual(subscriber.messages(2)[1], f"{topic} qos=1 retain=0 live")
        done = run(["mosquitto_pub", "-p", self.port, "-V", version, "-q", 1, "-r", "-n",
                    "-t", topic])
        self.assertEqual(done.returncode, 0)
        with Subscriber(self.port, topic, version=version) as subscriber:
            publish(self.port, topic, "after", version=version, qos=1)
            self.assertEqual(subscriber.message(), f"{topic} qos=1 retain=0 after")

    @each_version
    def test_will_is_published_when_the_client_dies_and_not_when_it_leaves(self, version):
        with Subscriber(self.port, f"will/{version}/#", version=version) as watcher:
            for name in ("dies", "leaves"):
                with Subscriber(self.port, f"call/{name}", "-C", 1, "--will-topic",
                                f"will/{version}/{name}", "--will-payload", "gone",
                                "--will-qos", 1, version=version) as client:
                    if name == "dies":
                        client.kill()
                    else:
                        publish(self.port, "call/leaves", "x", version=version)
                        self.assertEqual(client.wait(), 0)
            publish(self.port, f"will/{version}/end", "end", version=version, qos=1)
            watcher.await_line("end$")
            self.assertEqual(watcher.messages(2), [f"will/{version}/dies qos=1 retain=0 gone",
                                                   f"will/{version}/end qos=1 retain=0 end"])

    @each_version
    def test_wildcards(self, version):
        one, tree = f"w/{version}/+/t", f"w/{version}/#"
        with Subscriber(self.port, one, version=version) as plus, \
                Subscriber(self.port, tree, version=version) as hash_sign:
            for topic in ("a/t", "a/b/t", "a"):
                publish(self.port, f"w/{version}/{topic}", topic, version=version, qos=1)
            publish(self.port, f"w/{version}/last/t", "last", version=version, qos=1)
            plus.await_line("last$")
            hash_sign.await_line("last$")
            self.assertEqual([m.split()[-1] for m in plus.messages(2)], ["a/t", "last"])
            self.assertEqual([m.split()[-1] for m in hash_sign.messages(4)],
                             ["a/t", "a/b/t", "a", "last"])

    @each_version
    def test_large_payload_arrives_whole(self, version):
        payload = bytes(number * 7 % 251 for number in range(900_000))
        with tempfile.NamedTemporaryFile() as file, \
                Subscriber(self.port, f"big/{version}", "-C", 1, version=version,
                           output="MSG %l %x") as subscriber:
            file.write(payload)
            file.flush()
            done = run(["mosquitto_pub", "-p", self.port, "-V", version, "-q", 2,
                        "-t", f"big/{version}", "-f", file.name])
            self.assertEqual(done.returncode, 0, done.stderr)
            length, digits = subscriber.message().split()
            self.assertEqual(int(length), len(payload))
            self.assertEqual(hashlib.sha256(bytes.fromhex(digits)).digest(),
                             hashlib.sha256(payload).digest())

    @each_version
    def test_session_keeps_messages_while_its_client_is_away(self, version):
        topic = f"away/{version}"
        session = ["-c", "-i", f"away-{version}"]
        with Subscriber(self.port, topic, *session, "-E", version=version, qos=1) as subscriber:
            self.assertEqual(subscriber.wait(), 0)
        for number in range(5):
            publish(self.port, topic, f"n{number}", version=version, qos=1)
        with Subscriber(self.port, topic, *session, version=version, qos=1) as subscriber:
            self.assertEqual([m.split()[-1] for m in subscriber.messages(5)],
                             [f"n{number}" for number in range(5)])

    def test_shared_subscription_gives_each_message_to_one_member(self):
        lines = "".join(f"n{number}\n" for number in range(200))
        with Subscriber(self.port, "$share/team/shared", qos=1) as first, \
                Subscriber(self.port, "$share/team/shared", qos=1) as second, \
                Subscriber(self.port, "shared", qos=1) as plain:
            done = run(["mosquitto_pub", "-p", self.port, "-V", "mqttv5", "-q", 1, "-t", "shared",
                        "-l"], stdin=lines)
            self.assertEqual(done.returncode, 0, done.stderr)
            plain.messages(200)
            # Each member gets something; together they get everything once.
            ends = ("end-a", "end-b", "end-c", "end-d")
            for end in ends:
                publish(self.port, "shared", end, qos=1)
            first.await_line("end-")
            second.await_line("end-")
            got = [m.split()[-1] for member in (first, second)
                   for m in (line[4:] for line in member.lines() if line.startswith("MSG "))]
            numbers = sorted((m for m in got if m.startswith("n")), key=lambda m: int(m[1:]))
            self.assertEqual(numbers, [f"n{number}" for number in range(200)])

    @each_version
    def test_many_messages_keep_their_order(self, version):
        lines = "".join(f"{number}\n" for number in range(2000))
        with Subscriber(self.port, f"order/{version}", version=version) as subscriber:
            done = run(["mosquitto_pub", "-p", self.port, "-V", version, "-q", 2,
                        "-t", f"order/{version}", "-l"], stdin=lines)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual([int(m.split()[-1]) for m in subscriber.messages(2000)],
                             list(range(2000)))

    def test_properties_travel_unchanged(self):
        with Subscriber(self.port, "props", output="MSG %C|%D|%R|%F|%P|%p") as subscriber:
            publish(self.port, "props", "x", "-D", "publish", "content-type", "text/plain",
                    "-D", "publish", "correlation-data", "c1", "-D", "publish", "response-topic",
                    "answer/here", "-D", "publish", "payload-format-indicator", "1", "-D", "publish",
                    "user-property", "a", "1", "-D", "publish", "user-property", "a", "2", qos=1)
            self.assertEqual(subscriber.message(), "text/plain|c1|answer/here|1|a:1 a:2|x")

    def test_request_and_response(self):
        with Subscriber(self.port, "ask", "-C", 1, output="MSG %R %p") as responder, \
                Program(["mosquitto_rr", "-p", self.port, "-t", "ask", "-e", "reply/1",
                         "-m", "question"]) as requester:
            topic, question = responder.message().split()
            self.assertEqual(question, "question")
            publish(self.port, topic, "answer", qos=1)
            self.assertEqual(requester.wait(), 0)
            self.assertIn("answer", requester.output())

    def test_message_expiry_counts_down_for_the_subscriber(self):
        with Subscriber(self.port, "expiring", output="MSG %E") as subscriber:
            publish(self.port, "expiring", "x", "-D", "publish", "message-expiry-interval", "100",
                    qos=1)
            self.assertIn(int(subscriber.message()), range(40, 101))

    def test_subscription_options(self):
        with Subscriber(self.port, "own", "--retain-as-published", "-i", "rap") as subscriber:
            publish(self.port, "own", "kept", "-r", qos=1)
            self.assertEqual(subscriber.message(), "own qos=1 retain=1 kept")

    def test_too_large_packet_ends_only_its_own_connection(self):
        with tempfile.NamedTemporaryFile() as file, Subscriber(self.port, "size") as subscriber:
            file.write(b"x" * 2_000_000)
            file.flush()
            done = run(["mosquitto_pub", "-p", self.port, "-V", "mqttv311", "-q", 1, "-t", "size",
                        "-f", file.name])
            self.assertNotEqual(done.returncode, 0)
            publish(self.port, "size", "small", qos=1)
            self.assertEqual(subscriber.message(), "size qos=1 retain=0 small")
