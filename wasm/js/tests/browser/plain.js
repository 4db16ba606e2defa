/** The conformance vectors and checks of the package's API, in a page without a bundler. */
import { identify, init, StreamProcessor, StreamProcessorError } from "stream-processor";

import { differences, parseExample, passesObjects, run, runObjects, wrongIdentities } from "../vectors.mjs";
import { check, same } from "./check.js";

const bytes = async (path) => {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
};
const json = async (path) => JSON.parse(new TextDecoder().decode(await bytes(path)));

const vectors = (await json("/tests/vectors/")).filter((name) => name.endsWith(".json"));
const examples = (await json("/tests/examples/")).filter((name) => name !== "README.md");

const PIPELINE = {
  source: { key: "service", value: "latency" },
  stages: [{ type: "window", window: "tumbling", size: "1s", aggregations: ["count", "avg"] }],
};
const EVENTS = [
  { ts: 100, service: "api", latency: 3 },
  { ts: new Date(200), service: "api", latency: 4 },
  { ts: "1970-01-01T00:00:01.5Z", service: "web", latency: 5 },
];
const ROWS = [
  { service: "api", window_start: 0, window_end: 1000, count: 2, avg: 3.5 },
  { service: "web", window_start: 1000, window_end: 2000, count: 1, avg: 5 },
];

await check([
  ["a module that is not there is a typed error", missingModule],
  ["the module is found beside the script", () => init()],
  ["the vectors are there", () => same(vectors.length >= 10, true)],
  ...vectors.map((name) => [name, () => vector(name)]),
  ["the examples are there", () => same(examples.length >= 30, true)],
  ...examples.map((name) => [name, () => example(name)]),
  ["identities", async () => same(wrongIdentities(identify, await json("/tests/vectors/identity/identity.json")), [])],
  ["objects in, objects out", objects],
  ["a snapshot goes on", snapshot],
]);

async function missingModule() {
  try {
    await init("/nowhere.wasm");
  } catch (error) {
    same([error instanceof StreamProcessorError, error.code], [true, "module_not_loaded"]);
    if (!error.message.includes("404")) throw error;
    return;
  }
  throw new Error("no error");
}

async function example(name) {
  const example = parseExample(new TextDecoder().decode(await bytes(`/tests/examples/${name}`)));
  same(run(StreamProcessor, example, Infinity).rows, example.rows);
}

async function vector(name) {
  const vector = await json(`/tests/vectors/${name}`);
  const { file, text } = vector.input;
  const input = file === undefined ? new TextEncoder().encode(text) : await bytes(`/tests/${file}`);
  for (const piece of [Infinity, 1000]) {
    same(differences(vector, run(StreamProcessor, { spec: vector.spec, input }, piece)), []);
  }
  if (passesObjects(vector)) same(differences(vector, runObjects(StreamProcessor, { spec: vector.spec, input }, 50)), []);
}

function objects() {
  const processor = new StreamProcessor(PIPELINE);
  processor.push(EVENTS);
  processor.finish();
  same(processor.drain(), ROWS);
  processor.dispose();
}

function snapshot() {
  const processor = new StreamProcessor(PIPELINE);
  processor.push(EVENTS.slice(0, 2));
  const restored = StreamProcessor.restore(PIPELINE, processor.snapshot());
  restored.push(EVENTS[2]);
  restored.finish();
  same(restored.drain(), ROWS);
}
