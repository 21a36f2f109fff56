// Chromium for the tests of the pages: pages that tell what goes wrong in them, pictures of failures.
import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { pictureFolder } from "./programs.mjs";

const kPatienceMs = 40_000;  // long: sanitizers on a busy machine are slow; nothing passes by it

export class Browser {
  #browser;
  #contexts = [];
  #pages = [];
  #errors = [];

  static async start() {
    const browser = new Browser();
    browser.#browser = await chromium.launch({ executablePath: process.env.SPOKE_CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-dev-shm-usage"] });
    return browser;
  }

  stop() {
    return this.#browser.close();
  }

  /** What is kept together: tabs of one person. */
  async person() {
    const context = await this.#browser.newContext({ viewport: { width: 1200, height: 900 } });
    this.#contexts.push(context);
    return context;
  }

  async open(context, url) {
    const page = await context.newPage();
    page.setDefaultTimeout(kPatienceMs);
    page.on("pageerror", (error) => this.#errors.push(`${url}: ${error.message}`));
    page.on("console", (message) => {
      // Requests that fail while the bridge is away are what the tests are about.
      if (message.type() === "error" && !/Failed to load resource|WebSocket connection|net::/.test(message.text())) {
        this.#errors.push(`${url}: ${message.text()}`);
      }
    });
    this.#pages.push(page);
    await page.goto(url);
    return page;
  }

  /** Runs the body of a test; closes its pages, and takes pictures of them if it fails. */
  async run(name, body) {
    try {
      await body();
      assert.deepEqual(this.#errors, []);
    } catch (error) {
      await this.#takePictures(name, error);
      throw error;
    } finally {
      for (const context of this.#contexts.splice(0)) await context.close();
      this.#pages = [];
      this.#errors = [];
    }
  }

  async #takePictures(name, error) {
    for (const [i, page] of this.#pages.entries()) {
      const path = join(pictureFolder(), `${name}-${i + 1}.png`);
      await page.screenshot({ path, fullPage: true }).catch(() => {});
      error.message += `\npicture: ${path}`;
    }
    if (this.#errors.length > 0) error.message += `\n${this.#errors.join("\n")}`;
  }
}

/** Waits until `look(argument)` in the page gives what is expected; the error tells what it gave last.
 *  Both become one function, as the pages allow no code from strings. */
export async function shows(page, look, expected, argument) {
  const isThere = new Function("given", `return JSON.stringify((${look})(given.argument)) === given.wanted`);
  try {
    await page.waitForFunction(isThere, { argument, wanted: JSON.stringify(expected) });
  } catch (error) {
    const last = await page.evaluate(look, argument).catch(() => "nothing");
    throw new Error(`the page shows ${JSON.stringify(last)}, not ${JSON.stringify(expected)} (${error.message.split("\n")[0]})`);
  }
}

export function allShow(pages, look, expected, argument) {
  return Promise.all(pages.map((page) => shows(page, look, expected, argument)));
}
