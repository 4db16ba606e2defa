/**
 * Dictionary encoding of keys: each distinct key is sent to the module once as JSON, and afterwards
 * by its id, a small integer.
 */
import { hasLoneSurrogate } from "./arguments.js";
import { describe, StreamProcessorError } from "./error.js";
import { fieldOf } from "./fields.js";
import { jsonOfScalar, jsonOfScalars } from "./json.js";
import type { Key, KeyIds, RejectReason } from "./types.js";

/** Defines keys in the module: the elements of the JSON array `keys` get ids from `first` on. */
type Define = (keys: string, first: number) => void;

/** The keys of a batch: one id per event; all ids are less than `bound`. */
export interface KeysOfBatch {
  ids: Uint32Array;
  bound: number;
}

/** The limits of a dictionary and of its keys. */
export interface KeyLimits {
  /** The number of keys at which the dictionary starts over. */
  keys: number;
  /** The maximum length of an encoded key. Events with a longer one are rejected. */
  keyBytes: number;
  /** True if null is a value of the key; undefined counts as null. */
  nulls: boolean;
}

/** The characters of texts at which a dictionary starts over. */
const MAX_CHARACTERS = 1 << 24;

/** The ids of keys by the value of one field; with more fields, a map by the next field. */
type Node = Map<unknown, Node | number>;

/**
 * A dictionary from keys to ids. It starts over with an empty dictionary once it is full; results
 * do not depend on ids.
 */
export class KeyDictionary {
  readonly #fields: readonly string[];
  readonly #limits: KeyLimits;
  readonly #root: Node = new Map();
  #size = 0;
  /** The length of the texts of all keys. */
  #characters = 0;
  /** Keys, as JSON, that are not yet defined in the module. */
  #fresh: string[] = [];
  /**
   * The caller's dictionary, the id of each of its keys, and whether each id equals the key's
   * index.
   */
  #mapped: { dictionary: readonly Key[]; ids: number[]; same: boolean } | undefined;

  constructor(fields: readonly string[], limits: KeyLimits) {
    this.#fields = fields;
    this.#limits = limits;
  }

