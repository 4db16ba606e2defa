/** Conversion of the caller's columns to the columns of the module. */
import { isDetached, isObject, wrongArgument } from "./arguments.js";
import type { KeyDictionary, KeysOfBatch } from "./dictionary.js";
import { describe, StreamProcessorError } from "./error.js";
import { checkedTexts, type Fingerprints } from "./fingerprints.js";
import type { InputColumn, InputSchema } from "./schema.js";
import type { EventColumns, Key, KeyColumn, KeyField } from "./types.js";

/** Timestamps: milliseconds in a Float64Array, microseconds in a BigInt64Array. */
export type Times = Float64Array | BigInt64Array;

/** A batch in the form that the module expects. */
export interface Batch {
  /** The number of events in the call, including rejected ones. */
  events: number;
  timestamps: Times;
  /** Has no ids if the pipeline has no key. */
  keys: KeysOfBatch;
  /** Has no ids if the pipeline has no partition field. */
  partitions: KeysOfBatch;
  columns: Float64Array[];
  /** The index of each event in the call, if some events of the call were rejected. */
  places?: Uint32Array;
}

const CALL = "pushColumns";

/** Returns `batch`; throws if it is not an object. */
export function checkedBatch(batch: unknown): EventColumns {
  if (isObject(batch)) return batch as EventColumns;
  throw wrongArgument(CALL, "batch", "an object { timestamps, keys, columns }", batch);
}

/** Checks and converts a batch of columns; the result's columns are in the module's order. */
export function fromColumns(
  batch: EventColumns,
  schema: InputSchema,
  keys: KeyDictionary,
  partitions: KeyDictionary,
  fingerprints: Fingerprints,
): Batch {
  const timestamps = timesOf(batch.timestamps);
  const events = timestamps.length;
  const given: Readonly<Record<string, unknown>> = batch.columns ?? {};
  if (!isObject(given)) throw wrongArgument(CALL, "columns", "an object of columns by their names as columns", given);
  const unknown = Object.keys(given).find((name) => !schema.columns.some((column) => column.name === name));
  if (unknown !== undefined) {
    const names = schema.columns.map(({ name }) => name).join(", ") || "none";
    const message = `the pipeline reads no column "${unknown}"; it reads ${names}`;
    throw new StreamProcessorError("column_count", message, { field: unknown });
  }
  const columns = schema.columns.map((column) => {
    const { name, required } = column;
    const values = given[name] ?? undefined;
    if (values !== undefined) return checkLength(columnOf(values, column, fingerprints), name, events);
    if (!required) return new Float64Array(events).fill(Number.NaN);
    throw new StreamProcessorError("column_count", `the column "${name}" is missing`, { field: name });
  });
  const partitionFields = schema.partition === null ? [] : [schema.partition];
  return {
    events,
    timestamps,
    keys: keysOf(batch.keys, { field: "keys", what: "key", names: schema.key }, keys, events),
    partitions: keysOf(batch.partitions, { field: "partitions", what: "partition", names: partitionFields }, partitions, events),
    columns,
  };
}

/** Returns the event at `index` of a batch of columns as an object. */
export function eventOfColumns(batch: EventColumns, schema: InputSchema, index: number): object {
  const key = keyAt(batch.keys, index);
  const time = batch.timestamps[index];
  const fields: [string, unknown][] = [[schema.timestamp, typeof time === "bigint" ? Number(time) / 1000 : time]];
  schema.key.forEach((name, field) => fields.push([name, schema.key.length > 1 ? (key as KeyField[])[field] : key]));
  if (schema.partition !== null) fields.push([schema.partition, keyAt(batch.partitions, index)]);
  for (const { name } of schema.columns) {
    const value = batch.columns?.[name]?.[index] ?? Number.NaN;
    fields.push([name, Number.isNaN(value) ? null : value]);
  }
  return Object.fromEntries(fields);
}

function keyAt(keys: EventColumns["keys"] | null, index: number): Key | undefined {
  if (keys === undefined || keys === null) return undefined;
  return "dictionary" in keys ? keys.dictionary[keys.ids[index] as number] : keys[index];
}

/** The keys of a batch of a pipeline without a key. */
export const NO_KEYS: KeysOfBatch = { ids: new Uint32Array(), bound: 0 };

/** Returns ids of the dictionary `keys` with their bound. */
export function numbered(ids: Uint32Array, keys: KeyDictionary): KeysOfBatch {
  return { ids, bound: keys.size };
}

