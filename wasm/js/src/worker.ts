/** Entry of `stream-processor/worker` for browsers and bundlers: the worker's script is a file of its own. */
import { platform } from "./platform_web.js";
import { initWorkerWith } from "./remote.js";

export * from "./worker_api.js";

/** Starts the worker and loads the module in it, once; later calls wait for the same worker. */
export const init = /* @__PURE__ */ initWorkerWith(platform);
