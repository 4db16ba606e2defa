/** From the module's columns of rows to plain objects. */
import type { OutputSchema } from "./schema.js";
import type { Row } from "./types.js";

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
  const several = schema.key.length > 1;
  for (let place = 0; place < chunk.rows; place += 1) {
    const row: Row = {};
    const key = keys?.[place];
    schema.key.forEach((name, field) => set(row, name, (several ? (key as unknown[])[field] : key) as Row[string]));
    schema.columns.forEach((name, column) => {
      const value = chunk.numbers[column * chunk.rows + place] as number;
      set(row, name, Number.isNaN(value) ? null : value);
    });
    all.push(row);
  }
}

function set(row: Row, name: string, value: Row[string] | undefined): void {
  if (name === "__proto__") {
    Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    row[name] = value ?? null;
  }
}
