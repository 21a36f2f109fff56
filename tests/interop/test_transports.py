"""Each client library over each transport that it knows, towards a client over TCP."""
import functools
import hashlib
import os
import random
import tempfile
import unittest

from certificates import Authority
from clients import KINDS, V5, V311, VERSION_NAMES, Endpoint, fresh, stop_all
from programs import Broker, run

PSK = bytes(range(16)).hex()
LARGE = 900_000


def setUpModule():
    unittest.addModuleCleanup(stop_all)


class WithListeners(unittest.TestCase):
    """A broker that listens in every way, with files in `folder`."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.authority = Authority(cls.folder, "authority")
        cls.certificate, cls.key = cls.authority.sign("localhost",
                                                      "DNS:localhost,IP:127.0.0.1")
        listeners = cls.listeners()
        cls.broker = Broker(more="".join(f"[[listener]]\nport = 0\n{text}\n"
                                         for text in listeners.values()))
        cls.addClassCleanup(cls.broker.kill)
        found = cls.broker.await_lines(r"listening on (?:127\.0\.0\.1|unix):(\S+)",
                                       1 + len(listeners))
        cls.places = dict(zip(["tcp", *listeners], [match[1] for match in found]))

    @classmethod
    def tls_lines(cls):
        return f'tls_certificate = "{cls.certificate}"\ntls_key = "{cls.key}"\n'

    @classmethod
    def at(cls, name="tcp", **fields):
        """Where to connect to the listener `name`."""
        place = cls.places[name]
        transport = fields.pop("transport", name)
        if transport == "unix":
            return Endpoint(0, host=place, transport="unix")
        if transport in ("tls", "wss") and "tls" not in fields:
            fields["tls"] = (("ca", cls.authority.certificate),)
        return Endpoint(int(place), transport=transport, **fields)

    def client(self, kind, version, at, **options):
        client = KINDS[kind].client(version, at, **options) if isinstance(kind, str) else \
            kind.client(version, at, **options)
        self.addCleanup(client.close)
        return client.connect()

    def works(self, kind, version, at, **options):
        """A message there and one back."""
        topic = fresh("works")
        client = self.client(kind, version, at, **options)
        client.subscribe(topic, qos=1)
        client.publish(topic, b"echo", qos=1)
        self.assertEqual(client.message().payload, b"echo")
        client.close()

    def refuses(self, kind, version, at, **options):
        with self.assertRaises(AssertionError):
            self.works(kind, version, at, **options)


def for_each_transport(cls):
    """Makes `check_NAME(kind, transport)` one test per library and transport."""
    for name in [name for name in dir(cls) if name.startswith("check_")]:
        for kind in KINDS.values():
            for transport in kind.transports:
                if transport != "tcp":
                    setattr(cls, f"test_{name.removeprefix('check_')}__{kind.name}_{transport}",
                            functools.partialmethod(getattr(cls, name), kind, transport))
    return cls


@for_each_transport
class EveryTransport(WithListeners):
    @classmethod
    def listeners(cls):
        path = os.path.join(cls.folder, "mqtt.sock")
        return {"tls": cls.tls_lines(), "ws": "websocket = true",
                "wss": cls.tls_lines() + "websocket = true", "unix": f'address = "unix:{path}"'}

    def check_messages(self, kind, transport):
        """Each QoS, retained, a large one and a will, in both directions."""
        name = os.path.join(self.folder, "large")
        data = random.Random(LARGE).randbytes(LARGE)
        with open(name, "wb") as file:
            file.write(data)
        for version in kind.versions:
            with self.subTest(VERSION_NAMES[version]):
                topic = fresh("transport")
                witness = self.client("paho_c_async", V5, self.at())
                witness.subscribe(f"{topic}/up/#", qos=2)
                witness.publish(f"{topic}/down/kept", b"kept", qos=1, retain=True)
                client = self.client(kind, version, self.at(transport), will={
                    "topic": f"{topic}/up/will", "payload": b"gone", "qos": 1})
                client.subscribe(f"{topic}/down/#", qos=2)
                self.assertEqual(client.message().facts(),
                                 (f"{topic}/down/kept", b"kept", 1, True))
                for sender, receiver, way in ((witness, client, "down"), (client, witness, "up")):
                    for qos in (0, 1, 2):
                        sender.publish(f"{topic}/{way}", bytes(range(256)), qos=qos)
                        self.assertEqual(receiver.message().facts(),
                                         (f"{topic}/{way}", bytes(range(256)), qos, False))
                    sender.publish(f"{topic}/{way}", name, qos=1)
                    self.assertEqual(receiver.message().sha256, hashlib.sha256(data).hexdigest())
                client.kill()
                self.assertEqual(witness.message().payload, b"gone")
                witness.close()

    def check_session(self, kind, transport):
        """Three hundred messages wait for a client that was killed with some on their way."""
        version, topic, name = kind.versions[-1], fresh("session"), fresh("client")
        witness = self.client("paho_c_async", V5, self.at())
        client = self.client(kind, version, self.at(transport), id=name, keep=True)
        client.subscribe(topic, qos=2)
        client.freeze()
        payloads = [str(number).encode() for number in range(300)]
        witness.publish_all([(topic, payload) for payload in payloads], qos=2)
        client.kill()
        again = self.client(kind, version, self.at(transport), id=name, keep=True)
        if kind.name == "mosquitto":
            again.subscribe(topic, qos=2)
        self.assertEqual([m.payload for m in again.messages(300)], payloads)


class Tls(WithListeners):
    @classmethod
    def listeners(cls):
        stranger = Authority(cls.folder, "stranger")
        cls.foreign = stranger.sign("thief")
        cls.known = cls.authority.sign("device-7")
        psk_file = os.path.join(cls.folder, "psk")
        with open(psk_file, "w", encoding="ascii") as file:
            file.write(f"lock-1:{PSK}\n")
        mutual = (f'tls_ca = "{cls.authority.certificate}"\n'
                  'tls_client_certificate = "required"\ntls_identity = "cn"\n')
        return {"tls": cls.tls_lines(), "mutual": cls.tls_lines() + mutual,
                "mutual wss": cls.tls_lines() + mutual + "websocket = true",
                "psk": f'tls_psk_file = "{psk_file}"',
                "1.2": cls.tls_lines() + 'tls_version_max = "1.2"',
                "1.3": cls.tls_lines() + 'tls_version_min = "1.3"'}

    def with_certificate(self, pair, name="mutual", transport="tls"):
        certificate, key = pair
        return self.at(name, transport=transport, tls=(
            ("ca", self.authority.certificate), ("certificate", certificate), ("key", key)))

    def test_client_certificates(self):
        for kind in KINDS.values():
            with self.subTest(kind.name):
                self.works(kind, V5, self.with_certificate(self.known))
                if "wss" in kind.transports:
                    self.works(kind, V311, self.with_certificate(self.known, "mutual wss", "wss"))

    def test_wrong_or_missing_client_certificate(self):
        # The others do not give up soon, or at all.
        for kind in ("mosquitto", "mqttjs", "paho_c_sync", "paho_c_async", "paho_cpp"):
            with self.subTest(kind):
                self.refuses(kind, V5, self.with_certificate(self.foreign))
                self.refuses(kind, V5, self.at("mutual", transport="tls"))

    def test_server_that_the_client_does_not_trust(self):
        stranger = (("ca", os.path.join(self.folder, "stranger.crt")),)
        for kind in ("mosquitto", "mqttjs", "paho_c_sync", "paho_c_async", "paho_cpp",
                     "paho_python"):
            with self.subTest(kind):
                self.refuses(kind, V5, self.at("tls", tls=stranger))

    def test_pre_shared_keys(self):
        key = (("psk", PSK), ("psk_identity", "lock-1"))
        wrong = (("psk", PSK[::-1]), ("psk_identity", "lock-1"))
        unknown = (("psk", PSK), ("psk_identity", "lock-2"))
        for kind in ("mosquitto", "paho_c_sync", "paho_c_async", "paho_cpp"):
            with self.subTest(kind):
                self.works(kind, V5, self.at("psk", transport="tls", tls=key))
                self.refuses(kind, V5, self.at("psk", transport="tls", tls=wrong))
                self.refuses(kind, V5, self.at("psk", transport="tls", tls=unknown))

    def test_options_of_mosquitto_pub(self):
        def pub(name, *words):
            return run(["mosquitto_pub", "-h", "localhost", "-p", self.places[name], "--cafile",
                        self.authority.certificate, "-t", "x", "-m", "y", "-q", 1, *words])

        for name, words in (("tls", ["--tls-version", "tlsv1.2"]),
                            ("tls", ["--tls-version", "tlsv1.3"]),
                            ("1.2", ["--tls-version", "tlsv1.2"]),
                            ("1.3", ["--tls-version", "tlsv1.3"]),
                            ("tls", ["--tls-alpn", "mqtt"]),
                            ("1.2", ["--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"])):
            with self.subTest(name, words=words):
                done = pub(name, *words)
                self.assertEqual(done.returncode, 0, done.stderr)
        for name, words in (("1.2", ["--tls-version", "tlsv1.3"]),
                            ("1.2", ["--ciphers", "ECDHE-RSA-AES256-GCM-SHA384"])):
            with self.subTest(name, words=words):
                self.assertNotEqual(pub(name, *words).returncode, 0)


if __name__ == "__main__":
    unittest.main()
