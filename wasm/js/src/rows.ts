/**
 * Reads rows out of the module. `nextRows` polls a chunk of columns in the module's memory;
 * `RowReader` converts it to plain objects, or copies it to columns that the caller owns.
 */
import type { Processor } from "./glue.js";
import type { OutputSchema } from "./schema.js";
import type { Key, KeyField, Row, RowColumns } from "./types.js";

/** The maximum number of rows of one poll. */
export const POLL_ROWS = 16_384;

/** Rows in the module's memory; valid until the next call into the module. */
export interface RowChunk {
  rows: number;
  /** Keys that are new in this chunk, as a JSON array; an empty text if there are none. */
  newKeys: string;
  /** The id of the first new key; ids from there on lose their previous meaning. */
  firstNewKey: number;
  /** The id of each row's key; empty if the pipeline has no key. */
  keyIds: Uint32Array;
  /** All columns, one after another; NaN is null. */
  numbers: Float64Array;
}

/** Polls the next rows; returns undefined if there are none. */
export function nextRows(raw: Processor, memory: WebAssembly.Memory, { key, columns }: OutputSchema): RowChunk | undefined {
  const rows = raw.poll(POLL_ROWS);
  if (rows === 0) return undefined;
  const newKeys = raw.new_keys();
  // Read the buffer after all calls: it is replaced when the memory grows.
  const { buffer } = memory;
  return {
    rows,
    newKeys,
    firstNewKey: raw.first_new_key(),
    keyIds: new Uint32Array(buffer, raw.key_ids(), key.length > 0 ? rows : 0),
    numbers: new Float64Array(buffer, raw.numbers(), rows * columns.length),
  };
}

/** The numbers of key fields and columns that the unrolled code of `#appendFirst` handles. */
const UNROLLED = { fields: 2, columns: 8 };

/** The values of one key field, indexed by key id. */
type FieldValues = KeyField[];

/** Reads the rows of one processor, as objects or as columns. */
export class RowReader {
  readonly #schema: OutputSchema;
  readonly #fields: readonly string[];
  readonly #names: readonly string[];
  /**
   * The template of all rows: it fixes their shape and makes names such as `__proto__` own fields.
   */
  readonly #blank: Row;
  /** All keys by id, and the same keys split into fields. */
  #dictionary: Key[] = [];
  readonly #keys: FieldValues[];

  constructor(schema: OutputSchema) {
    this.#schema = schema;
    this.#fields = schema.key;
    this.#names = schema.columns.map(({ name }) => name);
    this.#blank = Object.fromEntries([...this.#fields, ...this.#names].map((name) => [name, null]));
    this.#keys = this.#fields.map(() => []);
  }

  /** Appends the rows of a chunk to `all`. */
  append(chunk: RowChunk, all: Row[]): void {
    this.#learn(chunk);
    const { rows, keyIds, numbers } = chunk;
    const first = all.length;
    this.#appendFirst(rows, keyIds, numbers, all);
    for (let field = UNROLLED.fields; field < this.#fields.length; field += 1) {
      const [name, values] = [this.#fields[field] as string, this.#keys[field] as FieldValues];
      for (let place = 0; place < rows; place += 1) {
        (all[first + place] as Row)[name] = values[keyIds[place] as number] as KeyField;
      }
    }
    for (let column = UNROLLED.columns; column < this.#names.length; column += 1) {
      const name = this.#names[column] as string;
      for (let place = 0; place < rows; place += 1) {
        (all[first + place] as Row)[name] = cell(numbers[column * rows + place] as number);
      }
    }
    this.#schema.columns.forEach(({ name, kind }) => {
      if (kind === "bool") for (const row of all.slice(first)) row[name] = row[name] === 1;
    });
  }

  /** Copies a chunk to columns that stay valid. */
  columns(chunk: RowChunk): RowColumns {
    this.#learn(chunk);
    const { rows } = chunk;
    const numbers = chunk.numbers.slice();
    const columns = this.#names.map((name, at) => [name, numbers.subarray(at * rows, (at + 1) * rows)]);
    const keys = { ids: chunk.keyIds.slice(), dictionary: this.#dictionary };
    return { rows, ...(this.#fields.length > 0 && { keys }), columns: Object.fromEntries(columns) as Record<string, Float64Array> };
  }

  /** Adds the chunk's new keys to the dictionary. */
  #learn({ newKeys, firstNewKey }: RowChunk): void {
    if (newKeys === "") return;
    const keys = keysOf(newKeys);
    // Callers may hold the dictionary: it only grows, and is replaced when ids start over.
    if (firstNewKey < this.#dictionary.length) this.#dictionary = [];
    this.#keys.forEach((values, field) => {
      values.length = firstNewKey;
      for (const key of keys) values.push(Array.isArray(key) ? (key[field] as KeyField) : key);
    });
    for (const key of keys) this.#dictionary.push(key);
  }

  /**
   * Appends rows with their first key fields and columns. Unrolled, because JavaScript engines
   * cache the property name per store site: a site that stores many names is several times slower.
   */
  #appendFirst(rows: number, ids: Uint32Array, numbers: Float64Array, all: Row[]): void {
    const [i, j] = this.#fields as [string, string];
    const [a, b, c, d, e, f, g, h] = this.#names as [string, string, string, string, string, string, string, string];
    const [is, js] = this.#keys as [FieldValues, FieldValues];
    const fields = this.#fields.length;
    const columns = this.#names.length;
    const blank = this.#blank;
    for (let place = 0; place < rows; place += 1) {
      const row = { ...blank };
      if (fields > 0) row[i] = is[ids[place] as number] as KeyField;
      if (fields > 1) row[j] = js[ids[place] as number] as KeyField;
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
}

/** A key field in the module's JSON; an integer that JSON.parse would round is a text of digits. */
type WrittenField = Exclude<KeyField, bigint> | { int: string };

/** Parses a JSON array of keys from the module. */
function keysOf(json: string): (KeyField | KeyField[])[] {
  const keys = JSON.parse(json) as (WrittenField | WrittenField[])[];
  if (!json.includes('{"int":"')) return keys as (KeyField | KeyField[])[];
  const valueOf = (field: WrittenField) => (typeof field === "object" && field !== null ? BigInt(field.int) : field);
  return keys.map((key) => (Array.isArray(key) ? key.map(valueOf) : valueOf(key)));
}

function cell(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
