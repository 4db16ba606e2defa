/** Events that are pushed one by one are processed together: with the same rows, counters and reports. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init, StreamProcessor } from "stream-processor";

before(() => init());

const WINDOW = { type: "window", window: "tumbling", size: "1s", aggregations: ["count", "sum"] };
const PIPELINE = { source: { key: "k", value: "v" }, stages: [WINDOW] };
const EVENTS = Array.from({ length: 5_000 }, (_, n) => ({ ts: n * 3, k: `k${n % 7}`, v: n / 7 }));
const text = (processor) => Buffer.from(processor.drainNdjson()).toString();

/** Returns the rows, counters and rejections of a pipeline after `push` and the end of the stream. */
function outcome(pipeline, push) {
  const rejections = [];
  const onReject = ({ event, reason, field }) => rejections.push([event, reason, field]);
  const processor = new StreamProcessor(pipeline, { onReject });
  push(processor);
  processor.finish();
  const found = { rows: text(processor), stats: processor.stats(), rejections };
  processor.dispose();
  return found;
}

const oneByOne = (events) => (processor) => events.forEach((event) => processor.push(event));
const together = (events) => (processor) => processor.push(events);

test("pipelines of all kinds give the same rows, counters and rejections", () => {
  const events = EVENTS.map((event, n) => {
    const faulty = [{}, { ts: "soon" }, { ts: n, k: {} }, { ts: n, k: "a", v: "x" }, { ts: n, k: "a", v: Infinity }];
    if (n % 97 === 0) return faulty[(n / 97) % faulty.length];
    const time = n % 3 === 0 ? new Date(event.ts).toISOString() : n % 3 === 1 ? new Date(event.ts) : event.ts;
    return { ...event, ts: time, id: n % 900, zone: n % 2 === 0, name: `n${n % 5}` };
  });
  const pipelines = {
    keyed: PIPELINE,
    "two key fields": { ...PIPELINE, source: { key: ["k", "zone"], value: "v" } },
    partitions: { ...PIPELINE, source: { key: "k", value: "v", partition: "name" } },
    identities: { ...PIPELINE, stages: [{ type: "dedup", strategies: ["id"], ttl: "1m" }, WINDOW] },
    texts: { ...PIPELINE, stages: [{ type: "filter", where: [{ field: "name", op: "!=", value: "n3" }] }, WINDOW] },
    passing: { ...PIPELINE, stages: [{ type: "filter", where: [{ field: "v", op: ">", value: 100 }] }] },
    "small dictionary": { ...PIPELINE, limits: { max_dictionary_keys: 3 } },
    "small buffer": { ...PIPELINE, limits: { max_result_rows: 2 } },
  };
  for (const [name, pipeline] of Object.entries(pipelines)) {
    const due = outcome(pipeline, together(events));
    assert.ok(due.rows.length > 1_000 && due.rejections.length > 40, name);
    assert.deepEqual(outcome(pipeline, oneByOne(events)), due, name);
  }
});

test("any other call processes the events first", () => {
  const calls = {
    push: (p) => p.push([]),
    pushColumns: (p) => p.pushColumns({ timestamps: [], keys: [], columns: { v: [] } }),
    reserveColumns: (p) => p.reserveColumns(1),
    pushNdjson: (p) => p.pushNdjson(""),
    advanceWatermark: (p) => p.advanceWatermark(0),
    tick: (p) => p.tick(0),
    drain: (p) => p.drain(),
    drainColumns: (p) => p.drainColumns(),
    drainNdjson: (p) => p.drainNdjson(),
    watermark: (p) => p.watermark,
    nextDeadline: (p) => p.nextDeadline,
    stats: (p) => p.stats(),
    snapshot: (p) => p.snapshot(),
    finish: (p) => p.finish(),
  };
  for (const [name, call] of Object.entries(calls)) {
    const rejected = [];
    const processor = new StreamProcessor(PIPELINE, { onReject: ({ event }) => rejected.push(event) });
    oneByOne(EVENTS.slice(0, 10))(processor);
    processor.push({});
    assert.deepEqual(rejected, [], name);
    call(processor);
    assert.deepEqual(rejected, [{}], name);
    assert.deepEqual([processor.stats().events, processor.stats().rejected], [10, 1], name);
  }
});

