// Computes the same windows in several ways, in one run: tumbling windows of 10 s for each of 1,000
// keys, with count, sum, avg, min and max. First checks that all ways give the same rows, then prints
// millions of events per second of CPU time, the best of several rounds that alternate between the ways.
//     npm install && node run.mjs [ROUNDS]
import { init, StreamProcessor } from "stream-processor";

import { mapLoop, typedArrayLoop } from "./loops.mjs";
import { pond } from "./pond.mjs";
import { rx } from "./rx.mjs";

const ROUNDS = Number(process.argv[2] ?? 5);
const CHECKED = 20_000;
const PIPELINE = {
  source: { key: "service", value: "latency" },
  stages: [{ type: "window", window: "tumbling", size: "10s", aggregations: ["count", "sum", "avg", "min", "max"] }],
};

/** Pushes events by `push` and returns the rows. */
function processor(push) {
  return (input) => {
    const processor = new StreamProcessor(PIPELINE);
    const rows = [];
    push(processor, input, () => {
      for (const row of processor.drain()) rows.push(row);
    });
    processor.finish();
    for (const row of processor.drain()) rows.push(row);
    processor.dispose();
    return rows;
  };
}

/** Calls `push` with parts of 10,000 events, and drains after each. */
const inParts = (push) => processor((processor, events, drain) => {
  for (let from = 0; from < events.length; from += 10_000) {
    push(processor, events.slice(from, from + 10_000));
    drain();
  }
});

const oneByOne = inParts((processor, events) => {
  for (const event of events) processor.push(event);
});
const arrays = inParts((processor, events) => processor.push(events));
const parsed = (text) => text.trimEnd().split("\n").map((line) => JSON.parse(line));
const texts = (push) => processor((processor, chunks, drain) => {
  for (const chunk of chunks) {
    push(processor, chunk);
    drain();
  }
});

/** Name, number of events, input, and the way from the input to rows. */
const WAYS = [
  ["Map of objects, by hand", 1_000_000, (events) => events, mapLoop],
  ["typed arrays, by hand", 1_000_000, (events) => events, typedArrayLoop],
  ["push(event)", 1_000_000, (events) => events, oneByOne],
  ["push(array)", 1_000_000, (events) => events, arrays],
  ["pushColumns", 1_000_000, columnsOf, processor((processor, batches, drain) => {
    for (const batch of batches) {
      processor.pushColumns(batch);
      drain();
    }
  })],
  ["rxjs 7", 200_000, (events) => events, rx],
  ["pondjs 0.9", 20_000, (events) => events, pond],
  ["lines: JSON.parse, then Map by hand", 300_000, textsOf, (chunks) => mapLoop(chunks.flatMap(parsed))],
  ["lines: JSON.parse, then push(event)", 300_000, textsOf, texts((processor, text) => {
    for (const event of parsed(text)) processor.push(event);
  })],
  ["lines: pushNdjson", 300_000, textsOf, texts((processor, text) => processor.pushNdjson(text))],
];

await init();
const events = Array.from({ length: 1_000_000 }, (_, n) => event(n));
check();
const best = WAYS.map(() => 0);
for (let round = 0; round < ROUNDS; round += 1) {
  WAYS.forEach(([, count, inputOf, run], way) => {
    const input = inputOf(events.slice(0, count));
    const started = process.cpuUsage();
    run(input);
    const { user, system } = process.cpuUsage(started);
    best[way] = Math.max(best[way], count / (user + system));
  });
}
console.log("| way | million events per CPU second |\n|---|---|");
WAYS.forEach(([name], way) => console.log(`| ${name} | ${best[way].toFixed(best[way] < 1 ? 3 : 1)} |`));

/** Returns event number `n`: in order of time, 100 events every 10 ms. */
function event(n) {
  const service = `service-${(n * 7919) % 1000}`;
  return { ts: 1_700_000_000_000 + Math.floor(n / 100) * 10, service, latency: ((n * 104_729) % 10_007) / 8 };
}

function columnsOf(events) {
  const dictionary = [...new Set(events.map(({ service }) => service))];
  const ids = new Map(dictionary.map((service, id) => [service, id]));
  const batches = [];
  for (let from = 0; from < events.length; from += 10_000) {
    const part = events.slice(from, from + 10_000);
    batches.push({
      timestamps: Float64Array.from(part, ({ ts }) => ts),
      keys: { ids: Uint32Array.from(part, ({ service }) => ids.get(service)), dictionary },
      columns: { latency: Float64Array.from(part, ({ latency }) => latency) },
    });
  }
  return batches;
}

/** Returns the events as texts of 10,000 lines. */
function textsOf(events) {
  const chunks = [];
  for (let from = 0; from < events.length; from += 10_000) {
    chunks.push(events.slice(from, from + 10_000).map((event) => `${JSON.stringify(event)}\n`).join(""));
  }
  return chunks;
}

/** Throws unless all ways give the same rows for the first events. */
function check() {
  const some = events.slice(0, CHECKED).map((event, n) => ({ ...event, ts: event.ts + n * 3 }));
  const lines = (rows) => rows.map(({ service, window_start, count, sum, avg, min, max }) => [window_start, service, count, sum, avg, min, max].join()).sort();
  const due = lines(mapLoop(some));
  if (due.length < 6_000) throw new Error(`only ${due.length} rows`);
  for (const [name, , inputOf, run] of WAYS) {
    const found = lines(run(inputOf(some)));
    const wrong = due.findIndex((line, at) => line !== found[at]);
    if (wrong >= 0 || found.length !== due.length) {
      throw new Error(`${name}: ${found.length} rows, expected ${due.length}; ${found[wrong]} instead of ${due[wrong]}`);
    }
  }
}
