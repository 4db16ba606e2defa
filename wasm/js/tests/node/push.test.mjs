/** Input as objects, columns and text; output as objects and columns. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init, StreamProcessor } from "stream-processor";

before(() => init());

function pipeline(source, aggregations = ["count", "sum"], more = {}) {
  return { source, stages: [{ type: "window", window: "tumbling", size: "1s", aggregations }], ...more };
}

function rows(processor) {
  processor.finish();
  const drained = processor.drain();
  processor.dispose();
  return drained;
}

const KEYED = pipeline({ key: "service", value: "latency" });

test("rows have the names of the output schema", () => {
  const processor = new StreamProcessor(KEYED);
  processor.push([
    { ts: 100, service: "b", latency: 1 },
    { ts: 200, service: "a", latency: 2 },
  ]);
  processor.push({ ts: 1999.5, service: "a", latency: 4 });
  assert.deepEqual(rows(processor), [
    { service: "a", window_start: 0, window_end: 1000, count: 1, sum: 2 },
    { service: "b", window_start: 0, window_end: 1000, count: 1, sum: 1 },
    { service: "a", window_start: 1000, window_end: 2000, count: 1, sum: 4 },
  ]);
});

test("push accepts any iterable of events", () => {
  const processor = new StreamProcessor(KEYED);
  processor.push(new Set([{ ts: 1, service: "a", latency: 1 }, { ts: 2, service: "a", latency: 2 }]));
  processor.push([]);
  assert.equal(rows(processor)[0].sum, 3);
});

test("a timestamp may be a Number in its unit, text or a Date", () => {
  for (const [unit, time] of [["s", 1.25], ["ms", 1250], ["us", 1250000], ["ns", 1.25e9]]) {
    const processor = new StreamProcessor(pipeline({ timestamp: "at", timestamp_unit: unit }, ["count"]));
    processor.push([{ at: time }, { at: "1970-01-01T00:00:01.250001Z" }, { at: new Date(1250) }]);
    assert.equal(processor.watermark, 1250);
    assert.deepEqual(rows(processor), [{ window_start: 1000, window_end: 2000, count: 3 }]);
  }
});

test("keys keep their type, and several fields make one key", () => {
  const processor = new StreamProcessor(pipeline({ key: ["tenant", "id"] }, ["count"]));
  const keys = [["x", 1], ["x", "1"], ["x", true], ["x", 1], ["__proto__", ""]];
  processor.push(keys.map(([tenant, id]) => ({ ts: 0, tenant, id })));
  processor.pushColumns({ timestamps: [1, 2], keys: [["x", 1], ["y", -0]] });
  const found = rows(processor).map(({ tenant, id, count }) => [tenant, id, count]);
  assert.deepEqual(found, [["__proto__", "", 1], ["x", true, 1], ["x", 1, 3], ["x", "1", 1], ["y", 0, 1]]);
});

test("a field may have any name, also one of Object.prototype", () => {
  const processor = new StreamProcessor(pipeline({ key: "__proto__" }, ["count"]));
  processor.push(JSON.parse('{"ts": 0, "__proto__": "k"}'));
  assert.deepEqual(Object.entries(rows(processor)[0])[0], ["__proto__", "k"]);
});

test("columns, keys by a dictionary, objects and text give the same bytes", () => {
  const events = Array.from({ length: 5000 }, (_, n) => ({ ts: n * 7.5, service: `s${(n * n) % 50}`, latency: n / 3 }));
  const names = Array.from({ length: 50 }, (_, n) => `s${n}`);
  const column = (name) => Float64Array.from(events, (event) => event[name]);
  const columns = { timestamps: column("ts"), columns: { latency: column("latency") } };
  const ways = {
    objects: (processor) => processor.push(events),
    keys: (processor) => processor.pushColumns({ ...columns, keys: events.map(({ service }) => service) }),
    dictionary: (processor) => {
      const ids = Uint32Array.from(events, ({ service }) => names.indexOf(service));
      processor.pushColumns({ ...columns, keys: { ids, dictionary: names } });
    },
    text: (processor) => processor.pushNdjson(events.map((event) => JSON.stringify(event)).join("\n")),
    mixed: (processor) => {
      for (let n = 0; n < events.length; n += 1000) {
        processor.push(events.slice(n, n + 500));
        const text = events.slice(n + 500, n + 1000).map((event) => `${JSON.stringify(event)}\n`);
        processor.pushNdjson(text.join(""));
      }
    },
  };
  const outputs = Object.values(ways).map((push) => {
    const processor = new StreamProcessor({ ...KEYED, limits: { max_dictionary_keys: 7 } });
    push(processor);
    processor.finish();
    return Buffer.from(processor.drainNdjson()).toString();
  });
  assert.ok(outputs[0].length > 10_000);
  for (const output of outputs) assert.equal(output, outputs[0]);
});

test("the caller's dictionary may grow and be replaced", () => {
  const processor = new StreamProcessor(pipeline({ key: "k" }, ["count"]));
  const dictionary = ["a"];
  processor.pushColumns({ timestamps: [0], keys: { ids: Uint32Array.of(0), dictionary } });
  dictionary.push("b");
  processor.pushColumns({ timestamps: [0], keys: { ids: Uint32Array.of(1), dictionary } });
  processor.pushColumns({ timestamps: [0], keys: { ids: Uint32Array.of(0), dictionary: ["b"] } });
  assert.deepEqual(rows(processor).map(({ k, count }) => [k, count]), [["a", 1], ["b", 2]]);
});

test("missing numbers are null in rows", () => {
  const sum = { op: "sum", field: "bytes" };
  const processor = new StreamProcessor(pipeline({ value: "v" }, ["count", sum]));
  processor.push([{ ts: 0, v: 1, bytes: null }, { ts: 1, v: 2 }]);
  processor.pushColumns({ timestamps: [2], columns: { v: [3] } });
  assert.deepEqual(rows(processor), [{ window_start: 0, window_end: 1000, count: 3, sum_bytes: null }]);
});

test("rejected events of columns are counted", () => {
  const processor = new StreamProcessor(KEYED);
  const latency = [1, Number.NaN, Number.POSITIVE_INFINITY, 1, 1];
  const timestamps = [0, 0, 0, Number.NaN, 9e15];
  processor.pushColumns({ timestamps, keys: ["a", "a", "a", "a", "a"], columns: { latency } });
  const { events, rejected, rejected_by_reason } = processor.stats();
  assert.deepEqual([events, rejected], [1, 4]);
  assert.deepEqual(rejected_by_reason.map(({ reason }) => reason).sort(), [
    "missing_field",
    "non_finite",
    "timestamp_out_of_range",
  ]);
});

test("watermark, tick and stats use milliseconds", () => {
  const processor = new StreamProcessor(KEYED);
  assert.equal(processor.watermark, null);
  assert.equal(processor.nextDeadline, null);
  processor.push({ ts: 100, service: "a", latency: 1 });
  assert.equal(processor.watermark, 99.999);
  processor.tick(Date.now());
  processor.tick(new Date());
  processor.advanceWatermark(1000);
  assert.equal(processor.stats().watermark, 1000);
  assert.equal(processor.drain().length, 1);
});

test("a pipeline that only passes events returns the pushed objects or the bytes of the text", () => {
  const filter = { type: "filter", where: [{ field: "v", op: ">", value: 1 }] };
  const pipeline = { source: { key: "k", value: "v" }, stages: [filter] };
  const events = [
    { ts: 1, k: "a", v: 2, more: { deep: [1] } },
    { ts: 2, k: "a", v: 1 },
    { ts: 3, k: "b" },
    { ts: 4, k: "b", v: 3 },
  ];
  const processor = new StreamProcessor(pipeline);
  processor.push(events);
  assert.throws(() => processor.snapshot(), { code: "rows_pending" });
  const drained = processor.drain();
  assert.equal(drained.length, 2);
  assert.equal(drained[0], events[0]);
  assert.equal(drained[1], events[3]);
  processor.pushNdjson('{"ts":5,"k":"a","v":2, "x":[ 1 ]}\n{"ts":6,"k":"a","v":0}\n{"ts":7,"k":"c","v":9}');
  processor.push({ ts: 8, k: "d", v: 4 });
  processor.finish();
  const lines = '{"ts":5,"k":"a","v":2, "x":[ 1 ]}\n{"ts":8,"k":"d","v":4}\n{"ts":7,"k":"c","v":9}\n';
  assert.equal(Buffer.from(processor.drainNdjson()).toString(), lines);
  const columns = new StreamProcessor(pipeline, { maxPendingRows: 1 });
  const batch = { timestamps: [1, 2.5], keys: ["a", "b"], columns: { v: [0, 2] } };
  columns.pushColumns(batch);
  assert.throws(() => columns.pushColumns(batch), { code: "results_full", consumed: 0 });
  assert.deepEqual(columns.drain(), [{ ts: 2.5, k: "b", v: 2 }]);
  const csv = new StreamProcessor({ ...pipeline, source: { ...pipeline.source, format: "csv" } });
  csv.pushCsv("ts,k,v,x\n1,a,2,\n2,b,1,y\n");
  assert.deepEqual(csv.drain(), [{ ts: 1, k: "a", v: 2, x: null }]);
});

test("calendar windows follow named zones across daylight saving changes", () => {
  const stage = { type: "window", window: "calendar", unit: "day", zone: "Europe/Berlin", aggregations: ["count"] };
  const processor = new StreamProcessor({ stages: [stage] });
  // One event per hour: the day on which summer time starts has 23, the day on which it ends 25.
  const hours = (from, count) => Array.from({ length: count }, (_, hour) => ({ ts: Date.parse(from) + hour * 3_600_000 }));
  processor.push(hours("2024-03-29T23:00:00Z", 72));
  processor.push(hours("2024-10-25T22:00:00Z", 73));
  processor.finish();
  const rows = processor.drain().map(({ window_start, count }) => [new Date(window_start).toISOString(), count]);
  assert.deepEqual(rows, [
    ["2024-03-29T23:00:00.000Z", 24],
    ["2024-03-30T23:00:00.000Z", 23],
    ["2024-03-31T22:00:00.000Z", 24],
    ["2024-04-01T22:00:00.000Z", 1],
    ["2024-10-25T22:00:00.000Z", 24],
    ["2024-10-26T22:00:00.000Z", 25],
    ["2024-10-27T23:00:00.000Z", 24],
  ]);
  const distant = new StreamProcessor({ stages: [stage] });
  distant.push(["1850-07-01", "2210-01-10", "2210-07-10", "9999-07-10"].map((day) => ({ ts: Date.parse(`${day}T12:00:00Z`) })));
  distant.finish();
  const starts = distant.drain().map(({ window_start }) => new Date(window_start).toISOString());
  assert.deepEqual(starts, [
    "1850-06-30T23:06:32.000Z", // local mean time
    "2210-01-09T23:00:00.000Z",
    "2210-07-09T22:00:00.000Z",
    "9999-07-09T22:00:00.000Z",
  ]);
  const nowhere = { stages: [{ ...stage, zone: "Europe/Berlim" }] };
  assert.throws(() => new StreamProcessor(nowhere), { code: "invalid_pipeline", field: "stages[0].zone" });
});

test("objects, columns and text have the same identities", () => {
  const dedup = { type: "dedup", strategies: ["id", ["k", "v"], "@content"] };
  const pipeline = { source: { key: "k", value: "v" }, stages: [dedup] };
  const processor = new StreamProcessor(pipeline);
  processor.push([
    { ts: 1, k: "a", v: 1, id: "x" },
    { ts: 2, k: "b", v: 2, id: "x" },
    { ts: 3, k: "a", v: 1 },
    { ts: 4, k: "a", v: 1 },
  ]);
  processor.pushColumns({ timestamps: [5, 6], keys: ["a", "c"], columns: { v: [1, 3] } });
  processor.pushNdjson('{"v":3.0,"ts":7,"k":"c"}\n{"ts":8,"k":"d","v":1,"id":"y"}\n');
  assert.deepEqual(processor.drain().map(({ ts }) => ts), [1, 3, 6, 8]);
  assert.equal(processor.stats().duplicates, 4);
});

test("column events have their times in identities and passed events, in either unit", () => {
  const deduplicated = { source: { value: "v" }, stages: [{ type: "dedup", strategies: ["@content"], ttl: "1m" }] };
  for (const timestamps of [Float64Array.of(1, 2, 1), BigInt64Array.of(1000n, 2000n, 1000n)]) {
    const processor = new StreamProcessor(deduplicated);
    processor.pushColumns({ timestamps, columns: { v: [7, 7, 7] } });
    processor.push({ ts: 2, v: 7 });
    assert.deepEqual(processor.drain(), [{ ts: 1, v: 7 }, { ts: 2, v: 7 }]);
  }
});

test("a partition holds back the watermark until it is idle", () => {
  const source = { value: "v", partition: "p" };
  const time = { idle_timeout: "5s" };
  const stages = [{ type: "window", window: "tumbling", size: "1s", aggregations: ["count"] }];
  const processor = new StreamProcessor({ source, time, stages });
  processor.tick(0);
  processor.push([{ ts: 100, v: 1, p: "one" }, { ts: 200, v: 1, p: 2 }]);
  processor.pushColumns({ timestamps: [5000], partitions: ["one"], columns: { v: [1] } });
  assert.deepEqual(processor.drain(), [], "partition 2 is still in the first second");
  processor.tick(1000);
  processor.push({ ts: 6000, v: 1, p: "one" });
  assert.equal(processor.nextDeadline, 5000);
  processor.tick(5000);
  assert.deepEqual(processor.drain().map(({ window_start, count }) => [window_start, count]), [[0, 2], [5000, 1]]);
  assert.deepEqual(processor.stats().partitions, [
    { partition: "2", greatest_time: 200, watermark: 199.999, idle: true, holds_back: false },
    { partition: "one", greatest_time: 6000, watermark: 5999.999, idle: false, holds_back: true },
  ]);
  assert.throws(() => processor.pushColumns({ timestamps: [1], columns: { v: [1] } }), { code: "partitions_mismatch" });
  const rejected = [];
  const picky = new StreamProcessor({ source, time, stages }, { onReject: ({ field }) => rejected.push(field) });
  picky.push([{ ts: 1, v: 1 }, { ts: 1, v: 1, p: null }, { ts: 1, v: 1, p: "one" }]);
  assert.deepEqual(rejected, ["p", "p"]);
});

test("text fields work in objects, columns and text", () => {
  const stages = [
    { type: "filter", where: [{ field: "page", op: "!=", value: "/health" }] },
    { type: "key_by", fields: ["region", "service"] },
    { type: "window", window: "global", aggregations: ["count", { op: "distinct", field: "user" }] },
  ];
  const processor = new StreamProcessor({ source: { key: "service", value: "v" }, stages });
  processor.push([
    { ts: 1, v: 1, service: "a", region: "eu", page: "/", user: "ann" },
    { ts: 2, v: 1, service: "a", region: "eu", page: "/health", user: "bob" },
    { ts: 3, v: 1, service: "a", region: 1, page: "/x", user: null },
    { ts: 4, v: 1, service: "a", page: "/x" },
    { ts: 5, v: 1, service: "a", region: "eu", page: "/", user: ["ann"] },
    { ts: 6, v: 1, service: "a", region: "eu", page: "/", user: "\ud800" },
  ]);
  processor.pushColumns({
    timestamps: [7, 8, 9],
    keys: [["a", "eu"], ["a", "eu"], ["a", "eu"]],
    columns: { v: [1, 1, 1], page: ["/", "/health", "/"], user: ["bob", "eve", 7] },
  });
  processor.pushColumns({ timestamps: [10], keys: [["a", "eu"]], columns: { v: [1], page: [null] } });
  processor.pushNdjson('{"ts":11,"v":1,"service":"a","region":"eu","page":"/","user":"\\u0061nn"}\n');
  processor.pushNdjson('{"ts":12,"v":1,"service":"a","region":"eu","page":"/","user":7.0}\n');
  const texts = { timestamps: [1], keys: [["a", "eu"]], columns: { v: [1], page: [{}] } };
  assert.throws(() => processor.pushColumns(texts), { code: "invalid_event", field: "page", index: 0 });
  const reasons = processor.stats().rejected_by_reason;
  assert.deepEqual(reasons, [{ reason: "missing_field", count: 1 }, { reason: "wrong_type", count: 2 }]);
  const none = { window_start: null, window_end: null };
  assert.deepEqual(rows(processor), [
    { region: 1, service: "a", ...none, count: 1, distinct_user: 0 },
    { region: "eu", service: "a", ...none, count: 5, distinct_user: 3 },
  ]);
});

test("rows have the right keys, repeated or new", () => {
  const pipeline = {
    source: { key: ["region", "host"], value: "v" },
    stages: [{ type: "window", window: "tumbling", size: "1s", aggregations: ["sum"] }],
  };
  const hosts = [["a", "b"], ["a", "b"], ["a", "c"], ["a"], ["a"], ["b", "a"], ["a", "b"]];
  const processor = new StreamProcessor(pipeline);
  const found = hosts.map((names, second) => {
    names.forEach((host, v) => processor.push([{ ts: second * 1000, region: second % 2 === 0 ? "eu" : 7, host, v }]));
    processor.advanceWatermark((second + 1) * 1000);
    return processor.drain().map(({ region, host }) => [region, host]);
  });
  const expected = hosts.map((names, second) => [...names].sort().map((host) => [second % 2 === 0 ? "eu" : 7, host]));
  assert.deepEqual(found, expected);
  // Repeated keys, which the module sends only once.
  const same = new StreamProcessor(pipeline);
  for (const ts of [0, 1000, 2000]) {
    same.push(["a", "b"].map((host) => ({ ts, region: "eu", host, v: ts })));
    same.advanceWatermark(ts + 1000);
    assert.deepEqual(same.drain().map(({ region, host, sum }) => [region, host, sum]), [["eu", "a", ts], ["eu", "b", ts]]);
  }
});

test("rows have the right keys after the key dictionary starts over", () => {
  const processor = new StreamProcessor({
    source: { key: "id", value: "v" },
    stages: [{ type: "window", window: "tumbling", size: "1s", aggregations: ["sum"] }],
  });
  // The module restarts its key dictionary at 65,536 keys.
  const sizes = [40_000, 10, 70_000, 3, 40_000];
  sizes.forEach((size, second) => {
    const keys = Array.from({ length: size }, (_, place) => second * 30_000 + place);
    const timestamps = Float64Array.from(keys, () => second * 1000);
    processor.pushColumns({ timestamps, keys, columns: { v: Float64Array.from(keys) } });
    processor.advanceWatermark((second + 1) * 1000);
    const rows = processor.drain();
    assert.equal(rows.length, size);
    assert.ok(rows.every(({ id, sum }) => id === sum));
    assert.equal(new Set(rows.map(({ id }) => id)).size, size);
  });
});

/** Converts rows as columns to objects. */
function objectsOf({ rows, keys, columns }, fields, bools = []) {
  return Array.from({ length: rows }, (_, row) => {
    const key = keys?.dictionary[keys.ids[row]];
    const values = Object.entries(columns).map(([name, column]) => {
      assert.equal(column.length, rows);
      return [name, bools.includes(name) ? column[row] === 1 : Number.isNaN(column[row]) ? null : column[row]];
    });
    return Object.fromEntries([...fields.map((name, at) => [name, fields.length > 1 ? key[at] : key]), ...values]);
  });
}

