/** Entry for Cloudflare Workers, where a module cannot be fetched or compiled, but imported. */
import module from "./stream_processor.wasm";

import { initWith } from "./load.js";

export * from "./api.js";

/** Loads the module, once; calling it again waits for the same module. */
export const init = /* @__PURE__ */ initWith(() => module);
