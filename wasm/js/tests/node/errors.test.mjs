/** Every error has a code and names the field and the allowed values. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init, StreamProcessor, StreamProcessorError } from "stream-processor";

before(() => init());

const WINDOW = { type: "window", window: "tumbling", size: "1s", aggregations: ["sum"] };
const PIPELINE = { source: { key: "service", value: "latency" }, stages: [WINDOW] };

/** Asserts that `call` throws an error with these details and this message. */
function fails(call, code, words, details = {}) {
  assert.throws(call, (error) => {
    assert.ok(error instanceof StreamProcessorError, String(error));
    assert.equal(error.code, code);
    for (const word of words) assert.ok(error.message.includes(word), error.message);
    for (const [name, value] of Object.entries(details)) assert.equal(error[name], value, name);
    return true;
  });
}

test("an invalid pipeline error has the field's path and the allowed values", () => {
  const wrong = { ...PIPELINE, stages: [{ ...WINDOW, sise: "1s" }] };
  fails(() => new StreamProcessor(wrong), "invalid_pipeline", ["sise", "size"], { field: "stages[0].sise" });
  fails(() => new StreamProcessor({}), "invalid_pipeline", ["stages"]);
  fails(() => new StreamProcessor(undefined), "invalid_pipeline", []);
});

test("an event that does not fit is rejected with a reason; the call's other events are processed", () => {
  const good = { ts: 0, service: "a", latency: 1 };
  const wrongs = [
    [{ ...good, latency: "12" }, "latency", "wrong_type", ["event 1", "finite number", 'the text "12"']],
    [{ ...good, latency: undefined }, "latency", "missing_field", ["missing"]],
    [{ ...good, latency: Number.NaN }, "latency", "missing_field", ["NaN"]],
    [{ ...good, latency: Number.POSITIVE_INFINITY }, "latency", "non_finite", ["Infinity"]],
    [{ ...good, service: null }, "service", "missing_field", ["null", "a boolean"]],
    [{ ...good, service: { a: 1 } }, "service", "wrong_type", ["an object"]],
    [{ ...good, service: Number.NaN }, "service", "non_finite", ["NaN"]],
    [{ ...good, service: "\ud800" }, "service", "wrong_type", ["text"]],
    [{ ...good, ts: "yesterday" }, "ts", "invalid_timestamp", ["RFC 3339", "yesterday"]],
    [{ ...good, ts: "2024-01-01\n" }, "ts", "invalid_timestamp", ["RFC 3339"]],
    [{ ...good, ts: 9e15 }, "ts", "timestamp_out_of_range", ["275760"]],
    [{ ...good, ts: new Date(Number.NaN) }, "ts", "invalid_timestamp", ["an object"]],
    [{ ...good, ts: 5n }, "ts", "wrong_type", ["a bigint"]],
    [{ latency: 1, service: "a" }, "ts", "missing_field", ["missing"]],
    [{ ts: true, service: null, latency: "1" }, "ts", "wrong_type", ["true"]],
  ];
  const rejections = [];
  const processor = new StreamProcessor(PIPELINE, { onReject: (rejection) => rejections.push(rejection) });
  for (const [wrong, field, reason, words] of wrongs) {
    processor.push([good, wrong, good]);
    const rejection = rejections.pop();
    assert.equal(rejections.length, 0);
    assert.equal(rejection.event, wrong);
    assert.deepEqual([rejection.index, rejection.field, rejection.reason], [1, field, reason]);
    for (const word of words) assert.ok(rejection.message.includes(word), rejection.message);
  }
  const { events, rejected, rejected_by_reason } = processor.stats();
  assert.deepEqual([events, rejected], [2 * wrongs.length, wrongs.length]);
  const count = (wanted) => wrongs.filter(([, , reason]) => reason === wanted).length;
  for (const { reason, count: counted } of rejected_by_reason) assert.equal(counted, count(reason), reason);
});

test("a key id beyond the dictionary is an error at any position", () => {
  const processor = new StreamProcessor(PIPELINE);
  const events = 40_000;
  const ids = new Uint32Array(events);
  ids[35_000] = 1;
  const batch = { timestamps: new Float64Array(events), keys: { ids, dictionary: ["a"] }, columns: { latency: new Float64Array(events) } };
  fails(() => processor.pushColumns(batch), "unknown_key_id", ["key 1 of event 35000", "1 keys"]);
});

test("an event that is not an object throws", () => {
  const processor = new StreamProcessor(PIPELINE);
  const good = { ts: 0, service: "a", latency: 1 };
  fails(() => processor.push([good, 7]), "invalid_event", ["event 1", "an object", "7"], { index: 1 });
  assert.equal(processor.stats().events, 0);
});

