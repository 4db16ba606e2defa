/**
 * The processor: one pipeline over one stream of events.
 *
 * A call checks its arguments, converts events to columns (`objects.ts`, `events.ts`) with ids
 * instead of keys (`dictionary.ts`), and copies them into the module's memory in batches. Text goes
 * to the module as bytes (`text.ts`). Rows wait in the module until they are drained (`rows.ts`);
 * unchanged events wait here (`passed.ts`).
 */
/// <reference lib="esnext.disposable" preserve="true" />
import { checkedBytes, checkedEvents, checkedName, checkedOptions, checkedTime } from "./arguments.js";
import { KeyDictionary } from "./dictionary.js";
import { StreamProcessorError, withConsumed } from "./error.js";
import { type Batch, checkedBatch, eventOfColumns, fromColumns, type Times } from "./events.js";
import { Processor } from "./glue.js";
import { identifyEvents, type Lines } from "./lines.js";
import { currentGeneration, DISPOSED, guarded } from "./load.js";
import { fromObjects } from "./objects.js";
import { specOf, tableSeed } from "./opening.js";
import { PassedEvents } from "./passed.js";
import type { CheckedPipeline, PipelineInput, RowOf } from "./inference.js";
import type { PipelineSpec } from "./pipeline.js";
import { nextRows, POLL_ROWS, RowReader } from "./rows.js";
import { checkedCommit, checkReservable, columnAt, isInMicroseconds, rangeOf, Reservation } from "./reserved.js";
import type { Schema } from "./schema.js";
import { statsOf } from "./stats.js";
import { concatenated, pieces, surrogateBytes } from "./text.js";
import type { CommitOptions, EventColumns, ProcessorOptions, Rejection, ReservedColumns, Row, RowColumns, Stats } from "./types.js";

/** The number of events of one call into the module: a batch fits into the CPU's caches. */
const BATCH_EVENTS = 16_384;
/** The types of a snapshot and of partial state, for messages. */
const BYTES = "a Uint8Array or an ArrayBuffer";

/**
 * Runs one pipeline over one stream of events.
 *
 * Push events in, drain rows out. All calls are synchronous and there are no timers: results depend
 * only on the pipeline and on the events in their order. A processor holds memory of the module
 * until {@link dispose}.
 */
export class StreamProcessor<const P extends PipelineInput = PipelineSpec> {
  readonly #raw: Processor;
  #generation: number;
  readonly #memory: WebAssembly.Memory;
  readonly #schema: Schema;
  readonly #keys: KeyDictionary;
  readonly #partitions: KeyDictionary;
  /** The passed events that wait to be drained, if the pipeline outputs events unchanged. */
  readonly #passed: PassedEvents | undefined;
  /** The last batch of {@link reserveColumns}, and whether it may be committed. */
  #reservation: Reservation | undefined;
  #isReserved = false;
  readonly #rows: RowReader;
  readonly #maxPendingRows: number;
  readonly #onReject: ProcessorOptions["onReject"] | undefined;
  /** The high surrogate at the end of the text so far; the next text may begin with the low one. */
  #pendingSurrogate = "";

  /**
   * Opens a pipeline. Throws `invalid_pipeline`, with the path of the field and the allowed values.
   * Throws `no_randomness` at the top level of a Cloudflare Worker's module: create processors in a
   * handler instead.
   */
  constructor(pipeline: P & CheckedPipeline<P>, options: ProcessorOptions = {}) {
    const { maxPendingRows, emitsPartials, onReject } = checkedOptions(options);
    this.#generation = currentGeneration();
    const spec = specOf(pipeline as PipelineInput as PipelineSpec);
    const seed = tableSeed();
    this.#raw = this.#call(() => new Processor(spec, seed, emitsPartials));
    this.#memory = this.#call(() => this.#raw.memory()) as WebAssembly.Memory;
    this.#schema = JSON.parse(this.#call(() => this.#raw.schema())) as Schema;
    const { input, max_dictionary_keys: keys, max_key_bytes: keyBytes } = this.#schema;
    this.#keys = new KeyDictionary(input.key, { keys, keyBytes });
    this.#partitions = new KeyDictionary(input.partition === null ? [] : [input.partition], { keys, keyBytes });
    this.#passed = this.#schema.output.passes_events ? new PassedEvents() : undefined;
    this.#rows = new RowReader(this.#schema.output);
    this.#maxPendingRows = maxPendingRows;
    this.#onReject = onReject;
  }

