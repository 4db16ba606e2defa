/** Reserved columns give the same results as pushed columns. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init, StreamProcessor, StreamProcessorError } from "stream-processor";

before(() => init());

const PIPELINE = {
  source: { key: "k", value: "v" },
  time: { max_out_of_orderness: "1s" },
  stages: [{ type: "window", window: "tumbling", size: "1s", aggregations: ["count", "sum", "max", { op: "sum", field: "w" }] }],
};
const DICTIONARY = Array.from({ length: 40 }, (_, id) => `key ${id}`);

/** Returns a generator of pseudo-random numbers below `bound` with a fixed seed. */
function generator(seed) {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

/**
 * Events of every kind: out of order, late, with fractional times, with missing values and times.
 */
function eventsOf(count, random) {
  const times = [Number.NaN, 9e15, -1, 0.0005];
  return {
    timestamps: Float64Array.from({ length: count }, (_, n) => {
      return random(50) === 0 ? times[random(4)] : n + random(1500) + (random(3) === 0 ? random(1000) / 1000 : 0);
    }),
    ids: Uint32Array.from({ length: count }, () => random(DICTIONARY.length)),
    v: Float64Array.from({ length: count }, () => (random(60) === 0 ? Number.NaN : random(1000) / 7)),
    w: Float64Array.from({ length: count }, () => (random(9) === 0 ? Number.NaN : random(9))),
  };
}

/**
 * Converts times to microseconds; invalid times and times beyond JavaScript dates are out of range.
 */
function inMicroseconds(timestamps) {
  return BigInt64Array.from(timestamps, (ms) => (ms < 8.64e15 ? BigInt(Math.floor(ms * 1000 + 1e-6)) : 2n ** 63n - 1n));
}

/** Fills the reserved columns with the events from `from` on; returns their number. */
function write(reserved, { timestamps, ids, v, w }, from, unit) {
  const to = Math.min(from + reserved.timestamps.length, timestamps.length);
  const times = timestamps.subarray(from, to);
  if (unit === "us") reserved.microseconds.set(inMicroseconds(times));
  else reserved.timestamps.set(times);
  reserved.keys.set(ids.subarray(from, to));
  reserved.columns.v.set(v.subarray(from, to));
  reserved.columns.w.set(w.subarray(from, to));
  return to - from;
}

/**
 * Commits all events in batches of `sizeOf()`; drains if a call requires it or `drains()` is true.
 */
function inPlace(processor, events, { sizeOf, drains, unit, dictionary = DICTIONARY, meddle = () => {} }) {
  const rows = [];
  for (let at = 0; at < events.timestamps.length; ) {
    const reserved = processor.reserveColumns(sizeOf());
    const count = write(reserved, events, at, unit);
    for (let from = 0; ; ) {
      try {
        processor.commitColumns({ events: count, from, keys: dictionary, unit });
        break;
      } catch (error) {
        assert.equal(error.code, "results_full", error.stack);
        from += error.consumed;
        rows.push(...processor.drain());
        meddle();
      }
    }
    at += count;
    if (drains()) rows.push(...processor.drain());
  }
  return rows;
}

/** Finishes the stream, draining whenever results are full. */
function ended(processor, rows) {
  for (;;) {
    try {
      processor.finish();
      break;
    } catch (error) {
      assert.equal(error.code, "results_full");
      rows.push(...processor.drain());
    }
  }
  rows.push(...processor.drain());
  const { events, rejected_by_reason: reasons, late_dropped: late } = processor.stats();
  processor.dispose();
  return { rows, events, reasons, late };
}

test("reserved columns of any batch size give the rows and counters of pushed columns", () => {
  for (let seed = 1; seed <= 30; seed += 1) {
    const random = generator(seed);
    const events = eventsOf(1 + random(30_000), random);
    const { timestamps, ids, v, w } = events;
    const copied = new StreamProcessor(PIPELINE);
    copied.pushColumns({ timestamps, keys: { ids, dictionary: DICTIONARY }, columns: { v, w } });
    const expected = ended(copied, []);

    const small = random(2) === 0;
    const limits = small ? { max_result_rows: 1 + random(5) } : {};
    const processor = new StreamProcessor({ ...PIPELINE, limits }, small ? { maxPendingRows: 1 + random(50) } : {});
    // Other ids for the same keys: from text, and from another dictionary.
    if (random(2) === 0) processor.pushNdjson("");
    if (random(2) === 0) processor.pushColumns({ timestamps: [], keys: { ids: Uint32Array.of(), dictionary: ["other"] }, columns: { v: [] } });
    const most = 1 + random(random(2) === 0 ? 100 : 40_000);
    const unit = [undefined, "ms", "us"][random(3)];
    const rows = inPlace(processor, events, { sizeOf: () => 1 + random(most), drains: () => random(3) === 0, unit });
    assert.deepEqual(ended(processor, rows), expected, `seed ${seed}`);
    const inUs = new StreamProcessor(PIPELINE);
    inUs.pushColumns({ timestamps: inMicroseconds(timestamps), keys: { ids, dictionary: DICTIONARY }, columns: { v, w } });
    assert.deepEqual(ended(inUs, []), expected, `seed ${seed}, microseconds`);
  }
});

test("ids that text used before do not change results", () => {
  const random = generator(7);
  const events = eventsOf(5000, random);
  const lines = '{"ts": 5, "k": "key 7", "v": 1}\n{"ts": 6, "k": "text", "v": 2}\n';
  const copied = new StreamProcessor(PIPELINE);
  copied.pushNdjson(lines);
  const { timestamps, ids, v, w } = events;
  copied.pushColumns({ timestamps, keys: { ids, dictionary: DICTIONARY }, columns: { v, w } });
  const processor = new StreamProcessor({ ...PIPELINE, limits: { max_result_rows: 2 } }, { maxPendingRows: 5 });
  processor.pushNdjson(lines);
  const rows = inPlace(processor, events, { sizeOf: () => 3000, drains: () => false });
  assert.deepEqual(ended(processor, rows), ended(copied, []));
});

test("a partly committed batch continues after the memory has grown", () => {
  const events = eventsOf(20_000, generator(3));
  const { timestamps, ids, v, w } = events;
  const copied = new StreamProcessor(PIPELINE);
  copied.pushColumns({ timestamps, keys: { ids, dictionary: DICTIONARY }, columns: { v, w } });
  const others = [];
  const meddle = () => {
    others.push(new StreamProcessor(PIPELINE));
    others.at(-1).reserveColumns(100_000);
  };
  const processor = new StreamProcessor({ ...PIPELINE, limits: { max_result_rows: 50 } }, { maxPendingRows: 100 });
  const rows = inPlace(processor, events, { sizeOf: () => 20_000, drains: () => false, meddle });
  assert.ok(others.length > 2);
  others.forEach((other) => other.dispose());
  assert.deepEqual(ended(processor, rows), ended(copied, []));
});

test("a commit after the memory has grown throws columns_detached", () => {
  const processor = new StreamProcessor(PIPELINE);
  const reserved = processor.reserveColumns(10);
  const others = [];
  while (reserved.timestamps.length > 0) {
    others.push(new StreamProcessor(PIPELINE));
    others.at(-1).reserveColumns(1 << 20);
  }
  assert.throws(() => processor.commitColumns({ keys: DICTIONARY }), { code: "columns_detached" });
  assert.throws(() => processor.commitColumns({ keys: DICTIONARY }), { code: "columns_not_reserved" });
  others.forEach((other) => other.dispose());
  const again = processor.reserveColumns(10);
  write(again, eventsOf(10, generator(1)), 0);
  processor.commitColumns({ keys: DICTIONARY });
});

test("optional columns that are not written are missing values", () => {
  const processor = new StreamProcessor(PIPELINE);
  for (const w of [5, undefined]) {
    const reserved = processor.reserveColumns(1);
    reserved.timestamps[0] = 0;
    reserved.keys[0] = 1;
    reserved.columns.v[0] = 2;
    if (w !== undefined) reserved.columns.w[0] = w;
    processor.commitColumns({ keys: DICTIONARY });
  }
  const { rows } = ended(processor, []);
  assert.deepEqual(rows.map(({ k, count, sum, sum_w }) => [k, count, sum, sum_w]), [["key 1", 2, 4, 5]]);
});

test("reserved columns work with partitions and without a key", () => {
  const stages = [{ type: "window", window: "tumbling", size: "1s", aggregations: ["count"] }];
  const pipeline = { source: { value: "v", partition: "p" }, stages };
  const partitions = ["one", "two"];
  const copied = new StreamProcessor(pipeline);
  const times = [0, 5000, 1500, 9000];
  const ids = Uint32Array.of(0, 1, 0, 0);
  const v = Float64Array.of(1, 2, 3, 4);
  copied.pushColumns({ timestamps: times, partitions: { ids, dictionary: partitions }, columns: { v } });
  const processor = new StreamProcessor(pipeline);
  const reserved = processor.reserveColumns(4);
  assert.equal(reserved.keys.length, 0);
  reserved.timestamps.set(times);
  reserved.partitions.set(ids);
  reserved.columns.v.set(v);
  processor.commitColumns({ partitions });
  assert.deepEqual(processor.stats().partitions, copied.stats().partitions);
  assert.deepEqual(ended(processor, []), ended(copied, []));
});

test("wrong use of reserved columns throws an error with the allowed values", () => {
  const fails = (call, code, word) => {
    assert.throws(call, (error) => {
      assert.ok(error instanceof StreamProcessorError, String(error));
      assert.equal(error.code, code, error.message);
      assert.ok(error.message.includes(word), error.message);
      return true;
    });
  };
  const processor = new StreamProcessor(PIPELINE);
  fails(() => processor.commitColumns(), "columns_not_reserved", "reserveColumns");
  for (const events of [0, -1, 1.5, Number.NaN, 2 ** 21, "7"]) {
    fails(() => processor.reserveColumns(events), "invalid_range", "1048576");
  }
  const reserved = processor.reserveColumns(8);
  reserved.keys.fill(0);
  fails(() => processor.commitColumns({ events: 9, keys: DICTIONARY }), "invalid_range", "8 events");
  fails(() => processor.commitColumns({ events: 3, from: 4, keys: DICTIONARY }), "invalid_range", "from 4");
  fails(() => processor.commitColumns({}), "keys_mismatch", "dictionary");
  processor.reserveColumns(8).keys.fill(0);
  fails(() => processor.commitColumns({ keys: DICTIONARY, unit: "s" }), "invalid_unit", '"ms" or "us" as unit, but got the text "s"');
  processor.reserveColumns(8).keys.fill(0);
  fails(() => processor.commitColumns({ keys: DICTIONARY, partitions: ["p"] }), "partitions_mismatch", "names none");
  processor.reserveColumns(8).keys.fill(40);
  fails(() => processor.commitColumns({ keys: DICTIONARY }), "unknown_key_id", "key 40 of event 0");
  fails(() => processor.commitColumns({ keys: DICTIONARY }), "columns_not_reserved", "reserveColumns");
  processor.reserveColumns(8);
  processor.pushColumns({ timestamps: [1], keys: ["a"], columns: { v: [1] } });
  fails(() => processor.commitColumns({ keys: DICTIONARY }), "columns_not_reserved", "nothing in between");
  assert.equal(processor.stats().events, 1);

  const window = PIPELINE.stages[0];
  const texts = { ...PIPELINE, stages: [{ type: "filter", where: [{ field: "page", op: "==", value: "/" }] }, window] };
  fails(() => new StreamProcessor(texts).reserveColumns(1), "columns_not_reservable", 'texts in the column "page"');
  const dedup = { ...PIPELINE, stages: [{ type: "dedup", strategies: ["id"] }, window] };
  fails(() => new StreamProcessor(dedup).reserveColumns(1), "columns_not_reservable", "pushColumns");
});
