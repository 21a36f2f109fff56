// mqtt.js byte by byte, and the way "mqtt" of spoke.js against a broker that plays a script.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./modules.mjs";
import { recorder, scriptedSockets } from "./scripted.mjs";

const { MqttClient } = await load("mqtt.js");
const { follow } = await load("spoke.js");

Math.random = () => 0;

const utf8 = (text) => [...Buffer.from(text)];
const text = (value) => [utf8(value).length >> 8, utf8(value).length & 255, ...utf8(value)];
const user = (properties) => Object.entries(properties).flatMap(([name, value]) => [0x26, ...text(name), ...text(`${value}`)]);
const sized = (bytes) => bytes.length < 128 ? [bytes.length, ...bytes]
  : [bytes.length % 128 + 128, bytes.length >> 7, ...bytes];
const packet = (first, body) => Uint8Array.from([first, ...sized(body)]);
const connack = (reason = 0, properties = []) => packet(0x20, [0, reason, ...sized(properties)]);
const publish = (topic, payload, properties = {}, id = 0) => packet(id ? 0x32 : 0x30,
  [...text(topic), ...(id ? [0, id] : []), ...sized(user(properties)), ...utf8(payload)]);

function says(socket, ...packets) {
  for (const bytes of packets) socket.onmessage({ data: bytes.buffer });
}

/** A socket that opens and accepts, then does as `answer(bytes)` says with all that is sent. */
function brokerSocket(answer) {
  return (socket) => {
    socket.onsent = (bytes) => says(socket, ...(answer(bytes) ?? []));
    socket.onopen();
  };
}

function acknowledge(bytes) {
  if (bytes[0] === 0x10) return [connack()];
  if (bytes[0] === 0x82) return [packet(0x90, [bytes[2], bytes[3], 0, 1])];
  return [];
}

async function connected(t, answer = acknowledge, options = {}) {
  const { Socket, made } = scriptedSockets([brokerSocket(answer)]);
  const client = await MqttClient.connect("ws://x/mqtt", { Socket, ...options });
  t.after(() => client.close());
  return { client, socket: made[0] };
}

test("CONNECT: clean start, with a receive maximum; the subprotocol is mqtt", async (t) => {
  const { socket } = await connected(t, acknowledge, { clientId: "c", user: "u", password: "p", keepAliveSeconds: 9 });
  assert.deepEqual(socket.protocols, ["mqtt"]);
  assert.deepEqual([...socket.sent[0]], [0x10, 23, ...text("MQTT"), 5, 0xc2, 0, 9, 3, 0x21, 0, 32,
    ...text("c"), ...text("u"), ...text("p")]);
});

test("a refusal is an error, whichever packet has it", async (t) => {
  const { Socket } = scriptedSockets([brokerSocket(() => [connack(0x87)])]);
  await assert.rejects(MqttClient.connect("ws://x", { Socket }), /0x87/);
  const { client } = await connected(t, (bytes) => bytes[0] === 0x82 ? [packet(0x90, [0, 1, 0, 1, 0x87])]
    : bytes[0] === 0x32 ? [packet(0x40, [0, 2, 0x97])] : acknowledge(bytes));
  await assert.rejects(client.subscribe(["a", "b"]), /refuses b/);
  await assert.rejects(client.publish("a", "x", { qos: 1 }), /0x97/);
});

test("PUBLISH: QoS 0 and 1 with properties, acknowledged by id", async (t) => {
  const { client, socket } = await connected(t, (bytes) => bytes[0] === 0x32 ? [packet(0x40, [0, 1, 16])] : acknowledge(bytes));
  await client.publish("a", "hé");
  assert.deepEqual([...socket.sent.at(-1)], [...packet(0x30, [...text("a"), 0, ...utf8("hé")])]);
  const properties = { responseTopic: "r", correlationData: Uint8Array.of(1, 2), user: [["k", "v"], ["k", "w"]] };
  assert.equal(await client.publish("a", Uint8Array.of(0, 255), { qos: 1, retain: false, properties }), 16);
  const encoded = [0x08, ...text("r"), 0x09, 0, 2, 1, 2, ...user({ k: "v" }), ...user({ k: "w" })];
  assert.deepEqual([...socket.sent.at(-1)], [...packet(0x32, [...text("a"), 0, 1, ...sized(encoded), 0, 255])]);
});

