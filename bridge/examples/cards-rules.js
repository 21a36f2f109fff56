// The rules of the card table, and nothing else: a table is what its moves, in their order, make of
// it. No clock, no chance, no page: whoever has the same moves has the same table.
//
// Four players, 32 cards, eight each. Who leads plays any card; the others must follow its suit if
// they can. The highest trump, or else the highest card of the suit that was led, takes the trick
// and leads next. Each trick is a point. Somebody at the table deals, as often as they like.
//
// Moves: {do: "sit", who, seat, name}, {do: "deal", who, seed}, {do: "play", who, card}.

export const kSuits = ["C", "D", "H", "S"];
export const kRanks = ["7", "8", "9", "10", "J", "Q", "K", "A"];
const kSeats = 4;
const kHand = 8;

export function emptyTable() {
  return { seats: Array(kSeats).fill(null), hands: null, trump: "", trick: [], lastTrick: [], turn: -1, deals: 0, left: 0 };
}

/** {table, why}: the table after a move; `why` it was not allowed, and then the table is the same. */
export function afterMove(table, move) {
  const rule = typeof move === "object" && move !== null && Object.hasOwn(kMoves, move.do) ? kMoves[move.do] : undefined;
  if (!rule || typeof move.who !== "string") return { table, why: "no move of this game" };
  const next = structuredClone(table);
  const why = rule(next, move);
  return why ? { table, why } : { table: next, why: "" };
}

const kMoves = { sit, deal, play };

function sit(table, { who, seat, name }) {
  if (!Number.isInteger(seat) || seat < 0 || seat >= kSeats) return "there is no such seat";
  if (typeof name !== "string" || name === "" || name.length > 24) return "a player needs a name";
  if (seatOf(table, who) >= 0) return "sits already";
  if (table.seats[seat]) return "the seat is taken";
  table.seats[seat] = { who, name, points: 0 };
  return "";
}

function deal(table, { who, seed }) {
  if (seatOf(table, who) < 0) return "only players deal";
  if (table.seats.includes(null)) return "a seat is free";
  if (table.left > 0) return "a hand is being played";
  if (!Number.isInteger(seed)) return "a deal needs a seed";
  const cards = shuffled(seed);
  table.hands = table.seats.map((_, seat) => sorted(cards.slice(seat * kHand, (seat + 1) * kHand)));
  table.trump = suitOf(cards.at(-1));
  table.trick = [];
  table.lastTrick = [];
  table.left = kHand;
  table.deals += 1;
  table.turn = table.deals % kSeats;
  return "";
}

function play(table, { who, card }) {
  const seat = seatOf(table, who);
  if (seat < 0) return "only players play";
  if (table.left === 0) return "nothing is dealt";
  if (seat !== table.turn) return "it is not the player's turn";
  if (!table.hands[seat].includes(card)) return "the player has no such card";
  if (!playable(table, seat).includes(card)) return "the suit must be followed";
  table.hands[seat] = table.hands[seat].filter((other) => other !== card);
  table.trick.push({ seat, card });
  table.turn = (seat + 1) % kSeats;
  if (table.trick.length === kSeats) endTrick(table);
  return "";
}

function endTrick(table) {
  const best = table.trick.reduce((a, b) => strength(table, b.card) > strength(table, a.card) ? b : a);
  table.seats[best.seat].points += 1;
  table.lastTrick = table.trick.map((one) => ({ ...one, wins: one === best }));
  table.trick = [];
  table.left -= 1;
  table.turn = table.left > 0 ? best.seat : -1;
}

function strength(table, card) {
  const suit = suitOf(card);
  const rank = kRanks.indexOf(card.slice(1));
  if (suit === table.trump) return 200 + rank;
  return suit === suitOf(table.trick[0].card) ? 100 + rank : rank;
}

/** The cards that may be played now from a seat. */
export function playable(table, seat) {
  if (table.left === 0 || table.turn !== seat) return [];
  const hand = table.hands[seat];
  const led = table.trick.length > 0 ? suitOf(table.trick[0].card) : "";
  const following = hand.filter((card) => suitOf(card) === led);
  return following.length > 0 ? following : hand;
}

export function seatOf(table, who) {
  return table.seats.findIndex((seat) => seat?.who === who);
}

export function suitOf(card) {
  return card[0];
}

function sorted(cards) {
  const place = (card) => kSuits.indexOf(suitOf(card)) * 10 + kRanks.indexOf(card.slice(1));
  return cards.sort((a, b) => place(a) - place(b));
}

/** All cards in an order that the seed alone decides (Fisher and Yates). */
export function shuffled(seed) {
  const cards = kSuits.flatMap((suit) => kRanks.map((rank) => suit + rank));
  let state = seed >>> 0;
  for (let i = cards.length - 1; i > 0; i -= 1) {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0;
    const j = Math.floor(((state ^ (state >>> 13)) >>> 0) / 2 ** 32 * (i + 1));
    [cards[i], cards[j]] = [cards[j], cards[i]];
  }
  return cards;
}
