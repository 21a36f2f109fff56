"""What lasts at the port of spoke-bridge, over TLS: server-sent events, a WebSocket, MQTT. The first two
end with the JWT they were opened with."""
import http.client
import json
import socket
import ssl
import time
import unittest

from certificates import Authority
from clients import KINDS, V5, Endpoint, fresh, stop_all
from programs import DEADLINE_SECONDS, publish
from push_clients import WebSocket
from test_bridge_api import EVERYTHING, SECRET, BridgeCase, GuardedBridge
from tokens import claims_for, hs256

LIFE_SECONDS = 3


def setUpModule():
    unittest.addModuleCleanup(stop_all)


class OverTls(BridgeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.authority = Authority(cls.folder, "spoke-test")
        certificate, key = cls.authority.sign("bridge", "IP:127.0.0.1")
        cls.bridge = GuardedBridge(cls.broker.port, cls.folder, scheme="https", http=f"""
        certificate = "{certificate}"
        private_key = "{key}"
        """, auth='leeway = "0s"')
        cls.addClassCleanup(cls.bridge.kill)
        cls.bridge.ready()
        cls.port = int(cls.bridge.url.rpartition(":")[2])
        cls.context = ssl.create_default_context(cafile=cls.authority.certificate)

    def jwt(self):
        return hs256(SECRET, claims_for("alice", EVERYTHING, exp=int(time.time()) + LIFE_SECONDS))

    def request(self, method, path, body=None, **headers):
        link = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context,
                                           timeout=DEADLINE_SECONDS)
        self.addCleanup(link.close)
        link.request(method, path, body, {"Authorization": f"Bearer {self.jwt()}", **headers})
        return link.getresponse()

    def test_server_sent_events(self):
        response = self.request("GET", "/v1/events?topic=t/sse", Accept="text/event-stream")
        self.assertEqual(response.status, 200)
        frames = frames_of(response)
        self.assertEqual(next(frames)["event"], "hello")
        publish(self.broker.port, "t/sse", '{"g":1.8}', qos=1)
        event = json.loads(next(frames)["data"])
        self.assertEqual((event["topic"], event["data"]), ("t/sse", {"g": 1.8}))
        *_, last = frames
        self.assertEqual(last["event"], "bye")
        told = json.loads(last["data"])
        self.assertEqual(told["reason"], "expired")
        self.assertGreaterEqual(offset_of(told["cursor"]), offset_of(event["id"]))

    def test_websocket(self):
        """With a token, whose maker's JWT it must not outlive."""
        made = self.request("POST", "/v1/tokens", '{"scope":"events:t/# publish:t/#"}')
        token = json.loads(made.read())["token"]
        link = self.context.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_SECONDS),
            server_hostname="127.0.0.1")
        self.addCleanup(link.close)
        web_socket = WebSocket(link, f"/v1/events?topic=t/ws&token={token}")
        self.assertEqual(json.loads(web_socket.receive())["op"], "hello")
        web_socket.send('{"op":"publish","topic":"t/ws","data":"hi","qos":1,"q":1}')
        got = [json.loads(web_socket.receive()) for _ in range(2)]
        event = next(one for one in got if "id" in one)
        answer = next(one for one in got if "q" in one)
        self.assertTrue(answer["ok"], answer)
        self.assertEqual(event["data"], "hi")
        while web_socket.receive() is not None:
            pass  # how far the log is
        self.assertEqual(web_socket.close_code, 1008)
        self.assertIn("token expired; go on from ", web_socket.close_reason)
        self.assertGreaterEqual(offset_of(web_socket.close_reason.split()[-1]),
                                offset_of(event["id"]))

    def test_mqtt(self):
        client = KINDS["mqttjs"].client(V5, Endpoint(self.port, transport="wss",
                                                      tls=(("ca", self.authority.certificate),)))
        self.addCleanup(client.close)
        client.connect()
        topic = fresh("tls")
        client.subscribe(topic, qos=2)
        for payload in (b"short", bytes(200_000)):
            client.publish(topic, payload, qos=2)
            self.assertEqual(client.message().size, len(payload))


def frames_of(response):
    """The events of a stream as their fields, until it ends."""
    fields = {}
    while line := response.readline().decode():
        name, _, value = line.rstrip("\n").partition(": ")
        if line != "\n":
            fields[name] = value
        elif "data" in fields:
            yield fields
            fields = {}
        else:
            fields = {}


def offset_of(cursor):
    return int(cursor.rpartition(".")[2])
