// What is special about MQTT over WebSocket through spoke-bridge; clients.mjs says where it is.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { test } from "node:test";
import WebSocket from "ws";

import { VERSIONS, connect, freshTopic } from "../clients.mjs";

const DEADLINE = { timeout: 60_000 };
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

for (const version of VERSIONS) {
  test(`level ${version}: a payload near the limit arrives whole`, DEADLINE, async (t) => {
    const topic = freshTopic("big");
    const subscriber = await connect(t, version);
    await subscriber.subscribeAsync(topic, { qos: 1 });
    const bytes = once(subscriber, "message");
    const payload = randomBytes(1_000_000);
    await subscriber.publishAsync(topic, payload, { qos: 1 });
    assert.equal(sha256((await bytes)[1]), sha256(payload));
  });

  test(`level ${version}: what is sent before the end arrives`, DEADLINE, async (t) => {
    const topic = freshTopic("last");
    const subscriber = await connect(t, version);
    await subscriber.subscribeAsync(topic);
    for (let i = 0; i < 20; ++i) {
      const leaving = await connect(t, version, { will: { topic, payload: "will" } });
      leaving.publish(topic, `bye ${i}`);
      await leaving.endAsync();
      assert.equal((await subscriber.messages.next()).payload, `bye ${i}`);
    }
  });

  test(`level ${version}: a reader that stops holds nobody else up, and loses nothing`, DEADLINE,
    async (t) => {
      const topic = freshTopic("slow");
      let link;
      const slow = await connect(t, version, {
        createWebsocket: (url, protocols) => (link = new WebSocket(url, protocols)),
      });
      await slow.subscribeAsync(topic, { qos: 1 });
      const quick = await connect(t, version);
      await quick.subscribeAsync(topic, { qos: 1 });
      const socket = link._socket;
      socket.pause();
      const publisher = await connect(t, version);
      const filler = "x".repeat(50_000);
      const count = 200;
      for (let i = 0; i < count; ++i) {
        await publisher.publishAsync(topic, `${i} ${filler}`, { qos: 1 });
        assert.ok((await quick.messages.next()).payload.startsWith(`${i} `));
      }
      socket.resume();
      for (let i = 0; i < count; ++i)
        assert.ok((await slow.messages.next()).payload.startsWith(`${i} `));
    });
}
