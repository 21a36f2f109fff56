// Orders to a bike, with an honest word on each.

import { bearer, byId, fromAddress, keep, kept, make, read, showPill, showState, ticketFor, timeOf } from "./page.js";
import { follow, head, kWays, newKey, send } from "./spoke.js";

const kShown = 10;

/** What each state means to the person who waits: sign, word, tone, sentence. */
const kStates = {
  sending: ["◌", "on its way to the bridge", "", "Not yet taken: the bridge has not answered."],
  unheard: ["?", "not known", "warn", "The bridge did not answer in time. Whether it has taken the order is looked up as soon as it is back."],
  never: ["–", "never taken", "", "The bridge knows nothing of it: nothing has happened."],
  refused: ["⊘", "not sent", "bad", "Nothing was sent."],
  queued: ["◷", "queued", "", "Taken, and not yet on its way to the bike."],
  sent: ["→", "sent", "", "On its way to the bike."],
  delivered: ["✓", "delivered", "", "The bike has it."],
  running: ["▶", "running", "", "The bike is doing it."],
  succeeded: ["✔", "done", "good", "The bike says that it was done."],
  failed: ["✖", "failed", "bad", "The bike tried, and it did not work."],
  rejected: ["⊘", "refused by the bike", "bad", "The bike did not do it."],
  expired: ["⌛", "expired", "", "It never left in time: nothing has happened."],
  cancelled: ["■", "cancelled", "", "Taken back before it was sent: nothing has happened."],
  superseded: ["■", "superseded", "", "A newer order took its place: nothing has happened."],
  unknown: ["?", "unknown", "warn", "Sent, and no answer came: it may have been done. It settles by itself when the bike is heard of; until then, do not bill."],
  abandoned: ["?", "given up", "warn", "No answer ever came: whether it was done is not known."],
};

/** How a part of the time is called that ended with a state. */
const kParts = { sent: "queue", delivered: "way there", running: "bike begins", succeeded: "lock", failed: "lock", rejected: "answer",
  unknown: "waited", expired: "waited", cancelled: "waited", superseded: "waited", abandoned: "waited" };

let bike;
let feed;
let orders = new Map();  // by ref: {verb, at, state, why, command}

// --- The bike --------------------------------------------------------------------------------

async function choose(id) {
  bike = id;
  feed?.close();
  orders = new Map(kept(`bike:${id}:orders`, []));
  showOrders();
  const topics = [`d/${id}/evt`, `d/${id}/state`, `d/${id}/up`];
  const options = { topics, bearer, ticket: ticketFor(topics.map((topic) => `events:${topic}`).join(" ")) };
  const since = await head(options);
  await takeSnapshot();
  if (bike === id) listen({ ...options, since });
}

function listen(options) {
  const way = byId("way").value;
  feed?.close();
  feed = follow({ ...options, way, onEvent: take, onReset: takeSnapshot, onState: (state) => {
    showState(byId("state"), state);
    if (state.state === "live") takeSnapshot();  // what was doubtful while it was away
  } });
}

function take(event) {
  if (event.type === "command") return takeCommand(event.data);
  if (event.topic.endsWith("/state")) return showReported(event.data);
  if (event.topic.endsWith("/up")) return refreshPresence();
  return undefined;
}

async function takeSnapshot() {
  const id = bike;
  const device = await read(`/v1/devices/${id}`);
  const list = await read(`/v1/devices/${id}/commands?limit=${kShown}`);
  if (bike !== id) return;
  showDevice(device.body);
  for (const command of (list.body.commands ?? []).toReversed()) takeCommand(command);
  for (const order of orders.values()) {
    if (order.state === "unheard") order.state = "never";  // it is not in the list
  }
  showOrders();
}

async function refreshPresence() {
  const id = bike;
  const { body } = await read(`/v1/devices/${id}`);
  if (bike === id) showDevice(body);
}

function showDevice(device) {
  const signs = { online: ["●", "online", "good"], quiet: ["◐", "quiet: slow to answer", "warn"],
    asleep: ["☾", "asleep", ""], offline: ["○", "offline", "bad"] };
  const [sign, word, tone] = signs[device.presence] ?? ["?", "never heard of", "warn"];
  showPill(byId("presence"), sign, word, tone);
  if (device.state) showReported(device.state);
}

