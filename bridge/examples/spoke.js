// Reads the event log of a Spoke bridge in any of its five ways: short poll, long poll, server-sent
// events (SSE), WebSocket and MQTT over WebSocket.
//
//   const feed = follow({
//     way: "sse", topics: ["t/chat/lobby"], since: "oldest",
//     onEvent: (event) => {},                      // each event once, in the order of the log
//     onReset: async ({ reason, snapshot }) => {},  // events are missing: take the state anew
//     onState: ({ state, why, retryMs }) => {},     // "connecting", "live", "waiting", "closed"
//   });
//   feed.close();
//
// Whatever happens to the connection, it is made again after a while (twice as long each time, with
// jitter) and goes on from the cursor: the id of the last event that onEvent is done with. An event
// that comes a second time is known by its id, as ids of one epoch only grow. Where the bridge says
// that the cursor cannot be used, onReset is awaited, and the cursor it gives (or "oldest", or
// nothing for the one of the bridge) is where reading goes on. With `keep: "name"` the cursor is in
// the session storage of the tab, so that a reloaded page goes on as well.
//
// Further options:
//   bearer    function for the token or key of requests, called with true after a 401;
//             it gives "" if the bridge has no keys
//   ticket    function for the one-use token of a WebSocket, which cannot send headers
//   pollMsMax longest time between two short polls; otherwise the bridge says how long
//   mqtt      {user, password, feed: "e", bridge: "spoke-bridge"}
//   base      address of the bridge; Socket, storage: in place of WebSocket and sessionStorage

import { Trouble, backOffMs, inWords, pause, retryAfterMs } from "./retry.js";
import { kRunners } from "./ways.js";

export { newKey, pause } from "./retry.js";

export const kWays = { poll: "short poll", long: "long poll", sse: "SSE", ws: "WebSocket", mqtt: "MQTT" };

const kSteadyMs = 5_000;  // a connection that has lasted so long was a good one

/** Begins to read; gives {cursor, repeated, ask(operation), close()}. */
export function follow(options) {
  const feed = new Feed(options);
  feed.run();
  return feed;
}

/** Where the log ends now. First this, then a snapshot, then follow() from here: so nothing is lost
 *  between the two. Takes the options of follow() that make a request. */
export async function head(options) {
  const feed = new Feed({ ...options, way: "poll", keep: "", since: undefined, onReset: undefined });
  for (let attempt = 0; ; attempt += 1) {
    try {
      await feed.findHead();
      return feed.cursor;
    } catch (error) {
      await pause(Math.max(backOffMs(attempt), error.afterMs ?? 0));
    }
  }
}

/** An id or cursor `<epoch>.<offset>`; undefined for anything else. */
export function parseCursor(text) {
  const parts = /^([^.]+)\.(\d+)$/.exec(text ?? "");
  return parts ? { epoch: parts[1], offset: Number(parts[2]) } : undefined;
}

/** Whether `cursor` stands at the event `id` or after it. Those of another epoch cannot be compared. */
export function covers(cursor, id) {
  const [a, b] = [parseCursor(cursor), parseCursor(id)];
  return a !== undefined && b !== undefined && a.epoch === b.epoch && a.offset >= b.offset;
}

/**
 * POSTs until there is an answer. Safe for whatever the bridge knows by its Idempotency-Key, which
 * stays the same: what is sent twice is carried out once. `onWait(why, ms)` before each pause.
 * Gives {status, body}; undefined once `signal` has ended it.
 */
export async function send(path, { body, key, bearer, base = "", signal, onWait = () => {} }) {
  const headers = { "content-type": "application/json" };
  if (key) headers["idempotency-key"] = `"${key}"`;
  for (let attempt = 0, refused = false; !signal?.aborted; attempt += 1) {
    let why;
    let ms = backOffMs(attempt);
    try {
      const token = await bearer?.(refused);
      if (token) headers.authorization = `Bearer ${token}`;
      const response = await fetch(base + path, { method: "POST", headers, body: JSON.stringify(body), signal });
      refused = response.status === 401 && bearer !== undefined;
      if (response.status < 500 && response.status !== 429 && !refused) {
        const text = await response.text();
        return { status: response.status, body: text && JSON.parse(text) };
      }
      why = `the bridge answers ${response.status}`;
      ms = Math.max(ms, retryAfterMs(response) ?? 0);
    } catch (error) {
      if (signal?.aborted) break;
      if (!(error instanceof TypeError)) throw error;
      why = inWords(error);
    }
    onWait(why, ms);
    await pause(ms, signal);
  }
  return undefined;
}

