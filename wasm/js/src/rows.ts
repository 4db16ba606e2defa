/** From the module's columns of rows to plain objects. */
import type { OutputSchema } from "./schema.js";
import type { KeyValue, Row } from "./types.js";

/** Rows as the module hands them out. */
export interface RowChunk {
  rows: number;
  /** Their keys as one JSON text; empty where the pipeline has no key, undefined where they are those of the chunk before. */
  keys: string | undefined;
  /** Their columns, one after another; NaN is null. */
  numbers: Float64Array;
}

/** The key of each row: its value, or one for each of several fields. */
export type RowKeys = readonly (KeyValue | KeyValue[])[];

/** Columns that are stored one by one. */
const UNROLLED = 8;

/** The keys of a chunk; `before` are those of the one before it. */
export function keysOf({ keys }: RowChunk, before: RowKeys): RowKeys {
  if (keys === undefined) return before;
  return keys === "" ? [] : (JSON.parse(keys) as RowKeys);
}

/** Appends the rows of a chunk, which have these keys, as objects, to `all`. */
export function appendRows(chunk: RowChunk, keys: RowKeys, schema: OutputSchema, all: Row[]): void {
  const { key: fields, columns } = schema;
  const names = columns.map(({ name }) => name);
  const first = all.length;
  // Rows have one shape, and a name that objects know by themselves, as `__proto__`, is a field of theirs.
  appendFirst(chunk, Object.fromEntries([...fields, ...names].map((name) => [name, null])), names, all);
  for (let column = UNROLLED; column < names.length; column += 1) {
    for (let place = 0; place < chunk.rows; place += 1) {
      (all[first + place] as Row)[names[column] as string] = cell(chunk.numbers[column * chunk.rows + place] as number);
    }
  }
  columns.forEach(({ name, kind }) => {
    if (kind === "bool") for (const row of all.slice(first)) row[name] = row[name] === 1;
  });
  if (keys.length === 0) return;
  fields.forEach((name, field) => {
    for (let place = 0; place < chunk.rows; place += 1) {
      const key = keys[place] as KeyValue | KeyValue[];
      (all[first + place] as Row)[name] = Array.isArray(key) ? (key[field] as KeyValue) : key;
    }
  });
}

/**
 * Appends rows with their first columns. Engines of JavaScript remember for each place in the code which name it stores
 * by: one that stores by many names is several times slower.
 */
function appendFirst({ rows, numbers }: RowChunk, blank: Row, names: readonly string[], all: Row[]): void {
  const [a, b, c, d, e, f, g, h] = names as [string, string, string, string, string, string, string, string];
  const columns = names.length;
  for (let place = 0; place < rows; place += 1) {
    const row = { ...blank };
    if (columns > 0) row[a] = cell(numbers[place] as number);
    if (columns > 1) row[b] = cell(numbers[rows + place] as number);
    if (columns > 2) row[c] = cell(numbers[2 * rows + place] as number);
    if (columns > 3) row[d] = cell(numbers[3 * rows + place] as number);
    if (columns > 4) row[e] = cell(numbers[4 * rows + place] as number);
    if (columns > 5) row[f] = cell(numbers[5 * rows + place] as number);
    if (columns > 6) row[g] = cell(numbers[6 * rows + place] as number);
    if (columns > 7) row[h] = cell(numbers[7 * rows + place] as number);
    all.push(row);
  }
}

function cell(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
