/** Fields by path, values that may be missing, and events without a time. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init, StreamProcessor } from "stream-processor";

before(() => init());

function sums(source, events) {
  const processor = new StreamProcessor({
    source,
    stages: [{ type: "window", window: "global", aggregations: ["count", "sum"] }],
  });
  processor.push(events);
  processor.finish();
  const rows = processor.drain().map(({ count, sum }) => [count, sum]);
  const { rejected } = processor.stats();
  processor.dispose();
  return { rows, rejected };
}

test("a name with dots is a path, unless a field has the whole name", () => {
  const source = { timestamp: "meta.at", key: "payload.svc", value: "payload.ms" };
  const event = (ms) => ({ meta: { at: 1 }, payload: { svc: "a", ms } });
  const { rows } = sums(source, [event(1), { ...event(2), "payload.ms": 10 }, event(4)]);
  assert.deepEqual(rows, [[3, 15]]);
  assert.equal(sums(source, [{ meta: { at: 1 }, payload: [] }, { meta: 1 }, event(1)]).rejected, 2);
});

test("an event needs the values that the pipeline requires", () => {
  const events = [{ ts: 1, a: 1, b: 2 }, { ts: 1, b: 2 }, { ts: 1, a: null }, { ts: 1, a: 4 }];
  for (const [require, rejected] of [["all", 3], ["any", 1], ["none", 0]]) {
    assert.equal(sums({ value: ["a", "b"], require }, events).rejected, rejected, require);
  }
  assert.deepEqual(sums({ value: ["a", "b"] }, events).rows, [[2, 5]]);
});

test("deduplication without a ttl needs no time", () => {
  const processor = new StreamProcessor({ stages: [{ type: "dedup", strategies: "id|tenant+order" }] });
  processor.push([{ id: 1 }, { id: 1 }, { tenant: "t", order: 1 }, { id: null, tenant: "t", order: 1 }]);
  assert.equal(processor.drain().length, 2);
  assert.throws(() => new StreamProcessor({ source: { timestamp_zone: "UTC" }, stages: [{ type: "dedup", strategies: ["id"] }] }), {
    code: "invalid_pipeline",
  });
  processor.dispose();
});
