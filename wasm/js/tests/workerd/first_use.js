/** A Cloudflare Worker that loads the module in a handler; its first attempt fails. */
import { init, StreamProcessor, StreamProcessorError } from "stream-processor";

const PIPELINE = { stages: [{ type: "window", window: "tumbling", size: "1s", aggregations: ["count"] }] };

async function codeOf(run) {
  try {
    await run();
  } catch (error) {
    if (error instanceof StreamProcessorError) return error.code;
    throw error;
  }
  return "no error";
}

export default {
  async test() {
    const codes = [
      await codeOf(() => new StreamProcessor(PIPELINE)),
      // Workers cannot compile modules.
      await codeOf(() => init(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]))),
      await codeOf(() => init("no address")),
      await codeOf(() => init()),
      await codeOf(() => new StreamProcessor(PIPELINE)),
    ];
    const expected = ["not_initialized", "module_not_loaded", "module_not_loaded", "no error", "no error"];
    if (codes.join() !== expected.join()) throw new Error(`found ${codes}`);
  },
};
