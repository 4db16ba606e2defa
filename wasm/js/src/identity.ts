/** What makes an event the same event when it comes again, for programs that keep such marks themselves. */
import { hasLoneSurrogate, isObject, wrongArgument } from "./arguments.js";
import { StreamProcessorError } from "./error.js";
import { Processor } from "./glue.js";
import { jsonOf } from "./json.js";
import { currentGeneration, guarded } from "./load.js";
import type { Strategy } from "./pipeline.js";

const BYTES = 16;

/**
 * The identity of an event by the strategies of a `dedup` stage, tried in order: 32 hexadecimal digits, the same in every
 * runtime and however the event is spelled. Null if no strategy applies. An event is an object, or JSON text on one line,
 * which keeps numbers that a Number cannot tell apart, as BigInts in an object do. Throws `invalid_event` for what is no event.
 */
export function identify(strategies: readonly Strategy[], event: object | string): string | null {
  if (!Array.isArray(strategies)) throw wrongArgument("identify", "strategies", "an array of strategies", strategies);
  const line = lineOf(event);
  const ways = textOf(strategies, "strategies", "invalid_argument");
  const generation = currentGeneration();
  const bytes = guarded(generation, () => Processor.identify_by(ways, line));
  const digits = Array.from(bytes.subarray(0, BYTES).reverse(), (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (!/^0*$/.test(digits)) return digits;
  // No strategy applies, or the line is no event.
  const faults = guarded(generation, () => Processor.faulty_lines(line));
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
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StreamProcessorError(code, `identify: the ${field} cannot be written as JSON: ${why}`, { field, cause });
  }
}

function invalidEvent(why: string): StreamProcessorError {
  return new StreamProcessorError("invalid_event", `identify needs an event that is a JSON object, but ${why}`, { field: "event" });
}
