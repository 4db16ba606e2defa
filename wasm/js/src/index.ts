/** Entry for browsers, bundlers and edge workers: fetches the module from this file's folder. */
import { initWith } from "./load.js";

export * from "./api.js";

/** Loads the module once; later calls wait for the same module. */
export const init = /* @__PURE__ */ initWith(() => new URL("./stream_processor.wasm", import.meta.url));
