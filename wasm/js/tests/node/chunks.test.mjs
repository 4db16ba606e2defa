/** Snapshots in chunks of a bounded size. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init, StreamProcessor } from "stream-processor";

before(() => init());

const PIPELINE = {
  source: { key: "k", value: "v" },
  stages: [{ type: "window", window: "sliding", size: "1m", slide: "1s", aggregations: ["count", "p95"] }],
};
const EVENTS = Array.from({ length: 4_000 }, (_, n) => ({ ts: n * 20, k: `key ${n % 300}`, v: n / 7 }));

function filled() {
  const processor = new StreamProcessor(PIPELINE);
  processor.push(EVENTS);
  processor.drain();
  return processor;
}

function rest(processor) {
  processor.push(EVENTS.map((event) => ({ ...event, ts: event.ts + 80_000 })));
  processor.finish();
  return Buffer.from(processor.drainNdjson()).toString();
}

test("chunks are the snapshot, in pieces of the given size", () => {
  const processor = filled();
  const whole = Buffer.from(processor.snapshot());
  assert.ok(whole.length > 100_000);
  const due = rest(StreamProcessor.restore(PIPELINE, whole));
  for (const size of [1_000, 1_001, 4_096, 9_999, 65_536, whole.length - 1, whole.length, whole.length + 1, 2 ** 31]) {
    const chunks = [...processor.snapshotChunks(size)];
    assert.ok(chunks.slice(0, -1).every((chunk) => chunk.length === size), String(size));
    assert.equal(chunks.length, Math.ceil(whole.length / size));
    assert.ok(Buffer.concat(chunks).equals(whole));
    assert.equal(rest(StreamProcessor.restore(PIPELINE, chunks)), due);
  }
  const small = new StreamProcessor(PIPELINE);
  small.push(EVENTS.slice(0, 3));
  const due3 = Buffer.from(small.snapshot());
  for (let size = 1; size < 40; size += 1) {
    const chunks = [...small.snapshotChunks(size)];
    assert.ok(Buffer.concat(chunks).equals(due3), String(size));
    StreamProcessor.restore(PIPELINE, chunks).dispose();
  }
  // Chunks may be buffers, and come from any iterable.
  const stored = new Map([...processor.snapshotChunks(50_000)].map((chunk, n) => [n, chunk.slice().buffer]));
  assert.equal(rest(StreamProcessor.restore(PIPELINE, stored.values())), due);
});

test("a call between two chunks ends the snapshot", () => {
  const processor = filled();
  const chunks = processor.snapshotChunks(1_000);
  assert.equal(chunks.next().value.length, 1_000);
  processor.push([{ ts: 80_000, k: "a", v: 1 }]);
  assert.throws(() => { for (const _ of chunks); }, { code: "snapshot_outdated" });
  assert.equal(processor.stats().events, EVENTS.length + 1);
});

test("chunks that are missing, damaged or out of order are errors", () => {
  const chunks = [...filled().snapshotChunks(1_000)];
  const wrong = { missing: chunks.slice(0, -1), "without the first": chunks.slice(1), reversed: chunks.toReversed?.() ?? [...chunks].reverse() };
  for (const [name, list] of Object.entries(wrong)) {
    assert.throws(() => StreamProcessor.restore(PIPELINE, list), (error) => error.code.startsWith("snapshot_") || error.code === "not_a_snapshot", name);
  }
  assert.throws(() => StreamProcessor.restore(PIPELINE, []), { code: "invalid_argument", field: "snapshot" });
  assert.throws(() => StreamProcessor.restore(PIPELINE, [chunks[0], "text"]), { code: "invalid_argument", field: "snapshot" });
});

test("a size that is not a positive integer is an error", () => {
  const processor = filled();
  for (const size of [0, -1, 1.5, Number.NaN, Infinity, "1000", undefined, null, {}]) {
    assert.throws(() => processor.snapshotChunks(size), { code: "invalid_range", field: "maxBytes" });
  }
});
