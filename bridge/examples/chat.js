// A chat room: a topic whose log is its history.

import { bearer, byId, fromAddress, keep, kept, make, showState, ticketFor, timeOf } from "./page.js";
import { follow, kWays, newKey, pause, send } from "./spoke.js";

const room = fromAddress("room", "lobby");
const topic = `t/chat/${room}`;
const outboxName = `chat:${room}:outbox`;  // kept in the tab until each line has come back
const lines = byId("lines");
let feed;
let outbox = kept(outboxName, []);

// --- Reading ---------------------------------------------------------------------------------

function read(way, since) {
  feed?.close();
  keep("chat:way", way);
  feed = follow({ way, since, topics: [topic], bearer, ticket: ticketFor(`events:${topic}`),
    onEvent: take, onState: (state) => showState(byId("state"), state), onReset: beginAgain });
}

function take(event) {
  const { key, from, text } = event.data ?? {};
  if (typeof text !== "string") return;  // anybody may publish anything here
  outbox = outbox.filter((line) => line.key !== key);
  keep(outboxName, outbox);
  for (const waiting of lines.querySelectorAll(".waiting")) {
    if (waiting.dataset.key === key) waiting.remove();
  }
  const line = lineOf({ from: String(from), text, note: timeOf(event.at) });
  line.dataset.id = event.id;
  lines.insertBefore(line, lines.querySelector(".waiting"));
  lines.scrollTop = lines.scrollHeight;
}

/** Lines are missing between what is shown and what there is: all that is kept, anew. */
function beginAgain() {
  for (const line of lines.querySelectorAll("[data-id]")) line.remove();
  byId("notice").textContent = "Older lines are no longer in the log; these are all that it keeps.";
  byId("notice").hidden = false;
  return "oldest";
}

function lineOf({ from, text, note }) {
  return make("li", { class: from === byId("name").value ? "mine" : "" },
    make("div", { class: "head" }, make("strong", {}, from), make("span", { class: "note" }, note)),
    make("div", { class: "text" }, text));
}

// --- Writing ---------------------------------------------------------------------------------

function write(text) {
  const line = { key: newKey(), from: byId("name").value || "somebody", text };
  outbox.push(line);
  keep(outboxName, outbox);
  showWaiting(line);
  lines.scrollTop = lines.scrollHeight;
  deliver();
}

function showWaiting({ key, from, text }) {
  const element = lineOf({ from, text, note: "sending" });
  element.classList.add("waiting");
  element.dataset.key = key;
  lines.append(element);
}

let isDelivering = false;

/** One line after the other, so that they stay in order; each as often as it takes, always with
 *  its key, by which the bridge knows it again. 202 says that it may not have got through. */
async function deliver() {
  if (isDelivering) return;
  isDelivering = true;
  for (let sent = new Set(), line; (line = outbox.find(({ key }) => !sent.has(key))); ) {
    const note = (text) => {
      const element = lines.querySelector(`[data-key="${line.key}"] .note`);
      if (element) element.textContent = text;
    };
    const { key } = line;
    const answer = await send(`/v1/publish/${topic}?qos=1`, { body: line, key, bearer, onWait: (why) => note(why) });
    if (answer.status === 200) sent.add(key);
    if (answer.status === 202) await pause(300);
    if (answer.status < 400) continue;
    note(`refused: ${answer.body.title ?? answer.status}`);
    outbox = outbox.filter((other) => other !== line);
    keep(outboxName, outbox);
  }
  isDelivering = false;
}

byId("room").textContent = room;
byId("name").value = fromAddress("name", kept("chat:name", `guest-${Math.floor(Math.random() * 900) + 100}`));
byId("name").addEventListener("change", () => keep("chat:name", byId("name").value));
keep("chat:name", byId("name").value);
byId("way").append(...Object.entries(kWays).map(([way, name]) => make("option", { value: way }, name)));
byId("way").value = fromAddress("way", kept("chat:way", "sse"));
byId("way").addEventListener("change", () => read(byId("way").value, feed.cursor));
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("text").value.trim();
  if (text) write(text);
  byId("text").value = "";
});
outbox.forEach(showWaiting);
read(byId("way").value, "oldest");
deliver();
