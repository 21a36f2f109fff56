// The example pages in Chromium: two pages and more, a reload in the middle, the bridge killed and
// started again in the middle, and nothing lost or doubled on the screen.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Browser, allShow } from "./browser.mjs";
import { Stack } from "./programs.mjs";

let stack;
let browser;

before(async () => {
  [stack, browser] = await Promise.all([Stack.start(), Browser.start()]);
});
after(async () => {
  await browser?.stop();
  await stack?.stop();
});

function page(name, body) {
  return test(name, () => browser.run(name.split(":")[0].replaceAll(" ", "-"), body));
}

const example = (path) => `${stack.url}/examples/${path}`;
const states = () => [...document.querySelectorAll("[data-state]")].map((pill) => pill.dataset.state);
const live = (count) => Array(count).fill("live");

async function restart() {
  await stack.killBridge();
  return () => stack.startBridge();
}

// --- Index -----------------------------------------------------------------------------------

page("index: every link leads to a page", async () => {
  const index = await browser.open(await browser.person(), example(""));
  const links = await index.$$eval("main a", (all) => all.map((a) => a.href));
  assert.equal(links.length, 4);
  for (const link of links) {
    const response = await fetch(link);
    assert.equal(response.status, 200);
    assert.match(await response.text(), /<a href="\.\/">Examples<\/a>/);
  }
});

// --- Chat ------------------------------------------------------------------------------------

const lines = () => [...document.querySelectorAll("#lines li:not(.waiting) .text")].map((line) => line.textContent);
const waiting = () => document.querySelectorAll("#lines .waiting").length;

async function say(tab, text) {
  await tab.fill("#text", text);
  await tab.press("#text", "Enter");
}

page("chat: two tabs, a reload and a kill, and each line once in one order", async () => {
  const person = await browser.person();
  const ann = await browser.open(person, example("chat.html?room=r1&name=Ann&way=sse"));
  const bob = await browser.open(person, example("chat.html?room=r1&name=Bob&way=sse"));
  await allShow([ann, bob], states, live(1));
  for (let i = 1; i <= 5; i += 1) {
    await say(ann, `ann ${i}`);
    await say(bob, `bob ${i}`);
  }
  await allShow([ann, bob], () => document.querySelectorAll("#lines li:not(.waiting)").length, 10);
  await bob.reload();
  await allShow([bob], () => document.querySelectorAll("#lines li:not(.waiting)").length, 10);
  const startAgain = await restart();
  for (let i = 6; i <= 8; i += 1) {
    await say(ann, `ann ${i}`);
    await say(bob, `bob ${i}`);
  }
  await allShow([ann, bob], waiting, 3);
  await startAgain();
  await allShow([ann, bob], waiting, 0);
  await ann.reload();
  const cleo = await browser.open(await browser.person(), example("chat.html?room=r1&name=Cleo&way=long"));
  await allShow([ann, bob, cleo], () => document.querySelectorAll("#lines li").length, 16);
  const shown = await cleo.evaluate(lines);
  const sent = ["ann", "bob"].flatMap((who) => [1, 2, 3, 4, 5, 6, 7, 8].map((i) => `${who} ${i}`));
  assert.deepEqual([...shown].sort(), sent);
  assert.deepEqual(shown.filter((line) => line.startsWith("ann")), sent.slice(0, 8));
  await allShow([ann, bob], lines, shown);
});

page("chat: a tab that changes its way goes on where it was", async () => {
  const person = await browser.person();
  const writer = await browser.open(person, example("chat.html?room=r2&name=Wim&way=long"));
  const reader = await browser.open(person, example("chat.html?room=r2&name=Ria&way=poll"));
  const said = [];
  for (const way of ["poll", "long", "sse"]) {
    await reader.selectOption("#way", way);
    said.push(`by ${way}`);
    await say(writer, `by ${way}`);
    await allShow([writer, reader], lines, said);
  }
});

// --- Cards -----------------------------------------------------------------------------------

const moves = () => [...document.querySelectorAll("#moves li")].map((row) => `${row.dataset.n} ${row.innerText}`).reverse();
const movesShown = () => document.querySelectorAll("#moves li").length;
const seatsTaken = () => document.querySelectorAll(".points").length;
const points = () => [...document.querySelectorAll(".points")].map((one) => one.textContent);

/** Whoever's turn it is plays the first card that is allowed. */
async function playOne(players) {
  const name = await players[0].$eval(".seat.turn strong", (seat) => /P(\d)/.exec(seat.textContent)[1]);
  await players[name - 1].click("#hand button:enabled");
}

page("cards: four players and a late one see one game through a reload and a kill", async () => {
  const ways = ["sse", "sse", "long", "long"];
  const players = await Promise.all(ways.map(async (way, i) => browser.open(await browser.person(),
    example(`cards.html?table=g1&name=P${i + 1}&way=${way}`))));
  await allShow(players, states, live(1));
  for (const [i, player] of players.entries()) {
    await player.click(`[data-seat="${i}"] button`);
    await allShow(players, seatsTaken, i + 1);
  }
  // Somebody who was slower: the log says who was first.
  await stack.post("/v1/publish/t/g1/moves?qos=1", { do: "sit", who: "slow", seat: 0, name: "Slow" });
  await allShow(players, () => document.querySelectorAll("#moves li.ignored").length, 1);
  await players[0].click("#deal");
  const begun = 6;  // five to sit, of which one in vain, and the deal
  await allShow(players, movesShown, begun);
  for (let card = 1; card <= 10; card += 1) {
    await playOne(players);
    await allShow(players, movesShown, begun + card);
  }
  await players[3].reload();
  await allShow(players, movesShown, begun + 10);
  const startAgain = await restart();
  await playOne(players);
  await startAgain();
  await allShow(players, movesShown, begun + 11);
  const forged = await stack.post("/v1/publish/t/g1/moves?qos=1", { do: "play", who: "nobody", card: "HA" });
  assert.equal(forged.status, 200);
  const late = await browser.open(await browser.person(), example("cards.html?table=g1&way=poll"));
  const all = [...players, late];
  await allShow(all, movesShown, begun + 12);
  for (let card = 12; card <= 32; card += 1) {
    await playOne(players);
    await allShow(players, movesShown, begun + 1 + card);
  }
  await allShow(all, movesShown, begun + 33);
  await allShow(all, () => document.querySelectorAll("#moves li.ignored").length, 2);
  const [log, score] = [await late.evaluate(moves), await late.evaluate(points)];
  assert.equal(log.length, begun + 33);
  log.forEach((line, i) => assert.ok(line.startsWith(`${i + 1} `), line));
  assert.equal(score.reduce((sum, text) => sum + Number.parseInt(text, 10), 0), 8);
  await allShow(all, moves, log);
  await allShow(all, points, score);
});
