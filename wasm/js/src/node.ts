/** Entry for Node.js: reads the module from this file's folder. */
import { initWith } from "./load.js";
import { location } from "./location_node.js";

export * from "./api.js";

/** Loads the module once; later calls wait for the same module. */
export const init = /* @__PURE__ */ initWith(location);
