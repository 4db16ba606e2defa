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

test("an event without a key is rejected, dropped or kept", () => {
  const events = [
    { ts: 1, k: "a", n: 1, v: 1 },
    { ts: 1, k: null, n: 1, v: 2 },
    { ts: 1, n: 1, v: 4 },
    { ts: 1, k: [], n: 1, v: 8 },
    { ts: 1, k: null, n: 1n, v: 16 },
  ];
  const lines = events.map(({ n, ...event }) => `${JSON.stringify({ ...event, n: Number(n) })}\n`).join("");
  const kept = [["a", 1, 1], [null, 1, 22]];
  for (const [treatment, rows, rejected] of [["reject", [["a", 1, 1]], 4], ["drop", [["a", 1, 1]], 1], ["keep", kept, 1]]) {
    for (const input of ["push", "pushNdjson", "pushColumns"]) {
      const processor = new StreamProcessor({
        source: { key: ["k", "n"], value: "v", on_null_key: treatment },
        stages: [{ type: "window", window: "global", aggregations: ["sum"] }],
      });
      const valid = events.filter(({ k }) => !Array.isArray(k));
      const columns = { timestamps: valid.map(({ ts }) => ts), keys: valid.map(({ k, n }) => [k, n]), columns: { v: valid.map(({ v }) => v) } };
      if (input === "push") processor.push(events);
      else if (input === "pushNdjson") processor.pushNdjson(lines);
      else if (treatment === "keep") processor.pushColumns(columns);
      else assert.throws(() => processor.pushColumns(columns), { code: "invalid_event", field: "k" });
      if (input === "pushColumns" && treatment !== "keep") continue;
      processor.finish();
      assert.deepEqual(processor.drain().map(({ k, n, sum }) => [k, n, sum]), rows, `${treatment}, ${input}`);
      assert.equal(processor.stats().rejected, input === "pushColumns" ? 0 : rejected, `${treatment}, ${input}`);
      processor.dispose();
    }
  }
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
