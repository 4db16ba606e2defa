/**
 * Every wrong argument throws a StreamProcessorError with the argument's name and the allowed
 * values.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { identify, init, initSync, StreamProcessor, StreamProcessorError } from "stream-processor";

before(() => init());

const WINDOW = { type: "window", window: "tumbling", size: "1s", aggregations: ["count"] };
const PIPELINE = { source: { key: "k", value: "v" }, stages: [WINDOW] };
const EVENT = { ts: 1, k: "a", v: 1 };
const COLUMNS = { timestamps: [1], keys: ["a"], columns: { v: [1] } };

/** Returns a typed array or a buffer after its memory was transferred. */
function detached(array) {
  structuredClone(array.buffer ?? array, { transfer: [array.buffer ?? array] });
  return array;
}

function circle() {
  const object = { name: "circle" };
  object.self = object;
  return object;
}

const fail = () => {
  throw new Error("a getter that throws");
};

/** Values of every type. */
const ANYTHING = {
  undefined: undefined,
  null: null,
  number: 5,
  NaN: Number.NaN,
  BigInt: 5n,
  text: "text",
  boolean: true,
  symbol: Symbol("s"),
  function: () => {},
  object: {},
  array: [],
  "array of null": [null],
  "array of undefined": [undefined],
  "array with a hole": new Array(1),
  "array of text": ["text"],
  circle: circle(),
  Date: new Date(Number.NaN),
  "detached Uint8Array": detached(new Uint8Array(3)),
  "detached Float64Array": detached(new Float64Array(3)),
  "detached ArrayBuffer": detached(new ArrayBuffer(3)),
  DataView: new DataView(new ArrayBuffer(8)),
  BigUint64Array: new BigUint64Array(1),
  "object with a getter that throws": Object.defineProperty({}, "ts", { get: fail, enumerable: true }),
  "iterable that throws": { [Symbol.iterator]: fail },
  "null prototype": Object.create(null),
};

/** Calls of each method with one arbitrary argument; `fits` matches the kinds of valid values. */
const CALLS = {
  "new StreamProcessor(pipeline)": { call: (_, x) => new StreamProcessor(x) },
  "new StreamProcessor(pipeline, options)": {
    call: (_, x) => new StreamProcessor(PIPELINE, x),
    fits: /^(undefined|object|array.*|circle|Date|detached.*|DataView|BigUint.*|object with.*|iterable.*|null proto.*)$/,
  },
  isolated: { call: (_, x) => new StreamProcessor(PIPELINE, { isolated: x }), fits: /^(undefined|null|boolean)$/ },
  onDrop: { call: (_, x) => new StreamProcessor(PIPELINE, { onDrop: x }), fits: /^(undefined|null|function)$/ },
  snapshotChunks: { call: (p, x) => p.snapshotChunks(x), fits: /^number$/ },
  maxPendingRows: { call: (_, x) => new StreamProcessor(PIPELINE, { maxPendingRows: x }), fits: /^(undefined|null|number)$/ },
  emitsPartials: { call: (_, x) => new StreamProcessor(PIPELINE, { emitsPartials: x }), fits: /^(undefined|null|boolean)$/ },
  onReject: { call: (_, x) => new StreamProcessor(PIPELINE, { onReject: x }), fits: /^(undefined|null|function)$/ },
  "restore(pipeline)": { call: (_, x) => StreamProcessor.restore(x, new StreamProcessor(PIPELINE).snapshot()) },
  "restore(, snapshot)": { call: (_, x) => StreamProcessor.restore(PIPELINE, x) },
  // Objects without the fields are rejected events, not errors.
  push: { call: (p, x) => p.push(x), fits: /^(object|object with.*|array|circle|Date|detached ArrayBuffer|DataView|null proto.*)$/ },
  "push([event])": {
    call: (p, x) => p.push([EVENT, x]),
    fits: /^(object|object with.*|array.*|circle|Date|detached.*|DataView|BigUint.*|iterable.*|null proto.*)$/,
  },
  pushColumns: { call: (p, x) => p.pushColumns(x) },
  timestamps: { call: (p, x) => p.pushColumns({ ...COLUMNS, timestamps: x }) },
  keys: { call: (p, x) => p.pushColumns({ ...COLUMNS, keys: x }), fits: /^array of text$/ },
  "keys.ids": { call: (p, x) => p.pushColumns({ ...COLUMNS, keys: { ids: x, dictionary: ["a"] } }) },
  "keys.dictionary": {
    call: (p, x) => p.pushColumns({ ...COLUMNS, keys: { ids: Uint32Array.of(0), dictionary: x } }),
    fits: /^array of text$/,
  },
  columns: { call: (p, x) => p.pushColumns({ ...COLUMNS, columns: x }) },
  // Missing values make rejected events, not errors.
  "columns.v": { call: (p, x) => p.pushColumns({ ...COLUMNS, columns: { v: x } }), fits: /^array (of null|of undefined|with a hole)$/ },
  reserveColumns: { call: (p, x) => p.reserveColumns(x), fits: /^number$/ },
  commitColumns: { call: (p, x) => (p.reserveColumns(1), p.commitColumns(x)) },
  "commitColumns({ keys })": {
    call: (p, x) => (p.reserveColumns(1).keys.fill(0), p.commitColumns({ keys: x })),
    fits: /^array of text$/,
  },
  "commitColumns({ events })": {
    call: (p, x) => (p.reserveColumns(1).keys.fill(0), p.commitColumns({ keys: ["a"], events: x })),
    fits: /^undefined$/,
  },
  "commitColumns({ from })": {
    call: (p, x) => (p.reserveColumns(1).keys.fill(0), p.commitColumns({ keys: ["a"], from: x })),
    fits: /^undefined$/,
  },
  "commitColumns({ unit })": {
    call: (p, x) => (p.reserveColumns(1).keys.fill(0), p.commitColumns({ keys: ["a"], unit: x })),
    fits: /^undefined$/,
  },
  pushNdjson: { call: (p, x) => p.pushNdjson(x), fits: /^text$/ },
  pushCsv: { call: (p, x) => p.pushCsv(x) },
  "pushCsv of CSV": {
    call: (_, x) => new StreamProcessor({ ...PIPELINE, source: { ...PIPELINE.source, format: "csv" } }).pushCsv(x),
    fits: /^text$/,
  },
  advanceWatermark: { call: (p, x) => p.advanceWatermark(x), fits: /^number$/ },
  tick: { call: (p, x) => p.tick(x), fits: /^number$/ },
  partial: { call: (_, x) => new StreamProcessor(PIPELINE, { emitsPartials: true }).partial(x), fits: /^text$/ },
  merge: { call: (p, x) => p.merge(x) },
  "identify(strategies)": { call: (_, x) => identify(x, EVENT), fits: /^array( of text)?$/ },
  "identify(, event)": { call: (_, x) => identify(["id"], x), fits: /^(object|null proto.*|detached.*|DataView|BigUint.*|iterable.*)$/ },
};