  /** Restores a processor from a snapshot of the same pipeline, taken in any runtime. */
  static restore<const P extends PipelineInput>(
    pipeline: P & CheckedPipeline<P>,
    snapshot: Uint8Array | ArrayBuffer,
    options: ProcessorOptions = {},
  ): StreamProcessor<P> {
    const bytes = checkedBytes(snapshot, "restore", "snapshot", BYTES);
    const processor = new StreamProcessor<P>(pipeline, options);
    try {
      processor.#call(() => processor.#raw.restore(bytes));
    } catch (error) {
      processor.dispose();
      throw error;
    }
    return processor;
  }

  /**
   * Processes one event object, or several in order. Its fields have the names of the pipeline's
   * `source`; the time is a Number in `timestamp_unit`, RFC 3339 text or a Date.
   *
   * An event that does not fit is rejected: it is counted in {@link stats} by its reason and passed
   * to `onReject`. The other events are processed. One call with many events is much cheaper than
   * one call per event.
   */
  push(events: object | Iterable<object>): void {
    this.#checkUsable();
    let list: readonly object[] = [];
    let rejections: Rejection[] = [];
    let consumed: number | undefined;
    try {
      const collect = (keys: KeyDictionary) => {
        list = checkedEvents(events);
        const read = this.#read(list, keys);
        rejections = read.rejections;
        return read.batch;
      };
      this.#pushBatch(collect, (index) => list[index] as object);
    } catch (error) {
      // The caller pushes the remaining events again; their rejections are reported then.
      consumed = (error instanceof StreamProcessorError && error.consumed) || 0;
      throw asEventError(error);
    } finally {
      this.#reject(rejections.filter(({ index }) => index < (consumed ?? list.length)));
    }
  }

