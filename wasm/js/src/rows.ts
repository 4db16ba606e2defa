/** From the module's columns of rows to plain objects. */
import type { OutputSchema } from "./schema.js";
import type { Row } from "./types.js";

/** Rows as the module hands them out: their keys as one JSON text, then their columns, NaN for null. */
export type RowColumns = [keys: string, ...columns: Float64Array[]];

/** Appends the rows of a chunk, as objects, to `rows`. */
export function appendRows(chunk: RowColumns, schema: OutputSchema, rows: Row[]): void {
  const [keyText, ...columns] = chunk;
  const keys = keyText === "" ? undefined : (JSON.parse(keyText) as unknown[]);
  const several = schema.key.length > 1;
  const count = columns[0]?.length ?? 0;
  for (let place = 0; place < count; place += 1) {
    const row: Row = {};
    const key = keys?.[place];
    schema.key.forEach((name, field) => set(row, name, (several ? (key as unknown[])[field] : key) as Row[string]));
    columns.forEach((column, index) => {
      const value = column[place] as number;
      set(row, schema.columns[index] as string, Number.isNaN(value) ? null : value);
    });
    rows.push(row);
  }
}

function set(row: Row, name: string, value: Row[string] | undefined): void {
  if (name === "__proto__") {
    Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    row[name] = value ?? null;
  }
}
