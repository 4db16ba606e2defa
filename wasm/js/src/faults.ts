/** Faults of event objects: why an event is rejected. */
import { EXPECTED_KEY, keyFault } from "./dictionary.js";
import { describe, messageOf } from "./error.js";
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
  const ofType = missing(value) ? "missing_field" : "wrong_type";
  const reason = ms === undefined ? ofType : Number.isNaN(ms) ? "invalid_timestamp" : "timestamp_out_of_range";
  return fieldFault(reason, schema.timestamp, expected, value);
}

/** Returns the first fault in an event's key, partition or columns; undefined if there is none. */
export function faultOfFields(event: Event, schema: InputSchema): Fault | undefined {
  for (const field of schema.partition === null ? schema.key : [...schema.key, schema.partition]) {
    const value = event[field];
    const reason = keyFault(value);
    if (reason !== undefined) return fieldFault(reason, field, EXPECTED_KEY, value);
  }
  for (const { name, required, kind } of schema.columns) {
    const value = event[name];
    if (kind === "flag" && typeof value === "boolean") continue;
    if (kind === "text" && isTextValue(value)) continue;
    const reason = kind === "text" && typeof value === "string" ? "wrong_type" : columnFault(value, required);
    if (reason !== undefined) return fieldFault(reason, name, EXPECTED[kind], value);
  }
  return undefined;
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
  if (missing(value) || Number.isNaN(value)) return required ? "missing_field" : undefined;
  return "wrong_type";
}

function missing(value: unknown): boolean {
  return value === undefined || value === null;
}