function columnsOf(processor, fields, bools) {
  const rows = [];
  for (let chunk = processor.drainColumns(); chunk !== undefined; chunk = processor.drainColumns()) {
    rows.push(...objectsOf(chunk, fields, bools));
  }
  return rows;
}

test("drainColumns returns the rows of drain", () => {
  const stages = [{ type: "window", window: "session", gap: "1s", allowed_lateness: "1m", aggregations: ["count", "stddev"] }];
  for (const key of [undefined, "host", ["region", "host"]]) {
    const fields = key === undefined ? [] : [key].flat();
    const [asObjects, asColumns] = [0, 1].map(() => new StreamProcessor({ source: { key, value: "v" }, stages }));
    const [expected, found] = [[], []];
    for (let n = 0; n < 400; n += 1) {
      const event = { ts: (n * 7919) % 90_000, region: n % 3 === 0 ? 5 : "eu", host: `h${n % 7}`, v: n };
      asObjects.push(event);
      asColumns.push(event);
      if (n % 50 === 0) expected.push(...asObjects.drain());
      // Alternate between objects and columns: both share the keys.
      if (n % 50 === 0) found.push(...(n % 100 === 0 ? asColumns.drain() : columnsOf(asColumns, fields, ["retracted"])));
    }
    asObjects.finish();
    asColumns.finish();
    expected.push(...asObjects.drain());
    found.push(...columnsOf(asColumns, fields, ["retracted"]));
    assert.ok(expected.length > 100 && expected.some(({ stddev }) => stddev === null));
    assert.deepEqual(found, expected);
    assert.equal(asColumns.drainColumns(), undefined);
  }
});

