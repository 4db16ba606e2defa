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

/**
 * Returns a program that imports `entry`. It prints its rows or its error, or stores them in
 * `finished` of a page. `source` is the expression that it passes to `init`.
 */
export function program(entry, { source = "", imports = "", commonjs = false } = {}) {
  const names = "{ init, StreamProcessor }";
  const load = commonjs ? `const ${names} = require("${entry}");` : `import ${names} from "${entry}";`;
  const finish = `const finish = (text) => (typeof document === "undefined" ? console.log(text) : (globalThis.finished = text));`;
  return `${load}\n${imports}\n${BODY}\n${finish}\nrows(${source}).then(finish, (error) => finish(String(error.message ?? error)));\n`;
}

/** A page that runs a script. */
export function page(script, type = "module") {
  return `<!doctype html><meta charset="utf-8"><title>stream-processor</title><script type="${type}" src="${script}"></script>\n`;
}
