/** Entry for Node.js: reads the module from this file's folder. */
import { readFile } from "node:fs/promises";

import { initWith } from "./load.js";

export * from "./api.js";

/** Loads the module once; later calls wait for the same module. */
export const init = /* @__PURE__ */ initWith(() => readFile(new URL("./stream_processor.wasm", import.meta.url)));