test("drained columns can be pushed to another processor, also after their dictionary starts over", () => {
  const source = { key: "id", value: "v" };
  const window = (size) => ({ type: "window", window: "tumbling", size, aggregations: ["sum"] });
  const first = new StreamProcessor({ source, stages: [window("1s")] });
  const second = new StreamProcessor({ source, stages: [window("1m")] });
  const dictionaries = new Set();
  const held = [];
  [40_000, 10, 70_000, 3].forEach((size, at) => {
    const keys = Array.from({ length: size }, (_, place) => `${at % 2} ${place}`);
    first.pushColumns({ timestamps: Float64Array.from(keys, () => at * 1000), keys, columns: { v: Float64Array.from(keys, (_, v) => v) } });
    first.advanceWatermark((at + 1) * 1000);
    for (let chunk = first.drainColumns(); chunk !== undefined; chunk = first.drainColumns()) {
      const { keys: ids, columns: { window_start: timestamps, sum: v } } = chunk;
      second.pushColumns({ timestamps, keys: ids, columns: { v } });
      dictionaries.add(ids.dictionary);
      held.push([ids, Array.from(ids.ids, (id) => ids.dictionary[id])]);
    }
  });
  // Columns that were drained before stay unchanged.
  for (const [{ ids, dictionary }, names] of held) assert.deepEqual(Array.from(ids, (id) => dictionary[id]), names);
  assert.equal(dictionaries.size, 2);
  second.finish();
  const rows = second.drain();
  assert.equal(rows.length, 70_000 + 10);
  // Key "0 7" is in the first and third batch, "1 7" in the second.
  assert.deepEqual(rows.filter(({ id }) => id.endsWith(" 7")).map(({ id, sum }) => [id, sum]), [["0 7", 14], ["1 7", 7]]);
});

test("drainColumns throws for pipelines that pass events", () => {
  const processor = new StreamProcessor({ stages: [{ type: "dedup", strategies: ["id"], ttl: "1m" }] });
  assert.throws(() => processor.drainColumns(), { code: "no_columns" });
});