test("messages come whole from pieces of any size, and are acknowledged when they are done with", async (t) => {
  const got = [];
  let release;
  const gate = new Promise((done) => { release = done; });
  const { socket } = await connected(t, acknowledge, { onMessage: async (message) => { got.push(message); await gate; } });
  const long = "x".repeat(300);
  const all = [...publish("t/1", long, { id: "k7.1", n: 1 }, 7), ...publish("t/2", "b"), ...packet(0xd0, [])];
  for (const byte of all) says(socket, Uint8Array.of(byte));
  await new Promise(setImmediate);
  assert.equal(got.length, 1);
  assert.ok(!socket.sent.some((bytes) => bytes[0] === 0x40));
  release();
  await new Promise(setImmediate);
  assert.deepEqual(got.map(({ topic, qos, payload }) => [topic, qos, payload.length]), [["t/1", 1, 300], ["t/2", 0, 1]]);
  assert.deepEqual(got[0].properties.user, [["id", "k7.1"], ["n", "1"]]);
  assert.deepEqual([...socket.sent.at(-1)], [0x40, 2, 0, 7]);
});

test("what is no MQTT ends the connection, once", async (t) => {
  const bad = { "cut short": packet(0x32, [0, 9, 65]), "does not have": packet(0x30, [0, 1, 65, 1, 0x7f]),
    "too long": Uint8Array.of(0x30, 255, 255, 255, 255, 1), "nobody asked": packet(0xf0, []), "0x8e": packet(0xe0, [0x8e]) };
  for (const [why, bytes] of Object.entries(bad)) {
    const ends = [];
    const { socket, client } = await connected(t, acknowledge, { onClose: (error) => ends.push(error.message) });
    says(socket, bytes);
    client.close();
    assert.equal(ends.length, 1);
    assert.match(ends[0], new RegExp(why));
    assert.ok(socket.closed);
  }
});

// --- The way "mqtt" --------------------------------------------------------------------------

const fed = (offset, n = offset, topic = "t/1") => publish(`e/${topic}`, `${offset}`, { id: `k7.${offset}`, n });

/** A broker with the bridge's replay behind it: `script` has what each replay answers with. */
function replaying(script, asked) {
  return brokerSocket((bytes) => {
    if (bytes[0] !== 0x32) return acknowledge(bytes);
    const body = Buffer.from(bytes);
    const inbox = /e\/replay\/[0-9a-f]{24}/.exec(body.toString("latin1"))[0];
    asked.push(JSON.parse(body.subarray(body.indexOf("{")).toString()));
    const topicAt = bytes[1] > 127 ? 3 : 2;
    const idAt = topicAt + 2 + body.readUInt16BE(topicAt);
    return [packet(0x40, [bytes[idAt], bytes[idAt + 1], 0]), ...script.shift()(inbox)];
  });
}

const replayed = (inbox, offset, n = offset) => publish(inbox, `${offset}`, { id: `k7.${offset}`, n, topic: "t/1" });
const end = (inbox, value) => publish(inbox, JSON.stringify(value), { end: 1 });

async function readsMqtt(t, scripts, count, more = {}) {
  const asked = [];
  const record = recorder();
  const { Socket, made } = scriptedSockets(scripts.map((script) => replaying(script, asked)));
  const feed = follow({ ...record.options, way: "mqtt", base: "http://x", Socket, since: "k7.1", ...more });
  t.after(() => feed.close());
  await record.until(() => record.seen.events.length >= count);
  return { ...record, asked, made, feed };
}