  /** Clears a full dictionary. Must be called between batches, when no id is in use. */
  makeRoom(): void {
    if (this.#size < this.#limits.keys && this.#characters < MAX_CHARACTERS) return;
    this.#root.clear();
    this.#size = 0;
    this.#characters = 0;
    this.#fresh = [];
    this.#mapped = undefined;
  }

  /**
   * Returns the id of the key in an event's fields; a new key gets the next id. Returns -1 if a
   * field is not a valid part of a key, or if the key is too long.
   */
  idOfFields(event: Readonly<Record<string, unknown>>): number {
    let found: Node | number | undefined = this.#root;
    for (const field of this.#fields) {
      found = (found as Node).get(fieldOf(event, field));
      if (found === undefined) {
        const { nulls } = this.#limits;
        const values = this.#fields.map((name) => fieldOf(event, name));
        const isInvalid = values.some((value) => keyFault(value, nulls) !== undefined) || this.#isTooLong(values);
        return isInvalid ? -1 : this.#learn(values);
      }
    }
    return found as number;
  }

  /** Returns the id of `key`, the key of event `index`; a new key gets the next id. */
  idOf(key: unknown, index: number): number {
    const values = this.#valuesOf(key, index);
    let found: Node | number | undefined = this.#root;
    for (const value of values) {
      found = (found as Node).get(value);
      if (found === undefined) {
        this.#fields.forEach((field, place) => check(values[place], field, index, this.#limits.nulls));
        return this.#learn(values);
      }
    }
    return found as number;
  }

  /** The number of keys that have an id; all ids are less than it. */
  get size(): number {
    return this.#size;
  }

  /** Translates ids of the caller's dictionary into ids of this dictionary. */
  idsOf({ ids, dictionary }: KeyIds): KeysOfBatch {
    if (this.#mapped?.dictionary !== dictionary) this.#mapped = { dictionary, ids: [], same: true };
    const mapped = this.#mapped;
    for (let place = mapped.ids.length; place < dictionary.length; place += 1) {
      const id = this.idOf(dictionary[place], place);
      mapped.same &&= id === place;
      mapped.ids.push(id);
    }
    // The module checks unchanged ids against the dictionary's length, which is faster than here.
    if (mapped.same) return { ids, bound: dictionary.length };
    checkIds(ids, dictionary.length);
    return { ids: ids.map((id) => mapped.ids[id] as number), bound: this.size };
  }

  /** Defines all new keys in the module. */
  flush(define: Define): void {
    if (this.#fresh.length === 0) return;
    define(`[${this.#fresh.join()}]`, this.#size - this.#fresh.length);
    this.#fresh = [];
  }

  /** Returns true if the key of `event` is longer than the limit; its fields must be valid. */
  isTooLong(event: Readonly<Record<string, unknown>>): boolean {
    return this.#isTooLong(this.#fields.map((name) => fieldOf(event, name)));
  }

  #isTooLong(values: readonly unknown[]): boolean {
    const { keyBytes } = this.#limits;
    if (values.reduce<number>((most, value) => most + mostBytesOf(value), 0) <= keyBytes) return false;
    return values.reduce<number>((sum, value) => sum + bytesOf(value), 0) > keyBytes;
  }

  /** Gives a new key the next id. */
  #learn(values: readonly unknown[]): number {
    let node = this.#root;
    for (const value of values.slice(0, -1)) {
      let next = node.get(value) as Node | undefined;
      if (next === undefined) node.set(value, (next = new Map()));
      node = next;
    }
    const id = this.#size;
    node.set(values.at(-1), id);
    this.#size += 1;
    for (const value of values) this.#characters += typeof value === "string" ? value.length : 0;
    this.#fresh.push(values.length > 1 ? jsonOfScalars(values) : jsonOfScalar(values[0]));
    return id;
  }

  /** Returns the fields of a key; throws if it has another number of them. */
  #valuesOf(key: unknown, index: number): readonly unknown[] {
    const fields = this.#fields;
    if (fields.length === 1) return [key];
    if (Array.isArray(key) && key.length === fields.length) return key;
    const message = `the key of event ${index} must be an array of ${fields.join(", ")}, but is ${describe(key)}`;
    throw new StreamProcessorError("invalid_event", message, { index });
  }
}

function check(value: unknown, field: string, index: number, nulls: boolean): void {
  const reason = keyFault(value, nulls);
  if (reason === undefined) return;
  const found = reason === "wrong_type" && typeof value === "string" ? "text with half a surrogate pair" : describe(value);
  const message = `event ${index}: the key field "${field}" must be ${EXPECTED_KEY}, but is ${found}`;
  const code = reason === "invalid_key_number" ? reason : "invalid_event";
  throw new StreamProcessorError(code, message, { field, index });
}

/** The bytes of a text that the encoding of a key adds: its type and its end. */
const TEXT_BYTES = 2;

/** A bound for the length of an encoded number or boolean: an integer has up to 309 digits. */
const MAX_NUMBER_BYTES = 162;

/** Returns a bound for the length of a key field, which costs little to compute. */
function mostBytesOf(value: unknown): number {
  return typeof value === "string" ? TEXT_BYTES + 3 * value.length : MAX_NUMBER_BYTES;
}

/** Returns the length of an encoded text; 0 for other values, whose length the module checks. */
function bytesOf(value: unknown): number {
  if (typeof value !== "string") return 0;
  let bytes = TEXT_BYTES;
  for (const character of value) {
    const code = character.codePointAt(0) as number;
    bytes += code < 2 || (code >= 0x80 && code < 0x800) ? 2 : code < 0x80 ? 1 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

/** The values allowed in a key field, for messages. */
export const EXPECTED_KEY = "a text, a finite number, an integer within ±1.8e308 as a BigInt, or a boolean";

/**
 * Returns the reason why `value` is not a valid key field, or undefined if it is valid; with
 * `nulls`, null and undefined are valid. The rules are those of the text parser.
 */
export function keyFault(value: unknown, nulls: boolean): RejectReason | undefined {
  switch (typeof value) {
    case "string":
      return hasLoneSurrogate(value) ? "wrong_type" : undefined;
    case "number":
      return Number.isFinite(value) ? undefined : "non_finite";
    case "bigint":
      // A BigInt beyond the range of a double converts to infinity.
      return Number.isFinite(Number(value)) ? undefined : "invalid_key_number";
    case "boolean":
      return undefined;
    default:
      if (value !== undefined && value !== null) return "wrong_type";
      return nulls ? undefined : "missing_field";
  }
}

function checkIds(ids: Uint32Array, keys: number): void {
  for (let index = 0; index < ids.length; index += 1) {
    if ((ids[index] as number) < keys) continue;
    const message = `key ${ids[index]} of event ${index} is beyond the dictionary, which has ${keys} keys`;
    throw new StreamProcessorError("unknown_key_id", message, { index });
  }
}