/** The kind of an id column: the keys of events, or their partitions. */
interface IdsOf {
  field: "keys" | "partitions";
  what: string;
  names: string[];
}

function keysOf(given: KeyColumn | null | undefined, of: IdsOf, keys: KeyDictionary, events: number): KeysOfBatch {
  const { field, what, names } = of;
  given ??= undefined;
  const mismatch = (message: string) => new StreamProcessorError(`${field}_mismatch`, message, { field });
  if (names.length === 0) {
    if (given === undefined) return NO_KEYS;
    throw mismatch(`the batch has ${field}, but the pipeline names none`);
  }
  if (given === undefined) throw mismatch(`the batch has no ${field}, but the pipeline's ${what} is ${names.join(", ")}`);
  if (isObject(given) && "dictionary" in given) {
    checkKeyIds(given.ids, given.dictionary, field, CALL);
    checkLength(given.ids, field, events);
    return keys.idsOf(given);
  }
  if (!Array.isArray(given)) {
    throw wrongArgument(CALL, field, `an array, or { ids, dictionary }, as ${field}`, given);
  }
  const ids = Uint32Array.from(given as readonly unknown[], (key, index) => keys.idOf(key, index));
  return numbered(checkLength(ids, field, events), keys);
}

/** Throws if ids or their dictionary have the wrong type. */
export function checkKeyIds(ids: unknown, dictionary: unknown, field: string, call: string): void {
  if (!(ids instanceof Uint32Array)) throw wrongArgument(call, `${field}.ids`, `a Uint32Array as ${field}.ids`, ids);
  if (!Array.isArray(dictionary)) {
    throw wrongArgument(call, `${field}.dictionary`, `an array as the dictionary of ${field}`, dictionary);
  }
}

function timesOf(timestamps: unknown): Times {
  const needs = "a Float64Array, a BigInt64Array or an array of Numbers as timestamps";
  if (timestamps instanceof BigInt64Array && !isDetached(timestamps)) return timestamps;
  return numbers(timestamps, "timestamps", needs, () => undefined);
}

function columnOf(values: unknown, { name, kind }: InputColumn, fingerprints: Fingerprints): Float64Array {
  if (kind === "text") {
    if (isObject(values) && (Array.isArray(values) || ArrayBuffer.isView(values))) {
      return checkedTexts(values as ArrayLike<unknown> & object, name, fingerprints);
    }
    throw wrongArgument(CALL, name, `an array as the column "${name}"`, values);
  }
  const needs = `a Float64Array or an array of Numbers as the column "${name}"`;
  return numbers(values, name, needs, (value) => {
    if (value === undefined || value === null) return Number.NaN;
    return kind === "flag" && typeof value === "boolean" ? Number(value) : undefined;
  });
}

/**
 * Converts a column to numbers. `otherwise` converts the values of a plain array that are not
 * Numbers; it returns undefined for a value that is not allowed.
 */
function numbers(column: unknown, name: string, needs: string, otherwise: (value: unknown) => number | undefined): Float64Array {
  if (column instanceof Float64Array && !isDetached(column)) return column;
  if (isNumbers(column)) return Float64Array.from(column);
  if (!Array.isArray(column)) throw wrongArgument(CALL, name, needs, column);
  const values = new Float64Array(column.length);
  // A loop: Float64Array.from with a function is several times slower.
  for (let index = 0; index < column.length; index += 1) {
    const value: unknown = column[index];
    const number = typeof value === "number" ? value : otherwise(value);
    if (number === undefined) {
      const message = `event ${index}: ${CALL} needs ${needs}, but there is ${describe(value)}`;
      throw new StreamProcessorError("invalid_event", message, { field: name, index });
    }
    values[index] = number;
  }
  return values;
}

/** Returns true if `column` is a typed array of Numbers. */
function isNumbers(column: unknown): column is Float32Array {
  if (!ArrayBuffer.isView(column) || isDetached(column)) return false;
  return !(column instanceof DataView || column instanceof BigInt64Array || column instanceof BigUint64Array);
}

function checkLength<C extends { length: number }>(column: C, field: string, events: number): C {
  if (column.length === events) return column;
  const message = `column "${field}" has ${column.length} entries, but the batch has ${events} events`;
  throw new StreamProcessorError("column_length", message, { field });
}
