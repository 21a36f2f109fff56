// spoke.js against small servers that play a script: what it asks, what it tells, when it goes on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./modules.mjs";
import { event, json, recorder, scriptedServer, scriptedSockets, silent, stream } from "./scripted.mjs";

const { covers, follow, parseCursor, send } = await load("spoke.js");
const { backOffMs } = await load("retry.js");

Math.random = () => 0;  // no test waits for the back-off

/** Follows until `condition` holds, then closes. */
async function reads(t, options, condition) {
  const record = recorder();
  const feed = follow({ ...record.options, ...options });
  t.after(() => feed.close());
  await record.until(() => condition(record));
  return { feed, ...record };
}

const has = (count) => ({ seen }) => seen.events.length >= count;

test("a cursor is an epoch and an offset, and covers what is before it in its epoch", () => {
  assert.deepEqual(parseCursor("k7.1042"), { epoch: "k7", offset: 1042 });
  for (const text of [undefined, "", "oldest", "k7", "k7.", ".4", "k7.x", "k7.1.2"]) assert.equal(parseCursor(text), undefined);
  assert.ok(covers("k7.10", "k7.10") && covers("k7.10", "k7.9"));
  assert.ok(!covers("k7.10", "k7.11") && !covers("k8.10", "k7.9") && !covers("oldest", "k7.1"));
});

test("the back-off doubles up to its bound, with jitter", () => {
  assert.deepEqual([0, 1, 2, 10].map((n) => backOffMs(n, 1)), [400, 800, 1600, 20_000]);
  assert.equal(backOffMs(3, 0.25), 800);
});

test("short poll: from page to page, then with the tag, at the pace of the bridge", async (t) => {
  const pause = { "retry-after": "0" };
  const { base, requests } = await scriptedServer(t, [
    json(200, { events: [event(1), event(2)], next: "k7.2" }, { etag: '"a"', ...pause }),
    json(200, { events: [], next: "k7.4" }, { etag: '"b"', ...pause }),
    json(304, undefined, { "event-cursor": "k7.6", ...pause }),
    json(200, { events: [event(7)], next: "k7.7" }, { etag: '"c"', "retry-after": "60" }),
    silent,
  ]);
  const { data } = await reads(t, { way: "poll", base, since: "oldest" }, has(3));
  assert.deepEqual(data(), [1, 2, 7]);
  assert.deepEqual(requests.map(({ query }) => query.get("since")), ["oldest", "k7.2", "k7.4", "k7.6"]);
  assert.deepEqual(requests.map(({ headers }) => headers["if-none-match"]), [undefined, '"a"', '"b"', '"b"']);
  assert.ok(requests.every(({ query }) => query.get("topic") === "t/1" && !query.has("wait")));
});

test("long poll: a time-out moves the cursor, a failure is tried again from it", async (t) => {
  const { base, requests } = await scriptedServer(t, [
    json(304, undefined, { "event-cursor": "k7.5" }),
    json(503, { title: "too many" }, { "retry-after": "0" }),
    (response) => response.destroy(),
    json(200, { events: [event(6)], next: "k7.6" }),
    silent,
  ]);
  const { seen } = await reads(t, { way: "long", base, since: "k7.1" }, has(1));
  assert.deepEqual(requests.slice(0, 4).map(({ query }) => query.get("since")), ["k7.1", "k7.5", "k7.5", "k7.5"]);
  // What is new at once, then held; the same after each failure.
  assert.deepEqual(requests.slice(0, 4).map(({ query }) => query.get("wait")), [null, "25", null, null]);
  assert.deepEqual(seen.states.filter(({ state }) => state === "waiting").map(({ why }) => why),
    ["too many", "the bridge cannot be reached"]);
});

test("poll: a cursor that cannot be used is a reset, and its answer the place to go on from", async (t) => {
  const { base, requests } = await scriptedServer(t, [
    json(409, { reason: "too-old", cursor: "k7.50", snapshot: "/v1/inboxes/7" }),
    json(409, { reason: "epoch", cursor: "k8.3" }),
    json(200, { events: [event(4, "x", "k8")], next: "k8.4" }),
    silent,
  ]);
  const record = recorder();
  const answers = ["k7.60", undefined];
  const feed = follow({ ...record.options, way: "long", base, since: "k7.1",
    onReset: async (info) => { record.seen.resets.push(info); return answers.shift(); } });
  t.after(() => feed.close());
  await record.until(() => has(1)(record));
  assert.deepEqual(requests.slice(0, 3).map(({ query }) => query.get("since")), ["k7.1", "k7.60", "k8.3"]);
  assert.deepEqual(record.seen.resets[0], { reason: "too-old", cursor: "k7.50", snapshot: "/v1/inboxes/7" });
  assert.deepEqual(record.data(), ["x"]);
});

