// The AsyncAPI document that spoke-bridge serves is valid, and every example in it is what its
// schema says.
import assert from "node:assert/strict";
import { test } from "node:test";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import Ajv2020 from "ajv/dist/2020.js";
import specs from "@asyncapi/specs";

const base = process.env.SPOKE_BRIDGE_URL;
const headers = { authorization: `Bearer ${process.env.SPOKE_TOKEN}` };
const document = await (await fetch(`${base}/v1/asyncapi.json`, { headers })).json();

/** What "#/a/b" stands for; throws if there is no such thing. */
function resolve(reference) {
  const found = reference.slice(2).split("/").reduce((at, part) => at?.[part], document);
  assert.ok(found, `${reference} leads nowhere`);
  return found;
}

function referencesIn(value) {
  if (value === null || typeof value !== "object") return [];
  const own = typeof value.$ref === "string" ? [value.$ref] : [];
  return own.concat(...Object.values(value).map(referencesIn));
}

test("the document is valid AsyncAPI 3.0", () => {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  const validate = ajv.compile(specs.schemasWithoutId[document.asyncapi]);
  assert.ok(validate(document), ajv.errorsText(validate.errors));
  assert.ok(!validate({ ...document, operations: { giveEvents: { action: "shout" } } }));
});

test("every reference of the document leads somewhere", () => {
  const references = referencesIn(document);
  assert.ok(references.length > 40);
  references.forEach(resolve);
});

test("every example is as its schema says", () => {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats(ajv);
  for (const [name, { payload, examples, contentType }] of Object.entries(document.components.messages)) {
    if (contentType !== "application/json") continue;
    assert.ok(examples?.length, `${name} has no example`);
    for (const { payload: example } of examples) {
      const validate = ajv.compile(payload);
      assert.ok(validate(example), `${name}: ${ajv.errorsText(validate.errors)}`);
    }
  }
});
