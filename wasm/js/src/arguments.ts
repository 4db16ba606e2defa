/** Checks of arguments: each error names the argument and the values that are allowed. */
import { describe, StreamProcessorError } from "./error.js";
import type { ProcessorOptions } from "./types.js";

/**
 * Returns the error for a wrong argument `field` of the method `call`. `needs` describes the values
 * that are allowed; `found` is the value that was passed.
 */
export function wrongArgument(call: string, field: string, needs: string, found: unknown, code = "invalid_argument"): StreamProcessorError {
  return new StreamProcessorError(code, `${call} needs ${needs}, but got ${shown(found)}`, { field });
}

/** Describes the value of an argument. */
function shown(found: unknown): string {
  if (found === undefined) return "undefined";
  return isDetached(found) ? "one whose memory is detached" : describe(found);
}

/** Returns true if `value` is an object with fields: not null, not a function. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Returns true if `text` has a lone surrogate, which UTF-8 cannot encode. */
export function hasLoneSurrogate(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}

/**
 * Returns the bytes of `value`, the argument `field` of `call`. Throws if it holds no bytes;
 * `needs` describes the values that are allowed.
 */
export function checkedBytes(value: unknown, call: string, field: string, needs: string, code?: string): Uint8Array {
  if (!isDetached(value)) {
    if (value instanceof Uint8Array) return value;
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
  }
  throw wrongArgument(call, field, needs, value, code);
}

/**
 * Returns true if `value` is an array or a buffer whose memory was transferred, which looks empty.
 */
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

/** Returns `value`, a name; throws if it is not well-formed text. */
export function checkedName(value: unknown, call: string, field: string): string {
  if (typeof value === "string" && !hasLoneSurrogate(value)) return value;
  throw wrongArgument(call, field, "a text without halves of surrogate pairs", value);
}

/** Returns `time`, a time of day or of the stream, in milliseconds; throws if it is not a time. */
export function checkedTime(time: unknown, call: string): number {
  const ms = typeof time === "number" ? time : time instanceof Date ? time.getTime() : undefined;
  if (ms !== undefined && Math.abs(ms) <= 8.64e15) return ms;
  const needs = "a time in milliseconds or a Date, between the years -271821 and 275760";
  throw wrongArgument(call, "time", needs, ms ?? time, "invalid_time");
}

/** Returns the events of a call to `push` as an array; throws if one is not an object. */
export function checkedEvents(events: unknown): readonly object[] {
  if (!isObject(events)) {
    const hint = typeof events === "string" ? " (pushNdjson and pushCsv take text)" : "";
    throw wrongArgument("push", "events", `an event object or an iterable of them${hint}`, events, "invalid_event");
  }
  const list = Array.isArray(events) ? events : Symbol.iterator in events ? [...(events as Iterable<unknown>)] : [events];
  // A value that is not an object is a programming error, not a rejected event. A loop, because
  // `every` skips the holes of a sparse array.
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

/** Checks the options of a processor and fills in the defaults. */
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
  const callback = onReject ?? undefined;
  if (callback !== undefined && typeof callback !== "function") {
    throw wrongArgument(call, "options.onReject", "a function as options.onReject", callback);
  }
  return { maxPendingRows: most, emitsPartials: partials, onReject: callback as ProcessorOptions["onReject"] };
}

const DEFAULT_MAX_PENDING_ROWS = 1_000_000;
