/** From plain event objects to the columns that the module takes. */
import type { KeyDictionary, KeysOfBatch } from "./dictionary.js";
import { describe, StreamProcessorError } from "./error.js";
import type { InputSchema } from "./schema.js";
import type { EventColumns, NumberColumn } from "./types.js";

/** A batch as the module takes it. */
export interface Batch {
  timestamps: Float64Array;
  /** Without ids where the pipeline names no key. */
  keys: KeysOfBatch;
  columns: Float64Array[];
}

/** Reads times that are text: milliseconds, NaN for what is no time. One call for all of them. */
export type ParseTimes = (lines: string) => Float64Array;

/** Milliseconds of a Number in each unit; a division loses nothing where a multiplication by 0.001 would. */
const TO_MS = { s: (n: number) => n * 1e3, ms: (n: number) => n, us: (n: number) => n / 1e3, ns: (n: number) => n / 1e6 };

type Event = Readonly<Record<string, unknown>>;

/** The columns of plain objects. Throws at the first that does not fit, before anything is pushed. */
export function fromObjects(
  events: readonly unknown[],
  schema: InputSchema,
  keys: KeyDictionary,
  parseTimes: ParseTimes,
): Batch {
  events.forEach((event, index) => {
    if (typeof event === "object" && event !== null) return;
    throw new StreamProcessorError("invalid_event", `event ${index} must be an object, but is ${describe(event)}`, { index });
  });
  const checked = events as readonly Event[];
  const keyed = schema.key.length > 0;
  return {
    timestamps: times(checked, schema, parseTimes),
    keys: keyed
      ? numbered(Uint32Array.from(checked, (event, index) => keys.idOfFields(event, index)), keys)
      : NO_KEYS,
    columns: schema.columns.map(({ name, required }) =>
      Float64Array.from(checked, (event, index) => number(event[name], name, required, index)),
    ),
  };
}

function number(value: unknown, field: string, required: boolean, index: number): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  const missing = value === undefined || value === null || Number.isNaN(value);
  if (missing && !required) return Number.NaN;
  const message = `event ${index}: the field "${field}" must be a finite number, but is ${describe(value)}`;
  throw new StreamProcessorError("invalid_event", message, { field, index });
}

function times(events: readonly Event[], schema: InputSchema, parseTimes: ParseTimes): Float64Array {
  const field = schema.timestamp;
  const toMs = TO_MS[schema.timestamp_unit];
  const texts: string[] = [];
  const places: number[] = [];
  const result = Float64Array.from(events, (event, index) => {
    const time = event[field];
    if (typeof time === "number") return toMs(time);
    if (time instanceof Date) return time.getTime();
    if (typeof time !== "string") throw noTime(time, field, index);
    texts.push(time.includes("\n") ? "" : time);
    places.push(index);
    return 0;
  });
  if (texts.length > 0) {
    const parsed = parseTimes(texts.join("\n"));
    places.forEach((place, nth) => {
      result[place] = parsed[nth] ?? Number.NaN;
    });
  }
  const wrong = result.findIndex((ms) => !(Math.abs(ms) <= 8.64e15));
  if (wrong >= 0) throw noTime(events[wrong]?.[field], field, wrong);
  return result;
}

function noTime(value: unknown, field: string, index: number): StreamProcessorError {
  const message =
    `event ${index}: the time "${field}" must be an RFC 3339 text, a Date or a Number ` +
    `between the years -271821 and 275760, but is ${describe(value)}`;
  return new StreamProcessorError("invalid_event", message, { field, index });
}

/** The columns of a batch that has columns already, in the module's order. */
export function fromColumns(batch: EventColumns, schema: InputSchema, keys: KeyDictionary): Batch {
  const timestamps = numbers(batch.timestamps);
  const events = timestamps.length;
  const given = batch.columns ?? {};
  const unknown = Object.keys(given).find((name) => !schema.columns.some((column) => column.name === name));
  if (unknown !== undefined) {
    const names = schema.columns.map(({ name }) => name).join(", ") || "none";
    const message = `the pipeline reads no column "${unknown}"; it reads ${names}`;
    throw new StreamProcessorError("column_count", message, { field: unknown });
  }
  const columns = schema.columns.map(({ name, required }) => {
    const values = given[name];
    if (values !== undefined) return checkLength(numbers(values), name, events);
    if (!required) return new Float64Array(events).fill(Number.NaN);
    throw new StreamProcessorError("column_count", `the column "${name}" is missing`, { field: name });
  });
  return { timestamps, keys: keysOf(batch, schema, keys, events), columns };
}

const NO_KEYS: KeysOfBatch = { ids: new Uint32Array(), bound: 0 };

function numbered(ids: Uint32Array, keys: KeyDictionary): KeysOfBatch {
  return { ids, bound: keys.size };
}

function keysOf(batch: EventColumns, schema: InputSchema, keys: KeyDictionary, events: number): KeysOfBatch {
  const given = batch.keys;
  if (schema.key.length === 0) {
    if (given === undefined) return NO_KEYS;
    throw new StreamProcessorError("keys_mismatch", "the batch has keys, but the pipeline names none", { field: "keys" });
  }
  if (given === undefined) {
    const message = `the batch has no keys, but the pipeline's key is ${schema.key.join(", ")}`;
    throw new StreamProcessorError("keys_mismatch", message, { field: "keys" });
  }
  if ("dictionary" in given) {
    checkLength(given.ids, "keys", events);
    return keys.idsOf(given);
  }
  const ids = Uint32Array.from(given as readonly unknown[], (key, index) => keys.idOf(key, index));
  return numbered(checkLength(ids, "keys", events), keys);
}

function numbers(column: NumberColumn): Float64Array {
  return column instanceof Float64Array ? column : Float64Array.from(column);
}

function checkLength<C extends { length: number }>(column: C, field: string, events: number): C {
  if (column.length === events) return column;
  const message = `column "${field}" has ${column.length} entries, but the batch has ${events} events`;
  throw new StreamProcessorError("column_length", message, { field });
}
