/** Checks what a caller hands in, so that every mistake is an error that names the argument and what would be right. */
import { describe, StreamProcessorError } from "./error.js";
import type { ProcessorOptions } from "./types.js";

/** The error for the argument `field` of `call`, which `needs` something else than what was `found`. */
export function wrongArgument(call: string, field: string, needs: string, found: unknown, code = "invalid_argument"): StreamProcessorError {
  return new StreamProcessorError(code, `${call} needs ${needs}, but got ${shown(found)}`, { field });
}

/** Says what an argument is. */
function shown(found: unknown): string {
  if (found === undefined) return "undefined";
  return isDetached(found) ? "one whose memory is detached" : describe(found);
}

/** Whether `value` is an object with fields: no null, no function. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Whether `text` has half of a surrogate pair in it, which no UTF-8 can say. */
export function hasLoneSurrogate(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}

/** The bytes of `value`, which the argument `field` of `call` is; `needs` is what would be right there. */
export function checkedBytes(value: unknown, call: string, field: string, needs: string, code?: string): Uint8Array {
  if (!isDetached(value)) {
    if (value instanceof Uint8Array) return value;
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
  }
  throw wrongArgument(call, field, needs, value, code);
}

/** Whether `value` is an array or a buffer whose memory was transferred to somebody else, so that it looks empty. */
export function isDetached(value: unknown): boolean {
  const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength > 0) return false;
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

/** A text that names something. */
export function checkedName(value: unknown, call: string, field: string): string {
  if (typeof value === "string" && !hasLoneSurrogate(value)) return value;
  throw wrongArgument(call, field, "a text without halves of surrogate pairs", value);
}

/** A time of day or of the stream in milliseconds. */
export function checkedTime(time: unknown, call: string): number {
  const ms = typeof time === "number" ? time : time instanceof Date ? time.getTime() : undefined;
  if (ms !== undefined && Math.abs(ms) <= 8.64e15) return ms;
  const needs = "a time in milliseconds or a Date, between the years -271821 and 275760";
  throw wrongArgument(call, "time", needs, ms ?? time, "invalid_time");
}

/** The events of a call to `push`. */
export function checkedEvents(events: unknown): readonly object[] {
  if (!isObject(events)) {
    const hint = typeof events === "string" ? " (pushNdjson and pushCsv take text)" : "";
    throw wrongArgument("push", "events", `an event object or an iterable of them${hint}`, events, "invalid_event");
  }
  const list = Array.isArray(events) ? events : Symbol.iterator in events ? [...(events as Iterable<unknown>)] : [events];
  // Something else than an object is no event at all, but a mistake of the program. (`every` leaves out what is not there.)
  for (let index = 0; index < list.length; index += 1) {
    if (isObject(list[index])) continue;
    const message = `event ${index} must be an object, but is ${describe(list[index])}`;
    throw new StreamProcessorError("invalid_event", message, { index });
  }
  return list as object[];
}

interface CheckedOptions {
  maxPendingRows: number;
  emitsPartials: boolean;
  onReject: ProcessorOptions["onReject"] | undefined;
}

/** What a processor may do beyond its pipeline, with what holds unless it is set. */
export function checkedOptions(options: unknown): CheckedOptions {
  const call = "new StreamProcessor";
  if (!isObject(options)) throw wrongArgument(call, "options", "an object of options, or none", options);
  const { maxPendingRows, emitsPartials, onReject } = options as { [name in keyof ProcessorOptions]: unknown };
  const most = maxPendingRows ?? DEFAULT_MAX_PENDING_ROWS;
  if (typeof most !== "number" || !(most >= 0)) {
    throw wrongArgument(call, "options.maxPendingRows", "a number of rows as options.maxPendingRows", most);
  }
  const partials = emitsPartials ?? false;
  if (typeof partials !== "boolean") {
    throw wrongArgument(call, "options.emitsPartials", "true or false as options.emitsPartials", partials);
  }
  const told = onReject ?? undefined;
  if (told !== undefined && typeof told !== "function") {
    throw wrongArgument(call, "options.onReject", "a function as options.onReject", told);
  }
  return { maxPendingRows: most, emitsPartials: partials, onReject: told as ProcessorOptions["onReject"] };
}

const DEFAULT_MAX_PENDING_ROWS = 1_000_000;
