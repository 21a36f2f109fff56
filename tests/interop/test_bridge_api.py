"""The HTTP API of spoke-bridge for clients that are not ours: curl, openssl, node, Paho."""
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from certificates import Authority
from programs import DEADLINE_SECONDS, Bikes, Bridge, Broker, Program, binary, run
from tokens import Signer, b64, claims_for, hs256, signed_text

HERE = os.path.dirname(os.path.abspath(__file__))
SECRET = "a secret of the tests, 32 bytes or more"
EVERYTHING = "devices:read devices:write command:* publish:# events:# inbox:* inbox:write audit admin"


class GuardedBridge(Bridge):
    """A bridge with every kind of key."""

    def __init__(self, broker_port, folder, http="", scheme="http", auth=""):
        """`http`, `auth`: more lines for its sections [http] and [auth]."""
        self.folder = folder
        self.signers = [Signer(folder, "RS256"), Signer(folder, "ES256")]
        self.write("secret", SECRET + "\n")
        self.write("keys.json", json.dumps({"keys": [s.jwk() for s in self.signers]}))
        self.write("api.keys", "# none yet\n")
        self.CONFIG = Bridge.CONFIG.replace("[http]", f"[http]\n{http}") + f"""
        [auth]
        secret_file = "{self.path("secret")}"
        jwks_file = "{self.path("keys.json")}"
        keys_file = "{self.path("api.keys")}"
        {auth}
        """
        super().__init__(broker_port)
        self.url = self.url.replace("http", scheme)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def hang_up(self, times):
        os.kill(self.process.pid, signal.SIGHUP)
        self.await_lines(r"the keys (were|stay)", times)


def bearer(token):
    return ("-H", f"Authorization: Bearer {token}")


