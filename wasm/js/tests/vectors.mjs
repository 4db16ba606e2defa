/** Runs conformance vectors through the package; shared by Node.js and browser tests. */

/**
 * Pushes a vector's input in pieces of `piece` bytes; returns the NDJSON output and the counters.
 */
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

/**
 * Pushes the lines of a vector as objects, `batch` per call, through a pipeline that passes events
 * unchanged. Returns the lines of the drained objects and the counters. The line of an object that
 * was not pushed is `undefined`.
 */
export function runObjects(StreamProcessor, { spec, input }, batch) {
  const processor = new StreamProcessor(spec);
  const lines = new TextDecoder().decode(input).split("\n");
  const objects = lines.map((line) => JSON.parse(line));
  const line = new Map(objects.map((object, at) => [object, lines[at]]));
  const passed = [];
  for (let from = 0; from < objects.length; from += batch) {
    processor.push(objects.slice(from, from + batch));
    passed.push(...processor.drain());
  }
  processor.finish();
  passed.push(...processor.drain());
  const stats = processor.stats();
  processor.dispose();
  return { rows: passed.map((object) => `${line.get(object)}\n`).join(""), stats };
}

/**
 * Returns true if a vector's pipeline returns the pushed objects and its input has one per line.
 */
export function passesObjects({ spec }) {
  const passes = spec.stages.every(({ type }) => type === "filter" || type === "dedup");
  return passes && spec.source?.format !== "csv";
}

/** Returns the differences between expected identities and those of `identify`. */
export function wrongIdentities(identify, vectors) {
  const cases = vectors.flatMap(({ strategies, events }) => events.map((one) => ({ ...one, strategies })));
  if (cases.length < 50) return ["the vectors are not there"];
  const found = cases.map((one) => ({ ...one, found: identify(one.strategies, one.event) }));
  return found.filter((one) => one.found !== one.identity);
}

/** Parses the pipeline, events and rows of an example in Markdown of tests/examples. */
export function parseExample(markdown) {
  const blocks = markdown.split("```").filter((_, at) => at % 2 === 1);
  const [pipeline, events, rows] = blocks.map((block) => block.slice(block.indexOf("\n") + 1));
  return { spec: JSON.parse(pipeline), input: new TextEncoder().encode(events), rows };
}

/** Returns the differences between a vector's outcome and its expected outcome. */
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
