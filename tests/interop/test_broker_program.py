"""spoke-broker as a process: command line, signals, exit codes, bad bytes."""
import os
import signal
import tempfile
import unittest

from programs import Broker, Program, Subscriber, binary, publish, run
from raw import CONNECT_V5, CONNECT_V311, Raw, connected, reason_of


def with_config(text, *options):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        done = run([binary("spoke-broker"), "-c", file.name, *options])
        return done, file.name


class CommandLine(unittest.TestCase):
    def test_help_and_version(self):
        done = run([binary("spoke-broker"), "--help"])
        self.assertEqual(done.returncode, 0)
        for option in ("--config", "--port", "--verbose", "--version", "--check-config",
                       "--print-config"):
            self.assertIn(option, done.stdout)
        done = run([binary("spoke-broker"), "--version"])
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^spoke-broker \d+\.\d+\.\d+\n$")

    def test_printed_configuration_is_a_right_one(self):
        printed = run([binary("spoke-broker"), "--print-config"])
        self.assertEqual(printed.returncode, 0)
        done, _ = with_config(printed.stdout, "--check-config")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_wrong_configuration_ends_with_one_clear_line(self):
        for text, said in (("[limits]\npacket_size_mx = 5\n",
                            ":2: limits.packet_size_mx: unknown key; the nearest known key is "
                            "limits.packet_size_max"),
                           ("\n[[listener]]\nport = 70000\n",
                            ":3: listener.port: 70000 is out of range, 0 .. 65535"),
                           ("[log]\nlevel = 3\n", ":2: log.level: must be one of"),
                           ("[limits\n", ":1: not TOML")):
            with self.subTest(text):
                done, name = with_config(text)
                self.assertEqual(done.returncode, 1)
                self.assertIn(f"spoke-broker: {name}{said}", done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1)

    def test_unreadable_file_and_wrong_arguments(self):
        for words, said in ((["-c", "/nowhere/x.toml"], "/nowhere/x.toml: No such file"),
                            (["-c", "/"], "/: Is a directory"),
                            (["-p", "99999"], "99999"),
                            (["--frobnicate"], "--frobnicate")):
            with self.subTest(words):
                done = run([binary("spoke-broker"), *words])
                self.assertEqual(done.returncode, 1)
                self.assertIn(said, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1)

    def test_unusable_log_file(self):
        done, _ = with_config('[log]\nfile = "/dev/null/broker.log"\n', "-p", "0")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/dev/null/broker.log", done.stderr)
        self.assertIn("Not a directory", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)

    def test_log_file_gets_the_lines(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "broker.log")
            config = os.path.join(folder, "broker.toml")
            os.mkfifo(path)  # so that the line can be awaited
            with open(config, "w", encoding="utf-8") as file:
                file.write(f'[log]\nfile = "{path}"\n')
            with Program(["cat", path]) as log, \
                    Program([binary("spoke-broker"), "-c", config, "-p", "0"]) as broker:
                log.await_line("listening on 127.0.0.1:")
                self.assertEqual(broker.stop(), 0)

    def test_without_a_file_it_serves_this_machine_only_and_says_so(self):
        with Program([binary("spoke-broker"), "-p", "0"]) as broker:
            port = int(broker.await_line(r"listening on 127\.0\.0\.1:(\d+)")[1])
            broker.await_line("no configuration file.*this machine only")
            broker.await_line("serving with")
            self.assertEqual(broker.output().count("listening on"), 1)
            publish(port, "a", "x", qos=1)
            self.assertEqual(broker.stop(), 0)

    def test_port_in_use_ends_with_one_clear_line(self):
        with Broker() as broker:
            done = run([binary("spoke-broker"), "-p", broker.port])
            self.assertEqual(done.returncode, 1)
            self.assertEqual(
                done.stderr,
                f"spoke-broker: cannot listen on 127.0.0.1:{broker.port}: the port is in use\n")


class Signals(unittest.TestCase):
    def test_either_signal_tells_the_clients_and_ends_with_zero(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number), Broker() as broker:
                with connected(broker.port, CONNECT_V5) as v5, \
                        connected(broker.port, CONNECT_V311) as v311:
                    broker.signal(number)
                    self.assertEqual(reason_of(v5.read_packet()), 0x8B)
                    self.assertEqual(v5.read_rest(), b"")
                    self.assertEqual(v311.read_rest(), b"")
                self.assertEqual(broker.wait(), 0)

    def test_messages_on_their_way_are_written_before_the_end(self):
        with Broker() as broker, Subscriber(broker.port, "last", qos=0) as subscriber:
            publish(broker.port, "last", "word", qos=1)
            self.assertEqual(broker.stop(), 0)
            self.assertEqual(subscriber.message(), "last qos=0 retain=0 word")

    def test_second_signal_ends_at_once(self):
        with Broker(more='[limits]\nshutdown_timeout = "5 min"\nlinger = "60 s"') as broker:
            # This client never reads and never closes: stopping waits for it.
            with connected(broker.port, CONNECT_V5):
                broker.signal(signal.SIGTERM)
                broker.await_line("SIGTERM: stopping")
                broker.signal(signal.SIGTERM)
                self.assertEqual(broker.wait(), -signal.SIGTERM)


class BadBytes(unittest.TestCase):
    """Each closes its own connection and nothing else."""

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(listener='connect_timeout = "300 ms"')
        cls.addClassCleanup(cls.broker.kill)

    def setUp(self):
        self.witness = Subscriber(self.broker.port, "witness", qos=1)
        self.addCleanup(self.witness.kill)

    def tearDown(self):
        publish(self.broker.port, "witness", "alive", qos=1)
        self.witness.await_line("alive$")

    def test_what_is_not_mqtt(self):
        for data in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", bytes(64), b"\xff" * 64,
                     b"\x16\x03\x01\x02\x00\x01\x00"):
            with self.subTest(data), Raw(self.broker.port, data) as raw:
                self.assertEqual(raw.read_rest()[:1] or b"\x20", b"\x20")

    def test_silence_instead_of_connect(self):
        for data in (b"", CONNECT_V5[:7]):
            with self.subTest(data), Raw(self.broker.port, data) as raw:
                self.assertEqual(raw.read_rest(), b"")

    def test_malformed_packet_is_told_the_reason(self):
        for data, code in ((bytes.fromhex("36 05 0001 61 0001"), 0x81),  # QoS 3
                           (bytes.fromhex("82 05 0001 00 0001"), 0x81),  # cut filter
                           (bytes.fromhex("F0 00"), 0x82),               # AUTH without a method
                           (bytes.fromhex("30 FF FF FF FF 01"), 0x81),   # length of five bytes
                           (bytes.fromhex("30 FF FF FF 7F"), 0x95)):     # 256 MiB announced
            with self.subTest(data.hex()), connected(self.broker.port, CONNECT_V5) as raw:
                # What comes behind the bad packet must not cost the peer the reason.
                raw.socket.sendall(data + bytes(100_000))
                self.assertEqual(reason_of(raw.read_packet()), code)

    def test_version_3_1_1_is_closed_without_a_word(self):
        with connected(self.broker.port, CONNECT_V311) as raw:
            raw.socket.sendall(bytes.fromhex("36 05 0001 61 0001"))
            self.assertEqual(raw.read_rest(), b"")


if __name__ == "__main__":
    unittest.main()
