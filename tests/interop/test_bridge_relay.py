"""MQTT over WebSocket at the port of spoke-bridge: real clients, and a broker that goes away."""
import base64
import os
import re
import socket
import subprocess
import unittest

from clients import KINDS, V5, V311, Endpoint, fresh, stop_all
from programs import DEADLINE_SECONDS, Bridge, Broker

HERE = os.path.dirname(os.path.abspath(__file__))
UPGRADE = ("GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
           base64.b64encode(bytes(16)).decode() + "\r\n")


def setUpModule():
    unittest.addModuleCleanup(stop_all)


class Relay(unittest.TestCase):
    def setUp(self):
        self.broker = Broker()
        self.addCleanup(self.broker.kill)
        self.bridge = Bridge(self.broker.port)
        self.addCleanup(self.bridge.kill)
        self.bridge.ready()
        self.port = int(self.bridge.url.rpartition(":")[2])

    def mqttjs(self, folder, *files):
        environment = {**os.environ, "SPOKE_PORT": str(self.port), "SPOKE_PATH": "/mqtt"}
        done = subprocess.run(["node", "--test", *files], cwd=os.path.join(HERE, folder),
                              env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^# pass ([1-9]\d*)$")

    def test_mqttjs(self):
        """The cases of the broker itself: every QoS, sessions, wills, a hundred clients."""
        self.mqttjs("mqttjs", "mqttjs.test.mjs")

    def test_big_payloads_last_words_and_slow_readers(self):
        self.mqttjs("mqttjs/relay", "relay.mjs")

    def test_every_library(self):
        """A message of each QoS there and back."""
        for kind in KINDS.values():
            if "ws" not in kind.transports:
                continue
            for version in (V311, V5):
                with self.subTest(kind.name, version=version):
                    topic = fresh("relay")
                    client = kind.client(version, Endpoint(self.port, transport="ws"))
                    self.addCleanup(client.close)
                    client.connect()
                    client.subscribe(topic, qos=2)
                    for qos in (0, 1, 2):
                        client.publish(topic, f"m{qos}".encode(), qos=qos)
                        self.assertEqual(client.message().payload, f"m{qos}".encode())
                    client.close()

    def raw(self, *lines):
        """A connection on which a request for a WebSocket was sent."""
        link = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_SECONDS)
        self.addCleanup(link.close)
        link.sendall((UPGRADE + "".join(line + "\r\n" for line in lines) + "\r\n").encode())
        return link

    def head(self, link):
        received = b""
        while b"\r\n\r\n" not in received:
            more = link.recv(1)
            self.assertTrue(more, received)
            received += more
        return received.decode()

    def close_code(self, link):
        """The code of the close frame that comes next; the broker's bytes before it are not of
        interest."""
        received = b""
        while True:
            more = link.recv(4096)
            received += more
            found = re.search(rb"\x88[\x02-\x7d](..)", received, re.DOTALL)
            if found:
                return int.from_bytes(found[1], "big")
            self.assertTrue(more, received)

    def test_subprotocols(self):
        for name in ("mqtt", "mqttv3.1"):
            head = self.head(self.raw(f"Sec-WebSocket-Protocol: {name}"))
            self.assertTrue(head.startswith("HTTP/1.1 101 "), head)
            self.assertIn(f"Sec-WebSocket-Protocol: {name}\r\n", head)
        for lines in ((), ("Sec-WebSocket-Protocol: chat",)):
            self.assertTrue(self.head(self.raw(*lines)).startswith("HTTP/1.1 400 "))
        self.assertEqual(self.bridge.curl("/mqtt").status, 426)

    def test_text_is_refused(self):
        link = self.raw("Sec-WebSocket-Protocol: mqtt")
        self.head(link)
        link.sendall(b"\x81\x82\0\0\0\0hi")
        self.assertEqual(self.close_code(link), 1003)

    def test_a_message_above_the_limit(self):
        link = self.raw("Sec-WebSocket-Protocol: mqtt")
        self.head(link)
        link.sendall(b"\x82\xff" + (2 ** 20 + 1).to_bytes(8, "big") + bytes(4))
        self.assertEqual(self.close_code(link), 1009)

    def test_a_page_of_another_site(self):
        head = self.head(self.raw("Sec-WebSocket-Protocol: mqtt", "Origin: https://evil.example"))
        self.assertTrue(head.startswith("HTTP/1.1 403 "), head)

    def test_broker_goes(self):
        link = self.raw("Sec-WebSocket-Protocol: mqtt")
        self.assertTrue(self.head(link).startswith("HTTP/1.1 101 "))
        self.broker.kill()
        self.assertEqual(self.close_code(link), 1013)
        head = self.head(self.raw("Sec-WebSocket-Protocol: mqtt"))
        self.assertTrue(head.startswith("HTTP/1.1 503 "), head)
        self.assertIn("Retry-After: ", head)

    def test_bridge_stops(self):
        link = self.raw("Sec-WebSocket-Protocol: mqtt")
        self.head(link)
        self.bridge.process.terminate()
        self.assertEqual(self.close_code(link), 1001)


if __name__ == "__main__":
    unittest.main()
