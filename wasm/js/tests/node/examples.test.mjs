/** Runs the examples of tests/examples in Node.js. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { init, StreamProcessor } from "stream-processor";

import { parseExample, run } from "../vectors.mjs";

const folder = join(process.env.VECTORS, "../examples");
await init();

const names = readdirSync(folder).filter((name) => name !== "README.md");

test("all examples are found", () => assert.ok(names.length >= 30));

for (const name of names) {
  const example = parseExample(readFileSync(join(folder, name), "utf8"));
  for (const piece of [Infinity, 10]) {
    test(`${name} in pieces of ${piece} bytes`, () => {
      assert.equal(run(StreamProcessor, example, piece).rows, example.rows);
    });
  }
}
