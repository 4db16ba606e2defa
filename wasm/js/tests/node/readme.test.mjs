/** The README's examples print the output shown in their comments. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const readme = readFileSync(new URL("../README.md", import.meta.resolve("stream-processor")), "utf8");
const examples = [...readme.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);

test("the README has ten examples", () => assert.equal(examples.length, 10));

for (const [index, code] of examples.entries()) {
  test(`example ${index + 1}`, () => {
    const due = code.split("\n").filter((line) => line.startsWith("// ")).map((line) => line.slice(3));
    const arguments_ = ["--input-type=module", "--eval", code];
    const printed = execFileSync(process.execPath, arguments_, { cwd: import.meta.dirname, encoding: "utf8" });
    // console.log wraps long objects.
    const words = (text) => text.replace(/\s+/g, "");
    assert.equal(words(printed), words(due.join("")));
  });
}
