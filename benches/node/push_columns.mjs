// Pushes columns in memory into the npm package, in several rounds. Prints the sum of the best seconds of
// each batch, and the number of rows. "copied" pushes columns of the caller and polls rows as objects.
// "in-place" writes columns directly into the module's memory and polls rows as columns. Times are
// microseconds, as in the native benchmark. Filling a batch is not timed, as there.
//     node push_columns.mjs COLUMNS ROUNDS copied|in-place
import { readFileSync } from "node:fs";

import { init, StreamProcessor } from "stream-processor";

const BATCH = 16_384;
const bytes = readFileSync(process.argv[2]);
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
const events = buffer.byteLength / 20;
const timestamps = BigInt64Array.from(new Float64Array(buffer, 0, events), (ms) => BigInt(Math.round(ms * 1000)));
const latency = new Float64Array(buffer, events * 8, events);
const ids = new Uint32Array(buffer, events * 16, events);
const dictionary = Array.from({ length: 1_000 }, (_, id) => `svc-${String(id).padStart(4, "0")}`);

// The caller's columns of one batch.
const own = { timestamps: new BigInt64Array(BATCH), keys: new Uint32Array(BATCH), columns: { latency: new Float64Array(BATCH) } };

const pipeline = {
  source: { key: "service", value: "latency" },
  time: { max_out_of_orderness: "2s" },
  stages: [{ type: "window", window: "tumbling", size: "1m", aggregations: ["count", "sum", "avg", "min", "max"] }],
};

const way = process.argv[4] ?? "copied";
const inPlace = way === "in-place";
if (!inPlace && way !== "copied") throw new Error(`${way}: expected copied or in-place`);

await init();
const rounds = Number(process.argv[3]);
const least = [];
// A round that does not count lets the JavaScript engine compile the hot code.
let rows = run([]);
for (let round = 0; round < rounds; round += 1) rows = run(least);
console.log(least.reduce((all, seconds) => all + seconds, 0), rows);

/** Pushes all events and polls the rows. Keeps in `least` the minimum seconds of each batch and of the end. */
function run(least) {
  let started = performance.now();
  let lap = 0;
  const endLap = () => {
    const now = performance.now();
    least[lap] = Math.min(least[lap] ?? Infinity, (now - started) / 1000);
    lap += 1;
    started = now;
  };
  const processor = new StreamProcessor(pipeline);
  const [push, drain] = inPlace ? [pushInPlace, drainColumns] : [pushCopied, drainObjects];
  let rows = 0;
  for (let from = 0; from < events; from += BATCH) {
    const to = Math.min(from + BATCH, events);
    push(processor, from, to, (milliseconds) => {
      started += milliseconds;
    });
    rows += drain(processor);
    endLap();
  }
  processor.finish();
  rows += drain(processor);
  processor.dispose();
  endLap();
  return rows;
}

/** Calls `pause` with the milliseconds that filling the columns took. */
function write(batch, from, to, pause) {
  const started = performance.now();
  (batch.microseconds ?? batch.timestamps).set(timestamps.subarray(from, to));
  batch.keys.set(ids.subarray(from, to));
  batch.columns.latency.set(latency.subarray(from, to));
  pause(performance.now() - started);
}

function pushCopied(processor, from, to, pause) {
  write(own, from, to, pause);
  const events = to - from;
  processor.pushColumns({
    timestamps: own.timestamps.subarray(0, events),
    keys: { ids: own.keys.subarray(0, events), dictionary },
    columns: { latency: own.columns.latency.subarray(0, events) },
  });
}

function pushInPlace(processor, from, to, pause) {
  write(processor.reserveColumns(BATCH), from, to, pause);
  processor.commitColumns({ events: to - from, keys: dictionary, unit: "us" });
}

function drainObjects(processor) {
  return processor.drain().length;
}

function drainColumns(processor) {
  let rows = 0;
  for (let chunk = processor.drainColumns(); chunk !== undefined; chunk = processor.drainColumns()) rows += chunk.rows;
  return rows;
}
