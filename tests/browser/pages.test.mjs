// The example pages in Chromium: two pages and more, a reload in the middle, the bridge killed and
// started again in the middle, and nothing lost or doubled on the screen.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Browser, allShow, shows } from "./browser.mjs";
import { Stack, token } from "./programs.mjs";

let stack;
let browser;

before(async () => {
  [stack, browser] = await Promise.all([Stack.start({ bikes: 2 }), Browser.start()]);
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

/** The next request there is carried out, and its answer is lost. Resolves with the answer to the
 *  one that is sent after it. */
async function loseAnswer(tab, path) {
  await tab.route(path, async (route) => {
    await route.fetch();
    await route.abort("connectionreset");
  }, { times: 1 });
  return { again: tab.waitForResponse(path) };
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

// --- Red dot ---------------------------------------------------------------------------------

const counts = () => [...document.querySelectorAll(".dot")].map((dot) => dot.textContent);
const numbersSeen = () => [...document.querySelectorAll(".client")].map((client) => Number(client.dataset.seen));
const five = (value) => Array(5).fill(value);

/** The ids of all events each way has got, as they are kept in the tab. */
function idsByWay() {
  return Object.fromEntries(Object.entries(sessionStorage).filter(([name]) => /^dot:[^:]+:(?!tasks)/.test(name))
    .map(([name, text]) => [name, JSON.parse(text).map(({ id }) => id)]));
}

page("red dot: five ways on two pages count the same through a reload and a kill", async () => {
  const a = await browser.open(await browser.person(), example("red-dot.html?who=7777"));
  const b = await browser.open(await browser.person(), example("red-dot.html?who=7777"));
  await allShow([a, b], states, live(5));
  await a.click("#like");
  await b.click("#like");
  await a.fill("#text", "well done");
  await a.press("#text", "Enter");
  await allShow([a, b], counts, five("3"));
  await allShow([a, b], numbersSeen, five(3));
  await b.reload();
  await allShow([b], counts, five("3"));
  await allShow([b], numbersSeen, five(3));
  const startAgain = await restart();
  await b.click("#like");
  await a.fill("#text", "while nobody listens");
  await a.press("#text", "Enter");
  for (const one of [a, b]) await one.waitForFunction(() => document.querySelector("#sending").textContent.includes("again"));
  await a.goto("about:blank");  // before its comment has got through
  await startAgain();
  await a.goto(example("red-dot.html?who=7777"));
  await allShow([a, b], numbersSeen, five(5));
  await allShow([a, b], counts, five("5"));
  const lost = await loseAnswer(a, "**/messages");
  await a.click("#like");
  assert.equal((await lost.again).status(), 200);  // it is known by its key
  await allShow([a, b], numbersSeen, five(6));
  await allShow([a, b], counts, five("6"));
  const ids = (await Promise.all([a, b].map((one) => one.evaluate(idsByWay)))).flatMap((ways) => Object.values(ways));
  assert.equal(ids.length, 10);
  assert.equal(new Set(ids[0]).size, 6);
  for (const one of ids) assert.deepEqual(one, ids[0]);
  await b.click("#read");
  await allShow([a, b], counts, five("0"));
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
  const bob = await browser.open(person, example("chat.html?room=r1&name=Bob&way=ws"));
  await allShow([ann, bob], states, live(1));
  for (let i = 1; i <= 5; i += 1) {
    await say(ann, `ann ${i}`);
    await say(bob, `bob ${i}`);
  }
  await allShow([ann, bob], () => document.querySelectorAll("#lines li:not(.waiting)").length, 10);
  await bob.reload();
  await allShow([bob], () => document.querySelectorAll("#lines li:not(.waiting)").length, 10);
  for (const tab of [ann, bob]) {
    const lost = await loseAnswer(tab, "**/v1/publish/**");
    await say(tab, tab === ann ? "ann 6" : "bob 6");
    assert.equal((await lost.again).status(), 200);
  }
  await allShow([ann, bob], waiting, 0);
  const startAgain = await restart();
  for (let i = 7; i <= 8; i += 1) {
    await say(ann, `ann ${i}`);
    await say(bob, `bob ${i}`);
  }
  await allShow([ann, bob], waiting, 2);
  await startAgain();
  await allShow([ann, bob], waiting, 0);
  await ann.reload();
  const cleo = await browser.open(await browser.person(), example("chat.html?room=r1&name=Cleo&way=mqtt"));
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
  for (const way of ["poll", "mqtt", "long", "ws", "sse"]) {
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
  const ways = ["sse", "ws", "long", "mqtt"];
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

// --- Bike ------------------------------------------------------------------------------------

const orders = () => [...document.querySelectorAll(".order")].map((order) => order.dataset.state);
const reported = () => document.querySelector("#reported").textContent;

page("bike: two pages show each order once and honestly through a reload and a kill", async () => {
  const a = await browser.open(await browser.person(), example("bike.html?bike=t1&way=sse"));
  const b = await browser.open(await browser.person(), example("bike.html?bike=t1&way=ws"));
  await allShow([a, b], () => document.querySelector("#state").dataset.state, "live");
  await allShow([a, b], reported, "locked");
  await a.click("[data-do=unlock]");
  await allShow([a, b], orders, ["succeeded"]);
  await allShow([a, b], reported, "unlocked");
  await b.reload();
  await allShow([b], orders, ["succeeded"]);
  // Nobody answers: what became of the order is not known, and the pages say so.
  stack.sim.signal("SIGSTOP");
  await b.selectOption("#ttl", "2000");
  await b.click("[data-do=lock]");
  await allShow([a, b], orders, ["unknown", "succeeded"]);
  await allShow([a, b], () => document.querySelector(".order .pill").textContent, "?unknown");
  const startAgain = await restart();
  await a.selectOption("#ttl", "30000");
  await a.click("[data-do=ring]");
  await allShow([a], orders, ["sending", "unknown", "succeeded"]);
  stack.sim.signal("SIGCONT");
  await startAgain();
  for (const tab of [a, b]) {
    await tab.waitForFunction(() => [...document.querySelectorAll(".order")].length === 3 &&
      ![...document.querySelectorAll(".order")].some(({ dataset }) => ["sending", "unknown", "sent", "queued"].includes(dataset.state)));
  }
  const shown = await a.evaluate(orders);
  assert.deepEqual(await b.evaluate(orders), shown);
  const { body } = await stack.get("/v1/devices/t1/commands?limit=10");
  assert.deepEqual(body.commands.map(({ state }) => state), shown);
});

// --- Keys ------------------------------------------------------------------------------------

test("keys: a page asks for a token, again after a bad one, and then reads and writes with it", async () => {
  const guarded = await Stack.start({ guarded: true });
  try {
    await browser.run("keys", async () => {
      for (const way of ["ws", "sse", "mqtt"]) {
        const tab = await browser.open(await browser.person(), `${guarded.url}/examples/chat.html?room=${way}&way=${way}`);
        for (const text of ["no token at all", token("events:t/chat/# publish:t/chat/#")]) {
          await tab.fill("dialog input", text);
          await tab.press("dialog input", "Enter");
        }
        await allShow([tab], states, live(1));
        await say(tab, `by ${way}`);
        await allShow([tab], lines, [`by ${way}`]);
      }
    });
  } finally {
    await guarded.stop();
  }
});
