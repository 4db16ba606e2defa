/**
 * One engine of the module: calls into it, and the events and rows that it hands back.
 *
 * The module stops whenever its result buffer is full. Every call here then moves the rows out of
 * the buffer and continues, until `maxPendingRows` wait.
 */
import { StreamProcessorError, withConsumed } from "./error.js";
import type { Batch } from "./events.js";
import type { Processor } from "./glue.js";
import { DISPOSED, type ModuleInstance } from "./instance.js";
import type { Conversions } from "./objects.js";
import { PassedEvents } from "./passed.js";
import type { Reports } from "./reports.js";
import { columnAt } from "./reserved.js";
import type { Schema } from "./schema.js";

/** The number of events of one call into the module: a batch fits into the CPU's caches. */
const BATCH_EVENTS = 16_384;

/** The names of the methods of the module's processor. */
type Method = { [K in keyof Processor]: Processor[K] extends (...values: never[]) => unknown ? K : never }[keyof Processor];

/** The arguments with which the module opens an engine. */
export interface EngineOptions {
  readonly spec: string;
  readonly seed: number;
  readonly emitsPartials: boolean;
  readonly maxPendingRows: number;
}

/** The number of events of a batch that the module has taken so far. */
export interface Progress {
  taken: number;
}

/** An engine, and the events that passed it and wait to be drained. */
export class Engine {
  readonly raw: Processor;
  readonly memory: WebAssembly.Memory;
  readonly schema: Schema;
  /** The passed events that wait to be drained, if the pipeline outputs events unchanged. */
  readonly passed: PassedEvents | undefined;
  readonly conversions: Conversions;
  readonly #instance: ModuleInstance;
  readonly #maxPendingRows: number;
  readonly #reports: Reports;
  #generation: number;

  constructor(instance: ModuleInstance, { spec, seed, emitsPartials, maxPendingRows }: EngineOptions, reports: Reports) {
    this.#instance = instance;
    this.#generation = instance.generation;
    this.#maxPendingRows = maxPendingRows;
    this.#reports = reports;
    const { wantsRejections, wantsDrops } = reports;
    this.raw = this.call(() => new instance.Processor(spec, seed, emitsPartials, wantsRejections, wantsDrops));
    this.memory = this.run("memory") as WebAssembly.Memory;
    this.schema = JSON.parse(this.run("schema")) as Schema;
    this.passed = this.schema.output.passes_events ? new PassedEvents() : undefined;
    this.conversions = {
      identify: (lines, begins) => this.run("identify", lines, begins),
      faultsOf: (lines) => this.call(() => instance.Processor.faulty_lines(lines)),
      parseTimes: (lines) => this.run("parse_times", lines),
      fingerprints: (values) => this.run("fingerprints", values),
      keepIdentities: (slots) => this.run("keep_identities", slots),
    };
  }

  /** Calls into the module. */
  call<T>(run: () => T): T {
    return this.#instance.guarded(this.#generation, run);
  }

  /** Calls a method of the module's processor. */
  run<K extends Method>(name: K, ...values: Parameters<Processor[K]>): ReturnType<Processor[K]> {
    return this.call(() => (this.raw[name] as (...values: unknown[]) => ReturnType<Processor[K]>)(...values));
  }

  /** Throws if the processor was disposed or the module has trapped. */
  checkUsable(): void {
    this.#instance.check(this.#generation);
  }

