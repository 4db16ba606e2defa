/** The worker as part of the script: it starts from a blob. */
import type { Platform } from "./connection.js";
import { location } from "./location_inline.js";
import { source } from "./thread_source.js";
import { webThread } from "./web_thread.js";

export const platform: Platform = {
  ...location,
  start: () => {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    return webThread(new Worker(url), "of the blob");
  },
  help: "add blob: to worker-src of the Content-Security-Policy",
};
