import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import { VERSIONS, connect, freshTopic } from "./clients.mjs";

const DEADLINE = { timeout: 60_000 };

for (const version of VERSIONS) {
  const name = version === 4 ? "3.1.1" : "5.0";

  test(`${name}: every QoS arrives once and in order`, DEADLINE, async (t) => {
    const topic = freshTopic("qos");
    const subscriber = await connect(t, version);
    await subscriber.subscribeAsync(topic, { qos: 2 });
    const publisher = await connect(t, version);
    for (const qos of [0, 1, 2]) {
      await publisher.publishAsync(topic, `m${qos}`, { qos });
      const { payload, packet } = await subscriber.messages.next();
      assert.deepEqual([payload, packet.qos, packet.retain], [`m${qos}`, qos, false]);
    }
  });

  test(`${name}: five hundred QoS 2 messages at once keep their order`, DEADLINE, async (t) => {
    const topic = freshTopic("many");
    const subscriber = await connect(t, version);
    await subscriber.subscribeAsync(topic, { qos: 2 });
    const publisher = await connect(t, version);
    const sent = Array.from({ length: 500 }, (_, i) => String(i));
    await Promise.all(sent.map((payload) => publisher.publishAsync(topic, payload, { qos: 2 })));
    for (const payload of sent) assert.equal((await subscriber.messages.next()).payload, payload);
  });

  test(`${name}: retained messages meet a wildcard subscription`, DEADLINE, async (t) => {
    const root = freshTopic("kept");
    const publisher = await connect(t, version);
    for (const leaf of ["a", "b/c"])
      await publisher.publishAsync(`${root}/${leaf}`, leaf, { qos: 1, retain: true });
    const subscriber = await connect(t, version);
    await subscriber.subscribeAsync(`${root}/#`, { qos: 1 });
    const got = [await subscriber.messages.next(), await subscriber.messages.next()];
    assert.deepEqual(got.map((m) => m.payload).sort(), ["a", "b/c"]);
    assert.ok(got.every((m) => m.packet.retain));
  });

  test(`${name}: a session resumes with what came meanwhile`, DEADLINE, async (t) => {
    const topic = freshTopic("resume");
    const properties = version === 5 ? { sessionExpiryInterval: 300 } : undefined;
    const session = { clientId: `resume-${version}-${process.pid}`, clean: false, properties };
    const first = await connect(t, version, session);
    assert.equal(first.connack.sessionPresent, false);
    await first.subscribeAsync(topic, { qos: 2 });
    await first.endAsync();
    const publisher = await connect(t, version);
    for (const payload of ["x", "y", "z"]) await publisher.publishAsync(topic, payload, { qos: 2 });
    const again = await connect(t, version, session);
    assert.equal(again.connack.sessionPresent, true);
    for (const payload of ["x", "y", "z"])
      assert.equal((await again.messages.next()).payload, payload);
  });

  test(`${name}: the will is published when the socket is cut`, DEADLINE, async (t) => {
    const topic = freshTopic("will");
    const watcher = await connect(t, version);
    await watcher.subscribeAsync(topic, { qos: 1 });
    const dying = await connect(t, version, { will: { topic, payload: "gone", qos: 1 } });
    dying.stream.destroy();
    assert.equal((await watcher.messages.next()).payload, "gone");
  });

  test(`${name}: a second client with the same id takes over`, DEADLINE, async (t) => {
    const clientId = `twin-${version}-${process.pid}`;
    const first = await connect(t, version, { clientId });
    const closed = once(first, "close");
    const reason = version === 5 ? once(first, "disconnect") : null;
    await connect(t, version, { clientId });
    await closed;
    if (reason) assert.equal((await reason)[0].reasonCode, 0x8e);
  });

  test(`${name}: one message reaches a hundred clients`, DEADLINE, async (t) => {
    const topic = freshTopic("fan");
    const clients = await Promise.all(Array.from({ length: 100 }, () => connect(t, version)));
    await Promise.all(clients.map((client) => client.subscribeAsync(topic, { qos: 1 })));
    await clients[0].publishAsync(topic, "all", { qos: 1 });
    const got = await Promise.all(clients.map((client) => client.messages.next()));
    assert.ok(got.every((message) => message.payload === "all"));
  });
}

