/** Finds the module in Node.js: next to this file, or in `node_modules` if a bundler moved this file. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

import { messageOf } from "./error.js";
import type { Location } from "./source.js";

const HELP =
  'copy node_modules/stream-processor/dist/stream_processor.wasm to that place, keep the package out of the bundle ("external"), or import from "stream-processor/inline"';

/** Returns the address of this script. Bundles in CommonJS have no `import.meta.url`. */
export const here = (): string => import.meta.url ?? pathToFileURL(__filename).href;

async function locate(): Promise<Uint8Array> {
  const url = import.meta.url === undefined ? new URL("./stream_processor.wasm", here()) : new URL("./stream_processor.wasm", import.meta.url);
  try {
    return await readFile(url);
  } catch (cause) {
    try {
      return await readFile(createRequire(here()).resolve("stream-processor/stream_processor.wasm"));
    } catch {
      throw new Error(`${messageOf(cause)}; ${HELP}`, { cause });
    }
  }
}

export const location: Location = { locate, readFile: (url) => readFile(url) };
