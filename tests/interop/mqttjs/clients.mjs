// MQTT.js clients for the tests. SPOKE_PORT says where the broker listens; or, with SPOKE_PATH, where
// MQTT goes over WebSocket at that path.
import mqtt from "mqtt";
import { once } from "node:events";

export const VERSIONS = [4, 5]; // protocol levels of MQTT 3.1.1 and 5.0

let number = 0;

/** What a client receives, in order: `next()` awaits and returns the next message. */
function inbox(client) {
  const arrived = [];
  const waiting = [];
  client.on("message", (topic, payload, packet) => {
    const message = { topic, payload: payload.toString(), packet };
    if (waiting.length > 0) waiting.shift()(message);
    else arrived.push(message);
  });
  return {
    next: () =>
      arrived.length > 0
        ? Promise.resolve(arrived.shift())
        : new Promise((resolve) => waiting.push(resolve)),
  };
}

/** A connected client with its `connack` and `messages`; it ends with the test. */
export async function connect(t, protocolVersion, options = {}) {
  const client = mqtt.connect({
    host: "127.0.0.1",
    port: Number(process.env.SPOKE_PORT),
    ...(process.env.SPOKE_PATH && { protocol: "ws", path: process.env.SPOKE_PATH }),
    protocolVersion,
    clientId: `js-${process.pid}-${++number}`,
    reconnectPeriod: 0,
    ...options,
  });
  t.after(() => client.endAsync(true));
  client.messages = inbox(client); // before CONNACK: a resumed session's messages follow at once
  [client.connack] = await once(client, "connect");
  return client;
}

/** A topic that no other test uses. */
export function freshTopic(name) {
  return `js/${name}/${++number}`;
}
