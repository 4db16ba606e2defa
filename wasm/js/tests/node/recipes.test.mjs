/** Runs the recipes of docs/javascript.md. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";

const project = join(import.meta.dirname, "..");
const root = join(project, "../../..");
const document = readFileSync(join(root, "docs/javascript.md"), "utf8");
const recipes = new Map([...document.matchAll(/<!-- recipe: (\S+) -->\n```js\n(.*?)```/gs)].map(([, name, code]) => [name, code]));
const folder = join(project, "recipes");

const REQUESTS = [
  { ts: 1_000, service: "api", latency: 31 },
  { ts: 3_000, service: "web", latency: 12 },
  { ts: 2_000, service: "api", latency: 45 },
  { ts: 12_500, service: "api", latency: 28 },
];
const LINES = REQUESTS.map((request) => `${JSON.stringify(request)}\n`).join("");

/** Runs before a recipe: its addresses lead to the test's server, and its socket sends events. */
const BEFORE = `
  const { fetch } = globalThis;
  globalThis.fetch = (address) => fetch(String(address).replace("https://example.com", process.env.SERVER));
  globalThis.WebSocket = class {
    constructor() {
      const others = [{ ts: 3_000, service: "bad" }, { ts: Date.now(), service: "now", latency: 1 }, { ts: 1_000, service: "old", latency: 5 }];
      const messages = [...${JSON.stringify(REQUESTS.slice(0, 3))}, ...others];
      setTimeout(() => messages.forEach((message) => this.onmessage({ data: JSON.stringify(message) })), 1);
      setTimeout(() => this.onclose({}), 200);
    }
  };`;

const server = createServer((_, response) => response.end(LINES));

before(async () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [name, code] of recipes) writeFileSync(join(folder, name), code);
  writeFileSync(join(folder, "requests.ndjson.gz"), gzipSync(LINES));
  writeFileSync(join(folder, "before.mjs"), BEFORE);
  for (const name of ["rxjs", "react", "react-test-renderer"]) {
    const link = join(project, "node_modules", name);
    if (!existsSync(link)) symlinkSync(join(root, "wasm/js/node_modules", name), link);
  }
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
});

after(() => server.close());

test("all recipes are found", () => {
  const names = ["pipeline.js", "fetch.js", "transform.js", "socket.js", "worker.js", "hook.js", "rx.js", "node.js", "cloudflare.js", "state.js", "why.js"];
  assert.deepEqual([...recipes.keys()], names);
  assert.equal(document.split("```js").length - 1, recipes.size);
});

for (const [name, code] of recipes) {
  const due = code.split("\n").filter((line) => line.startsWith("// ")).map((line) => line.slice(3));
  if (due.length === 0) continue;
  test(`${name} prints its output`, async () => {
    const env = { ...process.env, SERVER: `http://127.0.0.1:${server.address().port}` };
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "./before.mjs", name], { cwd: folder, env });
    assert.equal(stdout.trim(), due.join("\n"));
  });
}

test("node.js writes the rows", () => {
  assert.equal(readFileSync(join(folder, "rows.ndjson"), "utf8").split("\n").length, 4);
});

test("cloudflare.js answers with rows, rejected lines and errors", async () => {
  const { default: worker } = await import(pathToFileURL(join(folder, "cloudflare.js")));
  const ask = async (body) => (await worker.fetch(new Request("https://example.com/", { method: "POST", body }))).json();
  const { rows, rejected } = await ask(`${LINES}no\n`);
  assert.deepEqual(rows.map(({ service, count }) => [service, count]), [["api", 2], ["web", 1], ["api", 1]]);
  assert.deepEqual(rejected.map(({ line }) => line), [5]);
});

test("hook.js updates a component", async () => {
  const require = createRequire(join(project, "package.json"));
  globalThis.IS_REACT_ACT_ENVIRONMENT = true;
  const React = require("react");
  const { act, create } = require("react-test-renderer");
  const { useRows } = await import(pathToFileURL(join(folder, "hook.js")));
  const { pipeline } = await import(pathToFileURL(join(folder, "pipeline.js")));
  let push;
  const Component = () => {
    const [rows, pushEvent] = useRows(pipeline);
    push = pushEvent;
    return rows.map(({ service, count }) => `${service} ${count}`).join();
  };
  let component;
  await act(async () => {
    component = create(React.createElement(Component));
  });
  const text = () => component.toJSON() ?? "";
  assert.equal(text(), "");
  for (const request of REQUESTS) push(request);
  for (let waits = 0; text() === "" && waits < 200; waits += 1) {
    await act(() => new Promise((resolve) => setTimeout(resolve, 10)));
  }
  assert.equal(text(), "api 2,web 1");
  await act(async () => component.unmount());
});
