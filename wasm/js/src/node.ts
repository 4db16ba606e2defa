/** Entry for Node.js: the module is read from the file beside this one. */
import { readFile } from "node:fs/promises";

import { initWith } from "./load.js";

export * from "./api.js";

/** Loads the module, once; calling it again waits for the same module. */
export const init = /* @__PURE__ */ initWith(() => readFile(new URL("./stream_processor.wasm", import.meta.url)));
