// A table of four, played by moves in a log. The page keeps nothing but who it is: what it shows
// follows from the moves, from the oldest one on (cards-rules.js).

import { afterMove, emptyTable, playable, seatOf, suitOf } from "./cards-rules.js";
import { bearer, byId, fromAddress, keep, kept, make, showState, ticketFor } from "./page.js";
import { follow, kWays, newKey, send } from "./spoke.js";

const name = fromAddress("table", "1");
const topic = `t/${name}/moves`;
const who = kept("cards:who", newKey());
keep("cards:who", who);

const kSuitName = { C: "clubs", D: "diamonds", H: "hearts", S: "spades" };
const kSuitSign = { C: "♣", D: "♦", H: "♥", S: "♠" };
const isRed = (card) => "DH".includes(suitOf(card));
const inWords = (card) => `${card.slice(1)} of ${kSuitName[suitOf(card)]}`;

let table = emptyTable();
let lastN = 0;
let isSending = false;
let feed;

// --- Reading ---------------------------------------------------------------------------------

function read(way, since) {
  feed?.close();
  keep("cards:way", way);
  feed = follow({ way, since, topics: [topic], bearer, ticket: ticketFor(`events:${topic}`),
    onEvent: take, onState: (state) => showState(byId("state"), state), onReset: beginAgain });
}

function take(event) {
  if (event.n !== lastN + 1) byId("notice").hidden = false;  // the log has lost its beginning
  lastN = event.n;
  const result = afterMove(table, event.data);
  noteMove(event, result.why);
  table = result.table;
  show();
}

function beginAgain() {
  table = emptyTable();
  lastN = 0;
  byId("moves").replaceChildren();
  return "oldest";
}

// --- Moving ----------------------------------------------------------------------------------

async function move(what) {
  isSending = true;
  show();
  const answer = await send(`/v1/publish/${topic}?qos=1`, { body: { ...what, who }, key: newKey(), bearer,
    onWait: (why) => { byId("say").textContent = `${why}; your move is sent again`; } });
  isSending = false;
  show();
  if (answer.status >= 400) byId("say").textContent = `The move was refused: ${answer.body.title ?? answer.status}`;
}

// --- Showing ---------------------------------------------------------------------------------

function show() {
  const seat = seatOf(table, who);
  byId("seats").replaceChildren(...table.seats.map((player, i) => seatElement(player, i, seat)));
  showTrick();
  showHand(seat);
  byId("deal").hidden = seat < 0 || table.seats.includes(null) || table.left > 0;
  byId("deal").disabled = isSending;
  byId("say").textContent = situation(seat);
}

function situation(seat) {
  const free = table.seats.filter((player) => !player).length;
  if (free > 0) return seat < 0 ? "Take a seat." : `Waiting for ${free} more.`;
  if (table.left === 0) return table.deals === 0 ? "All are here: deal." : `The hand is over. ${winner()}`;
  if (table.turn === seat) return "Your turn.";
  return `${table.seats[table.turn].name} is to play.`;
}

function winner() {
  const most = Math.max(...table.seats.map(({ points }) => points));
  const names = table.seats.filter(({ points }) => points === most).map((player) => player.name);
  return `${names.join(" and ")} ${names.length > 1 ? "lead" : "leads"} with ${most}.`;
}

function seatElement(player, i, mine) {
  const isTurn = table.turn === i;
  const element = make("div", { class: `seat${isTurn ? " turn" : ""}`, "data-seat": i });
  if (!player) {
    element.append(make("small", {}, `Seat ${i + 1}`));
    if (mine < 0) element.append(make("button", { onclick: () => sitDown(i), disabled: isSending }, "Sit here"));
    else element.append("free");
    return element;
  }
  element.append(make("strong", {}, `${isTurn ? "▶ " : ""}${player.name}${i === mine ? " (you)" : ""}`),
    make("small", { class: "points" }, `${player.points} trick${player.points === 1 ? "" : "s"}`),
    make("small", {}, table.hands ? `${table.hands[i].length} cards` : "no cards yet"));
  return element;
}

function sitDown(seat) {
  move({ do: "sit", seat, name: byId("name").value.trim() || "Somebody" });
}

/** The trick on the table; between two the last one, with who took it. */
function showTrick() {
  const isOld = table.trick.length === 0;
  byId("trick").className = isOld ? "old" : "";
  byId("trick").replaceChildren(...(isOld ? table.lastTrick : table.trick).map(({ seat, card, wins }) =>
    make("div", { class: `played${wins ? " wins" : ""}` }, face("div", card, {}),
      make("small", {}, `${wins ? "★ " : ""}${table.seats[seat].name}`))));
}

function showHand(seat) {
  const trump = table.trump ? `; trumps are ${kSuitName[table.trump]} ${kSuitSign[table.trump]}` : "";
  byId("hand-title").textContent = (seat < 0 ? "You are watching" : "Your cards") + trump;
  const hand = seat < 0 || !table.hands ? [] : table.hands[seat];
  const allowed = playable(table, seat);
  const focused = document.activeElement.dataset.card;
  byId("hand").replaceChildren(...hand.map((card) => face("button", card, {
    disabled: isSending || !allowed.includes(card), onclick: () => move({ do: "play", card }) })));
  if (focused) byId("hand").querySelector(`[data-card="${focused}"]`)?.focus();
}

function face(tag, card, properties) {
  return make(tag, { class: `face${isRed(card) ? " red" : ""}`, "aria-label": inWords(card), "data-card": card,
    ...(tag === "div" && { role: "img" }), ...properties }, card.slice(1), make("span", {}, kSuitSign[suitOf(card)]));
}

function noteMove(event, why) {
  byId("moves").prepend(make("li", { class: why ? "ignored" : "", "data-id": event.id, "data-n": event.n },
    make("span", { class: "n" }, event.n), make("span", {}, why && "ignored: ", make("span", { class: "what" }, wordsOf(event.data)), why && ` (${why})`)));
}

function wordsOf(move) {
  const player = table.seats[seatOf(table, move?.who)]?.name ?? "somebody";
  if (move?.do === "sit") return `${move.name} sits down`;
  if (move?.do === "deal") return `${player} deals`;
  if (move?.do === "play") return `${player} plays ${move.card}`;
  return "something else";
}

byId("table").textContent = name;
byId("name").value = fromAddress("name", kept("cards:name", ["Ada", "Bert", "Cleo", "Dora"][Math.floor(Math.random() * 4)]));
byId("name").addEventListener("change", () => keep("cards:name", byId("name").value));
byId("notice").textContent = "The log no longer has the first moves of this table: what it shows may be wrong. Take another table.";
byId("fresh").href = `?table=${newKey().slice(0, 6)}`;
byId("deal").addEventListener("click", () => move({ do: "deal", seed: crypto.getRandomValues(new Uint32Array(1))[0] }));
byId("way").append(...Object.entries(kWays).map(([way, text]) => make("option", { value: way }, text)));
byId("way").value = fromAddress("way", kept("cards:way", "sse"));
byId("way").addEventListener("change", () => read(byId("way").value, feed.cursor));
show();
read(byId("way").value, "oldest");
