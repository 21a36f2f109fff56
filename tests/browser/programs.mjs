// The programs for the tests of the pages: started on free ports, awaited by their output.
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const bin = process.env.SPOKE_BIN;
const kRunning = new Set();
process.on("exit", () => kRunning.forEach((child) => child.kill("SIGKILL")));

/** A program whose lines can be awaited; it is killed at the end of the tests at the latest. */
class Program {
  #lines = [];
  #wake = () => {};

  constructor(name, words) {
    this.name = name;
    this.child = spawn(join(bin, name), words.map(String), { stdio: ["ignore", "pipe", "pipe"] });
    kRunning.add(this.child);
    this.ended = once(this.child, "exit").finally(() => {
      kRunning.delete(this.child);
      this.#wake();
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        this.#lines.push(line);
        this.#wake();
      });
    }
  }

  /** The match of the first line that fits. */
  async line(pattern) {
    for (;;) {
      const found = this.#lines.map((line) => pattern.exec(line)).find(Boolean);
      if (found) return found;
      if (!kRunning.has(this.child)) throw new Error(`${this.name} has ended:\n${this.output()}`);
      await new Promise((done) => { this.#wake = done; });
    }
  }

  output() {
    return this.#lines.slice(-40).join("\n");
  }

  signal(name) {
    this.child.kill(name);
  }

  async kill() {
    this.child.kill("SIGKILL");
    await this.ended;
  }
}

const kSecret = "a secret of the tests, 32 bytes or more";

/** A JSON Web Token, HS256, for a guarded bridge. */
export function token(scope) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const head = part({ alg: "HS256", typ: "JWT" });
  const claims = part({ sub: "somebody", scope, exp: Math.floor(Date.now() / 1000) + 600 });
  const signature = createHmac("sha256", kSecret).update(`${head}.${claims}`).digest("base64url");
  return `${head}.${claims}.${signature}`;
}

/** Broker, bridge and simulated bikes t1, t2, ... of one test file. */
export class Stack {
  #folder = mkdtempSync(join(tmpdir(), "spoke-browser-"));
  #port = 0;
  #auth = "";

  /** `guarded`: the bridge asks for tokens, as token() makes them. */
  static async start({ bikes = 0, guarded = false } = {}) {
    const stack = new Stack();
    if (guarded) stack.#auth = `[auth]\nsecret_file = "${stack.#write("secret", kSecret)}"`;
    try {
      await stack.#start(bikes);
    } catch (error) {
      await stack.stop();
      throw error;
    }
    return stack;
  }

  async #start(bikes) {
    const config = this.#write("broker.toml", "[[listener]]\nport = 0\n[receipts]\npublishers = [\"client:spoke-bridge\"]\n");
    this.broker = new Program("spoke-broker", ["-c", config]);
    this.mqtt = Number((await this.broker.line(/listening on 127\.0\.0\.1:(\d+)/))[1]);
    await this.startBridge();
    if (bikes === 0) return;
    this.sim = new Program("spoke-sim", ["run", "--bikes", bikes, "--prefix", "t", "--port", this.mqtt, "--seed", 7]);
    await this.sim.line(new RegExp(`online ${bikes}/${bikes}`));
  }

  /** On the port it had, with the store it had. */
  async startBridge() {
    const config = this.#write("bridge.toml", `
      [http]
      port = ${this.#port}
      examples = true
      [broker]
      port = ${this.mqtt}
      reconnect_delay_min = "10 ms"
      reconnect_delay_max = "100 ms"
      [commands]
      grace = "200 ms"
      [store]
      path = "${join(this.#folder, "bridge.db")}"
      ${this.#auth}
    `);
    this.bridge = new Program("spoke-bridge", ["-v", "-c", config]);
    this.#port = Number((await this.bridge.line(/listening on 127\.0\.0\.1:(\d+)/))[1]);
    this.url = `http://127.0.0.1:${this.#port}`;
    await this.bridge.line(/ready for orders/);
  }

  killBridge() {
    return this.bridge.kill();
  }

  async stop() {
    for (const program of [this.sim, this.bridge, this.broker]) await program?.kill();
    rmSync(this.#folder, { recursive: true });
  }

  async get(path) {
    const response = await fetch(this.url + path);
    return { status: response.status, body: await response.json() };
  }

  async post(path, body) {
    const response = await fetch(this.url + path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
    return { status: response.status, body: await response.json() };
  }

  #write(name, text) {
    const path = join(this.#folder, name);
    writeFileSync(path, text);
    return path;
  }
}

/** Where pictures of failures go. */
export function pictureFolder() {
  const folder = join(bin, "..", "browser");
  mkdirSync(folder, { recursive: true });
  return folder;
}
