/**
 * Collects event objects as columns, until they are sent to the module in one batch. The rules for
 * valid events are those of the text parser.
 */
import type { KeyDictionary } from "./dictionary.js";
import { escaped } from "./error.js";
import { type Batch, NO_KEYS, numbered } from "./events.js";
import { type Event, type Fault, faultOfFields, faultOfLength, isMissing, MAX_MS, timeFault, unreadable } from "./faults.js";
import { fieldOf } from "./fields.js";
import { columnOfTexts, type Fingerprints, isTextValue } from "./fingerprints.js";
import { identifyLines, lineOf, type Lines, MAX_UNITS } from "./lines.js";
import type { InputSchema } from "./schema.js";
import type { RejectedEvent } from "./types.js";

/** The number of events that a collector holds. */
export const COLLECTED_EVENTS = 1_024;

/** Conversions to milliseconds. Division is exact where multiplication by 0.001 would round. */
const TO_MS = { s: (n: number) => n * 1e3, ms: (n: number) => n, us: (n: number) => n / 1e3, ns: (n: number) => n / 1e6 };

/** The module's functions for values that JavaScript cannot convert itself. */
export interface Conversions extends Lines {
  /** Parses times, one a line; returns milliseconds, and NaN for a line that is not a time. */
  parseTimes(lines: string): Float64Array;
  readonly fingerprints: Fingerprints;
  /** Removes the identities of all events except those at `slots`. */
  keepIdentities(slots: Uint32Array): void;
}

/** A column that the pipeline reads, with the values of the collected events. */
interface Column {
  readonly name: string;
  readonly required: boolean;
  readonly isFlag: boolean;
  readonly numbers: Float64Array;
  /** The values of a text column, which become numbers when the batch is made. */
  readonly texts: unknown[] | undefined;
}

/**
 * The events of one batch, in slots. Values are copied when an event is added, so that the caller
 * may change it afterwards. A faulty event has a slot, too, until {@link take} removes it.
 */
export class EventCollector {
  readonly #schema: InputSchema;
  readonly #keys: KeyDictionary;
  readonly #partitions: KeyDictionary;
  readonly #toMs: (n: number) => number;
  readonly #keepsEvents: boolean;
  readonly #times = new Float64Array(COLLECTED_EVENTS);
  readonly #ids = new Uint32Array(COLLECTED_EVENTS);
  readonly #partitionIds = new Uint32Array(COLLECTED_EVENTS);
  readonly #columns: readonly Column[];
  /** The index of each event in its call. */
  readonly #places = new Uint32Array(COLLECTED_EVENTS);
  /** The events, if they are needed later. */
  #events: object[] = [];
  /** The events as JSON, for identities. */
  #lines: string[] = [];
  #units = 0;
  /** Times that are text, with their slots and events. */
  #timeTexts: string[] = [];
  #timeSlots: number[] = [];
  #timeEvents: object[] = [];
  /** The faults of events, and these events, by slot. */
  readonly #faults = new Map<number, Fault>();
  readonly #faulty = new Map<number, object>();
  #count = 0;
  #isReading = false;

