/** Entry of the worker thread in Node.js. */
import { parentPort } from "node:worker_threads";

import { serve } from "./thread.js";

const port = parentPort;
port?.on("message", serve((reply, transfer) => port.postMessage(reply, transfer)));
