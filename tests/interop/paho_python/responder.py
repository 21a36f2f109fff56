"""A device of no contract: `responder.py PORT TOPIC [REPLY]` answers each message in TOPIC.

In MQTT 5 where the request wants it; with REPLY as an MQTT 3.1.1 device that answers there, with
the request's "id".
"""
import json
import sys

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PORT, TOPIC = int(sys.argv[1]), sys.argv[2]
REPLY = sys.argv[3] if len(sys.argv) > 3 else None


def answer_v5(client, _, message):
    properties = Properties(PacketTypes.PUBLISH)
    properties.CorrelationData = message.properties.CorrelationData
    properties.ContentType = "text/plain"
    client.publish(message.properties.ResponseTopic, b"21.5 " + message.payload, qos=1,
                   properties=properties)


def answer_v3(client, _, message):
    asked = json.loads(message.payload)
    client.publish(REPLY, json.dumps({"id": asked["id"] + 1000, "value": "another's"}), qos=1)
    client.publish(REPLY, json.dumps({"id": asked["id"], "value": 21.5}), qos=1)


device = paho.Client(client_id=f"responder-{TOPIC}",
                     protocol=paho.MQTTv311 if REPLY else paho.MQTTv5)
device.on_message = answer_v3 if REPLY else answer_v5
device.on_subscribe = lambda *_: print("ready", flush=True)
device.connect("127.0.0.1", PORT)
device.subscribe(TOPIC, qos=1)
device.loop_forever()
