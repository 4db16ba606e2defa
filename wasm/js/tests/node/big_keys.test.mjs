/** Integer keys beyond 2^53 are exact: BigInts in input and output. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init, StreamProcessor } from "stream-processor";

before(() => init());

const COUNT = { type: "window", window: "tumbling", size: "1s", aggregations: ["count"] };
const PIPELINE = { source: { key: "id" }, stages: [COUNT] };
const HUGE = 123456789012345678901234567890n;
/** Sorted by value, ascending. */
const KEYS = [-HUGE, -9007199254740993n, -9007199254740992, -0.5, 0, 0.1, 1, 9007199254740991, 9007199254740992, 9007199254740993n, 9007199254740994n, 10n ** 22n, HUGE, 10n ** 308n];

function ended(processor) {
  processor.finish();
  return processor.drain();
}

const line = (key) => `{"ts":1,"id":${key}}\n`;

test("keys of text, objects and columns keep their exact value in rows", () => {
  const text = new StreamProcessor(PIPELINE);
  text.pushNdjson(KEYS.map(line).join(""));
  const objects = new StreamProcessor(PIPELINE);
  objects.push(KEYS.map((id) => ({ ts: 1, id })));
  const columns = new StreamProcessor(PIPELINE);
  columns.pushColumns({ timestamps: KEYS.map(() => 1), keys: KEYS });
  const byIds = new StreamProcessor(PIPELINE);
  byIds.pushColumns({ timestamps: KEYS.map(() => 1), keys: { ids: Uint32Array.from(KEYS.keys()), dictionary: KEYS } });
  const reserved = new StreamProcessor(PIPELINE);
  const batch = reserved.reserveColumns(KEYS.length);
  batch.timestamps.fill(1);
  batch.keys.set([...KEYS.keys()]);
  reserved.commitColumns({ keys: KEYS });
  for (const [name, processor] of Object.entries({ text, objects, columns, byIds, reserved })) {
    const rows = ended(processor);
    assert.deepEqual(rows.map(({ id }) => id), KEYS, name);
    assert.ok(rows.every(({ count }) => count === 1), name);
  }
});

test("BigInts work in multi-field keys, partitions and key_by", () => {
  const pipeline = { source: { key: ["shop", "id"], partition: "p" }, stages: [{ type: "key_by", fields: ["id"] }, COUNT] };
  const processor = new StreamProcessor(pipeline);
  processor.push([{ ts: 1, shop: "a", id: HUGE, p: HUGE }, { ts: 1, shop: 5n, id: HUGE + 1n, p: 1 }]);
  processor.pushColumns({ timestamps: [1], keys: [["b", HUGE]], partitions: [HUGE] });
  processor.pushNdjson(`{"ts":1,"shop":"c","id":${HUGE}.0,"p":${HUGE}}\n`);
  assert.deepEqual(processor.stats().partitions.map(({ partition }) => partition), ["1", "1.2345678901234567890123456789e+29"]);
  assert.deepEqual(ended(processor).map(({ id, count }) => [id, count]), [[HUGE, 3], [HUGE + 1n, 1]]);
});

test("all spellings of a number are the same key", () => {
  const processor = new StreamProcessor(PIPELINE);
  processor.pushNdjson(["1", "1.0", "10e-1", "1e22", "10000000000000000000000", "9007199254740993", "9007199254740993.0"].map(line).join(""));
  processor.push([1, 1n, 1e22, 10n ** 22n, 9007199254740993n].map((id) => ({ ts: 1, id })));
  assert.deepEqual(ended(processor).map(({ id, count }) => [id, count]), [[1, 5], [9007199254740993n, 3], [10n ** 22n, 4]]);
});

