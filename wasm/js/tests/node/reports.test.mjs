/** Dropped events and rejected lines are reported with what is known about them. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init, StreamProcessor } from "stream-processor";

before(() => init());

const WINDOW = { type: "window", window: "tumbling", size: "1s", aggregations: ["count"] };
const PIPELINE = { source: { key: "k", value: "v" }, stages: [WINDOW] };
const EVENTS = [{ ts: 100, k: "a", v: 1 }, { ts: 2500, k: "a", v: 2 }, { ts: 1, k: "late", v: 3 }, { ts: 2600, k: "a", v: 4 }];
const LATE = { reason: "late", stage: 0, ordinal: 2, watermark: 2499.999, windowEnd: 1000 };

function processorWith(pipeline = PIPELINE) {
  const [drops, rejections] = [[], []];
  const options = { onDrop: (drop) => drops.push(drop), onReject: (rejection) => rejections.push(rejection) };
  return { processor: new StreamProcessor(pipeline, options), drops, rejections };
}

test("a late event is reported with its event, however it was pushed", () => {
  const column = (name) => EVENTS.map((event) => event[name]);
  const ways = {
    array: [(p) => p.push(EVENTS), { event: EVENTS[2] }],
    "one by one": [(p) => EVENTS.forEach((event) => p.push(event)), { event: EVENTS[2] }],
    columns: [(p) => p.pushColumns({ timestamps: column("ts"), keys: column("k"), columns: { v: column("v") } }), { event: EVENTS[2] }],
    text: [(p) => p.pushNdjson(EVENTS.map((event) => `${JSON.stringify(event)}\n`).join("")), { line: 3, text: JSON.stringify(EVENTS[2]) }],
  };
  for (const [name, [push, found]] of Object.entries(ways)) {
    const { processor, drops } = processorWith();
    push(processor);
    processor.finish();
    assert.deepEqual(drops, [{ ...LATE, ...found }], name);
    assert.equal(processor.stats().late_dropped, 1);
  }
});

test("drops have the reasons of limits, duplicates and times in the future", () => {
  const stages = [{ type: "dedup", strategies: ["id"], ttl: "1h" }, WINDOW];
  const { processor, drops } = processorWith({
    source: { key: "k" },
    time: { max_future_skew: "1m" },
    stages,
    limits: { max_keys: 1 },
  });
  processor.tick(0);
  processor.push([{ ts: 1, k: "a", id: 1 }, { ts: 2, k: "a", id: 1 }, { ts: 3, k: "b", id: 2 }, { ts: 1e9, k: "a", id: 3 }]);
  const found = drops.map(({ reason, stage, event }) => [reason, stage, event.id]).sort();
  assert.deepEqual(found, [["duplicate", 0, 1], ["future", null, 3], ["key_limit", 1, 2]]);
});

test("a row that a later stage drops is reported without an event", () => {
  const count = { type: "window", window: "tumbling", size: "1s", aggregations: [{ op: "count", name: "n" }] };
  const { processor, drops } = processorWith({
    source: { key: "k" },
    stages: [count, { type: "window", window: "session", gap: "1s", aggregations: ["count"], allowed_lateness: "1h" }],
    limits: { max_windows_per_key: 1 },
  });
  processor.push([{ ts: 1, k: "a" }, { ts: 3_000, k: "a" }, { ts: 6_000, k: "a" }]);
  processor.finish();
  assert.deepEqual(drops.map(({ reason, stage, ordinal }) => [reason, stage, ordinal]), [["window_limit", 0, 1], ["window_limit", 1, null]]);
  assert.deepEqual(drops.map((drop) => "event" in drop), [true, false]);
});

test("a full list of drops does not stop the stream", () => {
  const { processor, drops } = processorWith({ ...PIPELINE, limits: { max_dropped_events: 2 } });
  const late = Array.from({ length: 3_000 }, (_, n) => ({ ts: n % 500, k: "a", v: 1 }));
  processor.push(EVENTS);
  processor.push(late);
  for (const event of late) processor.push(event);
  processor.pushNdjson(late.map((event) => JSON.stringify(event)).join("\n"));
  processor.finish();
  assert.equal(drops.length, 1 + 3 * late.length);
  assert.equal(processor.stats().late_dropped, drops.length);
  assert.deepEqual(drops.slice(1, 3_001).map(({ event }) => event), late);
  assert.ok(drops.slice(3_001, 6_001).every(({ event }, n) => event === late[n]));
  assert.ok(drops.slice(6_001).every(({ text }, n) => text === JSON.stringify(late[n])));
});

test("rejected lines are reported with number, text and the message of the program", () => {
  const lines = ['{"ts": 1, "k": "a", "v": 1}', "", "[1]", '{"ts": "soon", "k": "a", "v": 1}', '{"ts": 1, "k": "a", "v": "x"}', "{"];
  const { processor, rejections } = processorWith();
  for (const letter of lines.slice(0, 3).join("\n")) processor.pushNdjson(letter);
  processor.pushNdjson(`\n${lines.slice(3).join("\n")}`);
  processor.finish();
  assert.deepEqual(
    rejections.map(({ line, text, reason, field, message }) => [line, text, reason, field, message]),
    [
      [2, lines[1], "invalid_json", undefined, "the line is blank"],
      [3, lines[2], "not_an_object", undefined, "the line is JSON, but not an object"],
      [4, lines[3], "invalid_timestamp", "ts", 'field "ts": expected an RFC 3339 time such as 2024-01-31T12:00:00Z (in the program, timestamp_format reads other forms, timestamp_zone local times), found the string "soon"'],
      [5, lines[4], "wrong_type", "v", 'field "v": expected a number, found the string "x"'],
      [6, lines[5], "invalid_json", undefined, "byte 2: expected a field name in quotes, found the end of the line"],
    ],
  );
});

test("rejected lines of CSV, bytes that are not UTF-8, and lines that are too long", () => {
  const csv = { ...PIPELINE, source: { ...PIPELINE.source, format: "csv" }, limits: { max_line_bytes: 20 } };
  const { processor, rejections } = processorWith(csv);
  processor.pushCsv("ts,k,v\n1,a\n");
  processor.pushCsv(Uint8Array.of(49, 44, 255, 44, 49, 10));
  processor.pushCsv(`1,${"b".repeat(40)},1\n`);
  processor.finish();
  assert.deepEqual(rejections.map(({ line, reason, text }) => [line, reason, text]).slice(0, 2), [
    [2, "wrong_column_count", "1,a"],
    [3, "invalid_utf8", "1,\ufffd,1"],
  ]);
  assert.deepEqual([rejections[2].line, rejections[2].reason, rejections.length], [4, "line_too_long", 3]);
});

test("a line that a limit refuses is reported, and the others are processed", () => {
  const { processor, drops } = processorWith({ ...PIPELINE, limits: { max_keys: 1, on_max_keys: "refuse" } });
  const lines = EVENTS.map((event, n) => `${JSON.stringify({ ...event, ts: 3_000 + n })}\n`);
  for (let rest = lines.join(""); ; rest = "") {
    try {
      processor.pushNdjson(rest);
      processor.finish();
      break;
    } catch (error) {
      assert.equal(error.code, "limit_reached");
    }
  }
  assert.deepEqual(drops.map(({ reason, line, text, ordinal }) => [reason, line, `${text}\n`, ordinal]), [["key_limit", 3, lines[2], null]]);
  assert.equal(processor.drain()[0].count, 3);
});

test("reports that wait are delivered after an error of a callback", () => {
  const own = new Error("my own");
  let calls = 0;
  const processor = new StreamProcessor(PIPELINE, {
    onReject: () => {
      calls += 1;
      throw own;
    },
  });
  assert.throws(() => processor.pushNdjson("no\n"), (error) => error === own);
  assert.throws(() => processor.push([{}]), (error) => error === own);
  processor.push(EVENTS);
  assert.deepEqual([calls, processor.stats().events], [2, 4]);
});

test("stats tell the next window, the watermark and the partition that holds it", () => {
  const { processor } = processorWith({ source: { key: "k", partition: "p" }, stages: [{ ...WINDOW, size: "10s" }] });
  processor.push([{ ts: 1_000, k: "a", p: "slow" }, { ts: 9_000, k: "a", p: "fast" }, {}]);
  const { watermark, partitions, stages, rejected } = processor.stats();
  assert.deepEqual(partitions.filter(({ holds_back }) => holds_back).map(({ partition }) => partition), ["slow"]);
  const [{ open_windows, next_fire, watermark: own }] = stages;
  assert.deepEqual([open_windows, next_fire, own, rejected], [1, 9_999.999, watermark, 1]);
});
