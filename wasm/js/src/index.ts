/** Entry for browsers, bundlers and edge workers: the module is fetched from beside this file. */
import { initWith } from "./load.js";

export * from "./api.js";

/** Loads the module, once; calling it again waits for the same module. */
export const init = /* @__PURE__ */ initWith(() => new URL("./stream_processor.wasm", import.meta.url));
