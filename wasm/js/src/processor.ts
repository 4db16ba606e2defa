/** The processor: a pipeline over one stream of events. */
/// <reference lib="esnext.disposable" preserve="true" />
import { checkedBytes, checkedEvents, checkedName, checkedOptions, checkedTime } from "./arguments.js";
import { KeyDictionary } from "./dictionary.js";
import { after, StreamProcessorError } from "./error.js";
import { type Batch, checkedBatch, eventOfColumns, fromColumns, type Times } from "./events.js";
import { Processor } from "./glue.js";
import { identifyEvents, type Lines } from "./lines.js";
import { currentGeneration, DISPOSED, guarded } from "./load.js";
import { fromObjects } from "./objects.js";
import { specOf, tableSeed } from "./opening.js";
import { PassedEvents } from "./passed.js";
import type { PipelineSpec } from "./pipeline.js";
import { nextRows, POLL_ROWS, RowReader } from "./rows.js";
import { checkedCommit, checkReservable, columnAt, isInMicroseconds, rangeOf, Reservation } from "./reserved.js";
import type { Schema } from "./schema.js";
import { statsOf } from "./stats.js";
import { concatenated, halfAsBytes, pieces } from "./text.js";
import type { CommitOptions, EventColumns, ProcessorOptions, Rejection, ReservedColumns, Row, RowColumns, Stats } from "./types.js";

/** Events that cross into the module at once: what fits the processor's caches. */
const BATCH_EVENTS = 16_384;
/** What a snapshot and partial state are handed in as. */
const BYTES = "a Uint8Array or an ArrayBuffer";

/**
 * Runs one pipeline over one stream of events.
 *
 * Push events in, drain rows out. Nothing happens by itself and nothing is asynchronous: results are a function of the
 * pipeline and of the events in their order. A processor holds memory of the module until {@link dispose}.
 */
export class StreamProcessor {
  readonly #raw: Processor;
  #generation: number;
  readonly #memory: WebAssembly.Memory;
  readonly #schema: Schema;
  readonly #keys: KeyDictionary;
  readonly #partitions: KeyDictionary;
  /** Where the pipeline passes events as they came: those that wait. */
  readonly #passed: PassedEvents | undefined;
  /** The batch that a caller writes, and whether it is being written. */
  #reservation: Reservation | undefined;
  #isReserved = false;
  readonly #rows: RowReader;
  readonly #maxPendingRows: number;
  readonly #onReject: ProcessorOptions["onReject"] | undefined;
  /** Half of a character that ended the text so far: the next text begins with the other one. */
  #half = "";

  /**
   * Throws `invalid_pipeline`, with the path of the field and what would be right; `no_randomness` at the top level of a
   * Cloudflare Worker's module, where there is none: make processors in a handler.
   */
  constructor(pipeline: PipelineSpec, options: ProcessorOptions = {}) {
    const { maxPendingRows, emitsPartials, onReject } = checkedOptions(options);
    this.#generation = currentGeneration();
    const spec = specOf(pipeline);
    const seed = tableSeed();
    this.#raw = this.#call(() => new Processor(spec, seed, emitsPartials));
    this.#memory = this.#call(() => this.#raw.memory()) as WebAssembly.Memory;
    this.#schema = JSON.parse(this.#call(() => this.#raw.schema())) as Schema;
    const { input, max_dictionary_keys: maxKeys } = this.#schema;
    this.#keys = new KeyDictionary(input.key, maxKeys);
    this.#partitions = new KeyDictionary(input.partition === null ? [] : [input.partition], maxKeys);
    this.#passed = this.#schema.output.passes_events ? new PassedEvents() : undefined;
    this.#rows = new RowReader(this.#schema.output);
    this.#maxPendingRows = maxPendingRows;
    this.#onReject = onReject;
  }

