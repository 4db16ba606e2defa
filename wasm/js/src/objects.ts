/**
 * Conversion of event objects to columns; each event that does not fit the pipeline is rejected.
 */
import { EXPECTED_KEY, keyFault, type KeyDictionary } from "./dictionary.js";
import { describe } from "./error.js";
import { type Batch, NO_KEYS, numbered } from "./events.js";
import { fieldOf } from "./fields.js";
import { columnOfTexts, type Fingerprints, isTextValue } from "./fingerprints.js";
import type { InputSchema } from "./schema.js";
import type { Rejection, RejectReason } from "./types.js";

/** Parses times, one a line; returns milliseconds, and NaN for a line that is not a time. */
export type ParseTimes = (lines: string) => Float64Array;

/** Conversions to milliseconds. Division is exact where multiplication by 0.001 would round. */
const TO_MS = { s: (n: number) => n * 1e3, ms: (n: number) => n, us: (n: number) => n / 1e3, ns: (n: number) => n / 1e6 };

const MAX_MS = 8.64e15;

/** The values allowed in each kind of column, for messages. */
const EXPECTED = {
  number: "a finite number",
  flag: "a finite number or a boolean",
  text: "a text, a finite number or a boolean",
};

type Event = Readonly<Record<string, unknown>>;

/** The reason why an event is rejected. */
export interface Fault {
  reason: RejectReason;
  /** The field that is wrong; undefined if the whole event is wrong. */
  field: string | undefined;
  /** The text that follows the event's index in the message. */
  message: string;
}

function fieldFault(reason: RejectReason, field: string, expected: string, value: unknown): Fault {
  return { reason, field, message: `the field "${field}" must be ${expected}, but is ${describe(value)}` };
}

/**
 * Converts the events that fit the pipeline to columns and returns a rejection for each of the
 * others. The rules are those of the text parser. Events in `unwritable` are always rejected.
 */
export function fromObjects(
  events: readonly object[],
  unwritable: ReadonlyMap<number, Fault>,
  schema: InputSchema,
  keys: KeyDictionary,
  partitions: KeyDictionary,
  parseTimes: ParseTimes,
  fingerprints: Fingerprints,
): { batch: Batch; rejections: Rejection[] } {
  const { times, faults } = timesOf(events as readonly Event[], schema, parseTimes);
  for (const [index, fault] of unwritable) faults.set(index, fault);
  const timestamps = new Float64Array(events.length);
  const keyed = schema.key.length > 0;
  const ids = new Uint32Array(keyed ? events.length : 0);
  const partitioned = schema.partition !== null;
  const partitionIds = new Uint32Array(partitioned ? events.length : 0);
  const columns = schema.columns.map(() => new Float64Array(events.length));
  const texts = schema.columns.map(({ kind }) => (kind === "text" ? ([] as unknown[]) : undefined));
  const places = new Uint32Array(events.length);
  let taken = 0;
  (events as readonly Event[]).forEach((event, index) => {
    const fault = faults.get(index) ?? faultOfFields(event, schema) ?? faultOfLength(event, schema, keys, partitions);
    if (fault !== undefined) {
      faults.set(index, fault);
      return;
    }
    timestamps[taken] = times[index] as number;
    if (keyed) ids[taken] = keys.idOfFields(event, index);
    if (partitioned) partitionIds[taken] = partitions.idOfFields(event, index);
    schema.columns.forEach(({ name }, place) => {
      const list = texts[place];
      const value = fieldOf(event, name);
      if (list !== undefined) list.push(value);
      else (columns[place] as Float64Array)[taken] = Number(value ?? Number.NaN);
    });
    places[taken] = index;
    taken += 1;
  });
  const batch = {
    events: events.length,
    timestamps: timestamps.subarray(0, taken),
    keys: keyed ? numbered(ids.subarray(0, taken), keys) : NO_KEYS,
    partitions: partitioned ? numbered(partitionIds.subarray(0, taken), partitions) : NO_KEYS,
    columns: columns.map((column, place) => {
      const list = texts[place];
      return list === undefined ? column.subarray(0, taken) : columnOfTexts(list, fingerprints);
    }),
    places: places.subarray(0, taken),
  };
  const inOrder = [...faults].sort(([a], [b]) => a - b);
  return { batch, rejections: inOrder.map(([index, fault]) => rejection(events[index] as object, index, fault)) };
}