for (const [name, { call, fits = /^$/ }] of Object.entries(CALLS)) {
  test(`wrong arguments are typed errors: ${name}`, () => {
    for (const [kind, value] of Object.entries(ANYTHING)) {
      const processor = new StreamProcessor(PIPELINE);
      let thrown;
      try {
        call(processor, value);
      } catch (error) {
        thrown = error;
      }
      if (fits.test(kind)) {
        assert.equal(thrown, undefined, `${kind}: ${thrown?.stack}`);
        continue;
      }
      assert.ok(thrown instanceof StreamProcessorError, `${kind}: ${thrown?.stack ?? "no error"}`);
      assert.ok(!["internal", "trapped"].includes(thrown.code), `${kind}: ${thrown.message}`);
      // A failed call leaves the state unchanged.
      processor.push(EVENT);
      processor.finish();
      assert.equal(processor.drain().length, 1, kind);
    }
  });
}

test("an argument error names the method, the allowed values and the actual value", () => {
  const processor = new StreamProcessor(PIPELINE);
  const cases = [
    [() => processor.push('{"ts":1}'), "invalid_event", "push needs an event object or an iterable of them (pushNdjson and pushCsv take text)"],
    [() => processor.push(null), "invalid_event", "but got null"],
    [() => processor.push(undefined), "invalid_event", "but got undefined"],
    [() => processor.push([null]), "invalid_event", "event 0 must be an object, but is null"],
    [() => processor.pushColumns(null), "invalid_argument", "pushColumns needs an object { timestamps, keys, columns }, but got null"],
    [() => processor.pushColumns({ ...COLUMNS, timestamps: [null] }), "invalid_event", "event 0: pushColumns needs a Float64Array, a BigInt64Array or"],
    [() => processor.pushColumns({ ...COLUMNS, columns: { v: ["1"] } }), "invalid_event", 'the column "v", but there is the text "1"'],
    [() => processor.pushColumns({ ...COLUMNS, timestamps: ANYTHING["detached Float64Array"] }), "invalid_argument", "detached"],
    [() => processor.pushNdjson(ANYTHING["detached ArrayBuffer"]), "invalid_text", "pushNdjson needs text, a Uint8Array or an ArrayBuffer, but got one whose memory is detached"],
    [() => processor.tick("now"), "invalid_time", "tick needs a time in milliseconds or a Date"],
    [() => StreamProcessor.restore(PIPELINE, "text"), "invalid_argument", "restore needs a Uint8Array, an ArrayBuffer, or an iterable of them"],
    [() => new StreamProcessor(circle()), "invalid_pipeline", "cannot be written as JSON"],
    [() => new StreamProcessor(PIPELINE, { onReject: 5 }), "invalid_argument", "options.onReject, but got 5"],
    [() => identify(["id"], null), "invalid_event", "identify needs an event object"],
    [() => identify(["id"], "text"), "invalid_event", "byte 1: expected a value"],
  ];
  for (const [call, code, words] of cases) {
    assert.throws(call, (error) => {
      assert.ok(error instanceof StreamProcessorError, String(error.stack));
      assert.equal(error.code, code, error.message);
      assert.ok(error.message.includes(words), error.message);
      return true;
    });
  }
});

