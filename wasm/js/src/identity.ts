/** Event identities, for programs that deduplicate events themselves. */
import { hasLoneSurrogate, isObject, wrongArgument } from "./arguments.js";
import { messageOf, StreamProcessorError } from "./error.js";
import { jsonOf } from "./json.js";
import { sharedInstance } from "./load.js";
import type { Strategy } from "./pipeline.js";

const BYTES = 16;

/**
 * Returns the identity of an event as 32 hexadecimal digits, or null if no strategy applies. The
 * strategies are those of a `dedup` stage and are tried in order. The identity is the same in every
 * runtime and does not depend on how the JSON is written.
 *
 * `event` is an object or JSON text. JSON text, and BigInts in an object, keep integers that a
 * Number would round. Throws `invalid_event` if `event` is not an event.
 */
export function identify(strategies: readonly Strategy[], event: object | string): string | null {
  if (!Array.isArray(strategies)) throw wrongArgument("identify", "strategies", "an array of strategies", strategies);
  const line = lineOf(event);
  const strategiesJson = textOf(strategies, "strategies", "invalid_argument");
  const instance = sharedInstance();
  const call = <T>(run: () => T) => instance.guarded(instance.generation, run);
  const bytes = call(() => instance.Processor.identify_by(strategiesJson, line));
  const digits = Array.from(bytes.subarray(0, BYTES).reverse(), (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (!/^0*$/.test(digits)) return digits;
  // All zero: no strategy applies, or the line is not an event.
  const faults = call(() => instance.Processor.faulty_lines(line));
  if (faults === "") return null;
  const [{ message }] = JSON.parse(faults) as [{ message: string }];
  throw invalidEvent(message);
}

function lineOf(event: unknown): string {
  if (typeof event === "string") {
    if (hasLoneSurrogate(event)) throw invalidEvent("it has half a surrogate pair");
    return event.replaceAll("\n", " ");
  }
  if (!isObject(event)) {
    throw wrongArgument("identify", "event", "an event object, or one as JSON text", event, "invalid_event");
  }
  return textOf(event, "event", "invalid_event");
}

function textOf(value: object, field: string, code: string): string {
  try {
    return jsonOf(value) ?? "";
  } catch (cause) {
    throw new StreamProcessorError(code, `identify: the ${field} cannot be written as JSON: ${messageOf(cause)}`, { field, cause });
  }
}

function invalidEvent(why: string): StreamProcessorError {
  return new StreamProcessorError("invalid_event", `identify needs an event that is a JSON object, but ${why}`, { field: "event" });
}