function rejection(event: object, index: number, { reason, field, message }: Fault): Rejection {
  return { event, index, reason, field, message: `event ${index}: ${message}` };
}

/**
 * Returns the time of each event in milliseconds, and the faults of events without a valid time.
 */
function timesOf(
  events: readonly Event[],
  schema: InputSchema,
  parseTimes: ParseTimes,
): { times: Float64Array; faults: Map<number, Fault> } {
  const toMs = TO_MS[schema.timestamp_unit];
  const texts: string[] = [];
  const places: number[] = [];
  const faults = new Map<number, Fault>();
  const times = Float64Array.from(events, (event, index) => {
    const time = fieldOf(event, schema.timestamp);
    if (typeof time === "number") return toMs(time);
    if (time instanceof Date) return time.getTime();
    if (typeof time === "string") {
      texts.push(time.includes("\n") ? "" : time);
      places.push(index);
    } else if (!schema.time_is_optional || !missing(time)) {
      faults.set(index, timeFault(schema, time, missing(time) ? "missing_field" : "wrong_type"));
    }
    return 0;
  });
  if (texts.length > 0) {
    const parsed = parseTimes(texts.join("\n"));
    places.forEach((place, nth) => {
      times[place] = parsed[nth] ?? Number.NaN;
    });
  }
  times.forEach((ms, index) => {
    if (Math.abs(ms) <= MAX_MS) return;
    const reason = Number.isNaN(ms) ? "invalid_timestamp" : "timestamp_out_of_range";
    faults.set(index, timeFault(schema, fieldOf(events[index] as Event, schema.timestamp), reason));
  });
  return { times, faults };
}

function timeFault(schema: InputSchema, value: unknown, reason: RejectReason): Fault {
  const expected = "an RFC 3339 text, a Date or a Number between the years -271821 and 275760";
  return fieldFault(reason, schema.timestamp, expected, value);
}

/** Returns the first fault in an event's key, partition or columns; undefined if there is none. */
function faultOfFields(event: Event, schema: InputSchema): Fault | undefined {
  for (const field of schema.partition === null ? schema.key : [...schema.key, schema.partition]) {
    const value = fieldOf(event, field);
    const reason = keyFault(value);
    if (reason === undefined) continue;
    return fieldFault(reason, field, EXPECTED_KEY, value);
  }
  for (const { name, required, kind } of schema.columns) {
    const value = fieldOf(event, name);
    if (kind === "flag" && typeof value === "boolean") continue;
    if (kind === "text" && isTextValue(value)) continue;
    const reason = kind === "text" && typeof value === "string" ? "wrong_type" : columnFault(value, required);
    if (reason === undefined) continue;
    return fieldFault(reason, name, EXPECTED[kind], value);
  }
  const anyOf = schema.columns.slice(0, schema.require_any_of).map(({ name }) => name);
  if (anyOf.length === 0 || anyOf.some((name) => !absent(fieldOf(event, name)))) return undefined;
  const message = `one of the fields ${anyOf.map((name) => JSON.stringify(name)).join(", ")} must be ${EXPECTED.number}`;
  return { reason: "missing_field", field: anyOf[0], message };
}

function absent(value: unknown): boolean {
  return missing(value) || Number.isNaN(value);
}

/** Returns the fault of an event whose key or partition is too long. */
function faultOfLength(
  event: Event,
  schema: InputSchema,
  keys: KeyDictionary,
  partitions: KeyDictionary,
): Fault | undefined {
  const keyField = keys.isTooLong(event) ? schema.key[0] : undefined;
  const field = keyField ?? (partitions.isTooLong(event) ? (schema.partition ?? undefined) : undefined);
  if (field === undefined) return undefined;
  const what = keyField === undefined ? "partition" : "key";
  return { reason: "key_too_long", field, message: `the ${what} "${field}" is longer than limits.max_key_bytes` };
}

function columnFault(value: unknown, required: boolean): RejectReason | undefined {
  if (typeof value === "number" && !Number.isNaN(value)) return Number.isFinite(value) ? undefined : "non_finite";
  if (absent(value)) return required ? "missing_field" : undefined;
  return "wrong_type";
}

function missing(value: unknown): boolean {
  return value === undefined || value === null;
}