test("every method of a disposed processor throws the same error", () => {
  const filter = { type: "filter", where: [{ field: "v", op: ">", value: 0 }] };
  for (const pipeline of [PIPELINE, { ...PIPELINE, stages: [filter] }]) {
    const snapshot = new StreamProcessor(pipeline).snapshot();
    const calls = [
      (p) => p.push(EVENT),
      (p) => p.push([]),
      (p) => p.push(null),
      (p) => p.pushColumns(COLUMNS),
      (p) => p.pushColumns(null),
      (p) => p.pushNdjson("{}"),
      (p) => p.pushNdjson(""),
      (p) => p.pushCsv(""),
      (p) => p.reserveColumns(1),
      (p) => p.commitColumns(),
      (p) => p.advanceWatermark(1),
      (p) => p.tick(1),
      (p) => p.finish(),
      (p) => p.drain(),
      (p) => p.drainColumns(),
      (p) => p.drainNdjson(),
      (p) => p.watermark,
      (p) => p.nextDeadline,
      (p) => p.stats(),
      (p) => p.snapshot(),
      (p) => p.snapshotChunks(1),
      (p) => p.partial("a"),
      (p) => p.merge(snapshot),
    ];
    for (const call of calls) {
      const processor = new StreamProcessor(pipeline);
      processor.push(EVENT);
      processor.dispose();
      assert.throws(() => call(processor), { name: "StreamProcessorError", code: "disposed" }, String(call));
    }
  }
});

test("any typed array of Numbers is accepted, and plain arrays may lack numbers", () => {
  const sum = { ...WINDOW, aggregations: ["count", "sum", { op: "sum", field: "w" }] };
  const processor = new StreamProcessor({ source: { value: "v" }, stages: [sum] });
  processor.pushColumns({ timestamps: Int32Array.of(1, 2), columns: { v: Float32Array.of(1.5, 2.5), w: [null, 4] } });
  processor.pushColumns({ timestamps: [3, 4], columns: { v: [null, 1], w: [undefined, 1] } });
  processor.finish();
  assert.deepEqual(processor.drain(), [{ window_start: 0, window_end: 1000, count: 3, sum: 5, sum_w: 5 }]);
  assert.deepEqual(processor.stats().rejected_by_reason, [{ reason: "missing_field", count: 1 }]);
});

test("an exception of onReject is rethrown unchanged", () => {
  const own = new Error("my own");
  const processor = new StreamProcessor(PIPELINE, {
    onReject: () => {
      throw own;
    },
  });
  assert.throws(() => processor.push([{}, EVENT]), (error) => error === own);
  assert.deepEqual([processor.stats().events, processor.stats().rejected], [1, 1]);
});

test("the constructor throws no_randomness without a random source", () => {
  const { getRandomValues } = crypto;
  crypto.getRandomValues = () => {
    throw new Error("Disallowed operation called within global scope");
  };
  try {
    assert.throws(() => new StreamProcessor(PIPELINE), { name: "StreamProcessorError", code: "no_randomness" });
  } finally {
    crypto.getRandomValues = getRandomValues;
  }
  new StreamProcessor(PIPELINE).dispose();
});

test("init ignores a failing source once the module is loaded", async () => {
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  process.on("unhandledRejection", note);
  await init(Promise.reject(new Error("gone")));
  await init(null);
  initSync(undefined);
  await new Promise((resolve) => setTimeout(resolve, 10));
  process.off("unhandledRejection", note);
  assert.deepEqual(unhandled, []);
});
