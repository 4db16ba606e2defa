/** A Cloudflare Worker that uses the package; workerd runs the checks of `test`. */
import { init, StreamProcessor, StreamProcessorError } from "stream-processor";

const PIPELINE = { source: { key: "k", value: "v" }, stages: [{ type: "window", window: "tumbling", size: "1s", aggregations: ["sum"] }] };

// The top level of a module has no random numbers.
await init();
let atTopLevel;
try {
  new StreamProcessor(PIPELINE);
} catch (error) {
  atTopLevel = error;
}

function same(found, expected) {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
  if (left !== right) throw new Error(`found ${left}\nexpected ${right}`);
}

export default {
  async test() {
    same([atTopLevel instanceof StreamProcessorError, atTopLevel?.code], [true, "no_randomness"]);
    same(atTopLevel.message.includes("in a handler"), true);

    await init();
    const processor = new StreamProcessor(PIPELINE);
    processor.push([{ ts: 1, k: "a", v: 2 }, { ts: 2, k: "a", v: 3 }]);
    processor.pushNdjson('{"ts":3,"k":"a","v":4}\n');
    const restored = StreamProcessor.restore(PIPELINE, processor.snapshot());
    restored.finish();
    same(restored.drain(), [{ k: "a", window_start: 0, window_end: 1000, sum: 9 }]);

    await init(Promise.reject(new Error("not needed any more")));
  },
};
