/** Processors in a worker thread: the same rows and errors as in this thread. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as local from "stream-processor";
import { identify, init, StreamProcessor, StreamProcessorError, terminate } from "stream-processor/worker";

const PIPELINE = {
  source: { key: "key", value: "value" },
  stages: [{ type: "window", window: "tumbling", size: "1s", aggregations: ["count", "sum"] }],
};
const EVENTS = [{ ts: 1, key: "a", value: 2 }, { ts: 1500, key: "b", value: 3 }, { ts: 1600, key: "a", value: 4 }];

test("a processor before init throws not_initialized, and the failed module leaves no worker", async () => {
  assert.throws(() => new StreamProcessor(PIPELINE), { name: "StreamProcessorError", code: "not_initialized" });
  await assert.rejects(init(new Uint8Array(8)), { name: "StreamProcessorError", code: "module_not_loaded" });
  assert.throws(() => new StreamProcessor(PIPELINE), { code: "not_initialized" });
});

test("rows, bytes, columns and counters are those of this thread", async () => {
  await Promise.all([init(), init(), local.init()]);
  const here = new local.StreamProcessor(PIPELINE);
  const there = new StreamProcessor(PIPELINE);
  const same = async (call) => assert.deepEqual(await call(there), call(here));
  for (let part = 0; part < 3; part += 1) {
    await same((processor) => processor.push(new Set(EVENTS)));
    await same((processor) => processor.pushNdjson('{"ts":700,"key":"c","value":1}\n'));
    await same((processor) => processor.watermark);
    await same((processor) => processor.stats());
    await same((processor) => processor.snapshot());
    await same((processor) => processor.advanceWatermark(1000));
    await same((processor) => [processor.drain(), processor.drainColumns(), processor.drainNdjson()][part]);
  }
  await same((processor) => processor.finish());
  await same((processor) => processor.drainColumns());
});

test("calls are processed in their order without being awaited", async () => {
  const processor = new StreamProcessor(PIPELINE);
  for (const event of EVENTS) processor.push(event);
  processor.finish();
  assert.deepEqual(
    (await processor.drain()).map(({ key, sum }) => [key, sum]),
    [["a", 2], ["a", 4], ["b", 3]],
  );
});

test("a snapshot of this thread is restored in the worker", async () => {
  const here = new local.StreamProcessor(PIPELINE);
  here.push(EVENTS);
  here.drain();
  const there = await StreamProcessor.restore(PIPELINE, here.snapshot());
  here.finish();
  await there.finish();
  assert.deepEqual(await there.drain(), here.drain());
  await assert.rejects(StreamProcessor.restore(PIPELINE, new Uint8Array(9)), { name: "StreamProcessorError" });
  await assert.rejects(StreamProcessor.restore(PIPELINE, "text"), { code: "invalid_argument", field: "snapshot" });
});

test("transferred arrays become empty, others keep their contents", async () => {
  const processor = new StreamProcessor(PIPELINE);
  const batch = () => ({ timestamps: Float64Array.of(1, 2), keys: ["a", "a"], columns: { value: Float64Array.of(5, 6) } });
  const [copied, moved] = [batch(), batch()];
  await processor.pushColumns(copied);
  await processor.pushColumns(moved, { transfer: true });
  assert.deepEqual([copied.timestamps.length, moved.timestamps.length, moved.columns.value.length], [2, 0, 0]);
  await processor.finish();
  assert.deepEqual(await processor.drain(), [{ key: "a", window_start: 0, window_end: 1000, count: 4, sum: 22 }]);
});

test("errors keep their type, code and details", async () => {
  const processor = new StreamProcessor({ stages: [{ type: "windo" }] });
  const invalid = (error) => error instanceof StreamProcessorError && error.code === "invalid_pipeline" && error.field === "stages[0].type";
  await assert.rejects(processor.ready, invalid);
  await assert.rejects(processor.push(EVENTS), invalid);
  const small = new StreamProcessor({ ...PIPELINE, limits: { max_result_rows: 1 } }, { maxPendingRows: 1 });
  await assert.rejects(small.push(EVENTS.concat({ ts: 9000, key: "z", value: 0 })), { code: "results_full", consumed: 4 });
  await assert.rejects(small.push("text"), { code: "invalid_event" });
  await assert.rejects(small.push({ ts: 1, key: () => {} }), { code: "invalid_argument" });
  await assert.rejects(small.push({ *[Symbol.iterator]() { throw new Error("cut"); } }), { code: "invalid_event" });
  await small.dispose();
  await assert.rejects(small.drain(), { code: "disposed" });
});

test("rejected events are reported before the call ends, and errors of onReject are passed on", async () => {
  const rejections = [];
  const processor = new StreamProcessor(PIPELINE, { onReject: ({ reason, field, event }) => rejections.push([reason, field, event]) });
  await processor.push([{ ts: 1, key: "a", value: "x" }, EVENTS[0]]);
  assert.deepEqual(rejections, [["wrong_type", "value", { ts: 1, key: "a", value: "x" }]]);
  const own = new Error("own");
  const throwing = new StreamProcessor(PIPELINE, { onReject: () => { throw own; } });
  await assert.rejects(throwing.push({ ts: "x" }), (error) => error === own);
});

test("dropped events and rejected lines are reported, and options reach the thread", async () => {
  const [drops, rejections] = [[], []];
  const options = { onDrop: (drop) => drops.push(drop), onReject: (rejection) => rejections.push(rejection), isolated: true };
  const processor = new StreamProcessor(PIPELINE, options);
  const late = { ts: 1, key: "late", value: 1 };
  for (const event of [...EVENTS, late]) await processor.push(event);
  await processor.pushNdjson('{"ts": 1, "key": "later", "value": 1}\nno\n');
  const found = drops.map(({ reason, event, line, text }) => [reason, event, line, text]);
  assert.deepEqual(found, [["late", late, undefined, undefined], ["late", undefined, 1, '{"ts": 1, "key": "later", "value": 1}']]);
  assert.deepEqual(rejections.map(({ line, text, reason }) => [line, text, reason]), [[2, "no", "invalid_json"]]);
});

test("a snapshot in chunks is restored in the worker and in this thread", async () => {
  const processor = new StreamProcessor(PIPELINE);
  await processor.push(EVENTS);
  await processor.drain();
  const chunks = await processor.snapshotChunks(100);
  assert.ok(chunks.length > 2 && chunks.every((chunk) => chunk.length <= 100));
  const here = local.StreamProcessor.restore(PIPELINE, chunks);
  const there = await StreamProcessor.restore(PIPELINE, chunks.values());
  here.finish();
  await there.finish();
  assert.deepEqual(await there.drain(), here.drain());
});

test("identities are those of this thread", async () => {
  assert.equal(await identify(["id"], { id: 7 }), local.identify(["id"], { id: 7 }));
});

test("a terminated worker rejects its calls, and init starts another one", async () => {
  const processor = new StreamProcessor(PIPELINE);
  const pending = processor.push(EVENTS);
  terminate();
  await assert.rejects(pending, { code: "worker_failed" });
  await assert.rejects(processor.drain(), { code: "worker_failed" });
  assert.throws(() => new StreamProcessor(PIPELINE), { code: "not_initialized" });
  await init();
  const next = new StreamProcessor(PIPELINE);
  await next.push(EVENTS);
  assert.equal((await next.stats()).events, 3);
});
