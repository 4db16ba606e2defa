/** The contents of the package, and loading of the module. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { init, initSync, StreamProcessor, StreamProcessorError } from "stream-processor";

const PIPELINE = { stages: [{ type: "window", window: "tumbling", size: "1s", aggregations: ["count"] }] };
const wasm = readFileSync(new URL(import.meta.resolve("stream-processor/stream_processor.wasm")));

test("a processor before init throws not_initialized", () => {
  assert.throws(() => new StreamProcessor(PIPELINE), { name: "StreamProcessorError", code: "not_initialized" });
});

test("an invalid module throws module_not_loaded, and init can be retried", async () => {
  await assert.rejects(init(new Uint8Array([1, 2, 3])), (error) => {
    assert.ok(error instanceof StreamProcessorError);
    assert.equal(error.code, "module_not_loaded");
    assert.ok(error.cause instanceof WebAssembly.CompileError);
    return true;
  });
  assert.throws(() => initSync(new Uint8Array(8)), { code: "module_not_loaded" });
});

test("a module that is not there names the address and what came instead", async () => {
  await assert.rejects(init("file:///nowhere.wasm"), { code: "module_not_loaded", message: /open '.*nowhere\.wasm'/ });
  const html = new Response("<!doctype html><title>404</title>", { headers: { "content-type": "text/html" } });
  await assert.rejects(init(html), { code: "module_not_loaded", message: /the response: an HTML page instead of a module; import from "stream-processor\/inline"/ });
  await assert.rejects(init(new Response("", { status: 404 })), { message: /HTTP status 404/ });
  await assert.rejects(init("http://127.0.0.1:9/x.wasm"), { message: /http:\/\/127\.0\.0\.1:9\/x\.wasm: / });
});

test("init is idempotent for concurrent and later calls", async () => {
  const pending = init();
  initSync(new WebAssembly.Module(wasm));
  const processor = new StreamProcessor(PIPELINE);
  processor.push({ ts: 1 });
  await Promise.all([pending, init(), init(wasm)]);
  processor.push({ ts: 2 });
  processor.finish();
  assert.equal(processor.drain()[0].count, 2);
});

test("the package contains the module that was built", { skip: process.env.MODULE === undefined }, () => {
  const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
  assert.equal(sha256(wasm), sha256(readFileSync(process.env.MODULE)));
});

test("the package has a license and types, and hides files outside its exports", async () => {
  const { default: manifest } = await import("stream-processor/package.json", { with: { type: "json" } });
  assert.equal(manifest.license, "Apache-2.0");
  assert.ok(readFileSync(new URL(import.meta.resolve("stream-processor")).pathname.replace(/\.js$/, ".d.ts")));
  await assert.rejects(import("stream-processor/dist/glue.js"), { code: "ERR_PACKAGE_PATH_NOT_EXPORTED" });
});

test("the package has the module once as a file and once as text, for ES modules and CommonJS", async () => {
  const dist = new URL(".", import.meta.resolve("stream-processor"));
  const files = readdirSync(dist, { recursive: true }).filter((name) => /\.[cm]?js$|\.wasm$/.test(name));
  // The module's text begins with the first bytes of gzip in base64.
  const copies = files.filter((name) => name.endsWith(".wasm") || readFileSync(new URL(name, dist), "latin1").includes('"H4sI'));
  assert.deepEqual(copies.sort(), ["shared/bytes.js", "stream_processor.wasm"]);
  const { StreamProcessor: Inline, init: initInline } = await import("stream-processor/inline");
  const commonjs = createRequire(import.meta.url)("stream-processor/inline");
  await Promise.all([initInline(), commonjs.init()]);
  for (const Processor of [Inline, commonjs.StreamProcessor]) {
    const processor = new Processor(PIPELINE);
    processor.push({ ts: 1 });
    processor.finish();
    assert.equal(processor.drain()[0].count, 1);
  }
});