class BridgeCase(unittest.TestCase):
    """A broker, bikes t1 and t2, and a folder for files."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="spoke-api-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.kill)

    @classmethod
    def start(cls, bridge, bikes=2):
        cls.bridge = bridge
        cls.addClassCleanup(bridge.kill)
        bridge.ready()
        cls.bikes = Bikes(cls.broker.port, bikes)
        cls.addClassCleanup(cls.bikes.kill)
        bridge.knows(*(f"t{i + 1}" for i in range(bikes)))


class Credentials(BridgeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start(GuardedBridge(cls.broker.port, cls.folder))

    def test_tokens_made_elsewhere(self):
        claims = claims_for("alice", "command:unlock devices:read")
        tokens = {"HS256": hs256(SECRET, claims),
                  **{s.algorithm: s.token(claims) for s in self.bridge.signers}}
        for algorithm, token in tokens.items():
            with self.subTest(algorithm):
                reply = self.bridge.order("t1", {"do": "unlock", "ref": algorithm},
                                          "-H", "Prefer: wait=30", *bearer(token))
                self.assertEqual((reply.status, reply.body.get("state")), (200, "succeeded"),
                                 reply.body)
                self.assertEqual(reply.body["by"], "user:alice")
                self.assertIn("ratelimit", reply.headers)

    def test_tokens_that_must_not_do(self):
        claims = claims_for("mallory", EVERYTHING)
        rs256 = self.bridge.signers[0]
        text = signed_text({"alg": "HS256", "kid": "rs256"}, claims)
        old = {**claims, "exp": int(time.time()) - 120}
        bad = {
            "alg none": signed_text({"alg": "none"}, claims) + ".",
            "another secret": hs256("x" * 40, claims),
            "the public key as a secret": hs256(rs256.public_pem(), claims),
            "no signature": text + ".",
            "expired": hs256(SECRET, old),
            "nobody": hs256(SECRET, {"exp": claims["exp"], "scope": EVERYTHING}),
            "for ever": hs256(SECRET, {"sub": "x", "scope": EVERYTHING}),
            "other claims": rs256.token(claims).replace(
                text.split(".")[1], b64(json.dumps({**claims, "sub": "root"}).encode())),
        }
        for name, token in bad.items():
            with self.subTest(name):
                reply = self.bridge.curl("/v1/devices", *bearer(token))
                self.assertEqual((reply.status, reply.body["type"]),
                                 (401, "/problems/unauthorized"))
                self.assertIn("invalid_token", reply.headers["www-authenticate"])

    def test_token_of_the_bridge_itself(self):
        made = run([binary("spoke-bridge"), "token", "--secret", self.bridge.path("secret"),
                    "--sub", "bob", "--scope", "devices:read", "--scope", "command:ring",
                    "--dev", "t2"])
        self.assertEqual(made.returncode, 0, made.stderr)
        token = made.stdout.strip()
        reply = self.bridge.order("t2", {"do": "ring", "ref": "r"}, *bearer(token))
        self.assertEqual((reply.status, reply.body["by"]), (202, "user:bob"))
        reply = self.bridge.order("t1", {"do": "ring", "ref": "r"}, *bearer(token))
        self.assertEqual((reply.status, reply.body["type"]), (403, "/problems/scope"))
        reply = self.bridge.order("t2", {"do": "unlock", "ref": "r"}, *bearer(token))
        self.assertEqual((reply.status, reply.body["needs"]), (403, "command:unlock"))

    def test_api_key_comes_and_goes_with_its_line(self):
        made = run([binary("spoke-bridge"), "key", "new", "--name", "ops", "--scope",
                    "devices:read", "--ttl", "1 h", "--file", self.bridge.path("api.keys")])
        self.assertEqual(made.returncode, 0, made.stderr)
        key = made.stdout.strip()
        with open(self.bridge.path("api.keys"), encoding="utf-8") as file:
            self.assertNotIn(key, file.read())
        ask = lambda: self.bridge.curl("/v1/devices", *bearer(key)).status
        self.assertEqual(ask(), 401)
        self.bridge.hang_up(1)
        self.assertEqual(ask(), 200)
        # A file that cannot be read changes nothing.
        self.bridge.write("api.keys", "ops nonsense\n")
        self.bridge.hang_up(2)
        self.assertEqual(ask(), 200)
        self.bridge.write("api.keys", "")
        self.bridge.hang_up(3)
        self.assertEqual(ask(), 401)

    def test_no_secret_is_told_anywhere(self):
        token = hs256(SECRET, claims_for("carol", EVERYTHING))
        wrong = hs256("y" * 40, claims_for("carol", EVERYTHING))
        told = []
        for words in (bearer(token), bearer(wrong), ("-u", "carol:the-password")):
            for path in ("/v1/devices", "/metrics", "/v1/audit", "/v1/nothing", "/v1/devices/%zz"):
                reply = self.bridge.curl(path, *words)
                told.append(str(reply.body) + str(reply.headers))
        told.append(self.bridge.output())
        for secret in (SECRET, token, wrong, token.split(".")[2], "the-password",
                       "Y2Fyb2w6dGhlLXBhc3N3b3Jk"):
            for text in told:
                self.assertNotIn(secret, text)


class Exposure(unittest.TestCase):
    def start(self, *words, config=""):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write("[http]\nport = 0\n[store]\npath = \"\"\n" + config)
            file.flush()
            return run([binary("spoke-bridge"), "-c", file.name, *words])

    def test_without_a_key_loopback_only(self):
        done = self.start("--listen", "0.0.0.0:0")
        self.assertEqual(done.returncode, 1)
        self.assertIn("will not listen on 0.0.0.0:0 without keys", done.stderr.splitlines()[-1])

    def test_files_that_will_not_do(self):
        with tempfile.TemporaryDirectory(prefix="spoke-keys-") as folder:
            path = os.path.join(folder, "file")
            with open(path, "w", encoding="ascii") as file:
                file.write("too short\n")
            for option, reason in (("secret_file", "fewer than 32 bytes"),
                                   ("jwks_file", "not a JWK Set"),
                                   ("keys_file", "line 1: it needs NAME HASH END SCOPE")):
                with self.subTest(option):
                    done = self.start(config=f'[auth]\n{option} = "{path}"\n')
                    self.assertEqual(done.returncode, 1)
                    last = done.stderr.splitlines()[-1]
                    self.assertIn(f"{path}: ", last)
                    self.assertIn(reason, last)
                    self.assertNotIn("too short", last)
            done = self.start(config=f'[auth]\nkeys_file = "{path}.not"\n')
            self.assertIn("No such file", done.stderr.splitlines()[-1])


class Document(BridgeCase):
    """Bikes b1, b2: the examples of the document are about b1."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bridge = GuardedBridge(cls.broker.port, cls.folder, http="examples = true")
        cls.addClassCleanup(cls.bridge.kill)
        cls.bridge.ready()

    def test_examples(self):
        bikes = subprocess.Popen(
            [binary("spoke-sim"), "run", "--bikes", "1", "--prefix", "b", "--port",
             str(self.broker.port), "--seed", "7"], stdout=subprocess.DEVNULL)
        self.addCleanup(bikes.wait)
        self.addCleanup(bikes.kill)
        self.bridge.knows("b1")
        environment = {**os.environ, "SPOKE_BRIDGE_URL": self.bridge.url,
                       "SPOKE_TOKEN": hs256(SECRET, claims_for("reader", EVERYTHING))}
        done = subprocess.run(["node", "--test"], cwd=os.path.join(HERE, "openapi"),
                              env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=DEADLINE_SECONDS, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^# pass 6$")


class Transport(BridgeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.authority = Authority(cls.folder, "spoke-test")
        certificate, key = cls.authority.sign("bridge", "IP:127.0.0.1")
        cls.certificate, cls.key = certificate, key
        cls.start(GuardedBridge(cls.broker.port, cls.folder, scheme="https", http=f"""
        certificate = "{certificate}"
        private_key = "{key}"
        """))

    def test_order_over_tls(self):
        trust = ("--cacert", self.authority.certificate)
        token = hs256(SECRET, claims_for("alice", EVERYTHING))
        for version in ("1.2", "1.3"):
            reply = self.bridge.order("t1", {"do": "ring", "ref": version}, "-H", "Prefer: wait=30",
                                      *trust, "--tls-max", version, *bearer(token))
            self.assertEqual((reply.status, reply.body["state"]), (200, "succeeded"))
        reply = self.bridge.curl("/v1/devices", *trust, "--compressed", *bearer(token))
        self.assertEqual(reply.status, 200)
        old = run(["curl", "-sS", "--tls-max", "1.1", *trust, self.bridge.url + "/healthz"])
        self.assertNotEqual(old.returncode, 0)

    def test_certificate_is_read_again(self):
        before = self.fingerprint()
        certificate, key = self.authority.sign("bridge2", "IP:127.0.0.1")
        os.replace(certificate, self.certificate)
        os.replace(key, self.key)
        self.bridge.hang_up(1)
        self.assertNotEqual(self.fingerprint(), before)

    def fingerprint(self):
        shown = run(["openssl", "s_client", "-connect", self.bridge.url.split("//")[1]])
        found = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END", shown.stdout, re.DOTALL)
        self.assertIsNotNone(found, shown.stdout + shown.stderr)
        return found[0]


class Requests(BridgeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bridge = Bridge(cls.broker.port)
        cls.addClassCleanup(cls.bridge.kill)
        cls.bridge.ready()

    def device(self, *words):
        device = Program(["/usr/bin/python3", os.path.join(HERE, "paho_python", "responder.py"),
                          self.broker.port, *words])
        self.addCleanup(device.kill)
        device.await_line("ready")

    def test_paho_answers_in_mqtt_5(self):
        self.device("factory/7/plc")
        reply = self.bridge.curl("/v1/request/factory/7/plc?wait=30", body="?")
        self.assertEqual((reply.status, reply.body), (200, "21.5 ?"))
        self.assertEqual(reply.headers["content-type"], "text/plain")

    def test_paho_answers_in_mqtt_3(self):
        self.device("old/plc", "old/plc/re")
        reply = self.bridge.curl("/v1/request/old/plc?wait=30&reply=old/plc/re&match=/id",
                                 body={"id": 7})
        self.assertEqual((reply.status, json.loads(reply.body)), (200, {"id": 7, "value": 21.5}))

    def test_nobody_is_there(self):
        reply = self.bridge.curl("/v1/request/nobody/there?wait=1", method="POST")
        self.assertEqual((reply.status, reply.body["type"]), (409, "/problems/nobody-listens"))


class Crowd(BridgeCase):
    """Many clients that hold what they can."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bridge = Bridge(cls.broker.port)
        cls.addClassCleanup(cls.bridge.kill)
        cls.bridge.ready()

    def connect(self):
        port = int(self.bridge.url.rsplit(":", 1)[1])
        peer = socket.create_connection(("127.0.0.1", port))
        self.addCleanup(peer.close)
        return peer

    def test_a_thousand_half_requests_and_slow_readers(self):
        before = self.bridge.memory("VmRSS")
        starts = (b"GET /v1/dev", b"POST /v1/publish/a HTTP/1.1\r\nHost: x\r\n",
                  b"POST /v1/publish/a HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\nhalf")
        peers = [self.connect() for _ in range(1000)]
        for i, peer in enumerate(peers):
            peer.sendall(starts[i % len(starts)])
        slow = [self.connect() for _ in range(50)]
        for peer in slow:  # they ask, and never read
            peer.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        reply = self.bridge.curl("/v1/publish/a/b?qos=1", body="hello")
        self.assertEqual((reply.status, reply.body["sent"]), (200, True))
        # A sanitizer's memory is many times that of the program.
        self.assertLess(self.bridge.memory("VmRSS") - before, 200 << 20)


if __name__ == "__main__":
    unittest.main()
