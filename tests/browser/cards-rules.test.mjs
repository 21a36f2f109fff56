// The rules of the card table: the same moves make the same table, whatever else is in the log.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./modules.mjs";

const { afterMove, emptyTable, playable, shuffled } = await load("cards-rules.js");

const players = ["a", "b", "c", "d"];
const sits = players.map((who, seat) => ({ do: "sit", who, seat, name: who.toUpperCase() }));
const after = (moves, table = emptyTable()) => moves.reduce((at, move) => afterMove(at, move).table, table);
const whyNot = (table, move) => afterMove(table, move).why;

/** A whole hand in which everybody plays the card that `pick` chooses; gives the moves. */
function hand(table, seed, pick) {
  const moves = [{ do: "deal", who: "a", seed }];
  let at = after(moves, table);
  while (at.left > 0) {
    const move = { do: "play", who: players[at.turn], card: pick(playable(at, at.turn)) };
    assert.equal(whyNot(at, move), "");
    moves.push(move);
    at = after([move], at);
  }
  return moves;
}

test("a shuffle has every card once, and is decided by its seed", () => {
  for (const seed of [0, 1, 2 ** 32 - 1]) {
    assert.equal(new Set(shuffled(seed)).size, 32);
    assert.deepEqual(shuffled(seed), shuffled(seed));
  }
  assert.notDeepEqual(shuffled(1), shuffled(2));
  // Each card comes to each place: none stays where it was more often than it should.
  const firsts = new Set(Array.from({ length: 400 }, (_, seed) => shuffled(seed)[0]));
  assert.ok(firsts.size > 25, `${firsts.size} cards come first`);
});

test("a hand is eight tricks, and each is a point of somebody", () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const moves = [...sits, ...hand(after(sits), seed, (cards) => cards[seed % cards.length])];
    const table = after(moves);
    assert.equal(moves.length, 4 + 1 + 32);
    assert.equal(table.seats.reduce((sum, { points }) => sum + points, 0), 8);
    assert.equal(table.turn, -1);
    assert.equal(whyNot(table, { do: "deal", who: "c", seed }), "");
  }
});

test("moves that the rules do not allow change nothing, wherever they stand", () => {
  const bad = [null, 7, "x", {}, { do: "constructor", who: "a" }, { do: "sit", who: "e", seat: 0, name: "E" },
    { do: "sit", who: "a", seat: 1, name: "A" }, { do: "sit", who: "e", seat: 4, name: "E" }, { do: "deal", who: "e", seed: 1 },
    { do: "deal", who: "a", seed: "1" }, { do: "play", who: "e", card: "H7" }, { do: "play", who: "a", card: "X9" }, { do: "play" }];
  const good = [...sits, ...hand(after(sits), 5, (cards) => cards[0])];
  const mixed = good.flatMap((move, i) => i < 4 ? [move] : [...bad, move, move]);
  assert.deepEqual(after(mixed), after(good));
  let table = after(sits);
  for (const move of bad) assert.notEqual(whyNot(table, move), "", JSON.stringify(move));
});

test("who is not to play, or must follow suit, may not do otherwise", () => {
  const dealt = after([...sits, { do: "deal", who: "b", seed: 11 }]);
  const leader = dealt.turn;
  const next = (leader + 1) % 4;
  assert.equal(whyNot(dealt, { do: "play", who: players[next], card: dealt.hands[next][0] }), "it is not the player's turn");
  assert.equal(whyNot(dealt, { do: "deal", who: "a", seed: 1 }), "a hand is being played");
  let checked = 0;
  for (const card of dealt.hands[leader]) {
    const table = after([{ do: "play", who: players[leader], card }], dealt);
    const allowed = playable(table, next);
    for (const other of table.hands[next].filter((one) => !allowed.includes(one))) {
      assert.equal(whyNot(table, { do: "play", who: players[next], card: other }), "the suit must be followed");
      checked += 1;
    }
  }
  assert.ok(checked > 0);
});

test("the highest trump takes the trick, else the highest card of the suit that was led", () => {
  const tableWith = (cards, trump) => ({ ...after(sits), hands: cards.map((card) => [card]), trump, left: 1, turn: 0, deals: 1 });
  const taker = (cards, trump) => after(players.map((who, i) => ({ do: "play", who, card: cards[i] })), tableWith(cards, trump))
    .seats.findIndex(({ points }) => points === 1);
  assert.equal(taker(["H7", "H10", "HA", "HK"], "S"), 2);
  assert.equal(taker(["H7", "CA", "DA", "H8"], "S"), 3);
  assert.equal(taker(["HA", "S7", "HK", "S8"], "S"), 3);
  assert.equal(taker(["S7", "S10", "S9", "HA"], "H"), 3);
});
