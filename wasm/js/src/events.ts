/** From the columns of a caller to those that the module takes. */
import type { KeyDictionary, KeysOfBatch } from "./dictionary.js";
import { StreamProcessorError } from "./error.js";
import { checkedTexts, type Fingerprints } from "./fingerprints.js";
import type { InputColumn, InputSchema } from "./schema.js";
import type { EventColumns, Key, KeyColumn, KeyValue, NumberColumn, TextColumn } from "./types.js";

/** Milliseconds, or microseconds as whole numbers. */
export type Times = Float64Array | BigInt64Array;

/** A batch as the module takes it. */
export interface Batch {
  timestamps: Times;
  /** Without ids where the pipeline names no key. */
  keys: KeysOfBatch;
  /** Without ids where the pipeline names no partition. */
  partitions: KeysOfBatch;
  columns: Float64Array[];
  /** The place of each event among those of the call, where some of them are left out. */
  places?: Uint32Array;
}

/** The columns of a batch that has columns already, in the module's order. */
export function fromColumns(
  batch: EventColumns,
  schema: InputSchema,
  keys: KeyDictionary,
  partitions: KeyDictionary,
  fingerprints: Fingerprints,
): Batch {
  const timestamps = batch.timestamps instanceof BigInt64Array ? batch.timestamps : numbers(batch.timestamps);
  const events = timestamps.length;
  const given = batch.columns ?? {};
  const unknown = Object.keys(given).find((name) => !schema.columns.some((column) => column.name === name));
  if (unknown !== undefined) {
    const names = schema.columns.map(({ name }) => name).join(", ") || "none";
    const message = `the pipeline reads no column "${unknown}"; it reads ${names}`;
    throw new StreamProcessorError("column_count", message, { field: unknown });
  }
  const columns = schema.columns.map((column) => {
    const { name, required } = column;
    const values = given[name];
    if (values !== undefined) return columnOf(checkLength(values, name, events), column, fingerprints);
    if (!required) return new Float64Array(events).fill(Number.NaN);
    throw new StreamProcessorError("column_count", `the column "${name}" is missing`, { field: name });
  });
  const partitionFields = schema.partition === null ? [] : [schema.partition];
  return {
    timestamps,
    keys: keysOf(batch.keys, { field: "keys", what: "key", names: schema.key }, keys, events),
    partitions: keysOf(batch.partitions, { field: "partitions", what: "partition", names: partitionFields }, partitions, events),
    columns,
  };
}

/** The event at `index` of a batch that has columns, as an object. */
export function eventOfColumns(batch: EventColumns, schema: InputSchema, index: number): object {
  const key = keyAt(batch.keys, index);
  const time = batch.timestamps[index];
  const fields: [string, unknown][] = [[schema.timestamp, typeof time === "bigint" ? Number(time) / 1000 : time]];
  schema.key.forEach((name, field) => fields.push([name, schema.key.length > 1 ? (key as KeyValue[])[field] : key]));
  if (schema.partition !== null) fields.push([schema.partition, keyAt(batch.partitions, index)]);
  for (const { name } of schema.columns) {
    const value = batch.columns?.[name]?.[index] ?? Number.NaN;
    fields.push([name, Number.isNaN(value) ? null : value]);
  }
  return Object.fromEntries(fields);
}

function keyAt(keys: EventColumns["keys"], index: number): Key | undefined {
  if (keys === undefined) return undefined;
  return "dictionary" in keys ? keys.dictionary[keys.ids[index] as number] : keys[index];
}

export const NO_KEYS: KeysOfBatch = { ids: new Uint32Array(), bound: 0 };

export function numbered(ids: Uint32Array, keys: KeyDictionary): KeysOfBatch {
  return { ids, bound: keys.size };
}

/** Ids, and what they stand for: the keys of events, or their partitions. */
interface IdsOf {
  field: "keys" | "partitions";
  what: string;
  names: string[];
}

function keysOf(given: KeyColumn | undefined, of: IdsOf, keys: KeyDictionary, events: number): KeysOfBatch {
  const { field, what, names } = of;
  const mismatch = (message: string) => new StreamProcessorError(`${field}_mismatch`, message, { field });
  if (names.length === 0) {
    if (given === undefined) return NO_KEYS;
    throw mismatch(`the batch has ${field}, but the pipeline names none`);
  }
  if (given === undefined) throw mismatch(`the batch has no ${field}, but the pipeline's ${what} is ${names.join(", ")}`);
  if ("dictionary" in given) {
    checkLength(given.ids, field, events);
    return keys.idsOf(given);
  }
  const ids = Uint32Array.from(given as readonly unknown[], (key, index) => keys.idOf(key, index));
  return numbered(checkLength(ids, field, events), keys);
}

function columnOf(values: NumberColumn | TextColumn, { name, kind }: InputColumn, fingerprints: Fingerprints): Float64Array {
  if (kind === "text") return checkedTexts(values, name, fingerprints);
  return numbers(values as NumberColumn);
}

function numbers(column: NumberColumn): Float64Array {
  return column instanceof Float64Array ? column : Float64Array.from(column);
}

function checkLength<C extends { length: number }>(column: C, field: string, events: number): C {
  if (column.length === events) return column;
  const message = `column "${field}" has ${column.length} entries, but the batch has ${events} events`;
  throw new StreamProcessorError("column_length", message, { field });
}
