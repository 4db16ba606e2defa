/** Entry for Cloudflare Workers, which can import a module but not fetch or compile one. */
import module from "./stream_processor.wasm";

import { initWith } from "./load.js";

export * from "./api.js";

/** Loads the module once; later calls wait for the same module. */
export const init = /* @__PURE__ */ initWith({ locate: () => module });