test("5.0: properties, subscription identifier and topic alias", DEADLINE, async (t) => {
  const topic = freshTopic("props");
  const subscriber = await connect(t, 5);
  await subscriber.subscribeAsync(topic, { qos: 1, properties: { subscriptionIdentifier: 7 } });
  const publisher = await connect(t, 5);
  const properties = {
    topicAlias: 1,
    contentType: "text/plain",
    responseTopic: "answers",
    correlationData: Buffer.from("42"),
    userProperties: { a: ["1", "2"] },
  };
  await publisher.publishAsync(topic, "first", { qos: 1, properties });
  await publisher.publishAsync("", "second", { qos: 1, properties: { topicAlias: 1 } });
  const [first, second] = [await subscriber.messages.next(), await subscriber.messages.next()];
  assert.equal(first.packet.properties.contentType, "text/plain");
  assert.equal(first.packet.properties.responseTopic, "answers");
  assert.equal(first.packet.properties.correlationData.toString(), "42");
  assert.deepEqual(first.packet.properties.userProperties.a, ["1", "2"]);
  assert.equal(first.packet.properties.subscriptionIdentifier, 7);
  assert.deepEqual([second.topic, second.payload], [topic, "second"]);
});

test("5.0: the broker uses topic aliases towards a client that allows them", DEADLINE, async (t) => {
  const topics = [freshTopic("alias-a"), freshTopic("alias-b"), freshTopic("alias-c")];
  const subscriber = await connect(t, 5, { properties: { topicAliasMaximum: 2 } });
  await subscriber.subscribeAsync(topics, { qos: 1 });
  const aliases = [];
  subscriber.on("packetreceive", (packet) => {
    if (packet.cmd === "publish") aliases.push(packet.properties?.topicAlias);
  });
  const publisher = await connect(t, 5);
  const sent = [...topics, ...topics, ...topics].map((topic, i) => [topic, String(i)]);
  for (const [topic, payload] of sent) await publisher.publishAsync(topic, payload, { qos: 1 });
  for (const expected of sent) {
    const { topic, payload } = await subscriber.messages.next();
    assert.deepEqual([topic, payload], expected);
  }
  assert.ok(aliases.every((alias) => alias === undefined || alias === 1 || alias === 2));
  assert.deepEqual([...new Set(aliases)].filter(Boolean).sort(), [1, 2]);
});

test("5.0: the publisher learns that nobody subscribes", DEADLINE, async (t) => {
  const publisher = await connect(t, 5);
  const puback = once(publisher, "packetreceive");
  await publisher.publishAsync(freshTopic("nobody"), "x", { qos: 1 });
  assert.equal((await puback)[0].reasonCode, 0x10);
});

test("5.0: an empty client id is assigned", DEADLINE, async (t) => {
  const client = await connect(t, 5, { clientId: "" });
  assert.ok(client.connack.properties.assignedClientIdentifier.length > 0);
});

test("5.0: no local and retain as published", DEADLINE, async (t) => {
  const topic = freshTopic("options");
  const deaf = await connect(t, 5);
  await deaf.subscribeAsync(topic, { qos: 1, nl: true, rap: true });
  await deaf.publishAsync(topic, "own", { qos: 1 });
  const other = await connect(t, 5);
  await other.publishAsync(topic, "theirs", { qos: 1, retain: true });
  const { payload, packet } = await deaf.messages.next();
  assert.deepEqual([payload, packet.retain], ["theirs", true]);
});

test("5.0: a will with a delay comes at the latest with the session's end", DEADLINE, async (t) => {
  const topic = freshTopic("delayed");
  const clientId = `delayed-${process.pid}`;
  const watcher = await connect(t, 5);
  await watcher.subscribeAsync(topic, { qos: 1 });
  const dying = await connect(t, 5, {
    clientId,
    properties: { sessionExpiryInterval: 3600 },
    will: { topic, payload: "gone", qos: 1, properties: { willDelayInterval: 3600 } },
  });
  dying.stream.destroy();
  await once(dying, "close");
  await connect(t, 5, { clientId }); // a clean start ends the session that was there
  assert.equal((await watcher.messages.next()).payload, "gone");
});
