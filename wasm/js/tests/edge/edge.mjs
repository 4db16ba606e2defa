/** Builds the edge worker as its tools do, and runs it in workerd. */
import { mkdtemp, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { BUNDLE } from "../workerd/bundle.mjs";

/** The folder where the package and the worker are. */
const PROJECT = process.env.PROJECT;
const WORKER = join(PROJECT, "edge-worker/src/worker.js");
const MODULE = join(PROJECT, "node_modules/stream-processor/dist/stream_processor.wasm");

export const { init, StreamProcessor } = await import(join(PROJECT, "node_modules/stream-processor/dist/node.js"));
export const { PIPELINE } = await import(join(PROJECT, "edge-worker/src/pipeline.js"));

async function bundled() {
  const { outputFiles } = await build({
    entryPoints: [WORKER],
    ...BUNDLE,
    write: false,
    external: ["cloudflare:*", "*.wasm"],
  });
  return outputFiles[0].text;
}

const [script, wasm] = await Promise.all([bundled(), readFile(MODULE)]);

/** Returns a new folder for the storage of Durable Objects. */
export function storage() {
  return mkdtemp(join(tmpdir(), "edge-worker-"));
}

/** Starts a worker with variables. Its storage in `folder` outlives it. */
export async function start(folder, bindings = {}) {
  const miniflare = new Miniflare({
    modules: [
      { type: "ESModule", path: "worker.js", contents: script },
      { type: "CompiledWasm", path: "stream_processor.wasm", contents: wasm },
    ],
    compatibilityDate: "2026-04-20",
    durableObjects: { STREAMS: { className: "Stream", useSQLite: true } },
    durableObjectsPersist: folder,
    bindings,
    host: "127.0.0.1",
    cf: false,
  });
  const origin = await miniflare.ready;
  return {
    /** Sends a request to the worker. */
    send: (path, init) => fetch(new URL(path, origin), init),
    stop: () => miniflare.dispose(),
  };
}

/** Starts a server on the loopback address that passes bodies and headers to `answer`. */
export async function listen(answer) {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    response.writeHead(await answer(Buffer.concat(chunks), request.headers)).end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

/** Returns events as lines. */
export function linesOf(events) {
  return events.map((event) => `${JSON.stringify(event)}\n`).join("");
}

/** Waits until `condition` holds. */
export async function until(condition, timeoutMs = 20_000) {
  for (const end = Date.now() + timeoutMs; !(await condition()); ) {
    if (Date.now() > end) throw new Error("the condition does not hold in time");
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