test("SSE: frames in pieces, comments, the cursor without data, what comes twice", async (t) => {
  const two = `id: k7.2\ndata: ${JSON.stringify(event(2, "é"))}\n\n`;
  const bytes = Buffer.from(two);
  const { base, requests } = await scriptedServer(t, [
    stream(["retry: 3000\n\nevent: hello\ndata: {\"resumed\":true,\"from\":\"k7.1\",\"lost\":0}\n\n",
      ...Array.from(bytes, (byte) => Buffer.from([byte])), two, ": alive\nid: k7.9\n\n"], { end: true }),
    stream([`id: k7.10\r\ndata: ${JSON.stringify(event(10))}\r\n\r\n`]),
  ]);
  const { feed, data } = await reads(t, { way: "sse", base, since: "k7.1" }, has(2));
  assert.deepEqual(data(), ["é", 10]);
  assert.equal(feed.repeated, 1);
  assert.deepEqual(requests.map(({ query }) => query.get("since")), ["k7.1", "k7.9"]);
  assert.ok(requests.every(({ headers }) => headers.accept === "text/event-stream"));
});

test("SSE: a reset is awaited before what follows, a type cannot pass for one", async (t) => {
  const { base } = await scriptedServer(t, [stream([
    "event: reset\ndata: {\"reason\":\"future\",\"cursor\":\"k7.5\",\"snapshot\":\"/s\"}\n\n",
    `data: ${JSON.stringify({ ...event(6), type: "reset" })}\n\n`, "event: bye\ndata: {\"reason\":\"stopping\",\"cursor\":\"k7.6\"}\n\n"]), silent]);
  const order = [];
  const feed = follow({ way: "sse", base, since: "k7.99", topics: ["t/1"], onEvent: ({ id }) => order.push(id),
    onReset: async ({ reason }) => { await null; order.push(reason); },
    onState: ({ why }) => why && order.push(why) });
  t.after(() => feed.close());
  while (order.length < 3) await new Promise(setImmediate);
  assert.deepEqual(order, ["future", "k7.6", "the bridge stops"]);
});

test("SSE: a stream whose token has expired is opened again, from where it was", async (t) => {
  const { base, requests } = await scriptedServer(t, [stream([
    `id: k7.6\ndata: ${JSON.stringify(event(6))}\n\n`,
    "event: bye\ndata: {\"reason\":\"expired\",\"cursor\":\"k7.6\"}\n\n"], { end: true }),
  stream([`id: k7.7\ndata: ${JSON.stringify(event(7))}\n\n`])]);
  const reasons = [];
  const { data } = await reads(t, { way: "sse", base, since: "k7.5", onState: ({ why }) => why && reasons.push(why) }, has(2));
  assert.deepEqual(data(), [6, 7]);
  assert.deepEqual(reasons, ["the token has expired"]);
  assert.deepEqual(requests.map(({ query }) => query.get("since")), ["k7.5", "k7.6"]);
});

test("without a cursor reading begins where the greeting says, and goes on there", async (t) => {
  const { base, requests } = await scriptedServer(t, [
    stream(['event: hello\ndata: {"resumed":true,"from":"k7.31","lost":0}\n\n'], { end: true }),
    stream([`data: ${JSON.stringify(event(32))}\n\n`]),
  ]);
  await reads(t, { way: "sse", base }, has(1));
  assert.deepEqual(requests.map(({ query }) => query.get("since")), [null, "k7.31"]);
});

test("tokens: in a header; asked for anew after a 401; once for each WebSocket", async (t) => {
  const { base, requests } = await scriptedServer(t, [json(401, {}), json(200, { events: [event(1)], next: "k7.1" }), silent]);
  const asked = [];
  const bearer = async (refused) => { asked.push(refused); return refused ? "new" : "old"; };
  await reads(t, { way: "long", base, since: "k7.0", bearer }, has(1));
  assert.deepEqual(requests.slice(0, 2).map(({ headers }) => headers.authorization), ["Bearer old", "Bearer new"]);
  const { Socket, made } = scriptedSockets([(socket) => socket.drops(), (socket) => socket.says(event(5))]);
  const tickets = ["st_1", "st_2"];
  await reads(t, { way: "ws", base, Socket, since: "k7.2", ticket: async () => tickets.shift() }, has(1));
  assert.deepEqual(made.map(({ url }) => url.searchParams.get("token")), ["st_1", "st_2"]);
});