/** One reader. What follow() does not name is for ways.js. */
class Feed {
  #end = new AbortController();
  #attempt = 0;
  #liveAt = 0;

  cursor;  // where reading goes on: a cursor, "oldest", or undefined: from now on
  repeated = 0;  // events that came again and were left out
  ask = () => Promise.reject(new Error("only a WebSocket that is open takes operations"));

  constructor(options) {
    if (!Object.hasOwn(kRunners, options.way)) throw new Error(`there is no way ${options.way}`);
    this.options = { base: globalThis.location?.origin, Socket: globalThis.WebSocket,
      storage: globalThis.sessionStorage, ...options };
    this.cursor = this.#kept() ?? options.since;
  }

  get signal() { return this.#end.signal; }

  close() {
    this.#end.abort(new Error("closed"));
  }

  async run() {
    while (!this.signal.aborted) {
      this.#say("connecting");
      let trouble = new Trouble("the connection has ended");
      try {
        await kRunners[this.options.way](this);
      } catch (error) {
        trouble = error;
      }
      if (this.signal.aborted) break;
      const ms = this.#waitMs(trouble);
      this.#say("waiting", { why: inWords(trouble), retryMs: ms });
      await pause(ms, this.signal);
    }
    this.#say("closed");
  }

  #waitMs(trouble) {
    const wasSteady = this.#liveAt > 0 && Date.now() - this.#liveAt > kSteadyMs;
    this.#attempt = wasSteady || trouble.isPlanned ? 0 : this.#attempt + 1;
    this.#liveAt = 0;
    return Math.max(backOffMs(this.#attempt), trouble.afterMs ?? 0);
  }

  #say(state, more = {}) {
    this.options.onState?.({ state, why: "", ...more });
  }

  /** The way works: called as often as one likes. */
  live() {
    if (this.#liveAt === 0) this.#say("live");
    this.#liveAt ||= Date.now();
  }

  #kept() {
    return this.options.keep && (this.options.storage?.getItem(`spoke:${this.options.keep}`) ?? undefined);
  }

  goTo(cursor) {
    if (cursor && !this.signal.aborted) this.#stand(cursor);
  }

  #stand(cursor) {
    this.cursor = cursor;
    if (this.options.keep) this.options.storage?.setItem(`spoke:${this.options.keep}`, cursor);
  }

  async take(event) {
    if (this.signal.aborted) return;
    if (covers(this.cursor, event.id)) {
      this.repeated += 1;
      return;
    }
    await this.options.onEvent(event);
    this.#stand(event.id);
  }

  async reset({ reason, cursor, snapshot }) {
    const onwards = await this.options.onReset?.({ reason, cursor, snapshot });
    this.goTo(onwards || cursor);
  }

  /** A greeting of the bridge: without a cursor reading begins where it says. */
  hello({ from }) {
    if (!this.cursor) this.goTo(from);
    this.live();
  }

  /** For a reader from now on, who must know where that is before anything happens. */
  async findHead() {
    const response = await this.get({ limit: 1 });
    const next = (await response?.json())?.next;
    if (!this.cursor) this.goTo(next);
  }

  url(path, query) {
    const url = new URL(path, this.options.base);
    for (const topic of query ? this.options.topics : []) url.searchParams.append("topic", topic);
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value) url.searchParams.set(name, value);
    }
    return url;
  }

  socketUrl(path, query) {
    const url = this.url(path, query);
    url.protocol = url.protocol.replace("http", "ws");
    return url.href;
  }

  /** A request for events. Undefined after a reset; every other problem is thrown as a Trouble. */
  async get(query, headers = {}, signal = this.signal) {
    for (let refused = false; ; refused = true) {
      const token = await this.options.bearer?.(refused);
      const all = token ? { ...headers, authorization: `Bearer ${token}` } : headers;
      const response = await fetch(this.url("/v1/events", query), { headers: all, signal, cache: "no-store" });
      if (response.ok || response.status === 304) return response;
      const problem = await response.json().catch(() => ({}));
      if (response.status === 409 && problem.cursor) {
        await this.reset(problem);
        return undefined;
      }
      if (response.status === 401 && this.options.bearer && !refused) continue;
      throw new Trouble(problem.detail || problem.title || `the bridge answers ${response.status}`,
        { afterMs: retryAfterMs(response) });
    }
  }
}
