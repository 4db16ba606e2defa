/** Faults of event objects: why an event is rejected. */
import { EXPECTED_KEY, keyFault, type KeyDictionary } from "./dictionary.js";
import { describe, messageOf } from "./error.js";
import { fieldOf } from "./fields.js";
import { isTextValue } from "./fingerprints.js";
import type { InputSchema } from "./schema.js";
import type { RejectReason } from "./types.js";

/** An event whose fields can be read by name. */
export type Event = Readonly<Record<string, unknown>>;

/** The reason why an event is rejected. */
export interface Fault {
  reason: RejectReason;
  /** The field that is wrong; undefined if the whole event is wrong. */
  field: string | undefined;
  /** The text that follows the event's index in the message. */
  message: string;
  /** True if the event is dropped without a rejection. */
  isDropped?: true;
}

/** The values allowed in each kind of column, for messages. */
const EXPECTED = {
  number: "a finite number",
  flag: "a finite number or a boolean",
  text: "a text, a finite number or a boolean",
};

/** The greatest distance of a time from 1970, in milliseconds. */
export const MAX_MS = 8.64e15;

/** Returns the fault of a time: `ms` is NaN, or undefined if `value` is of a wrong type. */
export function timeFault(schema: InputSchema, value: unknown, ms: number | undefined): Fault {
  const expected = "an RFC 3339 text, a Date or a Number between the years -271821 and 275760";
  const ofType = value === undefined || value === null ? "missing_field" : "wrong_type";
  const reason = ms === undefined ? ofType : Number.isNaN(ms) ? "invalid_timestamp" : "timestamp_out_of_range";
  return fieldFault(reason, schema.timestamp, expected, value);
}

/** Returns the first fault in an event's key, partition or columns; undefined if there is none. */
export function faultOfFields(event: Event, schema: InputSchema): Fault | undefined {
  const { key, partition, on_null_key: onNullKey } = schema;
  for (const field of key) {
    const value = fieldOf(event, field);
    const reason = keyFault(value, onNullKey === "keep");
    if (reason === undefined) continue;
    const fault = fieldFault(reason, field, EXPECTED_KEY, value);
    return reason === "missing_field" && onNullKey === "drop" ? { ...fault, isDropped: true } : fault;
  }
  if (partition !== null) {
    const value = fieldOf(event, partition);
    const reason = keyFault(value, false);
    if (reason !== undefined) return fieldFault(reason, partition, EXPECTED_KEY, value);
  }
  for (const { name, required, kind } of schema.columns) {
    const value = fieldOf(event, name);
    if (kind === "flag" && typeof value === "boolean") continue;
    if (kind === "text" && isTextValue(value)) continue;
    const reason = kind === "text" && typeof value === "string" ? "wrong_type" : columnFault(value, required);
    if (reason !== undefined) return fieldFault(reason, name, EXPECTED[kind], value);
  }
  const anyOf = schema.columns.slice(0, schema.require_any_of).map(({ name }) => name);
  if (anyOf.length === 0 || anyOf.some((name) => !isMissing(fieldOf(event, name)))) return undefined;
  const message = `one of the fields ${anyOf.map((name) => JSON.stringify(name)).join(", ")} must be ${EXPECTED.number}`;
  return { reason: "missing_field", field: anyOf[0], message };
}

/** Returns the fault of an event whose key or partition is too long. */
export function faultOfLength(event: Event, schema: InputSchema, keys: KeyDictionary, partitions: KeyDictionary): Fault | undefined {
  const keyField = keys.isTooLong(event) ? schema.key[0] : undefined;
  const field = keyField ?? (partitions.isTooLong(event) ? (schema.partition ?? undefined) : undefined);
  if (field === undefined) return undefined;
  const what = keyField === undefined ? "partition" : "key";
  return { reason: "key_too_long", field, message: `the ${what} "${field}" is longer than limits.max_key_bytes` };
}

/** Returns the fault of an event whose fields cannot be read, because reading them throws. */
export function unreadable(thrown: unknown): Fault {
  return { reason: "invalid_json", field: undefined, message: `it cannot be read: ${messageOf(thrown)}` };
}

function fieldFault(reason: RejectReason, field: string, expected: string, value: unknown): Fault {
  return { reason, field, message: `the field "${field}" must be ${expected}, but is ${describe(value)}` };
}

function columnFault(value: unknown, required: boolean): RejectReason | undefined {
  if (typeof value === "number" && !Number.isNaN(value)) return Number.isFinite(value) ? undefined : "non_finite";
  if (isMissing(value)) return required ? "missing_field" : undefined;
  return "wrong_type";
}

/** Returns true if the value of a column is missing. */
export function isMissing(value: unknown): boolean {
  return value === undefined || value === null || Number.isNaN(value);
}
