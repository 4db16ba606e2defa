/** Finds the module in browsers: next to this file. Bundlers copy it because of this expression. */
import type { Location } from "./source.js";

export const location: Location = { locate: () => new URL("./stream_processor.wasm", import.meta.url) };