test("drained key columns can be pushed to another processor unchanged", () => {
  const first = new StreamProcessor(PIPELINE);
  first.pushNdjson(KEYS.map(line).join(""));
  first.finish();
  const { keys, columns } = first.drainColumns();
  assert.deepEqual(keys.dictionary, KEYS);
  const second = new StreamProcessor(PIPELINE);
  second.pushColumns({ timestamps: columns.window_start, keys });
  assert.deepEqual(ended(second).map(({ id }) => id), KEYS);
  const third = new StreamProcessor(PIPELINE);
  const again = new StreamProcessor(PIPELINE);
  again.pushNdjson(KEYS.map(line).join(""));
  third.push(ended(again).map(({ id, window_start: ts }) => ({ ts, id })));
  third.finish();
  const lines = Buffer.from(third.drainNdjson()).toString();
  assert.ok(lines.includes('{"id":9007199254740993,') && lines.includes('{"id":-9007199254740993,'), lines);
});

test("a snapshot keeps BigInt keys", () => {
  const processor = new StreamProcessor(PIPELINE);
  processor.push(KEYS.map((id) => ({ ts: 1, id })));
  assert.deepEqual(ended(StreamProcessor.restore(PIPELINE, processor.snapshot())).map(({ id }) => id), KEYS);
});

test("key numbers outside the range of a double are rejected as invalid_key_number", () => {
  const wrongs = ["1e400", "-1e400", "0.1234567890123456789", "9007199254740993.5", "1e-400", `1${"0".repeat(400)}`];
  const text = new StreamProcessor(PIPELINE);
  text.pushNdjson(["0.1", ...wrongs, "0.30000000000000004"].map(line).join(""));
  assert.deepEqual(text.stats().rejected_by_reason, [{ reason: "invalid_key_number", count: wrongs.length }]);
  assert.deepEqual(ended(text).map(({ id }) => id), [0.1, 0.30000000000000004]);

  const rejections = [];
  const objects = new StreamProcessor(PIPELINE, { onReject: (rejection) => rejections.push(rejection) });
  objects.push([{ ts: 1, id: 1 }, { ts: 1, id: 10n ** 400n }, { ts: 1, id: 2 }]);
  assert.deepEqual(rejections.map(({ index, field, reason }) => [index, field, reason]), [[1, "id", "invalid_key_number"]]);
  assert.deepEqual(objects.stats().rejected_by_reason, [{ reason: "invalid_key_number", count: 1 }]);

  const columns = new StreamProcessor(PIPELINE);
  for (const keys of [[1, 10n ** 400n], { ids: Uint32Array.of(0, 1), dictionary: [1, -(10n ** 400n)] }]) {
    const error = { name: "StreamProcessorError", code: "invalid_key_number", field: "id", index: 1 };
    assert.throws(() => columns.pushColumns({ timestamps: [1, 1], keys }), error);
  }
  assert.equal(columns.stats().events, 0);
});

test("a BigInt in a text column or a condition equals the integer in text", () => {
  const filter = { type: "filter", where: [{ field: "id", op: "==", value: 9007199254740993n }] };
  const distinct = { type: "window", window: "global", aggregations: ["count", { op: "distinct", field: "user" }] };
  const processor = new StreamProcessor({ source: { key: "id" }, stages: [filter, distinct] });
  processor.pushNdjson('{"ts":1,"id":9007199254740993,"user":9007199254740993}\n{"ts":1,"id":9007199254740992,"user":1}\n');
  processor.push([{ ts: 1, id: 9007199254740993n, user: 9007199254740993n }, { ts: 1, id: 9007199254740993n, user: 9007199254740992n }]);
  processor.pushColumns({ timestamps: [1], keys: [9007199254740993n], columns: { user: [9007199254740992n] } });
  assert.deepEqual(ended(processor), [{ id: 9007199254740993n, window_start: null, window_end: null, count: 4, distinct_user: 2 }]);
});

test("drainNdjson keeps the exact numbers of passed events", () => {
  const filter = { type: "filter", where: [{ field: "id", op: ">", value: 0 }] };
  const processor = new StreamProcessor({ source: { key: "id" }, stages: [filter] });
  const lines = '{"ts":1,"id":9007199254740993,"n":0.1234567890123456789}\n';
  processor.pushNdjson(lines);
  processor.push({ ts: 2, id: 9007199254740993n });
  assert.equal(Buffer.from(processor.drainNdjson()).toString(), `${lines}{"ts":2,"id":9007199254740993}\n`);
});
