"""Paho MQTT Python as a client that does what a test tells it; see clients.py.

Runs under the Python that Debian's python3-paho-mqtt is installed for.
"""
import hashlib
import json
import ssl
import sys
import threading

from paho.mqtt import client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

SHOWN_MAX = 1024
INFLIGHT_MAX = 1000
WRITING = threading.Lock()

NAMES = {"format": "PayloadFormatIndicator", "expiry": "MessageExpiryInterval",
         "content_type": "ContentType", "response_topic": "ResponseTopic"}


def tell(event, **fields):
    with WRITING:
        print(json.dumps({"event": event, **fields}), flush=True)


def payload_of(command):
    if "file" in command:
        with open(command["file"], "rb") as file:
            return file.read()
    return bytes.fromhex(command.get("payload", ""))


def publish_properties(named):
    properties = Properties(PacketTypes.PUBLISH)
    for key, value in named.items():
        if key == "user":
            properties.UserProperty = [tuple(pair) for pair in value]
        elif key == "correlation":
            properties.CorrelationData = bytes.fromhex(value)
        else:
            setattr(properties, NAMES[key], value)
    return properties


def named_properties(properties):
    named = {key: getattr(properties, name) for key, name in NAMES.items()
             if hasattr(properties, name)}
    if hasattr(properties, "UserProperty"):
        named["user"] = [list(pair) for pair in properties.UserProperty]
    if hasattr(properties, "CorrelationData"):
        named["correlation"] = properties.CorrelationData.hex()
    return named


def code_of(reason):
    return getattr(reason, "value", reason)


class Driver:
    def __init__(self):
        self.client = None
        self.version = None
        self.leaving = False

    def connect(self, command):
        self.leaving = False
        if self.client is None:
            self.make(command)
            self.client.connect(command["host"], command["port"], command.get("keep_alive", 60),
                                **self.connect_arguments(command))
            self.client.loop_start()
        else:
            self.client.loop_stop()
            self.client.reconnect()
            self.client.loop_start()

    def connect_arguments(self, command):
        if self.version != 5:
            return {}
        properties = Properties(PacketTypes.CONNECT)
        if "expiry" in command:
            properties.SessionExpiryInterval = command["expiry"]
        return {"clean_start": command["clean"], "properties": properties}

    def make(self, command):
        self.version = command["version"]
        transport = "websockets" if command["transport"] in ("ws", "wss") else "tcp"
        clean = {} if self.version == 5 else {"clean_session": command["clean"]}
        self.client = client = mqtt.Client(command["id"], protocol=self.version,
                                           transport=transport, reconnect_on_failure=False,
                                           **clean)
        client.max_inflight_messages_set(INFLIGHT_MAX)
        if "user" in command:
            client.username_pw_set(command["user"], command.get("password"))
        if "will" in command:
            will = command["will"]
            client.will_set(will["topic"], payload_of(will), will.get("qos", 0),
                            will.get("retain", False))
        if "tls" in command:
            tls = command["tls"]
            client.tls_set(tls.get("ca"), tls.get("certificate"), tls.get("key"),
                           tls_version=ssl.PROTOCOL_TLS_CLIENT)
        if transport == "websockets":
            client.ws_set_options(path=command.get("path", "/mqtt"))
        client.on_connect = self.on_connect
        client.on_disconnect = self.on_disconnect
        client.on_message = self.on_message
        client.on_publish = lambda *_: tell("published", reason=0)
        client.on_subscribe = self.on_subscribe
        client.on_unsubscribe = lambda *_: tell("unsubscribed")

    def on_connect(self, _client, _userdata, flags, reason, *_):
        if code_of(reason) != 0:
            self.leaving = True
            tell("refused", reason=code_of(reason))
        else:
            tell("connected", session_present=bool(flags["session present"]))

    def on_disconnect(self, *_):
        if not self.leaving:
            tell("lost")

    @staticmethod
    def on_subscribe(_client, _userdata, _id, codes, *_):
        tell("subscribed", codes=[code_of(code) for code in codes])

    @staticmethod
    def on_message(_client, _userdata, message):
        payload = message.payload
        content = {"payload": payload.hex()} if len(payload) <= SHOWN_MAX else \
            {"sha256": hashlib.sha256(payload).hexdigest()}
        tell("message", topic=message.topic, qos=message.qos, retain=bool(message.retain),
             dup=bool(message.dup), size=len(payload),
             properties=named_properties(getattr(message, "properties", None)), **content)

    def subscribe(self, command):
        qos = command["qos"]
        if self.version == 5:
            qos = mqtt.SubscribeOptions(qos=qos)
        self.client.subscribe([(topic, qos) for topic in command["filters"]])

    def unsubscribe(self, command):
        self.client.unsubscribe(command["filters"])

    def publish(self, command):
        self.send(command, command["topic"], payload_of(command))

    def publish_many(self, command):
        for number in range(command["count"]):
            self.send(command, f"{command['topic']}/{number}", str(number).encode())

    def send(self, command, topic, payload):
        properties = command.get("properties")
        self.client.publish(topic, payload, command.get("qos", 0), command.get("retain", False),
                            publish_properties(properties) if properties else None)

    def disconnect(self, _command):
        self.leaving = True
        self.client.disconnect()
        self.client.loop_stop()  # returns once the packet is written
        tell("disconnected")

    def close(self, _command=None):
        if self.client is not None:
            self.leaving = True
            self.client.disconnect()
            self.client.loop_stop()
            self.client = None
        tell("closed")


def main():
    driver = Driver()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            getattr(driver, command["do"])(command)
        except Exception as error:  # told to the test, which fails with it
            tell("error", what=f"{command['do']}: {error!r}")


if __name__ == "__main__":
    main()
