// An inbox with an unread count, read in all five ways at once.

import { bearer, byId, fromAddress, keep, kept, make, read, showState, ticketFor } from "./page.js";
import { covers, follow, kWays, newKey, pause, send } from "./spoke.js";

const who = fromAddress("who", "7777");
const inbox = `/v1/inboxes/${who}`;
const kShown = 6;
const kSeenMax = 500;
const kPollMsMax = 4000;  // a count may be late by so much where it is polled for

/** One way: its events, kept in the tab beside the cursor, and the count as the bridge told it. */
class Client {
  #way;
  #name;
  #state;
  #dot = make("output", { class: "dot" }, "–");
  #words = make("span", {}, "not yet known");
  #list = make("ol", { "aria-label": "Latest events" });
  #seen;
  #asking = false;
  element;

  constructor(way) {
    this.#way = way;
    this.#name = `dot:${who}:${way}`;
    this.#seen = kept(this.#name, []);
    this.#state = make("span", { class: "pill" });
    this.element = make("section", { class: "card client", "data-way": way, "aria-label": kWays[way] },
      make("header", {}, make("h2", {}, kWays[way]), this.#state),
      make("div", { class: "unread", role: "status" }, this.#dot, this.#words), this.#list);
    this.#showEvents();
  }

  async start() {
    const { body } = await read(inbox);
    this.#showCount(body);
    this.feed = follow({ way: this.#way, topics: [`u/${who}/in`], since: body.cursor || "oldest", keep: this.#name,
      bearer, ticket: ticketFor(`events:u/${who}/in`), pollMsMax: kPollMsMax,
      onState: (state) => showState(this.#state, state),
      onEvent: (event) => this.#take(event),
      onReset: () => this.#begin() });
    this.#refresh();
  }

  #take(event) {
    this.#seen.push({ id: event.id, type: event.type ?? "message", text: event.data?.text,
      late: Math.max(0, Date.now() - Date.parse(event.at)) });
    this.#seen.splice(0, this.#seen.length - kSeenMax);
    keep(this.#name, this.#seen);
    this.#showEvents();
    this.#refresh();
  }

  /** Events are missing: the whole state, and on from where that was true. */
  async #begin() {
    const { body } = await read(inbox);
    this.#seen = [];
    keep(this.#name, this.#seen);
    this.#showEvents();
    this.#showCount(body);
    return body.cursor;
  }

  /** Asks for the count until it is one that has counted the last event here. */
  async #refresh() {
    if (this.#asking) return;
    this.#asking = true;
    for (;;) {
      const last = this.last;
      const { body } = await read(inbox);
      this.#showCount(body);
      if (last === this.last && (!last || covers(body.cursor, last))) break;
      await pause(100);
    }
    this.#asking = false;
  }

  #showCount({ unread, by }) {
    this.#dot.textContent = unread;
    this.#dot.className = unread > 0 ? "dot some" : "dot";
    const kinds = Object.entries(by ?? {}).filter(([, count]) => count > 0);
    this.#words.textContent = unread === 0 ? "nothing unread"
      : `unread: ${kinds.map(([type, count]) => `${count} ${type}${count > 1 ? "s" : ""}`).join(", ")}`;
  }

  #showEvents() {
    this.element.dataset.seen = this.#seen.length;
    if (this.#seen.length === 0) return this.#list.replaceChildren(make("li", { class: "soft" }, "no event yet"));
    this.#list.replaceChildren(...this.#seen.slice(-kShown).reverse().map(({ id, type, text, late }) =>
      make("li", { "data-id": id }, make("span", {}, text ? `${type}: ${text}` : type),
        make("span", { title: "from the event to this page" }, late < 10_000 ? `${late} ms` : "later"))));
  }

  /** The id of the last event this one has got. */
  get last() { return this.#seen.at(-1)?.id; }
}

const clients = Object.keys(kWays).map((way) => new Client(way));
byId("who").textContent = who;
byId("clients").append(...clients.map(({ element }) => element));
for (const client of clients) client.start();

let underWay = 0;

/** What is sent is kept until the bridge has it: a reload sends it again with its key. */
async function deliver(task) {
  const tasks = () => kept(`dot:${who}:tasks`, []);
  if (!tasks().some(({ key }) => key === task.key)) keep(`dot:${who}:tasks`, [...tasks(), task]);
  const say = (why) => { byId("sending").textContent = underWay ? why || `sending ${underWay}` : ""; };
  underWay += 1;
  say();
  await send(inbox + task.path, { body: task.body, key: task.key, bearer, onWait: (why) => say(`${why}; trying again`) });
  keep(`dot:${who}:tasks`, tasks().filter(({ key }) => key !== task.key));
  underWay -= 1;
  say();
}

const put = (type, data) => deliver({ path: "/messages", key: newKey(), body: { type, data } });

byId("like").addEventListener("click", () => put("like", { post: "post-9" }));
byId("send").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("text").value.trim();
  if (text) put("comment", { text });
  byId("text").value = "";
});
byId("read").addEventListener("click", () => {
  const upto = clients.map(({ last }) => last).filter(Boolean)
    .reduce((most, id) => covers(most, id) ? most : id, undefined);
  if (upto) deliver({ path: "/read", key: newKey(), body: { upto } });
});
for (const task of kept(`dot:${who}:tasks`, [])) deliver(task);
