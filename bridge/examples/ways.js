// The five ways of spoke.js. Each reads from feed.cursor on until the connection ends, hands what it
// gets to feed.take, feed.goTo and feed.reset, and throws why it ended.

import { MqttClient } from "./mqtt.js";
import { Trouble, newKey, pause, retryAfterMs } from "./retry.js";

const kLongPollSeconds = 25;
const kPageSize = 500;
const kSilenceMs = 40_000;  // the bridge gives a sign of life each 15 s
const kReplayMs = 10_000;  // longest silence within a replay
const kNobody = 0x10;  // PUBACK: nobody is subscribed
const kHeldMax = 10_000;  // what has come and waits for its turn
const kGoodbyes = { stopping: "the bridge stops", expired: "the token has expired" };
const kPlannedCloses = [1001, 1008, 1013];  // the bridge stops, the token has expired, too slow

export const kRunners = {
  poll: (feed) => poll(feed, 0),
  long: (feed) => poll(feed, kLongPollSeconds),
  sse: readStream,
  ws: readSocket,
  mqtt: readMqtt,
};

// --- Short and long poll ---------------------------------------------------------------------

/** The first request is answered at once, so that it is known whether the way works. */
async function poll(feed, wait) {
  let tag = "";
  for (let hold = 0; !feed.signal.aborted; hold = wait) {
    const headers = tag ? { "if-none-match": tag } : {};
    const response = await feed.get({ since: feed.cursor, wait: hold, limit: kPageSize }, headers);
    if (!response) return;
    const count = await takePage(feed, response);
    feed.live();
    if (wait > 0) continue;
    tag = response.headers.get("etag") ?? tag;
    const ms = Math.min(retryAfterMs(response) ?? 1000, feed.options.pollMsMax ?? Infinity);
    if (count < kPageSize) await pause(ms, feed.signal);
  }
}

/** Gives the number of events. */
async function takePage(feed, response) {
  if (response.status === 304) {
    feed.goTo(response.headers.get("event-cursor"));
    return 0;
  }
  const { events, next } = await response.json();
  for (const event of events) await feed.take(event);
  feed.goTo(next);
  return events.length;
}

// --- Server-sent events ----------------------------------------------------------------------

/** With fetch and not with EventSource, which can neither send a token in a header nor say why it
 *  was refused or when it may come back. */
async function readStream(feed) {
  const silence = new Silence(feed.signal);
  try {
    const response = await feed.get({ since: feed.cursor }, { accept: "text/event-stream" }, silence.signal);
    if (!response) return;
    for await (const frame of framesOf(response.body, () => silence.heard())) await takeFrame(feed, frame);
  } finally {
    silence.end();
  }
}

async function takeFrame(feed, { event, data, id }) {
  if (event === "bye") throw new Trouble(kGoodbyes[JSON.parse(data).reason] ?? "the bridge ends the stream", { isPlanned: true });
  if (event === "hello") feed.hello(JSON.parse(data));
  else if (event === "reset") await feed.reset(JSON.parse(data));
  else if (event === undefined && data) await feed.take(JSON.parse(data));
  else if (event === undefined) feed.goTo(id);
}

/** The frames of a stream of server-sent events: {event, data, id}, as far as they are there. */
export async function* framesOf(stream, heard) {
  let text = "";
  let frame = {};
  for await (const piece of piecesOf(stream.pipeThrough(new TextDecoderStream()))) {
    heard();
    const lines = (text + piece).split("\n");
    text = lines.pop();
    for (const line of lines.map((one) => one.replace(/\r$/, ""))) {
      if (line !== "") {
        addField(frame, line);
      } else if (Object.keys(frame).length > 0) {
        yield frame;
        frame = {};
      }
    }
  }
}

function addField(frame, line) {
  const colon = line.indexOf(":");
  if (colon === 0) return;  // a comment
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (name === "data") frame.data = frame.data === undefined ? value : `${frame.data}\n${value}`;
  else if (name === "event" || name === "id") frame[name] = value;
}

