/** From the module's columns of rows to plain objects. */
import type { OutputSchema } from "./schema.js";
import type { KeyValue, Row } from "./types.js";

/** Rows as the module hands them out. */
export interface RowChunk {
  rows: number;
  /** Their keys as one JSON text; empty where the pipeline has no key. */
  keys: string;
  /** Their columns, one after another; NaN is null. */
  numbers: Float64Array;
}

/** Appends the rows of a chunk, as objects, to `all`. */
export function appendRows(chunk: RowChunk, schema: OutputSchema, all: Row[]): void {
  const keys = chunk.keys === "" ? undefined : (JSON.parse(chunk.keys) as unknown[]);
  const { key: fields, columns } = schema;
  // Rows have one shape, and a name that objects know by themselves, as `__proto__`, is a field of theirs.
  const names = columns.map(({ name }) => name);
  const blank: Row = Object.fromEntries([...fields, ...names].map((name) => [name, null]));
  const isBool = columns.map(({ kind }) => kind === "bool");
  for (let place = 0; place < chunk.rows; place += 1) {
    const row = { ...blank };
    const key = keys?.[place];
    for (let field = 0; field < fields.length; field += 1) {
      row[fields[field] as string] = (fields.length > 1 ? (key as KeyValue[])[field] : key) as KeyValue;
    }
    for (let column = 0; column < names.length; column += 1) {
      const value = chunk.numbers[column * chunk.rows + place] as number;
      row[names[column] as string] = Number.isNaN(value) ? null : isBool[column] ? value === 1 : value;
    }
    all.push(row);
  }
}