test("an error about a malformed column names the column", () => {
  const processor = new StreamProcessor(PIPELINE);
  const batch = { timestamps: [1, 2], keys: ["a", "b"], columns: { latency: [1, 2] } };
  const wrongs = [
    [{ ...batch, columns: { latency: [1] } }, "column_length", ["latency", "1 entries", "2 events"]],
    [{ ...batch, columns: {} }, "column_count", ["latency", "missing"]],
    [{ ...batch, columns: { latency: [1, 2], bytes: [1, 2] } }, "column_count", ["bytes", "latency"]],
    [{ ...batch, keys: ["a"] }, "column_length", ["keys"]],
    [{ ...batch, keys: undefined }, "keys_mismatch", ["service"]],
    [{ ...batch, keys: { ids: Uint32Array.of(0, 1), dictionary: ["a"] } }, "unknown_key_id", ["event 1"]],
  ];
  for (const [wrong, code, words] of wrongs) fails(() => processor.pushColumns(wrong), code, words);
  const unkeyed = new StreamProcessor({ source: { value: "latency" }, stages: [WINDOW] });
  fails(() => unkeyed.pushColumns(batch), "keys_mismatch", ["keys"]);
});

test("text of the wrong type or format throws", () => {
  const processor = new StreamProcessor(PIPELINE);
  fails(() => processor.pushNdjson(7), "invalid_text", ["Uint8Array", "7"]);
  fails(() => processor.pushCsv("a,b\n"), "wrong_format", ["ndjson", "csv"]);
  const csv = new StreamProcessor({ ...PIPELINE, source: { ...PIPELINE.source, format: "csv" } });
  fails(() => csv.pushCsv("ts,service,latenzy\n1,a,2\n"), "invalid_header", ["latency", "latenzy"]);
});

test("an invalid time throws", () => {
  const processor = new StreamProcessor(PIPELINE);
  fails(() => processor.tick(Number.NaN), "invalid_time", ["tick"]);
  fails(() => processor.advanceWatermark(1e17), "invalid_time", ["advanceWatermark"]);
});

test("events after finish throw", () => {
  const processor = new StreamProcessor(PIPELINE);
  processor.finish();
  processor.finish();
  fails(() => processor.push({ ts: 0, service: "a", latency: 1 }), "finished", ["finished"]);
});

test("using a disposed processor throws disposed", () => {
  const processor = new StreamProcessor(PIPELINE);
  processor.dispose();
  processor.dispose();
  fails(() => processor.finish(), "disposed", ["disposed"]);
  fails(() => processor.drain(), "disposed", ["disposed"]);
});

test("a refusing limit stops the call before the event, and the caller can continue", () => {
  const limits = { max_keys: 2, on_max_keys: "refuse" };
  const event = (ts, service) => ({ ts, service, latency: 1 });
  const events = [event(0, "a"), event(1, "b"), { ts: 2 }, event(3, "c"), event(4, "a")];
  const words = ["stages[0]", "limits.max_keys = 2", "on_max_keys"];
  const processor = new StreamProcessor({ ...PIPELINE, limits });
  fails(() => processor.push(events), "limit_reached", words, { limit: "max_keys", consumed: 3 });
  assert.equal(processor.stats().events, 2);
  assert.equal(processor.stats().rejected, 1);
  processor.push(events.slice(4));
  const snapshot = processor.snapshot();
  processor.finish();
  assert.deepEqual(processor.stats().limits_struck, ["key_limit"]);
  assert.deepEqual(processor.drain().map((row) => [row.service, row.sum]), [["a", 2], ["b", 1]]);
  // With a higher limit the stream continues from there.
  const roomier = StreamProcessor.restore({ ...PIPELINE, limits: { ...limits, max_keys: 3 } }, snapshot);
  roomier.push(event(5, "c"));
  roomier.finish();
  assert.equal(roomier.drain().length, 3);

  const columns = new StreamProcessor({ ...PIPELINE, limits });
  const batch = { timestamps: [0, 1, 2], keys: ["a", "b", "c"], columns: { latency: [1, 2, 3] } };
  fails(() => columns.pushColumns(batch), "limit_reached", words, { consumed: 2 });
});

test("text continues after the line that a limit refused", () => {
  const limits = { max_state_bytes: 900, on_max_state_bytes: "refuse" };
  const lines = ["a", "b", "c", "a"].map((service, ts) => `${JSON.stringify({ ts, service, latency: 1 })}\n`);
  const processor = new StreamProcessor({ ...PIPELINE, limits });
  const text = lines.join("");
  const details = { limit: "max_state_bytes", consumed: text.length };
  fails(() => processor.pushNdjson(text), "limit_reached", ["limits.max_state_bytes = 900"], details);
  processor.finish();
  const { events, rejected, rejected_by_reason: reasons, state_bytes: bytes } = processor.stats();
  assert.deepEqual([events, rejected, bytes], [3, 1, 0]);
  assert.deepEqual(reasons, [{ reason: "state_limit", count: 1 }]);
  assert.deepEqual(processor.drain().map((row) => row.sum), [2, 1]);
});