  /**
   * Processes events given as columns, which is faster than objects. Rejected events are counted in
   * {@link stats}.
   */
  pushColumns(batch: EventColumns): void {
    this.#checkUsable();
    const columns = checkedBatch(batch);
    const { input } = this.#schema;
    const fingerprints = (values: string) => this.#fingerprints(values);
    const eventAt = (index: number) => eventOfColumns(columns, input, index);
    const collect = (keys: KeyDictionary) => {
      const read = fromColumns(columns, input, keys, this.#partitions, fingerprints);
      if (input.has_identities) identifyEvents(read.events, eventAt, this.#lines);
      return read;
    };
    this.#pushBatch(collect, eventAt);
  }

  /**
   * Returns columns for `events`, up to 1,048,576, in the module's own memory. Write them, then
   * call {@link commitColumns}. Any other call to any processor invalidates them. Call this again
   * for each batch; the call is cheap.
   */
  reserveColumns(events: number): ReservedColumns {
    this.#checkUsable();
    const { input, output } = this.#schema;
    checkReservable(input, output.passes_events, events);
    this.#isReserved = false;
    const address = this.#call(() => this.#raw.reserve(events));
    const { buffer } = this.#memory;
    if (!this.#reservation?.fits(buffer, address, events)) {
      this.#reservation = new Reservation(input, buffer, address, events);
    }
    this.#isReserved = true;
    return this.#reservation.renew().views;
  }

  /**
   * Processes the events written into the columns of {@link reserveColumns}, without a copy. After
   * an error with `consumed`, drain and call this again with `from` increased by `consumed`. Do not
   * write to the columns in between.
   */
  commitColumns(options: CommitOptions = {}): void {
    this.#checkUsable();
    checkedCommit(options);
    const reservation = this.#reservation;
    if (reservation === undefined || !this.#isReserved) {
      const message = "there is nothing to commit: call reserveColumns for each batch, and nothing that pushes before the commit";
      throw new StreamProcessorError("columns_not_reserved", message);
    }
    const [from, to] = rangeOf(options, reservation.events);
    try {
      this.#commit(reservation, from, to, options);
      this.#isReserved = false;
    } catch (error) {
      // Only an error with `consumed` can be continued.
      this.#isReserved = error instanceof StreamProcessorError && error.consumed !== undefined;
      throw error;
    }
  }

  /**
   * Processes text with one JSON object a line. The text may be split anywhere, also within a
   * character; {@link finish} ends the last line. Invalid lines are skipped and counted in
   * {@link stats}. A line with a lone surrogate is invalid (`invalid_utf8`).
   */
  pushNdjson(text: string | Uint8Array | ArrayBuffer): void {
    this.#pushText(text, "ndjson", "pushNdjson");
  }

  /**
   * Processes CSV text like {@link pushNdjson}, for pipelines whose `source.format` is `csv`. The
   * first line is the header.
   */
  pushCsv(text: string | Uint8Array | ArrayBuffer): void {
    this.#pushText(text, "csv", "pushCsv");
  }

  /**
   * Advances the watermark to `time` (milliseconds or a Date): no event before `time` is expected
   * any more.
   */
  advanceWatermark(time: number | Date): void {
    const ms = checkedTime(time, "advanceWatermark");
    this.#untilDone(() => this.#raw.advance_watermark(ms));
  }

  /**
   * Passes the time of day (milliseconds or a Date) to pipelines that use it; see
   * {@link nextDeadline}.
   */
  tick(now: number | Date): void {
    const ms = checkedTime(now, "tick");
    this.#untilDone(() => this.#raw.tick(ms));
  }

  /** Ends the stream and emits the rows of all open windows. */
  finish(): void {
    this.#checkUsable();
    if (this.#pendingSurrogate !== "") {
      // The low surrogate never arrived.
      this.#checkRoom(0);
      const bytes = surrogateBytes(this.#pendingSurrogate);
      this.#pendingSurrogate = "";
      this.#takeText(bytes, 0);
    }
    this.#untilDone(() => this.#raw.finish());
  }

  /**
   * Removes and returns all finished rows as objects. Times are milliseconds; integer keys beyond
   * ±2^53 are BigInts. If the pipeline is a literal whose last stage is a window, the types of the
   * fields follow from it.
   *
   * If a pipeline only passes or drops events, its rows are the input events: the pushed objects,
   * or all fields of a text line. Text lines are read by JSON.parse, which rounds integers beyond
   * ±2^53 and decimals with many digits; {@link drainNdjson} returns them exactly.
   */
  drain<R extends object = RowOf<P>>(): R[] {
    this.#checkUsable();
    if (this.#passed !== undefined) return this.#passed.takeObjects() as R[];
    const rows: Row[] = [];
    const next = () => nextRows(this.#raw, this.#memory, this.#schema.output);
    for (const chunk of this.#polled(next)) this.#rows.append(chunk, rows);
    return rows as R[];
  }

  /**
   * Removes and returns the next finished rows, up to some thousands, as columns; undefined if
   * there are none. Pipelines that pass events unchanged have no columns: use {@link drain}.
   */
  drainColumns(): RowColumns | undefined {
    this.#checkUsable();
    if (this.#passed !== undefined) {
      throw new StreamProcessorError("no_columns", "the pipeline passes events as they came: use drain or drainNdjson");
    }
    const chunk = this.#call(() => nextRows(this.#raw, this.#memory, this.#schema.output));
    return chunk && this.#rows.columns(chunk);
  }

  /**
   * Removes and returns all finished rows as NDJSON, with times as RFC 3339. The bytes are those
   * that the command line prints.
   */
  drainNdjson(): Uint8Array {
    this.#checkUsable();
    if (this.#passed !== undefined) return this.#passed.takeNdjson();
    return concatenated([...this.#polled(() => this.#raw.poll_ndjson(POLL_ROWS))]);
  }

  /**
   * Returns the stream's watermark in milliseconds; null before the first event and after the end.
   */
  get watermark(): number | null {
    return this.#call(() => this.#raw.watermark()) ?? null;
  }

  /**
   * Returns the earliest time in milliseconds at which {@link tick} has an effect; null if there is
   * none.
   */
  get nextDeadline(): number | null {
    return this.#call(() => this.#raw.next_deadline()) ?? null;
  }

  /** Returns the processor's counters and watermarks. */
  stats(): Stats {
    return statsOf(this.#call(() => this.#raw.stats()), this.watermark);
  }

  /**
   * Returns the whole state, for {@link restore}. It includes finished rows that are not drained.
   */
  snapshot(): Uint8Array {
    this.#checkUsable();
    const spilled = this.#passed?.count ?? this.#call(() => this.#raw.spilled_rows());
    if (spilled > 0) {
      const message = `drain() first: ${spilled} rows have left the result buffer and would not be in the snapshot`;
      throw new StreamProcessorError("rows_pending", message);
    }
    if (this.#pendingSurrogate !== "" || this.#call(() => this.#raw.has_partial_line())) {
      const message = "push the rest of the last line first: a part of a line would not be in the snapshot";
      throw new StreamProcessorError("line_pending", message);
    }
    return this.#call(() => this.#raw.snapshot());
  }

  /**
   * Removes and returns the state of all windows, for {@link merge} of another processor with the
   * same pipeline. Needs the option `emitsPartials`.
   *
   * `source` identifies this processor among all senders. Only one processor, and those restored
   * from its snapshots, may use a name; a processor without restored state needs a new name.
   */
  partial(source: string): Uint8Array {
    const name = checkedName(source, "partial", "source");
    return this.#call(() => this.#raw.partial(name));
  }

  /**
   * Merges the {@link partial} state of another processor, as if its events arrived now. Each
   * source has its own watermark, like a partition.
   *
   * Returns false if the state was merged before; it is then ignored, so sending it twice is safe.
   * Partials of one source must be merged in order; otherwise this throws `partial_gap`.
   */
  merge(partial: Uint8Array | ArrayBuffer): boolean {
    const bytes = checkedBytes(partial, "merge", "partial", BYTES);
    let isNew = false;
    this.#untilDone(() => {
      isNew = this.#raw.merge(bytes) || isNew;
    });
    return isNew;
  }

  /** Frees the processor's memory; the processor cannot be used afterwards. */
  dispose(): void {
    if (this.#generation === currentGeneration()) this.#raw.free();
    this.#generation = DISPOSED;
  }

  #fingerprints(values: string): Float64Array {
    return this.#call(() => this.#raw.fingerprints(values));
  }

  readonly #lines: Lines = {
    identify: (lines, begins) => this.#call(() => this.#raw.identify(lines, begins)),
    faultsOf: (lines) => this.#call(() => Processor.faulty_lines(lines)),
  };

  /** Converts `events` to the columns that the pipeline reads. */
  #read(events: readonly object[], keys: KeyDictionary): { batch: Batch; rejections: Rejection[] } {
    const { input } = this.#schema;
    const parseTimes = (lines: string) => this.#call(() => this.#raw.parse_times(lines));
    const fingerprints = (values: string) => this.#fingerprints(values);
    const at = (index: number) => events[index] as object;
    const unwritable = input.has_identities ? identifyEvents(events.length, at, this.#lines) : new Map();
    const read = fromObjects(events, unwritable, input, keys, this.#partitions, parseTimes, fingerprints);
    const { places } = read.batch;
    if (input.has_identities && read.rejections.length > 0 && places !== undefined) {
      this.#call(() => this.#raw.keep_identities(places));
    }
    return read;
  }

  #call<T>(run: () => T): T {
    return guarded(this.#generation, run);
  }

  /** Throws if the processor was disposed or the module has trapped. */
  #checkUsable(): void {
    this.#call(() => {});
  }

  /** Counts rejections and passes them to `onReject`. */
  #reject(rejections: readonly Rejection[]): void {
    for (const { reason } of rejections) this.#call(() => this.#raw.count_rejected(reason));
    for (const rejection of rejections) this.#onReject?.(rejection);
  }

  /**
   * Processes the batch that `collect` returns; `eventAt` returns an event by its index in the
   * call.
   */
  #pushBatch(collect: (keys: KeyDictionary) => Batch, eventAt: (index: number) => object): void {
    this.#checkRoom(0);
    this.#keys.makeRoom();
    this.#partitions.makeRoom();
    const { timestamps, keys, partitions, columns, places, events } = collect(this.#keys);
    const inUs = timestamps instanceof BigInt64Array;
    this.#define();
    const first = this.#passed && this.#call(() => this.#raw.next_ordinal());
    const placeOf = (at: number) => (at < timestamps.length ? (places?.[at] ?? at) : events);
    const push = (from: number, to: number) => {
      this.#write(from, to, timestamps, [keys.ids, partitions.ids], columns);
      return this.#call(() => this.#raw.push_reserved(to - from, 0, to - from, keys.bound, from, inUs));
    };
    this.#take(timestamps.length, push, placeOf, () => {
      if (first === undefined) return;
      for (const ordinal of this.#call(() => this.#raw.poll_ordinals())) {
        const place = ordinal - first;
        this.#passed?.addObject(eventAt(places?.[place] ?? place));
      }
    });
  }

  /**
   * Processes the events of a reservation from `from` to `to`, translating ids first if necessary.
   */
  #commit(reservation: Reservation, from: number, to: number, options: CommitOptions): void {
    if (reservation.bound === undefined) {
      this.#keys.makeRoom();
      this.#partitions.makeRoom();
      reservation.translate(this.#memory.buffer, to, options, this.#keys, this.#partitions);
      this.#define();
    }
    const bound = reservation.bound ?? 0;
    const inUs = isInMicroseconds(options);
    const push = (at: number, end: number) => {
      return this.#call(() => this.#raw.push_reserved(reservation.events, from + at, from + end, bound, from + at, inUs));
    };
    this.#take(to - from, push, (place) => place);
  }

  /** Defines new keys and partitions in the module. */
  #define(): void {
    this.#keys.flush((fresh, first) => this.#call(() => this.#raw.define_keys(fresh, first)));
    this.#partitions.flush((fresh, first) => this.#call(() => this.#raw.define_partitions(fresh, first)));
  }

  /**
   * Processes `events` in batches. `push` returns how many events of a range the module consumed;
   * `placeOf` converts a position in the batch to an index in the caller's events.
   */
  #take(
    events: number,
    push: (from: number, to: number) => number,
    placeOf: (at: number) => number,
    takePassed: () => void = () => {},
  ): void {
    let from = 0;
    do {
      const to = Math.min(from + BATCH_EVENTS, events);
      try {
        from += push(from, to);
      } catch (error) {
        throw withConsumed(error, placeOf(from + ((error instanceof StreamProcessorError && error.consumed) || 0)));
      }
      takePassed();
      if (this.#passed === undefined && this.#raw.is_full()) this.#spill(placeOf(from));
    } while (from < events || this.#raw.is_full());
  }

  /** Writes events into the reserved columns in the module's memory. */
  #write(from: number, to: number, timestamps: Times, ids: Uint32Array[], columns: Float64Array[]): void {
    const events = to - from;
    this.#isReserved = false;
    const address = this.#call(() => this.#raw.reserve(events));
    // Read the buffer after the call: it is replaced when the memory grows.
    const { buffer } = this.#memory;
    const at = (column: number) => columnAt(address, events, column);
    if (timestamps instanceof BigInt64Array) {
      new BigInt64Array(buffer, at(0), events).set(timestamps.subarray(from, to));
    } else {
      new Float64Array(buffer, at(0), events).set(timestamps.subarray(from, to));
    }
    columns.forEach((column, place) => {
      new Float64Array(buffer, at(1 + place), events).set(column.subarray(from, to));
    });
    ids.forEach((list, index) => {
      if (list.length > 0) new Uint32Array(buffer, at(1 + columns.length + index), events).set(list.subarray(from, to));
    });
  }

  #pushText(text: string | Uint8Array | ArrayBuffer, format: "ndjson" | "csv", call: string): void {
    this.#checkUsable();
    const expected = this.#schema.input.format;
    if (format !== expected) {
      const message = `the pipeline's source.format is "${expected}", so its text cannot be ${format}`;
      throw new StreamProcessorError("wrong_format", message, { field: "source.format" });
    }
    let before = 0;
    for (const { bytes, consumed, surrogate } of pieces(text, this.#pendingSurrogate, call)) {
      this.#checkRoom(before);
      before = consumed;
      this.#pendingSurrogate = surrogate;
      this.#takeText(bytes, consumed);
    }
  }

  /** Processes a piece of text; `consumed` is the number of bytes of the call up to its end. */
  #takeText(bytes: Uint8Array, consumed: number): void {
    this.#callConsuming(consumed, () => this.#raw.push_text(bytes));
    this.#takePassed();
    while (this.#raw.is_full()) {
      this.#spill(consumed);
      this.#callConsuming(consumed, () => this.#raw.resume_text());
      this.#takePassed();
    }
  }

  /** Calls into the module; an error of a limit gets `consumed`. */
  #callConsuming(consumed: number, run: () => void): void {
    try {
      this.#call(run);
    } catch (error) {
      throw withConsumed(error, consumed);
    }
  }

  /**
   * Repeats `step`, which stops whenever the module's result buffer is full, until it completes.
   */
  #untilDone(step: () => void): void {
    this.#call(step);
    this.#takePassed();
    while (this.#raw.is_full()) {
      this.#spill(0);
      this.#call(step);
      this.#takePassed();
    }
  }

