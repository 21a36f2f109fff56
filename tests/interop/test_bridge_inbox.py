"""Inboxes of spoke-bridge as applications see them: over HTTP and MQTT, through a kill of the bridge."""
import os
import tempfile
import threading
import unittest

from programs import Bridge, Broker, publish


class Inboxes(unittest.TestCase):
    def setUp(self):
        self.broker = Broker()
        self.addCleanup(self.broker.kill)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = os.path.join(folder.name, "bridge.db")
        self.start()

    def start(self):
        self.bridge = Bridge(self.broker.port, store=self.store)
        self.addCleanup(self.bridge.kill)
        self.bridge.ready()

    def put(self, body, *options):
        reply = self.bridge.curl("/v1/inboxes/7777/messages", *options, body=body)
        self.assertIn(reply.status, (200, 201), reply.body)
        return reply.body

    def inbox(self, query="", *options):
        return self.bridge.curl("/v1/inboxes/7777" + query, *options)

    def publish(self, payload, *properties):
        words = [word for pair in properties for word in ("-D", "publish", *pair)]
        publish(self.broker.port, "u/7777/in", payload, *words, qos=1)

    def wait_for(self, unread, latest=None):
        """Long polls until there are so many, and the newest is `latest`, if that is given."""
        reply = self.inbox()
        while reply.body["unread"] != unread or (
                latest and reply.body["latest"]["data"] != latest):
            reply = self.inbox("?wait=50", "-H", f"If-None-Match: {reply.headers['etag']}")
            self.assertEqual(reply.status, 200)
        return reply

    def test_http_and_mqtt_count_alike(self):
        self.assertEqual(self.put({"type": "like", "data": {"post": 9}})["unread"], 1)
        self.publish("hi", ("user-property", "type", "chat"))
        self.publish("hi", ("user-property", "type", "chat"), ("user-property", "key", "k1"))
        self.publish("hi", ("user-property", "type", "chat"), ("user-property", "key", "k1"))
        self.publish("a", ("user-property", "type", "score"), ("user-property", "collapse", "s"))
        self.publish("b", ("user-property", "type", "score"), ("user-property", "collapse", "s"))
        reply = self.wait_for(4, latest="b")
        self.assertEqual(reply.body["by"], {"like": 1, "chat": 2, "score": 1})

    def test_a_kill_loses_and_doubles_nothing(self):
        keys = [("-H", f'Idempotency-Key: "k{i}"') for i in range(20)]
        for key in keys[:10]:
            self.put({"type": "like"}, *key)
        middle = self.inbox().body["cursor"]
        read = self.bridge.curl("/v1/inboxes/7777/read", body={"upto": middle})
        self.assertEqual(read.body["unread"], 0)
        for key in keys[10:]:
            self.put({"type": "comment"}, *key)
        self.publish("x", ("user-property", "type", "chat"))
        before = self.wait_for(11)
        self.bridge.process.kill()
        self.bridge.process.wait()
        self.start()
        self.assertEqual(self.inbox().headers["etag"], before.headers["etag"])
        self.assertEqual(self.inbox().body, before.body)
        self.put({"type": "comment"}, *keys[-1])
        self.assertEqual(self.inbox().body["unread"], 11)
        again = self.bridge.curl("/v1/inboxes/7777/read", body={"upto": middle})
        self.assertEqual(again.body["unread"], 11)

    def test_what_expires_while_the_bridge_is_down_is_told_once(self):
        self.put([{"type": "offer", "ttl_ms": 200}, {"type": "like"}])
        self.bridge.process.kill()
        self.bridge.process.wait()
        self.start()
        self.wait_for(1)
        self.assertEqual(self.inbox().body["by"], {"like": 1})

    def test_several_devices_of_one_person(self):
        self.put({"type": "like"})
        known = self.inbox()
        replies = []
        waiting = [threading.Thread(target=lambda: replies.append(self.inbox(
            "?wait=50", "-H", f"If-None-Match: {known.headers['etag']}"))) for _ in range(3)]
        for thread in waiting:
            thread.start()
        self.bridge.curl("/v1/inboxes/7777/read", body={"upto": known.body["cursor"]})
        for thread in waiting:
            thread.join()
        self.assertEqual([reply.body["unread"] for reply in replies], [0, 0, 0])

    def test_publish_under_a_key_is_recorded_once(self):
        for _ in range(2):
            reply = self.bridge.curl("/v1/publish/u/7777/in?qos=1", "-H", 'Idempotency-Key: "p"',
                                     body="hello")
            self.assertEqual(reply.status, 200)
        self.put({"type": "like"})
        self.assertEqual(self.wait_for(2).body["by"], {"like": 1, "message": 1})

    def test_browser_token(self):
        token = self.bridge.curl("/v1/tokens", body={"scope": "inbox:7777"}).body["token"]
        self.assertEqual(self.inbox(f"?token={token}").status, 200)
        self.assertEqual(self.inbox(f"?token={token}").status, 401)


if __name__ == "__main__":
    unittest.main()
