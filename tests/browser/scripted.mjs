// What the modules talk to in their tests: an HTTP server and a WebSocket that play a script.
import { createServer } from "node:http";
import { once } from "node:events";

/** A server that answers each request with the next function of `script`; the last one stays. */
export async function scriptedServer(t, script) {
  const requests = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => { body += piece; });
    request.on("end", () => {
      const url = new URL(request.url, "http://x");
      requests.push({ method: request.method, url, query: url.searchParams, headers: request.headers, body });
      const answer = script.length > 1 ? script.shift() : script[0];
      answer(response, request);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { base: `http://127.0.0.1:${server.address().port}`, requests };
}

export function json(status, body, headers = {}) {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(status === 304 ? undefined : JSON.stringify(body));
  };
}

/** Held for ever, or until the client goes away. */
export function silent() {}

/** A stream of server-sent events in pieces; it stays open unless `end`. */
export function stream(pieces, { end = false } = {}) {
  return (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const piece of pieces) response.write(piece);
    if (end) response.end();
  };
}

/** A class in place of WebSocket: each one made is played by the next function of `script`. */
export function scriptedSockets(script) {
  const made = [];
  class Socket {
    constructor(url, protocols) {
      Object.assign(this, { url: new URL(url), protocols, sent: [], closed: false });
      made.push(this);
      queueMicrotask(() => script.shift()?.(this));
    }
    send(data) {
      this.sent.push(data);
      this.onsent?.(data);
    }
    close() { this.closed = true; }
    says(...messages) {
      for (const message of messages) this.onmessage({ data: JSON.stringify(message) });
    }
    drops(code = 1006, reason = "") { this.onclose({ code, reason }); }
  }
  return { Socket, made };
}

export function event(offset, data = offset, epoch = "k7", topic = "t/1") {
  return { id: `${epoch}.${offset}`, topic, n: offset, at: "2026-11-22T19:00:00.123Z", data };
}

/** Options of follow() that note all that happens; `until(condition)` awaits it. */
export function recorder() {
  const seen = { events: [], resets: [], states: [] };
  let wake = () => {};
  const note = (list) => (item) => {
    list.push(item);
    wake();
  };
  return {
    seen,
    data: () => seen.events.map((one) => one.data),
    options: { onEvent: note(seen.events), onReset: note(seen.resets), onState: note(seen.states), topics: ["t/1"] },
    async until(condition) {
      while (!condition()) await new Promise((done) => { wake = done; });
    },
  };
}
