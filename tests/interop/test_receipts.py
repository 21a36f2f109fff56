"""Delivery receipts, client events and command topics, with mosquitto's clients."""
import json
import signal
import tempfile
import time
import unittest

from programs import Broker, Subscriber, publish, run

RECEIPTS = '[receipts]\npublishers = ["client:bridge"]\n'
ASKS = ["-i", "bridge", "-D", "publish", "user-property", "spoke-receipt", "r"]


class Watcher(Subscriber):
    """Gives JSON payloads with their topics, each once, in order."""

    def __init__(self, port, topic):
        super().__init__(port, topic, output="MSG %t %p")
        self.seen = 0

    def next(self, count):
        lines = self.messages(self.seen + count)[self.seen:]
        self.seen += count
        return [(line.split(" ", 1)[0], json.loads(line.split(" ", 1)[1])) for line in lines]


class Receipts(unittest.TestCase):
    def broker(self, more=RECEIPTS, **options):
        broker = Broker(more=more, **options)
        self.addCleanup(broker.kill)
        return broker

    def watch(self, broker, topic):
        watcher = Watcher(broker.port, topic)
        self.addCleanup(watcher.kill)
        return watcher

    def order(self, broker, payload, *options, qos=1):
        publish(broker.port, "d/b42/cmd", payload, *ASKS, "-D", "publish", "correlation-data",
                payload, *options, qos=qos)

    def steps(self, watcher, count):
        receipts = [receipt for _, receipt in watcher.next(count)]
        for receipt in receipts:
            self.assertEqual(receipt["topic"], "d/b42/cmd")
            self.assertLess(abs(receipt["at_us"] / 1e6 - time.time()), 60)
        return [(r["step"], r["client"], r.get("why"), r.get("sent")) for r in receipts]

    def test_each_version_and_qos(self):
        broker = self.broker()
        watcher = self.watch(broker, "r")
        for version in ("mqttv311", "mqttv5"):
            for qos in (0, 1, 2):
                with Subscriber(broker.port, "d/b42/cmd", "-i", "b42", version=version) as device:
                    self.order(broker, f"order-{qos}", qos=qos)
                    self.assertIn(f"order-{qos}", device.message())
                    expected = ["sent"] if qos == 0 else ["sent", "acked"]
                    self.assertEqual(self.steps(watcher, len(expected)),
                                     [(step, "b42", None, None) for step in expected])

    def test_the_property_does_not_go_on(self):
        broker = self.broker()
        with Subscriber(broker.port, "d/b42/cmd", output="MSG %P|%D|%p") as device:
            self.order(broker, "x", "-D", "publish", "user-property", "mine", "1")
            self.assertEqual(device.message(), "mine:1|x|x")

    def test_expiry_is_told_after_kill_9_too(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        more = RECEIPTS + f'[persistence]\ndirectory = "{folder.name}/store"\n'
        broker = self.broker(more)
        with Subscriber(broker.port, "d/b42/cmd", "-i", "b42", "-c", "-x", 3600):
            pass
        self.order(broker, "late", "-D", "publish", "message-expiry-interval", "2")
        self.order(broker, "in time", "-D", "publish", "message-expiry-interval", "600")
        broker.kill()
        broker = self.broker(more)
        watcher = self.watch(broker, "r")
        self.assertEqual(self.steps(watcher, 1), [("expired", "b42", None, None)])
        with Subscriber(broker.port, "d/b42/cmd", "-i", "b42", "-c", "-x", 3600) as device:
            self.assertIn("in time", device.message())
            self.assertEqual([step[0] for step in self.steps(watcher, 2)], ["sent", "acked"])

    def test_a_device_that_hangs_and_goes(self):
        broker = self.broker()
        watcher = self.watch(broker, "r")
        device = Subscriber(broker.port, "d/b42/cmd", "-i", "b42")
        device.freeze()  # it takes nothing and answers nothing
        self.order(broker, "x")
        self.assertEqual(self.steps(watcher, 1), [("sent", "b42", None, None)])
        device.signal(signal.SIGKILL)
        self.assertEqual(self.steps(watcher, 1), [("dropped", "b42", "session_ended", True)])
        device.kill()

    def test_who_connects_and_goes_is_told(self):
        broker = self.broker(RECEIPTS + '[events]\nnode = "n1"\n')
        watcher = self.watch(broker, "$SYS/brokers/n1/clients/a%2Fb/#")
        for version, name in (("mqttv311", "MQTT 3.1.1"), ("mqttv5", "MQTT 5.0")):
            publish(broker.port, "t", "x", "-i", "a/b", version=version)
            [(topic, begin)] = watcher.next(1)
            self.assertEqual(topic, "$SYS/brokers/n1/clients/a%2Fb/connected")
            self.assertEqual((begin["client"], begin["protocol"]), ("a/b", name))
            [(topic, end)] = watcher.next(1)
            self.assertEqual(topic, "$SYS/brokers/n1/clients/a%2Fb/disconnected")
            self.assertEqual(end["connection"], begin["connection"])
            self.assertEqual((end["reason"], end["by"]), ("normal_disconnection", "client"))
        device = Subscriber(broker.port, "t", "-i", "a/b")
        device.kill()
        [_, (_, end)] = watcher.next(2)
        self.assertEqual((end["reason"], end["by"]), ("connection_lost", "network"))

    def test_retain_is_refused_on_command_topics(self):
        broker = self.broker()
        result = run(["mosquitto_pub", "-p", str(broker.port), "-V", "mqttv5", "-q", "1", "-r", "-t",
                      "d/b42/cmd", "-m", "unlock"])
        self.assertIn("Not authorized", result.stdout + result.stderr)
        with Subscriber(broker.port, "d/b42/cmd", "-i", "b42") as device:
            publish(broker.port, "d/b42/cmd", "live", "-r", version="mqttv311", qos=1)
            self.assertEqual(device.message(), "d/b42/cmd qos=1 retain=0 live")
        with Subscriber(broker.port, ["d/+/cmd", "end"]) as late:
            publish(broker.port, "end", "x", qos=1)
            self.assertEqual(late.message(), "end qos=1 retain=0 x")
        broker.await_line("with RETAIN, which is refused")


if __name__ == "__main__":
    unittest.main()
