/** What makes an event the same event when it comes again, for programs that keep such marks themselves. */
import { Processor } from "./glue.js";
import { currentGeneration, guarded } from "./load.js";
import type { Strategy } from "./pipeline.js";

const BYTES = 16;

/**
 * The identity of an event by the strategies of a `dedup` stage, tried in order: 32 hexadecimal digits, the same in every
 * runtime and however the event is spelled. Null if no strategy applies. An event is an object, or JSON text on one line,
 * which keeps numbers that a Number cannot tell apart.
 */
export function identify(strategies: readonly Strategy[], event: object | string): string | null {
  const line = typeof event === "string" ? event.replaceAll("\n", " ") : JSON.stringify(event);
  const generation = currentGeneration();
  const bytes = guarded(generation, () => Processor.identify_by(JSON.stringify(strategies), line));
  const digits = Array.from(bytes.subarray(0, BYTES).reverse(), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return /^0*$/.test(digits) ? null : digits;
}