  dispose(): void {
    if (this.#generation === this.#instance.generation) this.raw.free();
    this.#generation = DISPOSED;
  }

  /** The number of rows that wait outside of the module's result buffer. */
  get spilledRows(): number {
    return this.passed?.count ?? this.run("spilled_rows");
  }

  /**
   * Pushes the events of a batch from number `progress.taken` on, and advances it. `slotOf` converts
   * the number of an event to its index in the call, for errors; `eventAt` returns an event.
   */
  push(batch: Batch, progress: Progress, slotOf: (at: number) => number, eventAt: (at: number) => object): void {
    const { timestamps, keys } = batch;
    const inUs = timestamps instanceof BigInt64Array;
    const [start, first] = [progress.taken, this.#firstOrdinal()];
    const push = (from: number, to: number) => {
      this.#write(from, to, batch);
      return this.run("push_reserved", to - from, 0, to - from, keys.bound, from, inUs);
    };
    const eventOf = (ordinal: number) => {
      const at = ordinal - first + start;
      return first <= ordinal && at < timestamps.length ? eventAt(at) : undefined;
    };
    this.take(timestamps.length, progress, push, slotOf, eventOf);
  }

  /**
   * Processes `events` in batches from number `progress.taken` on. `push` returns how many events of
   * a range the module consumed; `slotOf` converts the number of an event to its index in the call;
   * `eventOf` returns an event by its ordinal.
   */
  take(
    events: number,
    progress: Progress,
    push: (from: number, to: number) => number,
    slotOf: (at: number) => number,
    eventOf: (ordinal: number) => object | undefined,
  ): void {
    do {
      const from = progress.taken;
      try {
        progress.taken += push(from, Math.min(from + BATCH_EVENTS, events));
      } catch (error) {
        this.#collectDrops(eventOf);
        throw withConsumed(error, slotOf(from + ((error instanceof StreamProcessorError && error.consumed) || 0)));
      }
      this.#collectDrops(eventOf);
      this.#takePassedObjects(eventOf);
      if (this.passed === undefined && this.raw.is_full()) this.#spill(slotOf(progress.taken));
    } while (progress.taken < events || this.raw.is_full());
  }

  /** Processes a piece of text; `consumed` is the number of bytes of the call up to its end. */
  pushText(bytes: Uint8Array, consumed: number): void {
    let step = () => this.raw.push_text(bytes);
    for (;;) {
      try {
        this.call(step);
      } catch (error) {
        throw withConsumed(error, consumed);
      } finally {
        this.#collectLines();
      }
      if (!this.raw.is_full()) return;
      this.#spill(consumed);
      step = () => this.raw.resume_text();
    }
  }

  /** Repeats `step`, which stops whenever the module's result buffer is full, until it completes. */
  untilDone(step: () => void): void {
    for (;;) {
      try {
        this.call(step);
      } finally {
        this.#collectLines();
      }
      if (!this.raw.is_full()) return;
      this.#spill(0);
    }
  }

  /** Throws `results_full` if the maximum number of passed events waits to be drained. */
  checkRoom(consumed: number): void {
    if (this.passed !== undefined) this.#checkPending(this.passed.count, consumed);
  }

  /** Returns the ordinal of the next event, if events are looked up by ordinals. */
  #firstOrdinal(): number {
    return this.passed !== undefined || this.#reports.wantsDrops ? this.run("next_ordinal") : 0;
  }

  /** Writes events of a batch into the reserved columns in the module's memory. */
  #write(from: number, to: number, { timestamps, keys, partitions, columns }: Batch): void {
    const events = to - from;
    const address = this.run("reserve", events);
    // Read the buffer after the call: it is replaced when the memory grows.
    const { buffer } = this.memory;
    const at = (column: number) => columnAt(address, events, column);
    if (timestamps instanceof BigInt64Array) {
      new BigInt64Array(buffer, at(0), events).set(timestamps.subarray(from, to));
    } else {
      new Float64Array(buffer, at(0), events).set(timestamps.subarray(from, to));
    }
    columns.forEach((column, place) => {
      new Float64Array(buffer, at(1 + place), events).set(column.subarray(from, to));
    });
    [keys.ids, partitions.ids].forEach((list, index) => {
      if (list.length > 0) new Uint32Array(buffer, at(1 + columns.length + index), events).set(list.subarray(from, to));
    });
  }

  /** Moves rows out of the full result buffer, so that the module can continue. */
  #spill(consumed: number): void {
    this.#checkPending(this.spilledRows, consumed);
    this.run("spill");
  }

  #checkPending(pending: number, consumed: number): void {
    if (pending < this.#maxPendingRows) return;
    const message = `${pending} rows wait: drain() them, then push what was not taken, or call again`;
    throw new StreamProcessorError("results_full", message, { consumed });
  }

  /** Takes over what the module has kept of lines: passed, rejected and dropped ones. */
  #collectLines(): void {
    if (this.#generation !== this.#instance.generation) return;
    if (this.passed !== undefined) {
      const text = this.run("take_passed");
      this.passed.addText(text, this.raw.passed_events());
    }
    if (this.#reports.wantsRejections) this.#reports.addLines(this.run("take_rejected"));
    this.#collectDrops(() => undefined);
  }

  #collectDrops(eventOf: (ordinal: number) => object | undefined): void {
    if (!this.#reports.wantsDrops || this.#generation !== this.#instance.generation) return;
    this.#reports.addDrops(this.run("take_dropped"), eventOf);
  }

  #takePassedObjects(eventOf: (ordinal: number) => object | undefined): void {
    if (this.passed === undefined) return;
    for (const ordinal of this.run("poll_ordinals")) {
      const event = eventOf(ordinal);
      if (event !== undefined) this.passed.addObject(event);
    }
  }
}
