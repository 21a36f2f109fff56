// The document that spoke-bridge serves is valid, every example in it can be sent as it stands, and
// every answer is one that the document describes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const base = process.env.SPOKE_BRIDGE_URL;
const authorization = `Bearer ${process.env.SPOKE_TOKEN}`;
const document = await (await fetch(`${base}/v1/openapi.json`)).json();

const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema(document, "openapi");

/** The same, with each "#/..." pointing into the document. */
function absolute(value) {
  if (Array.isArray(value)) return value.map(absolute);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) =>
    key === "$ref" && inner.startsWith("#") ? [key, `openapi${inner}`] : [key, absolute(inner)]));
}

function resolved(value) {
  if (!value?.$ref) return value;
  return value.$ref.slice(2).split("/").reduce((at, part) => at[part], document);
}

function check(schema, value, what) {
  const validate = ajv.compile(absolute(schema));
  assert.ok(validate(value), `${what}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(value)}`);
}

/** Parameters with an example, each as the schema wants it. */
function parametersOf(operation) {
  return operation.parameters.map(resolved).filter((parameter) => "example" in parameter);
}

function targetOf(path, parameters, changes) {
  const query = new URLSearchParams();
  for (const parameter of parameters) {
    const example = changes[parameter.name] ?? parameter.example;
    check(parameter.schema, parameter.example, parameter.name);
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, example);
    if (parameter.in === "query") [example].flat().forEach((one) => query.append(parameter.name, one));
  }
  assert.ok(!path.includes("{"), `${path}: a path parameter has no example`);
  return query.size ? `${path}?${query}` : path;
}

/** Each body of an operation: [its name, its type, its text]. */
function bodiesOf(operation) {
  if (!operation.requestBody) return [["", undefined, undefined]];
  return Object.entries(operation.requestBody.content).flatMap(([type, content]) => {
    const examples = content.examples
      ? Object.entries(content.examples).map(([name, example]) => [name, example.value])
      : [["body", content.example]];
    assert.ok(examples.every(([, value]) => value !== undefined), "a body has no example");
    return examples.map(([name, value]) => {
      check(content.schema, value, name);
      const isJson = type === "application/json";
      return [name, isJson ? type : "text/plain", isJson ? JSON.stringify(value) : value];
    });
  });
}

async function checkAnswer(operation, response) {
  const described = resolved(operation.responses[response.status]);
  assert.ok(described, `status ${response.status} is not described: ${await response.clone().text()}`);
  for (const [name, header] of Object.entries(described.headers ?? {})) {
    const value = response.headers.get(name);
    if (value === null) continue;
    const schema = resolved(header).schema;
    check(schema, schema.type === "integer" ? Number(value) : value, name);
  }
  assert.ok(response.headers.get("request-id"), "no Request-Id");
  if (!described.content) return undefined;
  const type = response.headers.get("content-type").split(";")[0];
  const content = described.content[type] ?? described.content["*/*"];
  assert.ok(content, `${type} is not described for ${response.status}`);
  const body = type.endsWith("json") && type !== "application/x-ndjson"
    ? await response.json() : await response.text();
  check(content.schema, body, `answer ${response.status}`);
  if (type === "application/x-ndjson") {
    for (const line of body.split("\n").filter(Boolean)) {
      check({ $ref: "#/components/schemas/AuditLine" }, JSON.parse(line), "line");
    }
  }
  return body;
}

async function send(path, method, changes = {}) {
  const operation = document.paths[path][method];
  const target = targetOf(path, parametersOf(operation), changes);
  const results = [];
  for (const [name, type, body] of bodiesOf(operation)) {
    const headers = { authorization, ...(type && { "content-type": type }) };
    const response = await fetch(base + target, { method: method.toUpperCase(), headers, body, redirect: "manual" });
    results.push({ name, status: response.status, body: await checkAnswer(operation, response) });
  }
  return results;
}

test("the document is valid OpenAPI 3.1", async () => {
  const validator = new Validator();
  const result = await validator.validate(structuredClone(document));
  assert.deepEqual(result.errors ?? [], []);
  assert.equal(validator.version, "3.1");
});

test("every example can be sent, and every answer is described", async () => {
  // What deletes comes last.
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => [path, method]));
  operations.sort((a, b) => (a[1] === "delete") - (b[1] === "delete"));
  let sent = 0;
  for (const [path, method] of operations) {
    for (const result of await send(path, method)) {
      sent += 1;
      const isExpected = result.status < 300 || result.status === 308 ||
        (/\{cid\}|\/deliveries\/\{id\}/.test(path) && result.status === 404) ||  // the id is only an example
        (path === "/mqtt" && result.status === 426) ||
        (path.endsWith("/read") && result.status === 409) ||  // so is the cursor
        (path.startsWith("/v1/request") && result.status === 409);  // nobody is there to answer
      assert.ok(isExpected, `${method} ${path} ${result.name}: ${result.status} ${JSON.stringify(result.body)}`);
    }
  }
  assert.ok(sent >= operations.length);
});

test("an order that was given can be read and cancelled", async () => {
  await send("/v1/devices/{id}", "put");
  // The bike may have done one of them already, and may not have been heard of since its deletion.
  const orders = (await send("/v1/devices/{id}/commands", "post")).filter(({ status }) => status < 300);
  assert.ok(orders.length > 0);
  for (const { body: { id } } of orders) {
    assert.equal((await send("/v1/commands/{cid}", "get", { cid: id }))[0].status, 200);
    assert.ok([200, 202, 409].includes((await send("/v1/commands/{cid}", "delete", { cid: id }))[0].status));
  }
});