test("reserved columns are invalid after a push", () => {
  const processor = new StreamProcessor(PIPELINE);
  oneByOne(EVENTS.slice(0, 3))(processor);
  processor.reserveColumns(1);
  processor.push(EVENTS[3]);
  assert.throws(() => processor.commitColumns({ keys: ["a"] }), { code: "columns_not_reserved" });
  assert.equal(processor.stats().events, 4);
});

test("the values of an event are those of the call", () => {
  const processor = new StreamProcessor(PIPELINE);
  const event = { ts: 0, k: "a", v: 1 };
  for (let n = 0; n < 3; n += 1) {
    processor.push(event);
    event.v += 1;
  }
  processor.finish();
  assert.equal(processor.drain()[0].sum, 6);
});

test("an event after the end throws in its own call, also after a restore", () => {
  const processor = new StreamProcessor(PIPELINE);
  oneByOne(EVENTS.slice(0, 3))(processor);
  processor.finish();
  const code = { code: "finished" };
  assert.throws(() => processor.push(EVENTS[3]), code);
  processor.drain();
  const restored = StreamProcessor.restore(PIPELINE, processor.snapshot());
  assert.throws(() => restored.push(EVENTS[3]), code);
});

test("a refusing limit throws in the event's own call", () => {
  const processor = new StreamProcessor({ ...PIPELINE, limits: { max_keys: 2, on_max_keys: "refuse" } });
  const codes = EVENTS.slice(0, 4).map((event) => {
    try {
      processor.push(event);
    } catch (error) {
      return [error.code, error.limit, error.consumed];
    }
  });
  assert.deepEqual(codes, [undefined, undefined, ["limit_reached", "max_keys", 0], ["limit_reached", "max_keys", 0]]);
});

test("undrained rows stop the pushes, and no event is lost or doubled", () => {
  for (const drain of ["drain", "drainNdjson", "drainColumns"]) {
    const small = { ...PIPELINE, stages: [{ ...WINDOW, size: "3ms" }], limits: { max_result_rows: 1 } };
    const processor = new StreamProcessor(small, { maxPendingRows: 100 });
    let errors = 0;
    let sum = 0;
    const take = () => {
      if (drain === "drain") for (const row of processor.drain()) sum += row.count;
      else if (drain === "drainNdjson") for (const line of text(processor).split("\n").slice(0, -1)) sum += JSON.parse(line).count;
      else for (let rows = processor.drainColumns(); rows !== undefined; rows = processor.drainColumns()) sum += rows.columns.count.reduce((a, b) => a + b);
    };
    const until = (step) => {
      for (;;) {
        try {
          step();
          return;
        } catch (error) {
          assert.deepEqual([error.code, error.consumed], ["results_full", 0]);
          assert.equal(processor.stats().watermark, processor.watermark);
          errors += 1;
          take();
        }
      }
    };
    for (const event of EVENTS) until(() => processor.push(event));
    until(() => processor.finish());
    take();
    assert.equal(sum, EVENTS.length, drain);
    assert.ok(errors > 3, drain);
  }
});

test("an event whose getter calls the processor is rejected alone", () => {
  const reasons = [];
  const processor = new StreamProcessor(PIPELINE, { onReject: ({ reason, message }) => reasons.push([reason, message]) });
  oneByOne(EVENTS.slice(0, 2))(processor);
  for (const call of [(p) => p.push(EVENTS[0]), (p) => p.finish(), (p) => p.pushColumns({ timestamps: [] }), (p) => p.drain()]) {
    processor.push({ ts: 1, k: "a", get v() { return call(processor); } });
    processor.push([{ ts: 1, k: "a", get v() { return call(processor); } }]);
  }
  assert.equal(processor.stats().events, 2);
  assert.equal(reasons.length, 8);
  for (const [reason, message] of reasons) assert.match(`${reason} ${message}`, /invalid_json .* must not call the processor/);
});
