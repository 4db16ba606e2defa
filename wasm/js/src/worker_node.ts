/** Entry of `stream-processor/worker` for Node.js: the processors run in a thread of node:worker_threads. */
import { platform } from "./platform_node.js";
import { initWorkerWith } from "./remote.js";

export * from "./worker_api.js";

/** Starts the worker and loads the module in it, once; later calls wait for the same worker. */
export const init = /* @__PURE__ */ initWorkerWith(platform);