  constructor(schema: InputSchema, keys: KeyDictionary, partitions: KeyDictionary, keepsEvents: boolean) {
    this.#schema = schema;
    this.#keys = keys;
    this.#partitions = partitions;
    this.#toMs = TO_MS[schema.timestamp_unit];
    this.#keepsEvents = keepsEvents || schema.has_identities;
    this.#columns = schema.columns.map(({ name, required, kind }) => ({
      name,
      required,
      isFlag: kind === "flag",
      numbers: new Float64Array(COLLECTED_EVENTS),
      texts: kind === "text" ? [] : undefined,
    }));
  }

  /** The number of events, including faulty ones. */
  get count(): number {
    return this.#count;
  }

  /** True if no further event can be added. */
  get isFull(): boolean {
    return this.#count === COLLECTED_EVENTS || this.#units >= MAX_UNITS;
  }

  /** True while an event is read, whose getters might call the processor. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** Adds an event, the one at `index` of its call. */
  add(event: object, index: number): void {
    const slot = this.#count;
    let fault: Fault | undefined;
    this.#isReading = true;
    try {
      if (this.#schema.has_identities) fault = this.#addLine(event, slot);
      const faultOfValues = this.#read(event as Event, slot);
      fault ??= faultOfValues;
    } catch (error) {
      fault ??= unreadable(error);
      this.#fillTexts(slot);
    }
    this.#isReading = false;
    this.#places[slot] = index;
    if (this.#keepsEvents) this.#events.push(event);
    if (fault !== undefined) {
      this.#faults.set(slot, fault);
      this.#faulty.set(slot, event);
    }
    this.#count = slot + 1;
  }

  /**
   * Makes a batch of the valid events, and a rejection for each of the others. The batch is valid
   * until {@link clear}.
   */
  take(module: Conversions): { batch: Batch; rejections: RejectedEvent[]; events: readonly object[] } {
    const texts = this.#timeTexts;
    if (texts.length > 0) this.#setTimes(module.parseTimes(texts.join("\n")));
    if (this.#schema.has_identities && this.#count > 0) {
      identifyLines(this.#lines, 0, (slot) => this.#events[slot] as object, module, this.#faults);
    }
    const rejections = this.#faults.size === 0 ? [] : this.#rejections();
    const slots = this.#faults.size === 0 ? undefined : this.#removeFaulty();
    if (slots !== undefined && this.#schema.has_identities) module.keepIdentities(slots);
    const { key, partition } = this.#schema;
    const count = slots?.length ?? this.#count;
    const batch = {
      events: this.#count,
      timestamps: this.#times.subarray(0, count),
      keys: key.length > 0 ? numbered(this.#ids.subarray(0, count), this.#keys) : NO_KEYS,
      partitions: partition === null ? NO_KEYS : numbered(this.#partitionIds.subarray(0, count), this.#partitions),
      columns: this.#columns.map(({ numbers, texts }) => {
        return texts === undefined ? numbers.subarray(0, count) : columnOfTexts(texts, module.fingerprints);
      }),
      places: this.#places.subarray(0, count),
    };
    return { batch, rejections, events: this.#events };
  }

  /** Removes all events. */
  clear(): void {
    this.#count = 0;
    this.#units = 0;
    this.#events = [];
    this.#lines = [];
    this.#timeTexts = [];
    this.#timeSlots = [];
    this.#timeEvents = [];
    this.#faults.clear();
    this.#faulty.clear();
    for (const { texts } of this.#columns) if (texts !== undefined) texts.length = 0;
  }

  /** Adds the JSON of an event; returns the fault of an event that has none. */
  #addLine(event: object, slot: number): Fault | undefined {
    const line = lineOf(event);
    this.#lines[slot] = typeof line === "string" ? line : "";
    this.#units += (this.#lines[slot] as string).length;
    return typeof line === "string" ? undefined : line;
  }

  /** Copies the values of an event to `slot`; returns the first fault. */
  #read(event: Event, slot: number): Fault | undefined {
    const { timestamp, time_is_optional: timeIsOptional, partition, key, require_any_of: leading } = this.#schema;
    const time = fieldOf(event, timestamp);
    let ms: number | undefined;
    if (typeof time === "number") ms = this.#toMs(time);
    else if (typeof time === "string") ms = this.#addTimeText(time, event, slot);
    else if (time instanceof Date) ms = time.getTime();
    else if (timeIsOptional && (time === undefined || time === null)) ms = 0;
    if (ms === undefined || !(Math.abs(ms) <= MAX_MS)) {
      this.#fillTexts(slot);
      return timeFault(this.#schema, time, ms);
    }
    this.#times[slot] = ms;
    let isValid = true;
    if (key.length > 0) {
      const id = this.#keys.idOfFields(event);
      if (id < 0) isValid = false;
      else this.#ids[slot] = id;
    }
    if (partition !== null && isValid) {
      const id = this.#partitions.idOfFields(event);
      if (id < 0) isValid = false;
      else this.#partitionIds[slot] = id;
    }
    let [place, present] = [0, 0];
    for (const column of this.#columns) {
      const value = fieldOf(event, column.name);
      if (place < leading && !isMissing(value)) present += 1;
      place += 1;
      if (column.texts !== undefined) {
        column.texts[slot] = value;
        isValid &&= isMissing(value) ? !column.required : isTextValue(value);
      } else if (typeof value === "number" && value - value === 0) {
        column.numbers[slot] = value;
      } else if (isMissing(value) && !column.required) {
        column.numbers[slot] = Number.NaN;
      } else if (column.isFlag && typeof value === "boolean") {
        column.numbers[slot] = value ? 1 : 0;
      } else {
        isValid = false;
      }
    }
    if (isValid && (present > 0 || leading === 0)) return undefined;
    const fault = faultOfFields(event, this.#schema) ?? faultOfLength(event, this.#schema, this.#keys, this.#partitions);
    return fault ?? unreadable("its fields change while they are read");
  }

  /** Stores a time that is text, to be parsed later. */
  #addTimeText(time: string, event: object, slot: number): number {
    this.#timeTexts.push(time.includes("\n") ? "" : time);
    this.#timeSlots.push(slot);
    this.#timeEvents.push(event);
    return 0;
  }

  #fillTexts(slot: number): void {
    for (const { texts } of this.#columns) if (texts !== undefined) texts[slot] = undefined;
  }

  /** Stores the parsed times; a time that is not valid is a fault. */
  #setTimes(parsed: Float64Array): void {
    this.#timeSlots.forEach((slot, nth) => {
      const ms = parsed[nth] ?? Number.NaN;
      this.#times[slot] = ms;
      if (Math.abs(ms) <= MAX_MS) return;
      const fault = this.#faults.get(slot);
      // An event that has no JSON or cannot be read has that fault first.
      if (fault?.reason === "invalid_json") return;
      this.#faults.set(slot, timeFault(this.#schema, this.#timeTexts[nth], ms));
      this.#faulty.set(slot, this.#timeEvents[nth] as object);
    });
  }

  #rejections(): RejectedEvent[] {
    const rejected = [...this.#faults].filter(([, { isDropped }]) => isDropped === undefined);
    const inOrder = rejected.sort(([a], [b]) => a - b);
    return inOrder.map(([slot, { reason, field, message }]) => {
      const index = this.#places[slot] as number;
      const event = this.#faulty.get(slot) ?? (this.#events[slot] as object);
      return { event, index, reason, field, message: escaped(`event ${index}: ${message}`) };
    });
  }

  /** Moves the valid events together; returns the slots in which they were. */
  #removeFaulty(): Uint32Array {
    const slots = new Uint32Array(this.#count - this.#faults.size);
    let to = 0;
    for (let slot = 0; slot < this.#count; slot += 1) {
      if (this.#faults.has(slot)) continue;
      this.#times[to] = this.#times[slot] as number;
      this.#ids[to] = this.#ids[slot] as number;
      this.#partitionIds[to] = this.#partitionIds[slot] as number;
      this.#places[to] = this.#places[slot] as number;
      for (const { numbers, texts } of this.#columns) {
        numbers[to] = numbers[slot] as number;
        if (texts !== undefined) texts[to] = texts[slot];
      }
      if (this.#keepsEvents) this.#events[to] = this.#events[slot] as object;
      slots[to] = slot;
      to += 1;
    }
    for (const { texts } of this.#columns) if (texts !== undefined) texts.length = to;
    return slots;
  }
}
