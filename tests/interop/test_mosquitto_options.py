"""Every option of mosquitto_pub and mosquitto_sub that shows on the wire."""
import signal
import tempfile
import unittest

from programs import Broker, Program, Subscriber, publish, run

TIMED_OUT = 27  # exit code of mosquitto_sub -W


def payloads(lines):
    return [line.split()[-1] for line in lines]


class MosquittoOptions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.kill)
        cls.port = cls.broker.port

    def pub(self, *words, stdin=""):
        done = run(["mosquitto_pub", "-p", self.port, *words], stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def sub(self, *words):
        """mosquitto_sub that ends by itself; its output."""
        done = run(["mosquitto_sub", "-p", self.port, *words])
        self.assertIn(done.returncode, (0, TIMED_OUT), done.stderr)
        return done

    # --- mosquitto_pub ---

    def test_sources_of_payloads(self):
        with tempfile.NamedTemporaryFile("w") as file, \
                Subscriber(self.port, "source", output="MSG %l [%p]") as subscriber:
            file.write("from a file")
            file.flush()
            self.pub("-t", "source", "-q", 1, "-m", "from the line")
            self.pub("-t", "source", "-q", 1, "-f", file.name)
            self.pub("-t", "source", "-q", 1, "-s", stdin="from standard input")
            self.pub("-t", "source", "-q", 1, "-n")
            self.pub("-t", "source", "-q", 1, "-l", stdin="one line\nanother\n")
            self.pub("-L", f"mqtt://127.0.0.1:{self.port}/source", "-q", 1, "-m", "by address")
            self.assertEqual(subscriber.messages(7), [
                "13 [from the line]", "11 [from a file]", "19 [from standard input]", "0 []",
                "8 [one line]", "7 [another]", "10 [by address]"])

    def test_repeat_inflight_and_socket_options(self):
        with Subscriber(self.port, "often") as subscriber:
            self.pub("-V", "mqttv5", "-t", "often", "-q", 2, "-m", "x", "--repeat", 50, "-M", 3,
                     "--nodelay", "-A", "127.0.0.1", "-I", "prefix-", "-k", 30)
            self.assertEqual(payloads(subscriber.messages(50)), ["x"] * 50)

    def test_connect_properties(self):
        with Subscriber(self.port, "small", "-D", "connect", "receive-maximum", 1, "-D", "connect",
                        "maximum-packet-size", 100, "-D", "connect",
                        "request-problem-information", 0, "-D", "connect",
                        "request-response-information", 1, "-D", "connect", "user-property", "a",
                        "b", qos=1) as subscriber:
            for payload in ("1", "y" * 200, "2", "3"):  # what is too large for it is left out
                publish(self.port, "small", payload, qos=1)
            self.assertEqual(payloads(subscriber.messages(3)), ["1", "2", "3"])

    def test_publish_properties_and_topic_alias(self):
        with Subscriber(self.port, "alias", output="MSG %t %P %p") as subscriber:
            self.pub("-V", "mqttv5", "-t", "alias", "-q", 1, "-l", "-D", "publish", "topic-alias", 7,
                     "-D", "publish", "user-property", "k", "v", stdin="1\n2\n3\n")
            self.assertEqual(subscriber.messages(3), [f"alias k:v {n}" for n in (1, 2, 3)])

    def test_will_properties(self):
        with Subscriber(self.port, "w", output="MSG %C|%R|%D|%F|%P|%p") as watcher, \
                Subscriber(self.port, "x", "--will-topic", "w", "--will-payload", "gone",
                           "--will-qos", 2, "-D", "will", "content-type", "text", "-D", "will",
                           "response-topic", "r", "-D", "will", "correlation-data", "c", "-D",
                           "will", "payload-format-indicator", 1, "-D", "will", "user-property",
                           "a", "b", "-D", "will", "message-expiry-interval", 100) as client:
            client.kill()
            self.assertEqual(watcher.message(), "text|r|c|1|a:b|gone")

    def test_disconnect_can_ask_for_the_will_and_carry_properties(self):
        with Subscriber(self.port, "leave") as watcher, \
                Subscriber(self.port, "x", "--will-topic", "leave", "--will-payload", "gone", "-D",
                           "disconnect", "session-expiry-interval", 0, "-D", "disconnect",
                           "user-property", "a", "b") as client:
            client.await_rest()
            client.signal(signal.SIGTERM)  # leaves with reason 0x04
            self.assertEqual(watcher.message(), "leave qos=0 retain=0 gone")

    # --- mosquitto_sub ---

    def test_subscribe_and_unsubscribe_properties(self):
        with Subscriber(self.port, "s/#", "-D", "subscribe", "subscription-identifier", 9, "-D",
                        "subscribe", "user-property", "a", "b", "-U", "s/none", "-D", "unsubscribe",
                        "user-property", "c", "d", output="MSG %S %p") as subscriber:
            subscriber.await_line("received UNSUBACK")
            publish(self.port, "s/1", "x", qos=1)
            self.assertEqual(subscriber.message(), "9 x")

    def test_unsubscribe(self):
        for version in ("mqttv31", "mqttv311", "mqttv5"):
            with self.subTest(version), \
                    Subscriber(self.port, ["u/a", "u/b"], "-U", "u/a", version=version) as subscriber:
                subscriber.await_line("received UNSUBACK")
                publish(self.port, "u/a", "no", qos=1)
                publish(self.port, "u/b", "yes", qos=1)
                self.assertEqual(payloads(subscriber.messages(1)), ["yes"])

    def test_retained_options(self):
        for number in range(3):
            publish(self.port, f"keep/{number}", f"k{number}", "-r", qos=1)
        # Ends with the first message that is not a retained one, here with the time.
        kept = self.sub("-t", "keep/#", "--retained-only", "-C", 3, "-v").stdout.splitlines()
        self.assertEqual(sorted(kept), [f"keep/{n} k{n}" for n in range(3)])
        left = self.sub("-t", "keep/#", "-T", "keep/1", "-C", 2).stdout.split()
        self.assertEqual(sorted(left), ["k0", "k2"])
        with Subscriber(self.port, "keep/#", "-R", version="mqttv311") as subscriber:
            publish(self.port, "keep/live", "live", qos=1)
            self.assertEqual(payloads(subscriber.messages(1)), ["live"])
        with Subscriber(self.port, "keep/#", qos=1) as watcher, \
                Subscriber(self.port, "keep/#", "--remove-retained", "-T", "keep/2", qos=1):
            # An empty retained message is delivered to whoever is there.
            self.assertEqual(sorted(m.split()[0] for m in watcher.messages(5)[3:]),
                             ["keep/0", "keep/1"])
        self.assertEqual(self.sub("-t", "keep/#", "-C", 1, "-v").stdout, "keep/2 k2\n")

    def test_count_and_time(self):
        publish(self.port, "count/1", "a", "-r", qos=1)
        publish(self.port, "count/2", "b", "-r", qos=1)
        self.assertEqual(len(self.sub("-t", "count/#", "-C", 2).stdout.split()), 2)
        done = self.sub("-t", "count/none", "-W", 1)
        self.assertEqual((done.returncode, done.stdout), (TIMED_OUT, ""))

    def test_formats(self):
        publish(self.port, "form", "{}", "-r", "-D", "publish", "content-type", "json", qos=1)
        for output, said in (("%t", "form"), ("%x", "7b7d"), ("%X", "7B7D"), ("%l", "2"),
                             ("%q", "1"), ("%r", "1"), ("%C", "json")):
            with self.subTest(output):
                done = self.sub("-V", "mqttv5", "-q", 1, "-t", "form", "-C", 1, "-F", output)
                self.assertEqual(done.stdout, f"{said}\n")
        self.assertEqual(self.sub("-t", "form", "-C", 1, "-N").stdout, "{}")

    def test_exit_after_subscribing_leaves_the_session(self):
        for version, expiry in (("mqttv31", []), ("mqttv311", []), ("mqttv5", ["-x", 100])):
            words = ["-V", version, "-c", "-i", f"kept-{version}", "-q", 1, "-t", f"kept/{version}",
                     *expiry]
            with self.subTest(version):
                self.sub(*words, "-E")
                publish(self.port, f"kept/{version}", "waited", qos=1)
                self.assertEqual(self.sub(*words, "-C", 1).stdout, "waited\n")

    def test_session_ends_after_its_expiry(self):
        """The will, delayed for longer, tells when."""
        words = ["-c", "-x", 1, "-i", "short"]
        with Subscriber(self.port, "ended") as watcher, \
                Subscriber(self.port, "short", *words, "--will-topic", "ended", "--will-payload",
                           "now", "-D", "will", "will-delay-interval", 100) as client:
            client.kill()
            publish(self.port, "short", "waits in vain", qos=1)
            self.assertEqual(payloads(watcher.messages(1)), ["now"])
        with Subscriber(self.port, "short", *words) as client:
            publish(self.port, "short", "new", qos=1)
            self.assertEqual(payloads(client.messages(1)), ["new"])

    def test_keep_alive_finds_out_who_is_gone(self):
        with Subscriber(self.port, "silent") as watcher, \
                Subscriber(self.port, "x", "-k", 5) as lively, \
                Subscriber(self.port, "x", "-k", 5, "--will-topic", "silent", "--will-payload",
                           "gone") as frozen:
            frozen.freeze()
            self.assertEqual(payloads(watcher.messages(1)), ["gone"])
            lively.await_line("received PINGRESP")
            publish(self.port, "x", "still here", qos=1)
            lively.await_line("still here$")

    def test_shared_subscription_of_every_version(self):
        versions = ("mqttv31", "mqttv311", "mqttv5")
        members = [Subscriber(self.port, "$share/all/job", version=version, qos=1)
                   for version in versions]
        for member in members:
            self.addCleanup(member.kill)
        for number in range(30):
            publish(self.port, "job", f"n{number}", qos=1)
        for number, member in enumerate(members):  # each gets the word that ends its part
            publish(self.port, "job", "end", qos=1)
        for member in members:
            member.await_line("end$")
        got = [m for member in members for m in payloads(
            line for line in member.lines() if line.startswith("MSG "))]
        self.assertEqual(sorted(got), sorted([f"n{n}" for n in range(30)] + ["end"] * 3))

    def test_request_and_response_of_every_version(self):
        for version in ("mqttv31", "mqttv311", "mqttv5"):
            with self.subTest(version), \
                    Subscriber(self.port, f"ask/{version}", "-C", 1) as responder, \
                    Program(["mosquitto_rr", "-p", self.port, "-V", version, "-q", 1, "-t",
                             f"ask/{version}", "-e", f"reply/{version}", "-m", "q"]) as requester:
                responder.message()
                publish(self.port, f"reply/{version}", "answer", qos=1)
                self.assertEqual(requester.wait(), 0)
                self.assertIn("answer", requester.output())


if __name__ == "__main__":
    unittest.main()
