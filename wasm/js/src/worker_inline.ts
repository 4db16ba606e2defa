/** Entry of `stream-processor/worker` for pages without separate files: the worker's script and the module are part of the script. */
import { platform } from "./platform_inline.js";
import { initWorkerWith } from "./remote.js";

export * from "./worker_api.js";

/** Starts the worker and loads the module in it, once; later calls wait for the same worker. */
export const init = /* @__PURE__ */ initWorkerWith(platform);
