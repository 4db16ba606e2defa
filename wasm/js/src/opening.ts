/** The arguments with which the module opens a pipeline. */
import { messageOf, StreamProcessorError } from "./error.js";
import { jsonOf } from "./json.js";
import type { PipelineSpec } from "./pipeline.js";
import { withZoneRules } from "./zones.js";

/** Returns the pipeline as JSON, with the rules of its time zones. */
export function specOf(pipeline: PipelineSpec): string {
  const resolved = withZoneRules(pipeline);
  try {
    return jsonOf(resolved) ?? "null";
  } catch (cause) {
    throw new StreamProcessorError("invalid_pipeline", `the pipeline cannot be written as JSON: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Returns a random seed for the engine's hash tables. With a known seed, an attacker could choose
 * keys that collide.
 */
export function tableSeed(): number {
  let words: Uint32Array;
  try {
    words = crypto.getRandomValues(new Uint32Array(2));
  } catch (cause) {
    const message = `a processor needs random numbers: create it in a handler, not at the top level of a module (${messageOf(cause)})`;
    throw new StreamProcessorError("no_randomness", message, { cause });
  }
  const [high, low] = words as unknown as [number, number];
  return (high >>> 11) * 2 ** 32 + low;
}
