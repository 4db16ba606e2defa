/** Entry without a separate file: the module is part of the script. */
import { initWith } from "./load.js";
import { location } from "./location_inline.js";

export * from "./api.js";

/** Loads the module once; later calls wait for the same module. */
export const init = /* @__PURE__ */ initWith(location);
