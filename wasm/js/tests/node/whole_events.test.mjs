/**
 * Pipelines that need whole events reject objects that JSON cannot express, with the reason that
 * their text would have. Each rejection is counted.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { identify, init, StreamProcessor, StreamProcessorError } from "stream-processor";

before(() => init());

const DEDUP = { source: { value: "v" }, stages: [{ type: "dedup", strategies: ["id", "@content"] }] };

function circle(event) {
  event.self = { of: event };
  return event;
}

function nested(depth) {
  let value = 1;
  for (let level = 0; level < depth; level += 1) value = [value];
  return value;
}

test("an event that JSON cannot express is rejected and counted; the others are processed", () => {
  const good = (ts) => ({ ts, v: 1 });
  const wrongs = [
    [circle({ ts: 2, v: 1 }), "self", "invalid_json"],
    [{ ts: 2, v: 1, note: "\ud83d" }, "note", "invalid_json"],
    [{ ts: 2, v: 1, deep: { er: ["\udc00"] } }, "deep", "invalid_json"],
    [{ ts: 2, v: 1, "\ud83d": 1 }, "\ud83d", "invalid_json"],
    [{ ts: 2, v: 1, deep: nested(128) }, "deep", "invalid_json"],
    [{ ts: 2, v: 1, toJSON: () => [1] }, undefined, "not_an_object"],
    [{ ts: 2, v: 1, toJSON: () => undefined }, undefined, "invalid_json"],
    [{ ts: 2, v: 1, id: { toJSON() { throw new Error("no"); } } }, "id", "invalid_json"],
    // A fault of the JSON text is reported before a fault of a field, as for text.
    [{ ts: "soon", id: "\ud83d" }, "id", "invalid_json"],
  ];
  for (const [wrong, field, reason] of wrongs) {
    const rejections = [];
    const processor = new StreamProcessor(DEDUP, { onReject: (rejection) => rejections.push(rejection) });
    const events = [good(1), wrong, { ts: 4 }, good(3)];
    processor.push(events);
    const found = rejections.map((rejection) => [rejection.index, rejection.field, rejection.reason]);
    assert.deepEqual(found, [[1, field, reason], [2, "v", "missing_field"]]);
    assert.ok(rejections[0].message.startsWith("event 1: "), rejections[0].message);
    assert.equal(rejections[0].event, wrong);
    assert.deepEqual(processor.drain(), [good(1), good(3)]);
    const { events: accepted, rejected, stages } = processor.stats();
    assert.deepEqual([accepted, rejected, stages[0].unidentified], [2, 2, 0]);
    // Only the accepted events have stored identities, so these are duplicates.
    processor.push([good(3), good(1)]);
    assert.deepEqual([processor.drain(), processor.stats().duplicates], [[], 2]);
  }
});

test("an object is rejected with the reason of its text", () => {
  for (const event of [{ ts: 1, v: 1, note: "\ud83d" }, { ts: 1, v: 1, deep: nested(128) }, { ts: 1, v: 1, deep: nested(127) }]) {
    const [asObject, asText] = [new StreamProcessor(DEDUP), new StreamProcessor(DEDUP)];
    asObject.push(event);
    asText.pushNdjson(`${JSON.stringify(event)}\n`);
    assert.deepEqual(asObject.stats().rejected_by_reason, asText.stats().rejected_by_reason);
    assert.equal(asObject.drain().length, asText.drain().length);
  }
});

test("a BigInt equals the integer in text, in identities and in passed lines", () => {
  const processor = new StreamProcessor(DEDUP);
  processor.push([
    { ts: 1, v: 1, id: 9007199254740993n },
    { ts: 2, v: 1, id: 9007199254740992n },
    { ts: 3, v: 1, id: [{ n: 123456789012345678901234567890n, skipped: undefined, list: [undefined] }] },
  ]);
  processor.pushNdjson('{"ts":4,"v":1,"id":9007199254740993}\n{"ts":5,"v":1,"id":[{"list":[null],"n":123456789012345678901234567890}]}\n');
  assert.equal(processor.stats().duplicates, 2);
  const lines = Buffer.from(processor.drainNdjson()).toString();
  const due =
    '{"ts":1,"v":1,"id":9007199254740993}\n{"ts":2,"v":1,"id":9007199254740992}\n' +
    '{"ts":3,"v":1,"id":[{"n":123456789012345678901234567890,"list":[null]}]}\n';
  assert.equal(lines, due);
});

test("objects with BigInts are otherwise written like JSON.stringify", () => {
  const rich = { when: new Date(0), boxed: [Object("x"), Object(1), Object(true)], fn() {}, none: undefined, map: new Map(), list: [undefined, () => {}], "é\n": null };
  const lines = [1, 1n].map((n) => {
    const processor = new StreamProcessor({ stages: [{ type: "filter", where: [{ field: "v", op: "missing" }] }] });
    processor.push({ ts: 1, n, ...rich });
    return Buffer.from(processor.drainNdjson()).toString();
  });
  assert.equal(lines[1], lines[0]);
});

test("passed events that drainNdjson cannot write stay for drain", () => {
  const filter = { type: "filter", where: [{ field: "v", op: ">", value: 0 }] };
  const processor = new StreamProcessor({ source: { value: "v" }, stages: [filter] });
  const events = [{ ts: 1, v: 1 }, circle({ ts: 2, v: 1 })];
  processor.push(events);
  assert.throws(() => processor.drainNdjson(), { name: "StreamProcessorError", code: "invalid_event" });
  assert.deepEqual(processor.drain(), events);
});

test("identify throws for a value that is not an event", () => {
  const wrongs = [circle({ id: 1 }), { id: "\ud83d" }, { id: 1, note: "\ud83d" }, '{"id":"\\ud83d"}', '{"id":"\ud83d"}', "[1]", '{"id":1', { toJSON: () => 5 }];
  for (const wrong of wrongs) {
    for (const strategies of [["id"], ["@content"]]) {
      assert.throws(
        () => identify(strategies, wrong),
        (error) => error instanceof StreamProcessorError && error.code === "invalid_event",
        typeof wrong === "string" ? wrong : Object.keys(wrong).join(),
      );
    }
  }
  assert.equal(identify(["id"], { id: 9007199254740993n }), identify(["id"], '{"id": 9007199254740993}'));
  assert.notEqual(identify(["id"], { id: 9007199254740993n }), identify(["id"], '{"id": 9007199254740992}'));
  assert.equal(identify(["id"], { other: 1n }), null);
});

test("events of a large call keep their own identities when others are rejected", () => {
  const processor = new StreamProcessor(DEDUP);
  const events = Array.from({ length: 40_000 }, (_, n) => (n % 7 === 0 ? { ts: n, id: n } : { ts: n, v: 1, id: n % 20_000 }));
  processor.push(events);
  const expected = new Map(events.filter(({ v }) => v === 1).reverse().map((event) => [event.id, event]));
  const drained = processor.drain();
  assert.equal(drained.length, expected.size);
  for (const event of drained) assert.equal(event, expected.get(event.id));
});