/** Not every browser can iterate over a stream. */
async function* piecesOf(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

// --- WebSocket -------------------------------------------------------------------------------

async function readSocket(feed) {
  const token = await feed.options.ticket?.();
  if (feed.signal.aborted) return;
  const socket = new feed.options.Socket(feed.socketUrl("/v1/events", { since: feed.cursor, token }));
  const silence = new Silence(feed.signal);
  const operations = new Operations(socket);
  const refuse = feed.ask;
  try {
    for await (const text of linesOf(socket, silence)) {
      const message = JSON.parse(text);
      if (message.op === "hello") feed.ask = (operation) => operations.send(operation);
      if (message.q === undefined) await takeMessage(feed, message);
      else operations.answer(message);
    }
  } finally {
    feed.ask = refuse;
    silence.end();
    socket.close();
    operations.end();
  }
}

async function takeMessage(feed, message) {
  switch (message.op) {
    case undefined: return feed.take(message);
    case "hello": return feed.hello(message);
    case "reset": return feed.reset(message);
    case "cursor": return feed.goTo(message.id);
    default: return undefined;  // a later version may say more
  }
}

/** What the page asks on its socket, until it is answered. */
class Operations {
  #socket;
  #open = new Map();
  #last = 0;

  constructor(socket) {
    this.#socket = socket;
  }
  send(operation) {
    const q = this.#last += 1;
    this.#socket.send(JSON.stringify({ ...operation, q }));
    return new Promise((done, fail) => this.#open.set(q, { done, fail }));
  }
  answer(message) {
    this.#open.get(message.q)?.done(message);
    this.#open.delete(message.q);
  }
  end() {
    for (const { fail } of this.#open.values()) fail(new Error("the connection is gone"));
  }
}

/** The messages of a socket, one after the other; throws when it is closed, or `silence` ends it. */
async function* linesOf(socket, silence) {
  const items = [];
  let error;
  let wake = () => {};
  const end = (why) => {
    error ??= why;
    wake();
  };
  silence.signal.addEventListener("abort", () => end(silence.signal.reason));
  socket.onclose = ({ code, reason }) => end(new Trouble(reason || `the connection is gone (${code})`,
    { isPlanned: kPlannedCloses.includes(code) }));
  socket.onmessage = ({ data }) => {
    silence.heard();
    if (items.length < kHeldMax) items.push(data);
    else end(new Trouble("this page is too slow", { isPlanned: true }));
    wake();
  };
  for (;;) {
    while (items.length > 0) yield items.shift();
    if (error) throw error;
    await new Promise((done) => { wake = done; });
  }
}

// --- MQTT over WebSocket ---------------------------------------------------------------------

async function readMqtt(feed) {
  const { feed: root = "e", bridge = "spoke-bridge", user, password } = feed.options.mqtt ?? {};
  // With keys it also tells whether the token is good, and asks for one.
  if (!feed.cursor || feed.options.bearer) await feed.findHead();
  const inbox = `${root}/replay/${newKey()}`;
  let client;
  let end;
  const ended = new Promise((_, fail) => { end = fail; });
  ended.catch(() => {});  // it is awaited later
  const merge = new Merge(feed, async () => {
    const token = await feed.options.bearer?.() || undefined;
    const wish = { topic: feed.options.topics, since: feed.cursor, limit: kPageSize, token };
    const properties = { responseTopic: inbox, contentType: "application/json" };
    const reason = await client.publish(`$r/${bridge}/replay`, JSON.stringify(wish), { qos: 1, properties });
    if (reason === kNobody) throw new Trouble("the bridge is not at the broker");
  }, end);
  const stop = () => end(feed.signal.reason);
  feed.signal.addEventListener("abort", stop);
  try {
    client = await MqttClient.connect(feed.socketUrl("/mqtt"), { Socket: feed.options.Socket, user, password, onClose: end,
      onMessage: (message) => message.topic === inbox ? merge.replayed(message)
        : merge.published(eventOf(message, message.topic.slice(root.length + 1))) });
    await client.subscribe([inbox, ...feed.options.topics.map((topic) => `${root}/${topic}`)]);
    await merge.replay();
    await ended;
  } finally {
    merge.close();
    feed.signal.removeEventListener("abort", stop);
    client?.close();
  }
}

/** One stream of two: what was missed comes as a replay, and what is published meanwhile waits for
 *  the end of it. Later the number `n` of an event in its topic tells whether one is missing before
 *  it; then the rest comes as a replay again. */
class Merge {
  #feed;
  #ask;
  #fail;
  #timer;  // a replay of which nothing comes any more: the bridge has lost the broker meanwhile
  #held = [];
  #isComplete = true;  // whether #held has all that was published since the replay was asked for
  #isReplaying = true;
  #last = new Map();  // n by topic

  constructor(feed, ask, fail) {
    this.#feed = feed;
    this.#ask = ask;
    this.#fail = fail;
  }

  close() {
    clearTimeout(this.#timer);
  }

  async published(event) {
    if (event.id === undefined) return; // the bridge asks whether somebody is there
    const last = this.#last.get(event.topic);
    const isNext = last === undefined || event.n <= last + 1;
    if (!this.#isReplaying && isNext) return this.#take(event);
    if (this.#held.length < kHeldMax) this.#held.push(event);
    else this.#isComplete = false;
    if (!this.#isReplaying) await this.replay();
  }

  async replayed(message) {
    this.#wait();
    if (valueOf(message, "end") === undefined) return this.#take(eventOf(message, valueOf(message, "topic")));
    const end = JSON.parse(new TextDecoder().decode(message.payload));
    if (end.error) throw new Trouble(end.error);
    if (end.reason) this.#last.clear();
    if (end.reason) await this.#feed.reset(end);
    else this.#feed.goTo(end.next);
    if (end.reason || end.more || !this.#isComplete) return this.replay();
    this.#isReplaying = false;
    clearTimeout(this.#timer);
    for (const event of this.#held.splice(0)) await this.#take(event);
    this.#feed.live();
  }

  async replay() {
    this.#isReplaying = true;
    this.#wait();
    if (!this.#isComplete) this.#held = [];
    this.#isComplete = true;
    await this.#ask();
  }

  #wait() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fail(new Trouble("the bridge does not answer")), kReplayMs);
  }

  async #take(event) {
    this.#last.set(event.topic, Math.max(event.n, this.#last.get(event.topic) ?? 0));
    await this.#feed.take(event);
  }
}

function valueOf(message, name) {
  return message.properties.user.find(([key]) => key === name)?.[1];
}

/** The event document of a message of the feed. */
export function eventOf(message, topic) {
  const event = { id: valueOf(message, "id"), topic, n: Number(valueOf(message, "n")) };
  const type = valueOf(message, "type");
  if (type !== undefined) event.type = type;
  event.at = valueOf(message, "at");
  return Object.assign(event, dataOf(message.payload));
}

function dataOf(payload) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(payload);
  } catch {
    const binary = Array.from(payload, (byte) => String.fromCharCode(byte)).join("");
    return { data: btoa(binary), encoding: "base64" };
  }
  try {
    return { data: JSON.parse(text) };
  } catch {
    return { data: text, encoding: "text" };
  }
}

/** Ends a connection on which nothing has come for too long. */
class Silence {
  #controller = new AbortController();
  #timer;
  #outer;

  constructor(outer) {
    this.#outer = outer;
    outer.addEventListener("abort", this.#close);
    if (outer.aborted) this.#close();
    else this.heard();
  }
  get signal() { return this.#controller.signal; }
  heard() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(new Trouble("the bridge is silent")), kSilenceMs);
  }
  end() {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener("abort", this.#close);
  }
  #close = () => {
    clearTimeout(this.#timer);
    this.#controller.abort(this.#outer.reason);
  };
}
