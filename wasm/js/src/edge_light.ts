/** Entry for the edge runtime of Next.js and Vercel, which compiles a module imported with `?module`. */
import module from "./stream_processor.wasm?module";

import { initWith } from "./load.js";

export * from "./api.js";

/** Loads the module once; later calls wait for the same module. */
export const init = /* @__PURE__ */ initWith({ locate: () => module });
