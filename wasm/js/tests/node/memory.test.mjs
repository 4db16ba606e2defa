/** Processors give their memory back, and isolated ones do not share traps. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { init, StreamProcessor } from "stream-processor";

const PIPELINE = {
  source: { key: "k", value: "v" },
  stages: [{ type: "window", window: "tumbling", size: "1s", aggregations: ["count", "p95"] }],
};
const EVENTS = Array.from({ length: 100 }, (_, n) => ({ ts: n * 20, k: `k${n % 10}`, v: n }));

/** The last instance of the module, and whether its next push traps. */
let last;
let traps = false;
const Instance = WebAssembly.Instance;
WebAssembly.Instance = function instance(module, imports) {
  const { exports } = new Instance(module, imports);
  const push = (...values) => {
    if (traps) throw new WebAssembly.RuntimeError("unreachable");
    return exports.processor_push_reserved(...values);
  };
  last = exports;
  return { exports: { ...exports, processor_push_reserved: push } };
};
await init();
const { memory } = last;

function trapping(run) {
  traps = true;
  try {
    assert.throws(run, { code: "trapped" });
  } finally {
    traps = false;
  }
}

test("10,000 processors that are disposed of leave the memory flat", () => {
  const cycle = () => {
    const processor = new StreamProcessor(PIPELINE);
    processor.push(EVENTS);
    processor.finish();
    assert.equal(processor.drain().length, 20);
    processor.dispose();
  };
  for (let n = 0; n < 100; n += 1) cycle();
  const before = memory.buffer.byteLength;
  for (let n = 0; n < 10_000; n += 1) cycle();
  assert.equal(memory.buffer.byteLength, before);
});

test("without dispose, the garbage collection frees", () => {
  const code = `
    import { init, StreamProcessor } from "stream-processor";
    const Instance = WebAssembly.Instance;
    let memory;
    WebAssembly.Instance = function (...args) { const made = new Instance(...args); memory = made.exports.memory; return made; };
    await init();
    const pipeline = ${JSON.stringify(PIPELINE)};
    const events = ${JSON.stringify(EVENTS)};
    const round = async () => {
      for (let n = 0; n < 300; n += 1) { const p = new StreamProcessor(pipeline); p.push(events); p.drain(); }
      for (let n = 0; n < 3; n += 1) { gc(); await new Promise((resolve) => setTimeout(resolve, 5)); }
    };
    for (let n = 0; n < 3; n += 1) await round();
    const before = memory.buffer.byteLength;
    for (let n = 0; n < 10; n += 1) await round();
    console.log(memory.buffer.byteLength <= before * 1.1);`;
  const printed = execFileSync(process.execPath, ["--expose-gc", "--input-type=module", "--eval", code], { cwd: import.meta.dirname, encoding: "utf8" });
  assert.equal(printed, "true\n");
});

test("a trap ends the processors of the shared instance, and no isolated one", () => {
  const shared = [new StreamProcessor(PIPELINE), new StreamProcessor(PIPELINE)];
  const isolated = [new StreamProcessor(PIPELINE, { isolated: true }), new StreamProcessor(PIPELINE, { isolated: true })];
  for (const processor of [...shared, ...isolated]) processor.push(EVENTS);
  const snapshot = isolated[0].snapshot();
  trapping(() => isolated[0].push(EVENTS));
  assert.throws(() => isolated[0].drain(), { code: "trapped" });
  for (const processor of [...shared, isolated[1]]) assert.equal(processor.stats().events, EVENTS.length);
  trapping(() => shared[0].push(EVENTS));
  assert.throws(() => shared[1].stats(), { code: "trapped" });
  assert.equal(isolated[1].stats().events, EVENTS.length);
  for (const processor of [...shared, ...isolated]) processor.dispose();
  for (const options of [{}, { isolated: true }]) {
    const restored = StreamProcessor.restore(PIPELINE, snapshot, options);
    restored.finish();
    assert.equal(restored.drain().length, 20);
  }
});

test("an isolated processor has a memory of its own", () => {
  const processor = new StreamProcessor(PIPELINE, { isolated: true });
  assert.notEqual(last.memory, memory);
  processor.push(EVENTS);
  processor.finish();
  const other = new StreamProcessor(PIPELINE);
  other.push(EVENTS);
  other.finish();
  assert.deepEqual(processor.drain(), other.drain());
});