test("replay: what is published meanwhile waits for its end and comes once", async (t) => {
  const { data, asked, made, feed } = await readsMqtt(t, [[
    (inbox) => [fed(4), replayed(inbox, 2), replayed(inbox, 3), end(inbox, { next: "k7.3", more: true, resumed: true })],
    (inbox) => [replayed(inbox, 4), fed(5), end(inbox, { next: "k7.4", more: false, resumed: true }), fed(6)],
  ]], 5);
  assert.deepEqual(data(), [2, 3, 4, 5, 6]);
  assert.deepEqual(asked.map(({ since, topic }) => [since, topic]), [["k7.1", ["t/1"]], ["k7.3", ["t/1"]]]);
  assert.equal(made[0].url.href, "ws://x/mqtt");
  assert.equal(feed.repeated, 1);
});

test("replay: a gap in the numbers of a topic is read again", async (t) => {
  const { data, asked } = await readsMqtt(t, [[
    (inbox) => [end(inbox, { next: "k7.1", more: false, resumed: true }), fed(2, 1), fed(9, 3), fed(10, 4)],
    (inbox) => [replayed(inbox, 5, 2), replayed(inbox, 9, 3), end(inbox, { next: "k7.9", more: false, resumed: true })],
  ]], 4);
  assert.deepEqual(data(), [2, 5, 9, 10]);
  assert.deepEqual(asked.map(({ since }) => since), ["k7.1", "k7.2"]);
});

test("replay: a reset goes on from where the page says, a lost connection from the cursor", async (t) => {
  const { data, asked, made, until } = await readsMqtt(t, [[
    (inbox) => [end(inbox, { reason: "too-old", cursor: "k7.50", snapshot: "/s" })],
    (inbox) => [replayed(inbox, 61), end(inbox, { next: "k7.61", more: false, resumed: true })],
  ], [(inbox) => [end(inbox, { next: "k7.61", more: false, resumed: true }), fed(62)]]], 1,
  { onReset: async () => "k7.60" });
  says(made[0], packet(0xe0, [0x8b]));
  await until(() => data().length === 2);
  assert.deepEqual(data(), [61, 62]);
  assert.deepEqual(asked.map(({ since }) => since), ["k7.1", "k7.60", "k7.61"]);
  assert.equal(made.length, 2);
});

test("replay: an error of the bridge, and nobody at the broker, are told and tried again", async (t) => {
  const { seen, asked } = await readsMqtt(t, [[(inbox) => [end(inbox, { error: "no scope" })]],
    [(inbox) => [end(inbox, { next: "k7.1", more: false, resumed: true }), fed(2)]]], 1);
  assert.deepEqual(asked.map(({ since }) => since), ["k7.1", "k7.1"]);
  assert.ok(seen.states.some(({ why }) => why === "no scope"));
  const nobody = brokerSocket((bytes) => bytes[0] === 0x32 ? [packet(0x40, [0, 2, 0x10])] : acknowledge(bytes));
  const record = recorder();
  const { Socket } = scriptedSockets([nobody]);
  const feed = follow({ ...record.options, way: "mqtt", base: "http://x", Socket, since: "k7.1" });
  t.after(() => feed.close());
  await record.until(() => record.seen.states.some(({ why }) => why === "the bridge is not at the broker"));
});

test("payloads: JSON, text and bytes as their event documents have them", async (t) => {
  const binary = packet(0x30, [...text("e/t/1"), ...sized(user({ id: "k7.4", n: 4, type: "raw", at: "x" })), 0xff, 0]);
  const { seen } = await readsMqtt(t, [[(inbox) => [end(inbox, { next: "k7.1", more: false, resumed: true }),
    publish("e/t/1", '{"g":1.8}', { id: "k7.2", n: 2, at: "x" }), publish("e/t/1", "hi", { id: "k7.3", n: 3, at: "x" }), binary]]], 3);
  assert.deepEqual(seen.events, [
    { id: "k7.2", topic: "t/1", n: 2, at: "x", data: { g: 1.8 } },
    { id: "k7.3", topic: "t/1", n: 3, at: "x", data: "hi", encoding: "text" },
    { id: "k7.4", topic: "t/1", n: 4, type: "raw", at: "x", data: "/wA=", encoding: "base64" }]);
});
