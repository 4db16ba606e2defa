/** Keys as small numbers: each is spelled out to the module once. */
import { hasLoneSurrogate } from "./arguments.js";
import { describe, StreamProcessorError } from "./error.js";
import { jsonOfScalar, jsonOfScalars } from "./json.js";
import type { Key, KeyIds, RejectReason } from "./types.js";

/** Tells the module what ids mean: those of `keys`, a JSON array, count on from `first`. */
type Define = (keys: string, first: number) => void;

/** The keys of a batch: an id for each event, and what all of them are below. */
export interface KeysOfBatch {
  ids: Uint32Array;
  bound: number;
}

/** Gives each key an id, and starts over once it knows `max` keys: results do not depend on it. */
export class KeyDictionary {
  readonly #fields: readonly string[];
  readonly #several: boolean;
  readonly #max: number;
  readonly #ids = new Map<unknown, number>();
  /** Keys as JSON that the module does not know yet. */
  #fresh: string[] = [];
  /** The caller's dictionary, the ids of its keys here, and whether those are their places there. */
  #mapped: { dictionary: readonly Key[]; ids: number[]; same: boolean } | undefined;

  constructor(fields: readonly string[], max: number) {
    this.#fields = fields;
    this.#several = fields.length > 1;
    this.#max = max;
  }

  /** To be called between batches, when no id is in use. */
  makeRoom(): void {
    if (this.#ids.size < this.#max) return;
    this.#ids.clear();
    this.#fresh = [];
    this.#mapped = undefined;
  }

  /** The id of the key of event `index`, given by its fields. */
  idOfFields(event: Readonly<Record<string, unknown>>, index: number): number {
    if (this.#several) return this.idOf(this.#fields.map((name) => event[name]), index);
    return this.idOf(event[this.#fields[0] as string], index);
  }

  /** The id of the key of event `index`. */
  idOf(key: unknown, index: number): number {
    const several = this.#several;
    if (several) this.#checkSeveral(key, index);
    const identity = several ? jsonOfScalars(key as readonly unknown[]) : key;
    const known = this.#ids.get(identity);
    if (known !== undefined) return known;
    if (!several) this.#check(key, this.#fields[0] as string, index);
    const id = this.#ids.size;
    this.#ids.set(identity, id);
    this.#fresh.push(several ? (identity as string) : jsonOfScalar(key));
    return id;
  }

  /** Keys that have an id; ids are below. */
  get size(): number {
    return this.#ids.size;
  }

  /** The ids here of keys that the caller has numbered by its own dictionary. */
  idsOf({ ids, dictionary }: KeyIds): KeysOfBatch {
    if (this.#mapped?.dictionary !== dictionary) this.#mapped = { dictionary, ids: [], same: true };
    const mapped = this.#mapped;
    for (let place = mapped.ids.length; place < dictionary.length; place += 1) {
      const id = this.idOf(dictionary[place], place);
      mapped.same &&= id === place;
      mapped.ids.push(id);
    }
    // Ids that pass unchanged are compared with the dictionary's length in the module, which is quicker.
    if (mapped.same) return { ids, bound: dictionary.length };
    checkIds(ids, dictionary.length);
    return { ids: ids.map((id) => mapped.ids[id] as number), bound: this.size };
  }

  /** Tells the module about the keys that are new. */
  flush(define: Define): void {
    if (this.#fresh.length === 0) return;
    define(`[${this.#fresh.join()}]`, this.#ids.size - this.#fresh.length);
    this.#fresh = [];
  }

  #checkSeveral(key: unknown, index: number): void {
    if (!Array.isArray(key) || key.length !== this.#fields.length) {
      const fields = this.#fields.join(", ");
      const message = `the key of event ${index} must be an array of ${fields}, but is ${describe(key)}`;
      throw new StreamProcessorError("invalid_event", message, { index });
    }
    this.#fields.forEach((field, place) => this.#check(key[place], field, index));
  }

  #check(value: unknown, field: string, index: number): void {
    const reason = keyFault(value);
    if (reason === undefined) return;
    const found = reason === "wrong_type" && typeof value === "string" ? "text with half a surrogate pair" : describe(value);
    const message = `event ${index}: the key field "${field}" must be ${EXPECTED_KEY}, but is ${found}`;
    const code = reason === "invalid_key_number" ? reason : "invalid_event";
    throw new StreamProcessorError(code, message, { field, index });
  }
}

/** What would be right as a field of a key. */
export const EXPECTED_KEY = "a text, a finite number, an integer within ±1.8e308 as a BigInt, or a boolean";

/** Why `value` cannot be a field of a key, by the rules of the reader of text; undefined if it can. */
export function keyFault(value: unknown): RejectReason | undefined {
  switch (typeof value) {
    case "string":
      return hasLoneSurrogate(value) ? "wrong_type" : undefined;
    case "number":
      return Number.isFinite(value) ? undefined : "non_finite";
    case "bigint":
      // Rounded to a double it is infinite if it is beyond them.
      return Number.isFinite(Number(value)) ? undefined : "invalid_key_number";
    case "boolean":
      return undefined;
    default:
      return value === undefined || value === null ? "missing_field" : "wrong_type";
  }
}

function checkIds(ids: Uint32Array, keys: number): void {
  for (let index = 0; index < ids.length; index += 1) {
    if ((ids[index] as number) < keys) continue;
    const message = `key ${ids[index]} of event ${index} is beyond the dictionary, which has ${keys} keys`;
    throw new StreamProcessorError("unknown_key_id", message, { index });
  }
}
