/** Text may be split anywhere, also within a character; rows and characters do not change. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init, StreamProcessor } from "stream-processor";

before(() => init());

const COUNT = { type: "window", window: "tumbling", size: "1s", aggregations: ["count"] };
const NDJSON = { source: { key: "k" }, stages: [COUNT] };
const CSV = { source: { key: "k", format: "csv" }, stages: [COUNT] };
const HALF = "\ud83d";
const decoder = new TextDecoder();

/** Pushes `parts` one after another and returns the rows and the rejections. */
function pushed(pipeline, parts) {
  const processor = new StreamProcessor(pipeline);
  for (const part of parts) pipeline === CSV ? processor.pushCsv(part) : processor.pushNdjson(part);
  processor.finish();
  const rows = decoder.decode(processor.drainNdjson());
  const { events, rejected_by_reason: reasons } = processor.stats();
  processor.dispose();
  return { rows, events, reasons: Object.fromEntries(reasons.map(({ reason, count }) => [reason, count])) };
}

test("a string split at any place, also within a surrogate pair, gives the same rows", () => {
  const texts = [
    [NDJSON, '{"ts":1,"k":"😀a😀"}\n{"ts":2,"k":"é𝒳"}\n{"ts":3,"k":"😀"}'],
    [CSV, 'ts,k\n1,😀a😀\n2,"é\n𝒳"\n3,😀'],
  ];
  for (const [pipeline, text] of texts) {
    const whole = pushed(pipeline, [text]);
    assert.ok(whole.rows.includes("😀a😀") && whole.rows.includes("𝒳"));
    assert.deepEqual([whole.events, whole.reasons], [3, {}]);
    for (let cut = 0; cut <= text.length; cut += 1) {
      assert.deepEqual(pushed(pipeline, [text.slice(0, cut), text.slice(cut)]), whole, `cut at ${cut}`);
      assert.deepEqual(pushed(pipeline, [text.slice(0, cut), "", new Uint8Array(), "", text.slice(cut)]), whole, `cut at ${cut}`);
    }
    assert.deepEqual(pushed(pipeline, text.split("")), whole);
  }
});

test("a lone surrogate rejects its line at any position", () => {
  const good = '{"ts":1,"k":"a"}\n';
  const bad = `{"ts":1,"k":"${HALF}"}\n`;
  const cut = `{"ts":1,"k":"${HALF}`;
  const bytes = new TextEncoder();
  const cases = [
    [good, bad, good],
    [good + bad + good],
    [good, cut, '"}\n', good],
    [good, cut, HALF, '"}\n', good],
    // Bytes cannot complete a surrogate pair of a string.
    [good, cut, bytes.encode(`"}\n${good}`)],
    [good, '{"ts":1,"k":"\ude00"}\n', good],
    [good, '{"ts":1,"k":"', "\ude00", '"}\n', good],
    // The end of the stream leaves a surrogate unpaired too.
    [good, good, cut],
    [good, good, `{"ts":1,"k":"a"}${HALF}`],
  ];
  for (const [index, parts] of cases.entries()) {
    const { events, reasons, rows } = pushed(NDJSON, parts);
    assert.deepEqual([events, reasons], [2, { invalid_utf8: 1 }], `case ${index}`);
    assert.ok(!rows.includes("\ufffd"));
  }
  const { events, reasons } = pushed(CSV, ["ts,k\n1,a\n", `2,${HALF}`, "\n3,b\n"]);
  assert.deepEqual([events, reasons], [2, { invalid_utf8: 1 }]);
});

test("each processor keeps its own pending surrogate, which prevents a snapshot", () => {
  const [first, second] = [new StreamProcessor(NDJSON), new StreamProcessor(NDJSON)];
  first.pushNdjson(`{"ts":1,"k":"${HALF}`);
  second.pushNdjson('{"ts":1,"k":"');
  second.pushNdjson("b");
  second.pushNdjson('"}\n');
  assert.throws(() => first.snapshot(), { name: "StreamProcessorError", code: "line_pending" });
  first.pushNdjson('\ude00"}\n');
  const restored = StreamProcessor.restore(NDJSON, first.snapshot());
  for (const processor of [first, second, restored]) processor.finish();
  const keys = [first, second, restored].map((processor) => processor.drain().map(({ k }) => k));
  assert.deepEqual(keys, [["😀"], ["b"], ["😀"]]);
  // A pending surrogate alone is a partial line as well.
  const other = new StreamProcessor(NDJSON);
  other.pushNdjson(HALF);
  assert.throws(() => other.snapshot(), { code: "line_pending" });
});

test("consumed counts a pending surrogate as 3 bytes, and the caller can continue from it", () => {
  const filter = { type: "filter", where: [{ field: "v", op: ">", value: 0 }] };
  const pipeline = { source: { value: "v" }, stages: [filter] };
  const line = '{"ts":1,"v":1,"k":"😀"}\n';
  const processor = new StreamProcessor(pipeline, { maxPendingRows: 1 });
  const cut = line.indexOf("😀") + 1;
  processor.pushNdjson(line + line.slice(0, cut));
  // The call consumes nothing, and the surrogate of the previous call stays pending.
  assert.throws(() => processor.pushNdjson(line.slice(cut)), { code: "results_full", consumed: 0 });
  assert.equal(processor.drain().length, 1);
  processor.pushNdjson(line.slice(cut));
  assert.equal(decoder.decode(processor.drainNdjson()), line);

  const long = line.repeat(30_000);
  const refusing = new StreamProcessor(pipeline, { maxPendingRows: 1 });
  refusing.pushNdjson(`{"ts":1,"v":0,"k":"${HALF}`);
  const rest = `\ude00"}\n${long}`;
  let consumed;
  assert.throws(() => refusing.pushNdjson(rest), (error) => {
    consumed = error.consumed;
    return error.code === "results_full" && consumed > 100_000;
  });
  const passed = [refusing.drainNdjson()];
  const bytes = new TextEncoder().encode(rest).subarray(consumed);
  for (let from = 0; from < bytes.length; from += 1000) {
    refusing.pushNdjson(bytes.subarray(from, from + 1000));
    passed.push(refusing.drainNdjson());
  }
  refusing.finish();
  assert.equal(passed.map((part) => decoder.decode(part)).join(""), long);
  assert.equal(refusing.stats().rejected, 0);
});