test("WebSocket: events, cursors and resets in their order; on from there after 1013", async (t) => {
  const { Socket, made } = scriptedSockets([
    (socket) => {
      socket.says({ op: "hello", resumed: true, from: "k7.1", lost: 0 }, event(2), event(2), { op: "cursor", id: "k7.8" },
        { op: "reset", reason: "too-old", cursor: "k7.20", snapshot: "/s" }, { op: "later", x: 1 }, event(21));
      socket.drops(1013, "slow; go on from k7.21");
    },
    (socket) => socket.says(event(21), event(22)),
  ]);
  const { data, seen, feed } = await reads(t, { way: "ws", base: "https://x.example", Socket, since: "k7.1" }, has(3));
  assert.deepEqual(data(), [2, 21, 22]);
  assert.equal(feed.repeated, 2);
  assert.deepEqual(seen.resets.map(({ cursor }) => cursor), ["k7.20"]);
  assert.deepEqual(made.map(({ url }) => [url.protocol, url.pathname, url.searchParams.get("since")]),
    [["wss:", "/v1/events", "k7.1"], ["wss:", "/v1/events", "k7.21"]]);
  assert.ok(made[0].closed);
});

test("WebSocket: operations find their answers, and fail with their connection", async (t) => {
  const { Socket, made } = scriptedSockets([(socket) => socket.says({ op: "hello", resumed: true, from: "k7.1", lost: 0 })]);
  const { feed } = await reads(t, { way: "ws", base: "http://x", Socket }, ({ seen }) => seen.states.some(({ state }) => state === "live"));
  const first = feed.ask({ op: "publish", topic: "t/1", text: "a" });
  const second = feed.ask({ op: "read", who: "7", upto: "k7.1" });
  const third = feed.ask({ op: "unsub", topic: "t/1" });
  made[0].says({ q: 2, ok: false, problem: { status: 403 } }, { q: 1, ok: true });
  assert.deepEqual([await first, (await second).problem.status], [{ q: 1, ok: true }, 403]);
  assert.deepEqual(JSON.parse(made[0].sent[0]), { op: "publish", topic: "t/1", text: "a", q: 1 });
  made[0].drops();
  await assert.rejects(third, /gone/);
  await assert.rejects(feed.ask({ op: "unsub", topic: "t/1" }), /open/);
});

test("the cursor is kept in the tab, and a reloaded page goes on from it", async (t) => {
  const kept = new Map();
  const storage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
  const options = { way: "ws", base: "http://x", storage, keep: "room", since: "oldest" };
  const { Socket, made } = scriptedSockets([(socket) => socket.says(event(3), event(4)), (socket) => socket.says(event(4))]);
  const record = recorder();
  const page = follow({ ...record.options, ...options, Socket,
    onEvent: () => page.close() });  // it is taken: the next page need not see it
  await record.until(() => record.seen.states.at(-1)?.state === "closed");
  assert.equal(kept.get("spoke:room"), "k7.3");
  await reads(t, { ...options, Socket }, has(1));
  assert.deepEqual(made.map(({ url }) => url.searchParams.get("since")), ["oldest", "k7.3"]);
});

test("close: nothing is told after it, and nothing is asked", async (t) => {
  const { Socket, made } = scriptedSockets([(socket) => socket.says(event(1), event(2))]);
  const record = recorder();
  const feed = follow({ ...record.options, way: "ws", base: "http://x", Socket, since: "k7.0",
    onEvent: (one) => { record.seen.events.push(one); feed.close(); } });
  await record.until(() => record.seen.states.at(-1)?.state === "closed");
  assert.deepEqual(record.data(), [1]);
  assert.equal(made.length, 1);
});

test("send: the same key until there is an answer; refusals of the bridge are answers", async (t) => {
  const { base, requests } = await scriptedServer(t, [
    (response) => response.destroy(), json(503, {}, { "retry-after": "0" }), json(201, { ids: ["k7.1"] }), json(409, { title: "no" }),
  ]);
  const waits = [];
  const done = await send("/v1/publish/a", { base, key: "k", body: { text: "hi" }, onWait: (why) => waits.push(why) });
  assert.deepEqual(done, { status: 201, body: { ids: ["k7.1"] } });
  assert.deepEqual(waits, ["the bridge cannot be reached", "the bridge answers 503"]);
  assert.ok(requests.every(({ headers, body }) => headers["idempotency-key"] === '"k"' && body === '{"text":"hi"}'));
  assert.equal((await send("/x", { base, body: {} })).status, 409);
  const stop = new AbortController();
  stop.abort();
  assert.equal(await send("/x", { base, body: {}, signal: stop.signal }), undefined);
});
