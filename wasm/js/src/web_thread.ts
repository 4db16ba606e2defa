/** A web worker as a thread. */
import type { Thread } from "./connection.js";
import type { Reply } from "./worker_protocol.js";

/** Returns the thread that `worker` runs from the address `script`. */
export function webThread(worker: Worker, script: string): Thread {
  return {
    script,
    post: (message, transfer) => worker.postMessage(message, transfer),
    listen: (onReply, onError) => {
      worker.onmessage = ({ data }) => onReply(data as Reply);
      // Browsers give no message if the script cannot be loaded.
      worker.onerror = ({ message }) => onError(message as string | undefined);
    },
    hold: () => {},
    terminate: () => worker.terminate(),
  };
}
