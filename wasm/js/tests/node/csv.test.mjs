/** CSV with malformed quotes, in pieces of every length. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init, StreamProcessor } from "stream-processor";

before(() => init());

const PIPELINE = {
  source: { value: "v", format: "csv" },
  stages: [{ type: "window", window: "tumbling", size: "10s", aggregations: ["count", "sum"] }],
};

test("an unclosed quote rejects its line but not the following lines", () => {
  const text = 'ts,v,note\n1000,1,ok\n2000,2,"unclosed\n3000,5,fine\n';
  for (const length of [1, 7, text.length]) {
    const processor = new StreamProcessor(PIPELINE);
    for (let at = 0; at < text.length; at += length) processor.pushCsv(text.slice(at, at + length));
    processor.finish();
    const [row] = processor.drain();
    assert.deepEqual([row.count, row.sum], [2, 6]);
    const { events, rejected, rejected_by_reason } = processor.stats();
    assert.deepEqual([events, rejected], [2, 1]);
    assert.deepEqual(rejected_by_reason, [{ reason: "invalid_csv", count: 1 }]);
    processor.dispose();
  }
});

test("text after a closing quote rejects the line", () => {
  const processor = new StreamProcessor(PIPELINE);
  processor.pushCsv('ts,v,note\n1000,1,"a"b\n2000,"2"2,\n3000,3,"c"\n');
  assert.deepEqual(processor.stats().rejected_by_reason, [{ reason: "invalid_csv", count: 2 }]);
  assert.equal(processor.stats().events, 1);
  processor.dispose();
});

test("a malformed quote in the header throws an error that names it", () => {
  const processor = new StreamProcessor(PIPELINE);
  assert.throws(() => processor.pushCsv('ts,"v"alue,note\n1,2,3\n'), {
    name: "StreamProcessorError",
    code: "invalid_header",
    message: /text follows the quoted field at byte 4/,
  });
  processor.dispose();
});

test("events a ttl behind the watermark are counted as unjudged", () => {
  for (const [on_unjudged, passed] of [["pass", 3], ["drop", 2]]) {
    const dedup = { type: "dedup", strategies: ["id"], ttl: "30d", on_unjudged };
    const processor = new StreamProcessor({ stages: [dedup] });
    const events = [["2024-01-01", "a"], ["2024-06-01", "b"], ["2024-01-02", "a"]];
    processor.push(events.map(([ts, id]) => ({ ts, id })));
    assert.equal(processor.drain().length, passed);
    const stats = processor.stats();
    assert.deepEqual([stats.unjudged, stats.stages[0].unjudged, stats.duplicates], [1, 1, 0]);
    processor.dispose();
  }
});
