/** Snapshots, full buffers and traps: no data is lost without an error. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init, StreamProcessor } from "stream-processor";

before(() => init());

const PIPELINE = {
  source: { key: "k", value: "v" },
  stages: [{ type: "window", window: "tumbling", size: "1s", aggregations: ["count", "sum"] }],
};
const EVENTS = Array.from({ length: 3000 }, (_, n) => ({ ts: n * 20, k: n % 11, v: n / 7 }));
const text = (processor) => Buffer.from(processor.drainNdjson()).toString();

function whole(pipeline = PIPELINE) {
  const processor = new StreamProcessor(pipeline);
  processor.push(EVENTS);
  processor.finish();
  return text(processor);
}

test("a restored snapshot continues the stream and has the undrained rows", () => {
  const first = new StreamProcessor(PIPELINE);
  first.push(EVENTS.slice(0, 1234));
  const snapshot = first.snapshot();
  assert.deepEqual(first.snapshot(), snapshot);
  first.dispose();
  const second = StreamProcessor.restore(PIPELINE, snapshot);
  second.push(EVENTS.slice(1234));
  second.finish();
  assert.equal(text(second), whole());
});

test("restore rejects bytes that are not a snapshot of the pipeline", () => {
  const snapshot = new StreamProcessor(PIPELINE).snapshot();
  const other = { ...PIPELINE, stages: [{ ...PIPELINE.stages[0], size: "2s" }] };
  assert.throws(() => StreamProcessor.restore(other, snapshot), { code: "snapshot_other_pipeline" });
  assert.throws(() => StreamProcessor.restore(PIPELINE, new Uint8Array(50)), { name: "StreamProcessorError" });
  snapshot[40] ^= 1;
  assert.throws(() => StreamProcessor.restore(PIPELINE, snapshot), { code: "snapshot_damaged" });
});

test("a full result buffer does not change results", () => {
  const small = { ...PIPELINE, limits: { max_result_rows: 3 } };
  assert.equal(whole(small), whole());
  const lines = EVENTS.map((event) => JSON.stringify(event)).join("\n");
  const processor = new StreamProcessor(small);
  processor.pushNdjson(lines);
  processor.finish();
  const rows = processor.drain();
  assert.equal(rows.length, whole().trimEnd().split("\n").length);
  assert.equal(rows.reduce((sum, { count }) => sum + count, 0), EVENTS.length);
});

test("consumed includes rejected events, and each rejection is reported once", () => {
  const told = [];
  const source = { key: "k", value: "v" };
  const stages = [{ type: "window", window: "tumbling", size: "1ms", aggregations: ["count"] }];
  const options = { maxPendingRows: 3, onReject: ({ event }) => told.push(event.ts) };
  const processor = new StreamProcessor({ source, stages, limits: { max_result_rows: 1 } }, options);
  // Invalid events at the start, in the middle, adjacent and at the end.
  const events = Array.from({ length: 101 }, (_, ts) => (ts % 4 < 2 ? { ts, k: "a" } : { ts, k: "a", v: 1 }));
  const rows = [];
  for (let rest = events, done = false; !done; ) {
    try {
      if (rest.length > 0) processor.push(rest);
      rest = [];
      processor.finish();
      done = true;
    } catch (error) {
      assert.equal(error.code, "results_full");
      rest = rest.slice(error.consumed);
    }
    rows.push(...processor.drain());
  }
  const times = (bad) => events.map(({ ts }) => ts).filter((ts) => ts % 4 < 2 === bad);
  assert.deepEqual(told, times(true));
  assert.deepEqual(rows.map(({ window_start }) => window_start), times(false));
  const { events: accepted, rejected } = processor.stats();
  assert.deepEqual([accepted, rejected], [times(false).length, times(true).length]);
});

test("undrained rows end in results_full, with the consumed amount", () => {
  const small = { ...PIPELINE, limits: { max_result_rows: 3 } };
  const processor = new StreamProcessor(small, { maxPendingRows: 20 });
  const parts = [];
  let rest = EVENTS;
  const until = (step) => {
    for (let errors = 0; ; errors += 1) {
      try {
        step();
        return errors;
      } catch (error) {
        assert.equal(error.code, "results_full");
        assert.throws(() => processor.snapshot(), { code: "rows_pending" });
        rest = rest.slice(error.consumed);
        parts.push(text(processor));
      }
    }
  };
  assert.ok(until(() => processor.push(rest)) > 5);
  rest = [];
  until(() => processor.finish());
  parts.push(text(processor));
  assert.equal(parts.join(""), whole());
});

test("a snapshot in the middle of a line throws", () => {
  const processor = new StreamProcessor(PIPELINE);
  processor.pushNdjson('{"ts": 1, "k"');
  assert.throws(() => processor.snapshot(), { code: "line_pending" });
  processor.pushNdjson(': "a", "v": 1}\n');
  assert.ok(processor.snapshot().length > 0);
});

test("text in pieces gives the same rows as strings and as bytes", () => {
  const lines = `${EVENTS.map((event) => JSON.stringify({ ...event, k: `ключ ${event.k} 😀` })).join("\n")}`;
  const outputs = [lines, new TextEncoder().encode(lines), new TextEncoder().encode(lines).buffer].map((input) => {
    const processor = new StreamProcessor(PIPELINE);
    processor.pushNdjson(input);
    processor.finish();
    return text(processor);
  });
  assert.ok(outputs[0].includes("😀"));
  assert.equal(outputs[1], outputs[0]);
  assert.equal(outputs[2], outputs[0]);
});

test("`using` and dispose free memory", () => {
  assert.equal(StreamProcessor.prototype[Symbol.dispose], StreamProcessor.prototype.dispose);
});
