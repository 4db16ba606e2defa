/** From the module's columns of rows to plain objects, or to columns of the caller's own. */
import type { Processor } from "./glue.js";
import type { OutputSchema } from "./schema.js";
import type { Key, KeyValue, Row, RowColumns } from "./types.js";

/** Rows that cross out of the module at once. */
export const POLL_ROWS = 16_384;

/** Rows as the module hands them out: good until it is called again. */
export interface RowChunk {
  rows: number;
  /** Keys that were not told before, as a JSON array; empty where there are none. */
  newKeys: string;
  /** The first of their ids, which count on; what ids from there on meant before is over. */
  firstNewKey: number;
  /** The id of each row's key; none where the pipeline has no key. */
  keyIds: Uint32Array;
  /** Their columns, one after another; NaN is null. */
  numbers: Float64Array;
}

/** Polls for the next rows; nothing if there are none. */
export function nextRows(raw: Processor, memory: WebAssembly.Memory, { key, columns }: OutputSchema): RowChunk | undefined {
  const rows = raw.poll(POLL_ROWS);
  if (rows === 0) return undefined;
  const newKeys = raw.new_keys();
  // After all calls: the buffer is another one once the memory has grown.
  const { buffer } = memory;
  return {
    rows,
    newKeys,
    firstNewKey: raw.first_new_key(),
    keyIds: new Uint32Array(buffer, raw.key_ids(), key.length > 0 ? rows : 0),
    numbers: new Float64Array(buffer, raw.numbers(), rows * columns.length),
  };
}

/** Fields of the key, and columns, that are stored as the object is made; the others are stored one by one. */
const UNROLLED = { fields: 2, columns: 8 };

/** A field of keys by their ids. */
type KeyField = KeyValue[];

/** Reads the rows of one processor, as objects or as columns. */
export class RowReader {
  readonly #schema: OutputSchema;
  readonly #fields: readonly string[];
  readonly #names: readonly string[];
  /** Rows have one shape, and a name that objects know by themselves, as `__proto__`, is a field of theirs. */
  readonly #blank: Row;
  /** Keys that the module has told, and the same field by field. */
  #dictionary: Key[] = [];
  readonly #keys: KeyField[];

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
      const [name, values] = [this.#fields[field] as string, this.#keys[field] as KeyField];
      for (let place = 0; place < rows; place += 1) {
        (all[first + place] as Row)[name] = values[keyIds[place] as number] as KeyValue;
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

  /** A chunk as columns, which stay as they are. */
  columns(chunk: RowChunk): RowColumns {
    this.#learn(chunk);
    const { rows } = chunk;
    const numbers = chunk.numbers.slice();
    const columns = this.#names.map((name, at) => [name, numbers.subarray(at * rows, (at + 1) * rows)]);
    const keys = { ids: chunk.keyIds.slice(), dictionary: this.#dictionary };
    return { rows, ...(this.#fields.length > 0 && { keys }), columns: Object.fromEntries(columns) as Record<string, Float64Array> };
  }

  /** Takes note of keys that are new. */
  #learn({ newKeys, firstNewKey }: RowChunk): void {
    if (newKeys === "") return;
    const keys = keysOf(newKeys);
    // Callers may hold the dictionary: it grows, and where ids start over there is another one.
    if (firstNewKey < this.#dictionary.length) this.#dictionary = [];
    this.#keys.forEach((values, field) => {
      values.length = firstNewKey;
      for (const key of keys) values.push(Array.isArray(key) ? (key[field] as KeyValue) : key);
    });
    for (const key of keys) this.#dictionary.push(key);
  }

  /**
   * Appends rows with their first fields and columns. Engines of JavaScript remember for each place in the code which name it
   * stores by: one that stores by many names is several times slower.
   */
  #appendFirst(rows: number, ids: Uint32Array, numbers: Float64Array, all: Row[]): void {
    const [i, j] = this.#fields as [string, string];
    const [a, b, c, d, e, f, g, h] = this.#names as [string, string, string, string, string, string, string, string];
    const [is, js] = this.#keys as [KeyField, KeyField];
    const fields = this.#fields.length;
    const columns = this.#names.length;
    const blank = this.#blank;
    for (let place = 0; place < rows; place += 1) {
      const row = { ...blank };
      if (fields > 0) row[i] = is[ids[place] as number] as KeyValue;
      if (fields > 1) row[j] = js[ids[place] as number] as KeyValue;
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

/** A field of a key as the module writes it: an integer that JSON.parse would round is written by its digits. */
type WrittenField = Exclude<KeyValue, bigint> | { int: string };

/** The keys of a JSON array of the module. */
function keysOf(json: string): (KeyValue | KeyValue[])[] {
  const keys = JSON.parse(json) as (WrittenField | WrittenField[])[];
  if (!json.includes('{"int":"')) return keys as (KeyValue | KeyValue[])[];
  const valueOf = (field: WrittenField) => (typeof field === "object" ? BigInt(field.int) : field);
  return keys.map((key) => (Array.isArray(key) ? key.map(valueOf) : valueOf(key)));
}

function cell(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
