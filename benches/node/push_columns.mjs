// The npm package on columns in memory, as a web developer would push them: prints seconds and rows.
import { readFileSync } from "node:fs";

import { init, StreamProcessor } from "stream-processor";

const BATCH = 16_384;
const bytes = readFileSync(process.argv[2]);
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
const events = buffer.byteLength / 20;
const timestamps = new Float64Array(buffer, 0, events);
const latency = new Float64Array(buffer, events * 8, events);
const ids = new Uint32Array(buffer, events * 16, events);
const dictionary = Array.from({ length: 1_000 }, (_, id) => `svc-${String(id).padStart(4, "0")}`);

const pipeline = {
  source: { key: "service", value: "latency" },
  time: { max_out_of_orderness: "2s" },
  stages: [{ type: "window", window: "tumbling", size: "1m", aggregations: ["count", "sum", "avg", "min", "max"] }],
};

await init();
// The engine of JavaScript compiles what runs often: it has had its chance before the clock starts.
run(events);
const started = performance.now();
const rows = run(events);
console.log((performance.now() - started) / 1000, rows);

/** Pushes the first `count` events and takes the rows. */
function run(count) {
  const processor = new StreamProcessor(pipeline);
  let rows = 0;
  for (let from = 0; from < count; from += BATCH) {
    const to = Math.min(from + BATCH, count);
    processor.pushColumns({
      timestamps: timestamps.subarray(from, to),
      keys: { ids: ids.subarray(from, to), dictionary },
      columns: { latency: latency.subarray(from, to) },
    });
    rows += processor.drain().length;
  }
  processor.finish();
  rows += processor.drain().length;
  processor.dispose();
  return rows;
}
