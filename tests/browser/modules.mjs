// The modules of bridge/examples in Node, which takes a .js for a module only beside a package.json
// that says so. A folder that served pages would show it, so they are copied.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { webcrypto } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

globalThis.crypto ??= webcrypto;

const folder = mkdtempSync(join(tmpdir(), "spoke-examples-"));
process.on("exit", () => rmSync(folder, { recursive: true }));
cpSync(fileURLToPath(new URL("../../bridge/examples", import.meta.url)), folder, { recursive: true });
writeFileSync(join(folder, "package.json"), '{"type":"module"}');

/** A module by its name: `await load("spoke.js")`. */
export function load(name) {
  return import(join(folder, name));
}
