// Trying again: when, why, and by which key it is known to be the same.

const kBackOffMs = { first: 400, most: 20_000 };

/** A new key for something that must happen once however often it is sent. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/** Resolves after `ms`, at once when `signal` is aborted or the network comes back. */
export function pause(ms, signal) {
  return new Promise((done) => {
    const timer = setTimeout(finish, ms);
    signal?.addEventListener("abort", finish);
    globalThis.addEventListener?.("online", finish);
    if (signal?.aborted) finish();
    function finish() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      globalThis.removeEventListener?.("online", finish);
      done();
    }
  });
}

/** How long to wait before try number `attempt` (0, 1, ...): anything up to a bound that doubles. */
export function backOffMs(attempt, random = Math.random()) {
  return Math.round(random * Math.min(kBackOffMs.most, kBackOffMs.first * 2 ** attempt));
}

export function retryAfterMs(response) {
  const seconds = Number(response.headers.get("retry-after") ?? NaN);
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
}

/** Why a connection ended, and how long to wait at least. */
export class Trouble extends Error {
  constructor(message, { afterMs = 0, isPlanned = false } = {}) {
    super(message);
    this.afterMs = afterMs;
    this.isPlanned = isPlanned;  // the bridge asks to come again: no reason to wait long
  }
}

/** What fetch throws if there is no connection says something else in each browser. */
export function inWords(error) {
  return error instanceof TypeError ? "the bridge cannot be reached" : error.message;
}
