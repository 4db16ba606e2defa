/** The worker in Node.js. */
import { Worker } from "node:worker_threads";

import type { Platform, Thread } from "./connection.js";
import { here, location } from "./location_node.js";
import type { Reply } from "./worker_protocol.js";

function start(): Thread {
  // Bundlers copy the script because of the second expression, if its base is `import.meta.url`.
  const script = import.meta.url === undefined ? new URL("./worker_thread.cjs", here()) : new URL("./worker_thread.cjs", import.meta.url);
  const worker = new Worker(script);
  return {
    script: script.href,
    post: (message, transfer) => worker.postMessage(message, transfer),
    listen: (onReply, onError) => {
      worker.on("message", (reply: Reply) => onReply(reply));
      worker.on("error", (error: Error) => onError(error.message));
    },
    hold: (isAwaited) => (isAwaited ? worker.ref() : worker.unref()),
    terminate: () => void worker.terminate(),
  };
}

export const platform: Platform = {
  ...location,
  start,
  help: 'keep the package out of the bundle ("external")',
};
