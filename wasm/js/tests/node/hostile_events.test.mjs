/** An event that cannot be read is rejected alone, whatever it does. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init, StreamProcessor } from "stream-processor";

before(() => init());

const WINDOW = { type: "window", window: "tumbling", size: "1s", aggregations: ["count"] };
const PLAIN = { source: { key: "k" }, stages: [WINDOW] };
const WHOLE = { source: { key: "k" }, stages: [{ type: "dedup", strategies: ["id"], ttl: "1h" }, WINDOW] };

const fail = () => {
  throw new Error("my own");
};

function nested(depth) {
  let value = 1;
  for (let level = 0; level < depth; level += 1) value = { value };
  return value;
}

function cyclic() {
  const event = { ts: 1, k: "a", id: 1 };
  event.self = event;
  return event;
}

function revoked() {
  const { proxy, revoke } = Proxy.revocable({ ts: 1 }, {});
  revoke();
  return proxy;
}

/** Events, and whether a pipeline that needs whole events can read them. */
const EVENTS = {
  "nested 100 deep": [{ ts: 1, k: "a", id: 1, more: nested(100) }, true],
  "nested 5,000 deep": [{ ts: 1, k: "a", id: 2, more: nested(5_000) }, false],
  "nested 100,000 deep": [{ ts: 1, k: "a", id: 3, more: nested(100_000) }, false],
  cyclic: [cyclic(), false],
  "with a BigInt": [{ ts: 1, k: "a", id: 2n ** 70n }, true],
  "with a BigInt, nested 5,000 deep": [{ ts: 1, k: "a", id: 1n, more: nested(5_000) }, false],
  "with a throwing toJSON": [{ ts: 1, k: "a", id: 6, toJSON: fail }, false],
  "with a throwing toJSON inside": [{ ts: 1, k: "a", id: 7, more: { toJSON: fail } }, false],
  "with a function": [{ ts: 1, k: "a", id: 8, more: () => 1 }, true],
};
/** Events that no pipeline can read. */
const UNREADABLE = {
  "with a throwing time": { get ts() { return fail(); } },
  "with a throwing key": { ts: 1, get k() { return fail(); } },
  "with a getter that throws a symbol": { get ts() { throw Symbol("s"); } },
  "with a getter that throws an object without a text": { get ts() { throw Object.create(null); } },
  "that is a revoked proxy": revoked(),
  "that is a proxy with throwing traps": new Proxy({}, { get: fail, has: fail, ownKeys: fail }),
};
const GOOD = { ts: 2, k: "a", id: "good" };

function counts(pipeline, push) {
  const rejections = [];
  const processor = new StreamProcessor(pipeline, { onReject: ({ event, reason, index }) => rejections.push([event, reason, index]) });
  push(processor);
  processor.finish();
  return { count: processor.drain()[0]?.count, rejections };
}

for (const [name, [event, isWritable]] of Object.entries(EVENTS)) {
  test(`an event ${name}`, () => {
    const ways = {
      array: [(p) => p.push([GOOD, event, { ...GOOD, id: "second" }]), 1],
      "one by one": [(p) => [GOOD, event, { ...GOOD, id: "second" }].forEach((one) => p.push(one)), 0],
    };
    for (const [way, [push, index]] of Object.entries(ways)) {
      assert.deepEqual(counts(PLAIN, push), { count: 3, rejections: [] }, way);
      const rejections = isWritable ? [] : [[event, "invalid_json", index]];
      assert.deepEqual(counts(WHOLE, push), { count: isWritable ? 3 : 2, rejections }, way);
    }
  });
}

for (const [name, event] of Object.entries(UNREADABLE)) {
  test(`an event ${name}`, () => {
    for (const pipeline of [PLAIN, WHOLE]) {
      for (const push of [(p) => p.push([GOOD, event]), (p) => [GOOD, event].forEach((one) => p.push(one))]) {
        const { count, rejections } = counts(pipeline, push);
        assert.equal(count, 1);
        assert.equal(rejections.length, 1);
        assert.ok(rejections[0][0] === event);
        assert.equal(rejections[0][1], "invalid_json");
      }
    }
  });
}

test("names and values from data are escaped in messages", () => {
  const hostile = "a\u001b[2J\u0007\n\u009b\u202e\u2028b";
  const isClean = (message) => assert.match(message, /^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e]*$/);
  const source = { key: hostile, value: `v${hostile}`, partition: `p${hostile}` };
  const rejected = [];
  const processor = new StreamProcessor({ source, stages: [WINDOW] }, { onReject: (event) => rejected.push(event) });
  const events = [{ ts: hostile }, { ts: 1 }, { ts: 1, [hostile]: "k" }, { ts: 1, [hostile]: "k", [source.partition]: 1, [source.value]: hostile }];
  processor.push(events);
  processor.pushNdjson(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  assert.equal(rejected.length, 8);
  for (const { message } of rejected) isClean(message);
  for (const wrong of [() => processor.pushColumns({ timestamps: [1], keys: [null] }), () => processor.pushColumns({ timestamps: [1], columns: { [hostile]: [1] } })]) {
    assert.throws(wrong, (error) => (isClean(error.message), true));
  }
  assert.throws(() => new StreamProcessor({ source: { [hostile]: 1 }, stages: [WINDOW] }), (error) => (isClean(error.message), true));
  processor.dispose();
});
