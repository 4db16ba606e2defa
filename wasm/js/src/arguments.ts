/** Checks of arguments: each error names the argument and the values that are allowed. */
import { describe, messageOf, StreamProcessorError } from "./error.js";
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

/** Returns true if `events` is one event object: neither an array nor an iterable. */
export function isSingle(events: unknown): events is object {
  try {
    return isObject(events) && !Array.isArray(events) && !(Symbol.iterator in events);
  } catch {
    // An object that cannot be looked at, such as a revoked proxy, is rejected as an event.
    return true;
  }
}

/** Returns the events of a call to `push` as an array; throws if one is not an object. */
export function checkedEvents(events: unknown): readonly object[] {
  if (!isObject(events)) {
    const hint = typeof events === "string" ? " (pushNdjson and pushCsv take text)" : "";
    throw wrongArgument("push", "events", `an event object or an iterable of them${hint}`, events, "invalid_event");
  }
  const list = listOf(events as Iterable<unknown>, "events");
  // A value that is not an object is a programming error, not a rejected event. A loop, because
  // `every` skips the holes of a sparse array.
  for (let index = 0; index < list.length; index += 1) {
    if (isObject(list[index])) continue;
    const message = `event ${index} must be an object, but is ${describe(list[index])}`;
    throw new StreamProcessorError("invalid_event", message, { index });
  }
  return list as object[];
}

/** Returns the elements of an iterable, the argument `field`, as an array. */
export function listOf<T>(elements: Iterable<T>, field: "events" | "snapshot"): readonly T[] {
  if (Array.isArray(elements)) return elements;
  try {
    return [...elements];
  } catch (cause) {
    const code = field === "events" ? "invalid_event" : "invalid_argument";
    throw new StreamProcessorError(code, `the ${field} cannot be read: ${messageOf(cause)}`, { field, cause });
  }
}

/** Returns the pieces of a snapshot, which is one array of bytes or an iterable of them. */
export function checkedPieces(value: unknown, call: string): readonly Uint8Array[] {
  const field = "snapshot";
  const needs = "a Uint8Array, an ArrayBuffer, or an iterable of them that is not empty";
  const isList = isObject(value) && !ArrayBuffer.isView(value) && Symbol.iterator in value;
  const pieces = isList ? listOf(value as Iterable<unknown>, field) : [value];
  if (pieces.length === 0) throw wrongArgument(call, field, needs, value);
  return Array.from(pieces, (piece) => checkedBytes(piece, call, field, needs));
}

/** Returns `value`, a number of bytes; throws if it is not a positive integer. */
export function checkedSize(value: unknown, call: string, field: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 1) return Math.min(value, MAX_SIZE);
  throw wrongArgument(call, field, "a number of bytes, at least 1,", value, "invalid_range");
}

/** The greatest size that the module can express. */
const MAX_SIZE = 2 ** 32 - 1;

interface CheckedOptions {
  maxPendingRows: number;
  emitsPartials: boolean;
  isolated: boolean;
  onReject: ProcessorOptions["onReject"] | undefined;
  onDrop: ProcessorOptions["onDrop"] | undefined;
}

/** Checks the options of a processor and fills in the defaults. */
export function checkedOptions(options: unknown): CheckedOptions {
  const call = "new StreamProcessor";
  if (!isObject(options)) throw wrongArgument(call, "options", "an object of options, or none", options);
  const given = options as Readonly<Record<string, unknown>>;
  /** Returns an option; throws unless it is absent or `isValid`. */
  const option = <T>(name: string, needs: string, isValid: (value: unknown) => boolean): T | undefined => {
    const value = given[name] ?? undefined;
    if (value === undefined || isValid(value)) return value as T | undefined;
    throw wrongArgument(call, `options.${name}`, `${needs} as options.${name}`, value);
  };
  const flag = (name: string) => option<boolean>(name, "true or false", (value) => typeof value === "boolean") ?? false;
  const isFunction = (value: unknown) => typeof value === "function";
  const isRows = (value: unknown) => typeof value === "number" && value >= 0;
  return {
    maxPendingRows: option<number>("maxPendingRows", "a number of rows", isRows) ?? DEFAULT_MAX_PENDING_ROWS,
    emitsPartials: flag("emitsPartials"),
    isolated: flag("isolated"),
    onReject: option("onReject", "a function", isFunction),
    onDrop: option("onDrop", "a function", isFunction),
  };
}

const DEFAULT_MAX_PENDING_ROWS = 1_000_000;
