/** A bundled program: the module is a separate asset, and its URL is passed to `init`. */
import { init, StreamProcessor } from "stream-processor";
import module from "stream-processor/stream_processor.wasm";

import { check, same } from "./check.js";

await check([
  ["the module loads from where the bundler put it", () => init(module)],
  [
    "it works",
    () => {
      const processor = new StreamProcessor({
        stages: [{ type: "window", window: "tumbling", size: "1s", aggregations: ["count"] }],
      });
      processor.push([{ ts: 1 }, { ts: 2 }]);
      processor.finish();
      same(processor.drain(), [{ window_start: 0, window_end: 1000, count: 2 }]);
    },
  ],
]);
