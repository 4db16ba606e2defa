/** Runs the conformance vectors in Node.js. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { identify, init, StreamProcessor } from "stream-processor";

import { differences, passesObjects, run, runObjects, wrongIdentities } from "../vectors.mjs";

const folder = process.env.VECTORS;
await init();

const names = readdirSync(folder).filter((name) => name.endsWith(".json"));

test("all vectors are found", () => assert.ok(names.length >= 10));

test("identify returns the identities of the vectors", () => {
  const vectors = JSON.parse(readFileSync(join(folder, "identity/identity.json"), "utf8"));
  assert.deepEqual(wrongIdentities(identify, vectors), []);
  assert.equal(identify(["id"], { id: [1.0, "x"] }), identify(["id"], '{"x": 1,\n "id": [10e-1, "\\u0078"]}'));
  assert.equal(identify(["id"], { id: null }), null);
  assert.throws(() => identify(["@contents"], {}), { code: "invalid_pipeline", field: "strategies" });
});

for (const name of names) {
  const vector = JSON.parse(readFileSync(join(folder, name), "utf8"));
  const { file, text } = vector.input;
  const input = file === undefined ? Buffer.from(text) : readFileSync(join(folder, "..", file));
  for (const piece of [Infinity, 1000, 7]) {
    test(`${vector.name} in pieces of ${piece} bytes`, () => {
      assert.deepEqual(differences(vector, run(StreamProcessor, { spec: vector.spec, input }, piece)), []);
    });
  }
  for (const batch of passesObjects(vector) ? [Infinity, 1, 13] : []) {
    test(`${vector.name} as objects, ${batch} a call`, () => {
      assert.deepEqual(differences(vector, runObjects(StreamProcessor, { spec: vector.spec, input }, batch)), []);
    });
  }
}
