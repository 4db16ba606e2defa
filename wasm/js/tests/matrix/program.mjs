/** A small program that uses the package, as source text for any entry and any bundler. */

/** The rows that every program must get. */
export const ROWS = JSON.stringify([
  { service: "api", window_start: 0, window_end: 1000, count: 2, avg: 3.5 },
  { service: "web", window_start: 1000, window_end: 2000, count: 1, avg: 5 },
]);

const BODY = `
async function rows(source) {
  await init(source);
  const processor = new StreamProcessor({
    source: { key: "service", value: "latency" },
    stages: [{ type: "window", window: "tumbling", size: "1s", aggregations: ["count", "avg"] }],
  });
  await processor.push([{ ts: 100, service: "api", latency: 3 }, { ts: 200, service: "api", latency: 4 }]);
  await processor.pushNdjson('{"ts":1500,"service":"web","latency":5}\\n');
  await processor.finish();
  return JSON.stringify(await processor.drain());
}
`;

/** Prints a text, or stores it in `finished` of a page. */
const FINISH = `(text) => (typeof document === "undefined" ? console.log(text) : (globalThis.finished = text))`;

/**
 * Returns a program that imports `entry`. It passes its rows or its error to the function `finish`.
 * `source` is the expression that it passes to `init`.
 */
export function program(entry, { source = "", imports = "", commonjs = false, finish = FINISH } = {}) {
  const names = "{ init, StreamProcessor }";
  const load = commonjs ? `const ${names} = require("${entry}");` : `import ${names} from "${entry}";`;
  const run = `rows(${source}).then(finish, (error) => finish(String(error.message ?? error)));`;
  return `${load}\n${imports}\n${BODY}\nconst finish = ${finish};\n${run}\n`;
}

/** Returns a program of a page that runs `worker.js` as a web worker and stores what it sends. */
export function workerPage() {
  return `
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
worker.onmessage = ({ data }) => (globalThis.finished = data);
worker.onerror = ({ message }) => (globalThis.finished = "the worker failed: " + message);
`;
}

/** Returns a program of a page that asks the service worker `worker.js` and stores its answer. */
export function serviceWorkerPage(type) {
  return `
const store = (text) => (globalThis.finished = text);
navigator.serviceWorker.onmessage = ({ data }) => store(data);
navigator.serviceWorker.register("./worker.js", { type: "${type}" }).then(() => navigator.serviceWorker.ready).then(({ active }) => active.postMessage("rows"), store);
`;
}

/** A page that runs a script. */
export function page(script, type = "module") {
  return `<!doctype html><meta charset="utf-8"><title>stream-processor</title><script type="${type}" src="${script}"></script>\n`;
}
