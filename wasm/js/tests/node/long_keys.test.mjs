/** Keys longer than `limits.max_key_bytes` are rejected, however they come. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init, StreamProcessor } from "stream-processor";

before(() => init());

const COUNT = { type: "window", window: "tumbling", size: "1s", aggregations: ["count"] };
const PIPELINE = { source: { key: "id" }, stages: [COUNT], limits: { max_key_bytes: 10 } };
/** Texts whose encoding has 10 bytes, and one with 12. */
const FITTING = ["12345678", "éééé", "\u0001123456", "\u{1F600}1234"];
const LONG = "ééééé";
const REJECTED = [{ reason: "key_too_long", count: 1 }];

function ids(processor) {
  assert.deepEqual(processor.stats().rejected_by_reason, REJECTED);
  processor.finish();
  return processor.drain().map(({ id }) => id).sort();
}

test("a key that is too long is rejected as an object, in columns and in text", () => {
  const keys = [FITTING[0], LONG, ...FITTING.slice(1)];
  const rejections = [];
  const objects = new StreamProcessor(PIPELINE, { onReject: (rejection) => rejections.push(rejection) });
  objects.push(keys.map((id) => ({ ts: 1, id })));
  assert.deepEqual(rejections.map(({ index, field, reason }) => [index, field, reason]), [[1, "id", "key_too_long"]]);
  const columns = new StreamProcessor(PIPELINE);
  columns.pushColumns({ timestamps: keys.map(() => 1), keys });
  const byIds = new StreamProcessor(PIPELINE);
  byIds.pushColumns({ timestamps: keys.map(() => 1), keys: { ids: Uint32Array.from(keys.keys()), dictionary: keys } });
  const text = new StreamProcessor(PIPELINE);
  text.pushNdjson(keys.map((id) => `${JSON.stringify({ ts: 1, id })}\n`).join(""));
  for (const processor of [objects, columns, byIds, text]) assert.deepEqual(ids(processor), [...FITTING].sort());
});

test("fields of a key count together, and partitions have the same limit", () => {
  const source = { key: ["a", "b"], partition: "p" };
  const rejections = [];
  const processor = new StreamProcessor({ ...PIPELINE, source }, { onReject: ({ index, field }) => rejections.push([index, field]) });
  processor.push([{ ts: 1, a: "123", b: "456", p: 1 }, { ts: 1, a: "123", b: "4567", p: 1 }, { ts: 1, a: "", b: "", p: LONG }]);
  assert.deepEqual(rejections, [[1, "a"], [2, "p"]]);
  assert.equal(processor.stats().partitions.length, 1);
});

test("key ids of columns and of text do not meet, whichever comes first", () => {
  const limits = { max_dictionary_keys: 3 };
  for (const order of [["columns", "text"], ["text", "columns"]]) {
    const processor = new StreamProcessor({ ...PIPELINE, limits });
    const push = {
      columns: (keys) => processor.pushColumns({ timestamps: keys.map(() => 1), keys }),
      text: (keys) => processor.pushNdjson(keys.map((id) => `{"ts":1,"id":"${id}"}\n`).join("")),
    };
    for (const letters of ["ab", "cd", "ae", "bc", "fa"]) for (const kind of order) push[kind]([...letters]);
    processor.finish();
    const rows = processor.drain().map(({ id, count }) => [id, count]);
    assert.deepEqual(rows, [["a", 6], ["b", 4], ["c", 4], ["d", 2], ["e", 2], ["f", 2]], String(order));
  }
});
