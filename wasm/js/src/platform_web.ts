/** The worker in browsers. Bundlers copy its script because of the expression in `start`. */
import type { Platform } from "./connection.js";
import { location } from "./location_web.js";
import { webThread } from "./web_thread.js";

export const platform: Platform = {
  ...location,
  start: () => {
    const worker = new Worker(new URL("./worker_thread.js", import.meta.url), { type: "module" });
    return webThread(worker, "worker_thread.js next to the script");
  },
  help: 'import from "stream-processor/worker/inline", which contains the script',
};