function showReported(state) {
  const lock = state?.lock ?? "unknown";
  byId("reported").textContent = lock;
  byId("picture").dataset.lock = lock;
  byId("reported-at").textContent = state?.at ? `reported at ${timeOf(state.at)}` : "";
  const battery = state?.batt?.pct === undefined ? [] : ["Battery", `${state.batt.pct} %`];
  const signal = state?.net?.rssi === undefined ? [] : ["Signal", `${state.net.rssi} dBm`];
  byId("facts").replaceChildren(...[battery, signal].filter((row) => row.length > 0)
    .flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

// --- Orders ----------------------------------------------------------------------------------

/** The key makes it one order however often it is sent. It is for now: once its time has passed it
 *  is not sent again, as it could then be carried out when nobody waits for it any more. */
async function give(verb) {
  const ref = newKey();
  const ttl = Number(byId("ttl").value);
  const order = { verb, at: new Date().toISOString(), state: "sending" };
  note(ref, order);
  const path = `/v1/devices/${bike}/commands`;
  const answer = await send(path, { body: { do: verb, ref, ttl_ms: ttl }, key: ref, bearer, signal: AbortSignal.timeout(ttl) });
  if (answer === undefined) {
    if (order.state === "sending") note(ref, Object.assign(order, { state: "unheard" }));
    if (byId("state").dataset.state === "live") takeSnapshot();
  } else if (answer.status < 300) {
    takeCommand(answer.body);
  } else {
    note(ref, Object.assign(order, { state: "refused", why: answer.body.title ?? `status ${answer.status}` }));
  }
}

/** The same command may come in an answer, in a list and as an event: the one that knows more stays. */
function takeCommand(command) {
  const ref = command.ref ?? command.id;
  const known = orders.get(ref)?.command;
  if (known && (known.settled || known.timeline.length >= command.timeline.length) && !command.settled) return;
  note(ref, { verb: command.do, at: command.accepted, state: command.state, why: command.answer?.why ?? command.why, command });
}

function note(ref, order) {
  orders.delete(ref);
  orders.set(ref, order);
  const newest = [...orders].sort(([, a], [, b]) => a.at < b.at ? -1 : 1).slice(-kShown);
  orders = new Map(newest);
  keep(`bike:${bike}:orders`, newest);
  showOrders();
}

function showOrders() {
  byId("none").hidden = orders.size > 0;
  byId("orders").replaceChildren(...[...orders].reverse().map(([ref, order]) => orderElement(ref, order)));
}

function orderElement(ref, { verb, at, state, why, command }) {
  const [sign, word, tone, sentence] = kStates[state] ?? ["?", state, "warn", ""];
  const pill = make("span", {});
  showPill(pill, sign, command?.late ? `${word}, told late` : word, tone);
  return make("li", { class: "card order", "data-ref": ref, "data-state": state, "data-id": command?.id },
    make("header", {}, make("strong", {}, verb), pill, make("time", { datetime: at }, timeOf(at))),
    make("p", {}, why ? `${sentence} (${why})` : sentence), command ? fallsOf(command) : "");
}

/** The timeline as a waterfall: each part begins where the one before it ended. */
function fallsOf({ timeline, answer, settled }) {
  const whole = Math.max(1, timeline.at(-1).t);
  const rows = timeline.slice(1).map(({ t, state }, i) => {
    const begin = timeline[i].t;
    const bar = make("i", { class: state === "unknown" ? "open" : "" });
    bar.style.left = `${begin / whole * 100}%`;
    bar.style.width = `${(t - begin) / whole * 100}%`;
    return [make("dt", {}, kParts[state] ?? state), make("dd", { class: "track" }, bar), make("dd", { class: "ms" }, `${t - begin} ms`)];
  });
  if (settled && answer?.took !== undefined) rows.push([make("dt", {}, "of it, the motor"), make("dd", {}), make("dd", { class: "ms" }, `${answer.took} ms`)]);
  return make("dl", { class: "falls" }, ...rows.flat());
}

async function start() {
  byId("way").append(...Object.entries(kWays).map(([way, name]) => make("option", { value: way }, name)));
  byId("way").value = fromAddress("way", "sse");
  const { body } = await read("/v1/devices?limit=50");
  const ids = (body.devices ?? []).map(({ id }) => id);
  const wanted = fromAddress("bike", kept("bike:chosen", ids[0] ?? "b42"));
  byId("bike").append(...[...new Set([wanted, ...ids])].map((id) => make("option", { value: id }, id)));
  byId("bike").addEventListener("change", () => {
    keep("bike:chosen", byId("bike").value);
    choose(byId("bike").value);
  });
  byId("way").addEventListener("change", () => feed && listen({ ...feed.options, since: feed.cursor }));
  byId("verbs").addEventListener("click", ({ target }) => target.dataset.do && give(target.dataset.do));
  choose(wanted);
}

start();
