/** Columns in the module's memory that the caller fills directly, without a copy. */
import type { KeyDictionary, KeysOfBatch } from "./dictionary.js";
import { describe, StreamProcessorError } from "./error.js";
import { isObject, wrongArgument } from "./arguments.js";
import { checkKeyIds, NO_KEYS } from "./events.js";
import type { InputSchema } from "./schema.js";
import type { CommitOptions, Key, ReservedColumns } from "./types.js";

/** Returns the address of a column in a batch of `events`; columns are aligned to cache lines. */
export function columnAt(address: number, events: number, column: number): number {
  return address + Math.ceil(events / 8) * 64 * column;
}

/** A reserved batch: lives from `reserveColumns` until all of its events are committed. */
export class Reservation {
  readonly views: ReservedColumns;
  readonly events: number;
  readonly #schema: InputSchema;
  readonly #buffer: ArrayBuffer;
  readonly #address: number;
  /** The bound of the engine's key ids, once ids are translated; undefined before the commit. */
  bound: number | undefined;

  /** Creates views of the columns of `events` at `address` of the module's memory. */
  constructor(schema: InputSchema, buffer: ArrayBuffer, address: number, events: number) {
    this.events = events;
    this.#schema = schema;
    this.#buffer = buffer;
    this.#address = address;
    const at = (column: number) => columnAt(address, events, column);
    const { columns } = schema;
    const ids = (has: boolean, place: number) => new Uint32Array(buffer, at(1 + columns.length + place), has ? events : 0);
    const values = columns.map(({ name }, place) => [name, new Float64Array(buffer, at(1 + place), events)]);
    this.views = {
      timestamps: new Float64Array(buffer, at(0), events),
      microseconds: new BigInt64Array(buffer, at(0), events),
      keys: ids(schema.key.length > 0, 0),
      partitions: ids(schema.partition !== null, 1),
      columns: Object.fromEntries(values) as Record<string, Float64Array>,
    };
  }

  /** Returns true if the views cover the same memory as a batch of `events` at `address`. */
  fits(buffer: ArrayBuffer, address: number, events: number): boolean {
    return this.#buffer === buffer && this.#address === address && this.events === events;
  }

  /** Resets the batch for reuse: fills optional columns with NaN. */
  renew(): this {
    this.bound = undefined;
    for (const { name, required } of this.#schema.columns) {
      if (!required) this.views.columns[name]?.fill(Number.NaN);
    }
    return this;
  }

  /** Translates the ids that the caller wrote, in place, into ids that the module knows. */
  translate(buffer: ArrayBuffer, to: number, dictionaries: CommitOptions, keys: KeyDictionary, partitions: KeyDictionary): void {
    if (buffer !== this.#buffer) {
      const message = "the module's memory has grown since reserveColumns: reserve and write again";
      throw new StreamProcessorError("columns_detached", message);
    }
    const { key, partition } = this.#schema;
    const { bound } = translated("keys", key, this.views.keys.subarray(0, to), dictionaries.keys, keys);
    const names = partition === null ? [] : [partition];
    translated("partitions", names, this.views.partitions.subarray(0, to), dictionaries.partitions, partitions);
    this.bound = bound;
  }
}

function translated(
  field: "keys" | "partitions",
  names: string[],
  ids: Uint32Array,
  dictionary: readonly Key[] | undefined,
  known: KeyDictionary,
): KeysOfBatch {
  dictionary ??= undefined;
  if (names.length === 0) {
    if (dictionary === undefined) return NO_KEYS;
    const message = `there is a dictionary of ${field}, but the pipeline names none`;
    throw new StreamProcessorError(`${field}_mismatch`, message, { field });
  }
  if (dictionary === undefined) {
    const message = `commitColumns needs the dictionary of ${field}: what ids of ${names.join(", ")} stand for`;
    throw new StreamProcessorError(`${field}_mismatch`, message, { field });
  }
  checkKeyIds(ids, dictionary, field, "commitColumns");
  const batch = known.idsOf({ ids, dictionary });
  if (batch.ids !== ids) ids.set(batch.ids);
  return batch;
}

/**
 * Throws if the pipeline cannot use reserved columns or `events` is out of range. Reserved columns
 * hold only numbers; some pipelines need texts or whole events.
 */
export function checkReservable(schema: InputSchema, passesEvents: boolean, events: number): void {
  const text = schema.columns.find(({ kind }) => kind === "text");
  const why =
    text !== undefined
      ? `the pipeline reads texts in the column "${text.name}"`
      : schema.has_identities || passesEvents
        ? "the pipeline needs whole events"
        : undefined;
  if (why !== undefined) {
    throw new StreamProcessorError("columns_not_reservable", `${why}: use pushColumns`, { field: text?.name ?? "stages" });
  }
  if (!Number.isInteger(events) || events < 1 || events > MAX_RESERVED) {
    throw wrongArgument("reserveColumns", "events", `a number of events from 1 to ${MAX_RESERVED}`, events, "invalid_range");
  }
}

/** Maximum events of a reservation: more exceed the caches, and wasm memory never shrinks. */
const MAX_RESERVED = 1 << 20;

/** Returns the options of `commitColumns`; throws if they are not an object. */
export function checkedCommit(options: unknown): CommitOptions {
  if (isObject(options)) return options as CommitOptions;
  throw wrongArgument("commitColumns", "options", "an object of options, or none", options);
}

/** Returns the range of events that a commit takes; throws if it is outside the reservation. */
export function rangeOf(options: CommitOptions, reserved: number): [from: number, to: number] {
  const { from = 0, events = reserved } = options;
  if (Number.isInteger(from) && Number.isInteger(events) && 0 <= from && from <= events && events <= reserved) {
    return [from, events];
  }
  const message = `commitColumns cannot take from ${describe(from)} to ${describe(events)}: ${reserved} events are reserved`;
  throw new StreamProcessorError("invalid_range", message, { field: "events" });
}

/** Returns true if the written times are microseconds. */
export function isInMicroseconds({ unit = "ms" }: CommitOptions): boolean {
  if (unit === "ms" || unit === "us") return unit === "us";
  throw wrongArgument("commitColumns", "unit", '"ms" or "us" as unit', unit, "invalid_unit");
}