  /** A processor that goes on from a snapshot of the same pipeline, wherever that was taken. */
  static restore(pipeline: PipelineSpec, snapshot: Uint8Array | ArrayBuffer, options: ProcessorOptions = {}): StreamProcessor {
    const bytes = checkedBytes(snapshot, "restore", "snapshot", BYTES);
    const processor = new StreamProcessor(pipeline, options);
    try {
      processor.#call(() => processor.#raw.restore(bytes));
    } catch (error) {
      processor.dispose();
      throw error;
    }
    return processor;
  }

  /**
   * Takes an event, or several in their order, by the field names of the pipeline's `source`. The time may be a Number in
   * `timestamp_unit`, RFC 3339 text or a Date. An event that does not fit is rejected: counted in {@link stats} by its
   * reason, and told to `onReject`; the others are taken. Many events in one call are much cheaper than a call for each.
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
      // What comes after is pushed again, and told about then.
      consumed = (error instanceof StreamProcessorError && error.consumed) || 0;
      throw readable(error);
    } finally {
      this.#reject(rejections.filter(({ index }) => index < (consumed ?? list.length)));
    }
  }

  /** Takes events as columns, the fastest way. Events that the pipeline refuses are counted in {@link stats}. */
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
   * Columns for `events`, up to 1,048,576, in the module's own memory: write them, then {@link commitColumns}. They are good
   * until any processor is called, save that; to be asked for again for each batch, which costs next to nothing.
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
   * Takes what has been written into {@link reserveColumns}, as {@link pushColumns} would, without a copy. After an error
   * with `consumed`, drain, then call it again with `from` moved on by as much, and write nothing in between.
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
      // What has no such place cannot go on.
      this.#isReserved = error instanceof StreamProcessorError && error.consumed !== undefined;
      throw error;
    }
  }

  /**
   * Takes text of one JSON object a line, in pieces that may end anywhere, within a character too; {@link finish} ends the last
   * line. Lines that cannot be read are skipped and counted in {@link stats}; so is a line with half of a surrogate pair alone
   * (`invalid_utf8`).
   */
  pushNdjson(text: string | Uint8Array | ArrayBuffer): void {
    this.#pushText(text, "ndjson", "pushNdjson");
  }

  /** As {@link pushNdjson}, for pipelines whose `source.format` is `csv`; the first line is the header. */
  pushCsv(text: string | Uint8Array | ArrayBuffer): void {
    this.#pushText(text, "csv", "pushCsv");
  }

  /** Says that no event before `time` (milliseconds or a Date) is still to come. */
  advanceWatermark(time: number | Date): void {
    const ms = checkedTime(time, "advanceWatermark");
    this.#untilDone(() => this.#raw.advance_watermark(ms));
  }

  /** Tells the time of day (milliseconds or a Date) to pipelines that wait for it; see {@link nextDeadline}. */
  tick(now: number | Date): void {
    const ms = checkedTime(now, "tick");
    this.#untilDone(() => this.#raw.tick(ms));
  }

  /** Ends the stream: all that is open gives its rows. */
  finish(): void {
    this.#checkUsable();
    if (this.#half !== "") {
      // The other half never came.
      this.#checkRoom(0);
      const bytes = halfAsBytes(this.#half);
      this.#half = "";
      this.#takeText(bytes, 0);
    }
    this.#untilDone(() => this.#raw.finish());
  }

  /**
   * Hands out all rows that are done, as objects; times are milliseconds. Where a pipeline only passes events or drops
   * them, rows are the events as they came: the objects that were pushed, or all fields of a line of text. These are read by
   * JSON.parse, which rounds integers beyond ±2^53 and decimals of many digits: {@link drainNdjson} has them exactly. Keys of
   * all other rows are exact: such integers are BigInts.
   */
  drain<R extends object = Row>(): R[] {
    this.#checkUsable();
    if (this.#passed !== undefined) return this.#passed.takeObjects() as R[];
    const rows: Row[] = [];
    const next = () => nextRows(this.#raw, this.#memory, this.#schema.output);
    for (const chunk of this.#polled(next)) this.#rows.append(chunk, rows);
    return rows as R[];
  }

  /**
   * Hands out the next rows that are done, up to some thousands, as columns; nothing once there are none. Pipelines that
   * pass events as they came have no columns: {@link drain} hands those out.
   */
  drainColumns(): RowColumns | undefined {
    this.#checkUsable();
    if (this.#passed !== undefined) {
      throw new StreamProcessorError("no_columns", "the pipeline passes events as they came: use drain or drainNdjson");
    }
    const chunk = this.#call(() => nextRows(this.#raw, this.#memory, this.#schema.output));
    return chunk && this.#rows.columns(chunk);
  }

  /** Hands out all rows that are done, as NDJSON: the very bytes that the command line prints, times as RFC 3339. */
  drainNdjson(): Uint8Array {
    this.#checkUsable();
    if (this.#passed !== undefined) return this.#passed.takeNdjson();
    return concatenated([...this.#polled(() => this.#raw.poll_ndjson(POLL_ROWS))]);
  }

  /** The stream's watermark in milliseconds; null before the first event and after the end. */
  get watermark(): number | null {
    return this.#call(() => this.#raw.watermark()) ?? null;
  }

  /** The time in milliseconds from which {@link tick} has something to do; null if nothing waits for it. */
  get nextDeadline(): number | null {
    return this.#call(() => this.#raw.next_deadline()) ?? null;
  }

  /** What the processor has seen and done. */
  stats(): Stats {
    return statsOf(this.#call(() => this.#raw.stats()), this.watermark);
  }

  /** The whole state, for {@link restore}. Rows that are done and not drained are in it. */
  snapshot(): Uint8Array {
    this.#checkUsable();
    const spilled = this.#passed?.count ?? this.#call(() => this.#raw.spilled_rows());
    if (spilled > 0) {
      const message = `drain() first: ${spilled} rows have left the result buffer and would not be in the snapshot`;
      throw new StreamProcessorError("rows_pending", message);
    }
    if (this.#half !== "" || this.#call(() => this.#raw.has_partial_line())) {
      const message = "push the rest of the last line first: a part of a line would not be in the snapshot";
      throw new StreamProcessorError("line_pending", message);
    }
    return this.#call(() => this.#raw.snapshot());
  }

  /**
   * Takes out the state of all windows, for {@link merge} of a processor of the same pipeline, and goes on without it. Needs
   * the option `emitsPartials`. `source` names this processor among all that send there: a name is used by one processor and
   * those restored from its snapshots, never by one that begins anew.
   */
  partial(source: string): Uint8Array {
    const name = checkedName(source, "partial", "source");
    return this.#call(() => this.#raw.partial(name));
  }

  /**
   * Adds what {@link partial} of another processor gave, as if its events came now; each source counts for the watermark as
   * a partition does. Returns whether it is new: what was taken already is ignored, so sending it twice does no harm. What
   * one source sends is to be merged in its order; otherwise it throws with the code `partial_gap`.
   */
  merge(partial: Uint8Array | ArrayBuffer): boolean {
    const bytes = checkedBytes(partial, "merge", "partial", BYTES);
    let isNew = false;
    this.#untilDone(() => {
      isNew = this.#raw.merge(bytes) || isNew;
    });
    return isNew;
  }

  /** Gives the processor's memory back; it cannot be used any more. */
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

  /** What the pipeline reads of `events`. */
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

  /** Throws where the processor was disposed of, or the module has trapped. */
  #checkUsable(): void {
    this.#call(() => {});
  }

  #reject(rejections: readonly Rejection[]): void {
    for (const { reason } of rejections) this.#call(() => this.#raw.count_rejected(reason));
    for (const rejection of rejections) this.#onReject?.(rejection);
  }

  /** Takes what `collect` makes of the events of a call; `eventAt` gives an event by its place in the call. */
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

  /** Tells the module about keys and partitions that are new. */
  #define(): void {
    this.#keys.flush((fresh, first) => this.#call(() => this.#raw.define_keys(fresh, first)));
    this.#partitions.flush((fresh, first) => this.#call(() => this.#raw.define_partitions(fresh, first)));
  }

  /**
   * Takes `events` in pieces by `push`, which says how many it has taken of those from one place to another; `placeOf` is
   * what was taken in the caller's counting.
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
        throw after(error, placeOf(from + ((error instanceof StreamProcessorError && error.consumed) || 0)));
      }
      takePassed();
      if (this.#passed === undefined && this.#raw.is_full()) this.#spill(placeOf(from));
    } while (from < events || this.#raw.is_full());
  }

  /** Writes events into the module's memory, where it takes them from without another copy. */
  #write(from: number, to: number, timestamps: Times, ids: Uint32Array[], columns: Float64Array[]): void {
    const events = to - from;
    this.#isReserved = false;
    const address = this.#call(() => this.#raw.reserve(events));
    // The buffer is another one after the memory has grown.
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
    for (const { bytes, consumed, half } of pieces(text, this.#half, call)) {
      this.#checkRoom(before);
      before = consumed;
      this.#half = half;
      this.#takeText(bytes, consumed);
    }
  }

  /** Takes a piece of text, up to where `consumed` of the call is taken. */
  #takeText(bytes: Uint8Array, consumed: number): void {
    this.#stopping(consumed, () => this.#raw.push_text(bytes));
    this.#takePassed();
    while (this.#raw.is_full()) {
      this.#spill(consumed);
      this.#stopping(consumed, () => this.#raw.resume_text());
      this.#takePassed();
    }
  }

  /** Calls into the module when `consumed` of the call is taken; a limit may end it there. */
  #stopping(consumed: number, run: () => void): void {
    try {
      this.#call(run);
    } catch (error) {
      throw after(error, consumed);
    }
  }

  /** Repeats what stops where the module's result buffer is full. */
  #untilDone(step: () => void): void {
    this.#call(step);
    this.#takePassed();
    while (this.#raw.is_full()) {
      this.#spill(0);
      this.#call(step);
      this.#takePassed();
    }
  }

  /** Moves rows out of the full result buffer, so that the module can go on. */
  #spill(consumed: number): void {
    this.#checkPending(this.#passed?.count ?? this.#call(() => this.#raw.spilled_rows()), consumed);
    this.#call(() => this.#raw.spill());
  }

  /** Takes nothing where as many events have passed as may wait. */
  #checkRoom(consumed: number): void {
    if (this.#passed !== undefined) this.#checkPending(this.#passed.count, consumed);
  }

  #checkPending(pending: number, consumed: number): void {
    if (pending < this.#maxPendingRows) return;
    const message = `${pending} rows wait: drain() them, then push what was not taken, or call again`;
    throw new StreamProcessorError("results_full", message, { consumed });
  }

  /** Keeps the text of the events that have passed, where the pipeline passes events. */
  #takePassed(): void {
    if (this.#passed === undefined) return;
    const text = this.#call(() => this.#raw.take_passed());
    this.#passed.addText(text, this.#raw.passed_events());
  }

  /** All that `poll` gives until there is no more. */
  *#polled<T>(poll: () => T | undefined): Generator<T> {
    for (let chunk = this.#call(poll); chunk !== undefined; chunk = this.#call(poll)) yield chunk;
  }
}

export interface StreamProcessor {
  /** As {@link StreamProcessor.dispose}, for `using`. */
  [Symbol.dispose](): void;
}

// Older browsers have no Symbol.dispose.
if (Symbol.dispose !== undefined) StreamProcessor.prototype[Symbol.dispose] = StreamProcessor.prototype.dispose;

/** What a getter or an iterator of the events threw, as an error of the package. */
function readable(error: unknown): StreamProcessorError {
  if (error instanceof StreamProcessorError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new StreamProcessorError("invalid_event", `the events cannot be read: ${why}`, { cause: error });
}
