"""A broker that is killed and started again, seen by mosquitto's clients: what README.md shows."""
import os
import signal
import subprocess
import tempfile
import unittest

from programs import Broker, Subscriber, binary, publish, run


class Persistence(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = os.path.join(folder.name, "store")

    def broker(self, *options):
        lines = "".join(f"{line}\n" for line in options)
        broker = Broker(more=f'[persistence]\ndirectory = "{self.store}"\n{lines}')
        self.addCleanup(broker.kill)
        return broker

    def subscriber(self, broker, version):
        """A session that waits for its client."""
        options = ["-i", f"bike-{version}", "-c"]
        if version == "mqttv5":
            options += ["-x", 3600]
        return Subscriber(broker.port, f"cmd/{version}", *options, version=version, qos=2)

    def test_what_was_acknowledged_survives_kill_9(self):
        broker = self.broker()
        for version in ("mqttv311", "mqttv5"):
            with self.subscriber(broker, version):
                pass
            for i, qos in enumerate((1, 2, 1, 2)):
                publish(broker.port, f"cmd/{version}", f"m{i}", version=version, qos=qos)
        publish(broker.port, "state/1", "locked", "-r", qos=1)
        broker.kill()
        broker = self.broker()
        with Subscriber(broker.port, "state/#") as reader:
            self.assertEqual(reader.message(), "state/1 qos=1 retain=1 locked")
        for version in ("mqttv311", "mqttv5"):
            with self.subscriber(broker, version) as subscriber:
                got = [line.split()[-1] for line in subscriber.messages(4)]
                self.assertEqual([m for m in got if m in ("m0", "m2")], ["m0", "m2"])
                self.assertEqual([m for m in got if m in ("m1", "m3")], ["m1", "m3"])

    def test_a_stop_loses_nothing_either(self):
        broker = self.broker('sync = "never"')
        broker.await_line("sync = never: a power failure may take anything")
        with self.subscriber(broker, "mqttv5"):
            pass
        publish(broker.port, "cmd/mqttv5", "m", qos=1)
        broker.signal(signal.SIGTERM)
        self.assertEqual(broker.wait(), 0)
        broker = self.broker('sync = "interval"')
        with self.subscriber(broker, "mqttv5") as subscriber:
            self.assertEqual(subscriber.message(), "cmd/mqttv5 qos=1 retain=0 m")

    def test_how_it_syncs_is_told(self):
        for options, told in (((), "always"), (('sync = "never"',), "never"),
                              (('sync = "interval"', 'sync_interval = "20 ms"'), "interval 20 ms")):
            with self.subTest(told):
                broker = self.broker(*options)
                with Subscriber(broker.port, "$SYS/broker/persistence/sync") as reader:
                    self.assertTrue(reader.message().endswith(told))
                broker.kill()
        with Broker() as broker, Subscriber(broker.port, "$SYS/broker/persistence/#") as reader:
            broker.await_line("nothing is kept over a restart")
            self.assertTrue(reader.message().endswith(" off"))

    def test_one_broker_at_a_time(self):
        self.broker()
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
            config.write(f'[[listener]]\nport = 0\n[persistence]\ndirectory = "{self.store}"\n')
            config.flush()
            second = subprocess.run([binary("spoke-broker"), "-c", config.name],
                                    capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(second.returncode, 1)
        self.assertIn(self.store, second.stderr)
        self.assertEqual(len(second.stderr.splitlines()), 1, second.stderr)

    def test_store_commands(self):
        broker = self.broker()
        with self.subscriber(broker, "mqttv5"):
            pass
        publish(broker.port, "cmd/mqttv5", "hello", qos=1)
        broker.kill()
        for command, expected in ((["check", self.store], ""), (["stats", self.store], "deliveries"),
                                  (["dump", self.store], "bike-mqttv5")):
            done = run([binary("spoke-broker"), "store", *command])
            self.assertEqual(done.returncode, 0, done)
            self.assertIn(expected, done.stdout)


if __name__ == "__main__":
    unittest.main()
