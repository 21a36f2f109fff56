// MQTT.js as a client that does what a test tells it; see ../clients.py.
import mqtt from "mqtt";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const SHOWN_MAX = 1024;
const PROTOCOLS = { tcp: "mqtt", tls: "mqtts", ws: "ws", wss: "wss", unix: "mqtt" };
const NAMES = {
  format: "payloadFormatIndicator",
  expiry: "messageExpiryInterval",
  content_type: "contentType",
  response_topic: "responseTopic",
};

function tell(event, fields = {}) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + "\n");
}

const payloadOf = (command) =>
  command.file ? readFileSync(command.file) : Buffer.from(command.payload ?? "", "hex");

/** User properties with one name are a list; the order of different names is lost. */
function publishProperties(named) {
  const properties = {};
  for (const [key, value] of Object.entries(named)) {
    if (key === "user") {
      properties.userProperties = {};
      for (const [name, text] of value) (properties.userProperties[name] ??= []).push(text);
    } else if (key === "correlation") {
      properties.correlationData = Buffer.from(value, "hex");
    } else {
      properties[NAMES[key]] = key === "format" ? value === 1 : value;
    }
  }
  return properties;
}

function namedProperties(properties = {}) {
  const named = {};
  for (const [key, name] of Object.entries(NAMES))
    if (properties[name] !== undefined) named[key] = properties[name];
  if (named.format !== undefined) named.format = Number(named.format);
  if (properties.correlationData) named.correlation = properties.correlationData.toString("hex");
  if (properties.userProperties)
    named.user = Object.entries(properties.userProperties).flatMap(([name, texts]) =>
      [texts].flat().map((text) => [name, text]),
    );
  return named;
}

function tellMessage(topic, payload, packet) {
  const content =
    payload.length <= SHOWN_MAX
      ? { payload: payload.toString("hex") }
      : { sha256: createHash("sha256").update(payload).digest("hex") };
  tell("message", {
    topic,
    qos: packet.qos,
    retain: packet.retain,
    dup: packet.dup,
    size: payload.length,
    properties: namedProperties(packet.properties),
    ...content,
  });
}

let client = null;
let stores = null; // what is in flight; reconnect() forgets the library's own
let leaving = false;

/** Hands the outcome to `done`, or tells of the failure. */
const or = (done) => (error, ...rest) => (error ? tell("error", { what: String(error) }) : done(...rest));

function tellPublished(error) {
  if (error && !(error.code >= 0x80)) tell("error", { what: String(error) });
  else tell("published", { reason: error?.code ?? 0 });
}

function tlsOptions({ ca, certificate, key }) {
  return {
    ca: ca && readFileSync(ca),
    cert: certificate && readFileSync(certificate),
    key: key && readFileSync(key),
  };
}

function connectOptions(command) {
  const options = {
    protocol: PROTOCOLS[command.transport],
    protocolId: command.version === 3 ? "MQIsdp" : "MQTT",
    protocolVersion: command.version,
    clientId: command.id,
    clean: command.clean,
    keepalive: command.keep_alive ?? 60,
    reconnectPeriod: 0,
    resubscribe: false,
    username: command.user,
    password: command.password,
  };
  if (command.transport === "unix") Object.assign(options, { unixSocket: true, path: command.host });
  else Object.assign(options, { host: command.host, port: command.port, path: command.path });
  if (command.expiry !== undefined) options.properties = { sessionExpiryInterval: command.expiry };
  if (command.will) options.will = { ...command.will, payload: payloadOf(command.will) };
  if (command.tls) Object.assign(options, tlsOptions(command.tls));
  return options;
}

const actions = {
  connect(command) {
    leaving = false;
    if (client) return client.reconnect(stores);
    stores = { incomingStore: new mqtt.Store(), outgoingStore: new mqtt.Store() };
    client = mqtt.connect({ ...connectOptions(command), ...stores });
    client.on("connect", (connack) => tell("connected", { session_present: connack.sessionPresent }));
    client.on("message", tellMessage);
    client.on("error", (error) => {
      leaving = true;
      tell("refused", { reason: error.code, what: String(error) });
    });
    client.on("close", () => leaving || tell("lost"));
  },

  subscribe({ filters, qos }) {
    // The library's own answer leaves out what it did not ask the broker for.
    let told = false;
    client.once("packetreceive", function suback(packet) {
      if (packet.cmd !== "suback") return client.once("packetreceive", suback);
      told = true;
      tell("subscribed", { codes: [...packet.granted] });
    });
    client.subscribe(filters, { qos }, (error) => {
      if (error && !told) tell("error", { what: String(error) });
    });
  },

  unsubscribe({ filters }) {
    client.unsubscribe(filters, or(() => tell("unsubscribed")));
  },

  publish(command) {
    const { topic, qos, retain, properties } = command;
    const options = { qos, retain, properties: properties && publishProperties(properties) };
    client.publish(topic, payloadOf(command), options, tellPublished);
  },

  publish_many({ topic, count, qos, retain }) {
    for (let i = 0; i < count; ++i)
      client.publish(`${topic}/${i}`, String(i), { qos, retain }, tellPublished);
  },

  disconnect() {
    leaving = true;
    client.end(false, () => tell("disconnected"));
  },

  close() {
    leaving = true;
    client?.end(true);
    client = null;
    tell("closed");
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    actions[command.do](command);
  } catch (error) {
    tell("error", { what: `${command.do}: ${error.stack}` });
  }
}
process.exit(0);
