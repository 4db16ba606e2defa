/** Runs conformance vectors through the package: the same code in Node.js and in a page. */

/** The NDJSON and the counters that a vector's input gives, pushed in pieces of `piece` bytes. */
export function run(StreamProcessor, { spec, input }, piece) {
  const processor = new StreamProcessor(spec);
  const push = (bytes) => (spec.source?.format === "csv" ? processor.pushCsv(bytes) : processor.pushNdjson(bytes));
  const parts = [];
  for (let from = 0; from < input.length; from += piece) {
    push(input.subarray(from, from + piece));
    parts.push(processor.drainNdjson());
  }
  processor.finish();
  parts.push(processor.drainNdjson());
  const stats = processor.stats();
  processor.dispose();
  const decoder = new TextDecoder();
  return { rows: parts.map((part) => decoder.decode(part)).join(""), stats };
}

/** What is wrong with the outcome of a vector; nothing if it is as expected. */
export function differences(vector, { rows, stats }) {
  const { expected } = vector;
  const rejected = Object.fromEntries(stats.rejected_by_reason.map(({ reason, count }) => [reason, count]));
  const pairs = [
    ["rows", rows, expected.rows],
    ["events", stats.events, expected.events],
    ["late_dropped", stats.late_dropped, expected.late_dropped],
    ["unassigned", stats.unassigned, expected.unassigned ?? 0],
    ["rejected", sorted(rejected), sorted(expected.rejected)],
  ];
  return pairs.filter(([, found, due]) => found !== due).map(([name, found, due]) => `${name}: ${found}\nexpected ${due}`);
}

function sorted(object) {
  return JSON.stringify(Object.entries(object).sort());
}
