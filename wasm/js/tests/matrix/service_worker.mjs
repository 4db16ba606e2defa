/** Cases of service workers: classic scripts, and ES modules. */
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";

import { page, program, serviceWorkerPage } from "./program.mjs";
import { checkRows, folder, visitFolder } from "./tools.mjs";

/** Sends the text to the page that asked. */
const FINISH = "(text) => asked.then(({ source }) => source.postMessage(text))";
const IMPORTS = 'const asked = new Promise((resolve) => addEventListener("message", resolve));';

/** Bundles a service worker and its page. Returns the folder that a server must serve. */
async function bundled(root, type, entry, options) {
  const format = type === "module" ? "esm" : "iife";
  const files = {
    "main.js": serviceWorkerPage(type),
    "worker.js": program(entry, { finish: FINISH, imports: IMPORTS, ...options }),
    "out/index.html": page("./main.js"),
  };
  const path = await folder(root, `service-worker-${type}`, files);
  const entryPoints = ["main.js", "worker.js"].map((name) => join(path, name));
  await build({ entryPoints, outdir: join(path, "out"), bundle: true, format, logLevel: "silent" });
  return join(path, "out");
}

export const SERVICE_WORKER_CASES = [
  [
    "service worker, a classic script: stream-processor/inline",
    async (root) => checkRows(await visitFolder(await bundled(root, "classic", "stream-processor/inline"))),
  ],
  [
    "service worker, an ES module with the module as a file: stream-processor",
    async (root) => {
      const out = await bundled(root, "module", "stream-processor");
      await copyFile(join(root, "node_modules/stream-processor/dist/stream_processor.wasm"), join(out, "stream_processor.wasm"));
      checkRows(await visitFolder(out));
    },
  ],
];