  /** Moves rows out of the full result buffer, so that the module can continue. */
  #spill(consumed: number): void {
    this.#checkPending(this.#passed?.count ?? this.#call(() => this.#raw.spilled_rows()), consumed);
    this.#call(() => this.#raw.spill());
  }

  /** Throws `results_full` if the maximum number of passed events waits to be drained. */
  #checkRoom(consumed: number): void {
    if (this.#passed !== undefined) this.#checkPending(this.#passed.count, consumed);
  }

  #checkPending(pending: number, consumed: number): void {
    if (pending < this.#maxPendingRows) return;
    const message = `${pending} rows wait: drain() them, then push what was not taken, or call again`;
    throw new StreamProcessorError("results_full", message, { consumed });
  }

  /** Moves the text of passed events into the queue, if the pipeline passes events unchanged. */
  #takePassed(): void {
    if (this.#passed === undefined) return;
    const text = this.#call(() => this.#raw.take_passed());
    this.#passed.addText(text, this.#raw.passed_events());
  }

  /** Yields the results of `poll` until it returns undefined. */
  *#polled<T>(poll: () => T | undefined): Generator<T> {
    for (let chunk = this.#call(poll); chunk !== undefined; chunk = this.#call(poll)) yield chunk;
  }
}

export interface StreamProcessor<P extends PipelineInput = PipelineSpec> {
  /** Calls {@link StreamProcessor.dispose} at the end of a `using` block. */
  [Symbol.dispose](): void;
}

// Older browsers lack Symbol.dispose.
if (Symbol.dispose !== undefined) StreamProcessor.prototype[Symbol.dispose] = StreamProcessor.prototype.dispose;

/** Converts an exception of a getter or an iterator of the events to an error of the package. */
function asEventError(error: unknown): StreamProcessorError {
  if (error instanceof StreamProcessorError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new StreamProcessorError("invalid_event", `the events cannot be read: ${why}`, { cause: error });
}
