/**
 * The processor: one pipeline over one stream of events.
 *
 * ```text
 * push(event)     ──> EventCollector ──┐ 1,024 events, or any other call
 * push(events)    ──> EventCollector ──┤
 * pushColumns     ──> fromColumns ─────┼──> Engine ──> the module ──> RowReader ──> drain
 * commitColumns   ──> Reservation ─────┤      │
 * pushNdjson      ──> pieces ──────────┘      └──> Reports ──> onReject, onDrop
 * ```
 *
 * Keys become ids (`dictionary.ts`). Rows wait in the module until they are drained; unchanged
 * events wait here (`passed.ts`).
 */
/// <reference lib="esnext.disposable" preserve="true" />
import { checkedBytes, checkedEvents, checkedName, checkedOptions, checkedPieces, checkedSize, checkedTime, isSingle } from "./arguments.js";
import { KeyDictionary } from "./dictionary.js";
import { Engine, type Progress } from "./engine.js";
import { StreamProcessorError } from "./error.js";
import { type Batch, checkedBatch, eventOfColumns, fromColumns } from "./events.js";
import type { CheckedPipeline, PipelineInput, RowOf } from "./inference.js";
import { identifyEvents } from "./lines.js";
import { newInstance, sharedInstance } from "./load.js";
import { EventCollector } from "./objects.js";
import { specOf, tableSeed } from "./opening.js";
import type { PipelineSpec } from "./pipeline.js";
import { Reports } from "./reports.js";
import { checkedCommit, checkReservable, isInMicroseconds, rangeOf, Reservation } from "./reserved.js";
import { nextRows, POLL_ROWS, RowReader } from "./rows.js";
import { statsOf } from "./stats.js";
import { rowsOf, type RowStream, type Source, type StreamOptions, type TransformOptions, transformStream } from "./streams.js";
import { concatenated, pieces, surrogateBytes } from "./text.js";
import type { CommitOptions, EventColumns, ProcessorOptions, RejectedEvent, ReservedColumns, Row, RowColumns, Stats } from "./types.js";

/** The types of a snapshot and of partial state, for messages. */
const BYTES = "a Uint8Array or an ArrayBuffer";

/** A batch of collected events, and how many of them the module has taken. */
interface CollectedEvents {
  readonly batch: Batch;
  readonly events: readonly object[];
  readonly progress: Progress;
}

/**
 * Runs one pipeline over one stream of events.
 *
 * Push events in, drain rows out. All calls are synchronous and there are no timers: results depend
 * only on the pipeline and on the events in their order. A processor holds memory of the module
 * until {@link dispose}.
 */
export class StreamProcessor<const P extends PipelineInput = PipelineSpec> {
  readonly #engine: Engine;
  readonly #reports: Reports;
  readonly #keys: KeyDictionary;
  readonly #partitions: KeyDictionary;
  /** Events that were pushed one by one, and how many of them the module has taken. */
  readonly #collector: EventCollector;
  #waiting: CollectedEvents | undefined;
  /**
   * True if events that are pushed one by one may be collected: the stream is open, and no limit
   * refuses an event with an error, which must be that of its own call.
   */
  #collects = false;
  /** The last batch of {@link reserveColumns}, and whether it may be committed. */
  #reservation: Reservation | undefined;
  #isReserved = false;
  readonly #rows: RowReader;
  /** The high surrogate at the end of the text so far; the next text may begin with the low one. */
  #pendingSurrogate = "";

  /**
   * Opens a pipeline. Throws `invalid_pipeline`, with the path of the field and the allowed values.
   * Throws `no_randomness` at the top level of a Cloudflare Worker's module: create processors in a
   * handler instead.
   */
  constructor(pipeline: P & CheckedPipeline<P>, options: ProcessorOptions = {}) {
    const { maxPendingRows, emitsPartials, isolated, onReject, onDrop } = checkedOptions(options);
    const instance = isolated ? newInstance() : sharedInstance();
    const spec = specOf(pipeline as PipelineInput as PipelineSpec);
    this.#reports = new Reports(onReject, onDrop);
    this.#engine = new Engine(instance, { spec, seed: tableSeed(), emitsPartials, maxPendingRows }, this.#reports);
    const { input, output, max_dictionary_keys: keys, max_key_bytes: keyBytes } = this.#engine.schema;
    this.#keys = new KeyDictionary(input.key, { keys, keyBytes, nulls: input.on_null_key === "keep" });
    this.#partitions = new KeyDictionary(input.partition === null ? [] : [input.partition], { keys, keyBytes, nulls: false });
    this.#collector = new EventCollector(input, this.#keys, this.#partitions, output.passes_events || onDrop !== undefined);
    this.#rows = new RowReader(output);
  }

  /**
   * Restores a processor from a snapshot of the same pipeline, taken in any runtime. The snapshot is
   * one array of bytes, or its {@link snapshotChunks} in their order.
   */
  static restore<const P extends PipelineInput>(
    pipeline: P & CheckedPipeline<P>,
    snapshot: Uint8Array | ArrayBuffer | Iterable<Uint8Array | ArrayBuffer>,
    options: ProcessorOptions = {},
  ): StreamProcessor<P> {
    const pieces = checkedPieces(snapshot, "restore");
    const processor = new StreamProcessor<P>(pipeline, options);
    const { raw } = processor.#engine;
    try {
      pieces.forEach((bytes, index) => processor.#engine.call(() => raw.restore(bytes, index === pieces.length - 1)));
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
   * to `onReject`. The other events are processed.
   *
   * The values of a single event are copied and processed together with others: with the 1,025th,
   * or at the next call of another method. `onReject` and `onDrop` are called then, too. Rows and
   * counters do not depend on that. An error of such a call that was caused by earlier events has
   * `consumed: 0`: the call itself has done nothing.
   */
  push(events: object | Iterable<object>): void {
    this.#engine.checkUsable();
    if (!isSingle(events)) this.#pushAll(checkedEvents(events));
    else if (!this.#collects) this.#pushAll([events]);
    else {
      const collector = this.#collector;
      if (collector.isFull || collector.isReading || this.#waiting !== undefined) this.#flush();
      this.#isReserved = false;
      collector.add(events, 0);
    }
  }

  /**
   * Processes events given as columns, which is faster than objects. Rejected events are counted in
   * {@link stats}.
   */
  pushColumns(batch: EventColumns): void {
    const engine = this.#engine;
    engine.checkUsable();
    const columns = checkedBatch(batch);
    this.#begin();
    const { input } = engine.schema;
    const eventAt = (index: number) => eventOfColumns(columns, input, index);
    const read = fromColumns(columns, input, this.#keys, this.#partitions, engine.conversions.fingerprints);
    if (input.has_identities) identifyEvents(read.events, eventAt, engine.conversions);
    this.#define();
    this.#reporting(() => engine.push(read, { taken: 0 }, (at) => at, eventAt));
  }

  /**
   * Returns columns for `events`, up to 1,048,576, in the module's own memory. Write them, then
   * call {@link commitColumns}. Any other call to any processor invalidates them. Call this again
   * for each batch; the call is cheap.
   */
  reserveColumns(events: number): ReservedColumns {
    const engine = this.#engine;
    engine.checkUsable();
    const { input, output } = engine.schema;
    checkReservable(input, output.passes_events, events);
    this.#flush();
    this.#isReserved = false;
    const address = engine.run("reserve", events);
    const { buffer } = engine.memory;
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
    this.#engine.checkUsable();
    checkedCommit(options);
    const reservation = this.#reservation;
    if (reservation === undefined || !this.#isReserved) {
      const message = "nothing is reserved: call reserveColumns before each commit, and nothing in between";
      throw new StreamProcessorError("columns_not_reserved", message);
    }
    const [from, to] = rangeOf(options, reservation.events);
    try {
      this.#reporting(() => this.#commit(reservation, from, to, options));
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
    this.#untilDone(() => this.#engine.raw.advance_watermark(ms));
  }

  /**
   * Passes the time of day (milliseconds or a Date) to pipelines that use it; see
   * {@link nextDeadline}.
   */
  tick(now: number | Date): void {
    const ms = checkedTime(now, "tick");
    this.#untilDone(() => this.#engine.raw.tick(ms));
  }

  /** Ends the stream and emits the rows of all open windows. */
  finish(): void {
    this.#engine.checkUsable();
    this.#flush();
    this.#collects = false;
    if (this.#pendingSurrogate !== "") {
      // The low surrogate never arrived.
      this.#engine.checkRoom(0);
      const bytes = surrogateBytes(this.#pendingSurrogate);
      this.#pendingSurrogate = "";
      this.#reporting(() => this.#engine.pushText(bytes, 0));
    }
    this.#untilDone(() => this.#engine.raw.finish());
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
    const rows: Row[] = [];
    const { raw, memory, schema, passed } = this.#engine;
    this.#draining(() => {
      if (passed !== undefined) for (const event of passed.takeObjects()) rows.push(event as Row);
      else for (const chunk of this.#polled(() => nextRows(raw, memory, schema.output))) this.#rows.append(chunk, rows);
    });
    return rows as R[];
  }

  /**
   * Removes and returns the next finished rows, up to some thousands, as columns; undefined if
   * there are none. Pipelines that pass events unchanged have no columns: use {@link drain}.
   */
  drainColumns(): RowColumns | undefined {
    const { raw, memory, schema, passed } = this.#engine;
    if (passed !== undefined) {
      this.#engine.checkUsable();
      throw new StreamProcessorError("no_columns", "the pipeline passes events as they came: use drain or drainNdjson");
    }
    this.#tryFlush();
    const chunk = this.#engine.call(() => nextRows(raw, memory, schema.output));
    return chunk && this.#rows.columns(chunk);
  }

  /**
   * Removes and returns all finished rows as NDJSON, with times as RFC 3339. The bytes are those
   * that the command line prints.
   */
  drainNdjson(): Uint8Array {
    const parts: Uint8Array[] = [];
    const { raw, passed } = this.#engine;
    this.#draining(() => {
      if (passed !== undefined) parts.push(passed.takeNdjson());
      else parts.push(...this.#polled(() => raw.poll_ndjson(POLL_ROWS)));
    });
    return concatenated(parts);
  }

  /**
   * Yields the rows of all events of `source`, as they finish. An element of the source is an event,
   * an array of events, or text or bytes in the format of the pipeline's source. The source is read
   * no faster than rows are taken. At its end, {@link finish} is called.
   */
  rows<R extends object = RowOf<P>>(source: Source, options: StreamOptions = {}): AsyncGenerator<R, void, undefined> {
    return rowsOf(this, this.#engine.schema.input.format, source, options) as AsyncGenerator<R, void, undefined>;
  }

  /**
   * Returns a transform stream from events to rows, for `pipeThrough`. A chunk that is written is
   * an event, an array of events, or text or bytes in the format of the pipeline's source. A chunk
   * that is read is a row, or the bytes of rows as NDJSON. When the writable side is closed,
   * {@link finish} is called.
   */
  toTransformStream(options: TransformOptions & { readonly output: "ndjson" }): RowStream<Uint8Array>;
  toTransformStream<R extends object = RowOf<P>>(options?: TransformOptions): RowStream<R>;
  toTransformStream(options: TransformOptions = {}): RowStream<unknown> {
    return transformStream(this, this.#engine.schema.input.format, options);
  }

  /**
   * Returns the stream's watermark in milliseconds; null before the first event and after the end.
   */
  get watermark(): number | null {
    this.#tryFlush();
    return this.#engine.run("watermark") ?? null;
  }

  /**
   * Returns the earliest time in milliseconds at which {@link tick} has an effect; null if there is
   * none.
   */
  get nextDeadline(): number | null {
    this.#tryFlush();
    return this.#engine.run("next_deadline") ?? null;
  }

  /** Returns the processor's counters and watermarks. */
  stats(): Stats {
    const watermark = this.watermark;
    return statsOf(this.#engine.run("stats"), watermark);
  }

  /**
   * Returns the whole state, for {@link restore}. It includes finished rows that are not drained.
   */
  snapshot(): Uint8Array {
    return concatenated([...this.snapshotChunks(2 ** 32 - 1)]);
  }

  /**
   * Yields the whole state in chunks of `maxBytes`, the last one shorter, for storage that limits
   * the size of a value. The state is written while it is read: any other call of the processor
   * before the last chunk ends it with the error `snapshot_outdated`.
   */
  snapshotChunks(maxBytes: number): Generator<Uint8Array, void, undefined> {
    const size = checkedSize(maxBytes, "snapshotChunks", "maxBytes");
    const engine = this.#engine;
    engine.checkUsable();
    this.#flush();
    const spilled = engine.spilledRows;
    if (spilled > 0) {
      const message = `drain() first: ${spilled} rows have left the result buffer and would not be in the snapshot`;
      throw new StreamProcessorError("rows_pending", message);
    }
    if (this.#pendingSurrogate !== "" || engine.run("has_partial_line")) {
      const message = "push the rest of the last line first: a part of a line would not be in the snapshot";
      throw new StreamProcessorError("line_pending", message);
    }
    engine.run("begin_snapshot");
    return this.#polled(() => {
      const chunk = engine.raw.read_snapshot(size);
      return chunk.length > 0 ? chunk : undefined;
    });
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
    this.#flush();
    return this.#engine.run("partial", name);
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
      isNew = this.#engine.raw.merge(bytes) || isNew;
    });
    return isNew;
  }

  /**
   * Frees the processor's memory; the processor cannot be used afterwards. Without this call, the
   * memory is freed when the processor is garbage-collected.
   */
  dispose(): void {
    this.#engine.dispose();
  }

  /** Begins a call that pushes: processes waiting events first. */
  #begin(): void {
    this.#engine.checkUsable();
    this.#flush();
    this.#engine.checkRoom(0);
    this.#isReserved = false;
    this.#makeRoom();
  }

  /** Clears full dictionaries of keys. No event may be waiting. */
  #makeRoom(): void {
    this.#keys.makeRoom();
    this.#partitions.makeRoom();
  }

  /** Processes the events of one call. */
  #pushAll(list: readonly object[]): void {
    this.#begin();
    const rejections: RejectedEvent[] = [];
    let next = 0;
    let consumed = list.length;
    try {
      do {
        this.#engine.checkRoom(next);
        while (next < list.length && !this.#collector.isFull) {
          this.#collector.add(list[next] as object, next);
          next += 1;
        }
        const collected = this.#takeCollected(rejections);
        const { places } = collected.batch;
        this.#push(collected, (at) => places?.[at] ?? next);
      } while (next < list.length);
      this.#collects = !this.#engine.schema.refuses_events;
    } catch (error) {
      // The caller pushes the remaining events again; their rejections are reported then.
      consumed = (error instanceof StreamProcessorError && error.consumed) || 0;
      this.#collector.clear();
      throw error;
    } finally {
      this.#reporting(() => this.#reject(rejections.filter(({ index }) => index < consumed)));
    }
  }

  /** Processes the events that were pushed one by one. */
  #flush(): void {
    this.#reporting(() => this.#flushEvents());
  }

  /**
   * Processes the events that were pushed one by one, except if too many rows wait: returns false
   * then.
   */
  #tryFlush(): boolean {
    try {
      this.#flush();
      return true;
    } catch (error) {
      if (error instanceof StreamProcessorError && error.code === "results_full") return false;
      throw error;
    }
  }

  #flushEvents(): void {
    if (this.#collector.isReading) {
      throw new StreamProcessorError("reentrant_call", "a getter or toJSON of an event must not call the processor");
    }
    if (this.#waiting === undefined) {
      if (this.#collector.count === 0) return;
      this.#engine.checkUsable();
      const rejections: RejectedEvent[] = [];
      this.#waiting = this.#takeCollected(rejections);
      this.#reject(rejections);
    }
    this.#engine.checkRoom(0);
    this.#push(this.#waiting, () => 0);
    this.#waiting = undefined;
  }

  /** Makes a batch of the collected events. Adds the others to `rejections`. */
  #takeCollected(rejections: RejectedEvent[]): CollectedEvents {
    const { conversions } = this.#engine;
    const taken = this.#collector.take(conversions);
    rejections.push(...taken.rejections);
    this.#define();
    return { batch: taken.batch, events: taken.events, progress: { taken: 0 } };
  }

  /** Processes a batch of collected events from where it stopped. `slotOf` is for errors. */
  #push({ batch, events, progress }: CollectedEvents, slotOf: (at: number) => number): void {
    this.#engine.push(batch, progress, slotOf, (at) => events[at] as object);
    this.#collector.clear();
    this.#makeRoom();
  }

  /**
   * Processes the events of a reservation from `from` to `to`, translating ids first if necessary.
   */
  #commit(reservation: Reservation, from: number, to: number, options: CommitOptions): void {
    if (reservation.bound === undefined) {
      this.#makeRoom();
      reservation.translate(this.#engine.memory.buffer, to, options, this.#keys, this.#partitions);
      this.#define();
    }
    const bound = reservation.bound ?? 0;
    const inUs = isInMicroseconds(options);
    const push = (at: number, end: number) => {
      return this.#engine.run("push_reserved", reservation.events, from + at, from + end, bound, from + at, inUs);
    };
    this.#engine.take(to - from, { taken: 0 }, push, (at) => at, () => undefined);
  }

  /** Defines new keys and partitions in the module. */
  #define(): void {
    this.#keys.flush((fresh, first) => this.#engine.run("define_keys", fresh, first));
    this.#partitions.flush((fresh, first) => this.#engine.run("define_partitions", fresh, first));
  }

  #pushText(text: string | Uint8Array | ArrayBuffer, format: "ndjson" | "csv", call: string): void {
    this.#engine.checkUsable();
    const expected = this.#engine.schema.input.format;
    if (format !== expected) {
      const message = `the pipeline's source.format is "${expected}", so its text cannot be ${format}`;
      throw new StreamProcessorError("wrong_format", message, { field: "source.format" });
    }
    this.#flush();
    let before = 0;
    this.#reporting(() => {
      for (const { bytes, consumed, surrogate } of pieces(text, this.#pendingSurrogate, call)) {
        this.#engine.checkRoom(before);
        before = consumed;
        this.#pendingSurrogate = surrogate;
        this.#engine.pushText(bytes, consumed);
      }
    });
  }

  /** Repeats a call into the module until it completes. */
  #untilDone(step: () => void): void {
    this.#engine.checkUsable();
    this.#flush();
    this.#reporting(() => this.#engine.untilDone(step));
  }

  /**
   * Calls `poll`, which removes all rows, until the events that were pushed one by one are processed.
   */
  #draining(poll: () => void): void {
    this.#engine.checkUsable();
    let isDone = this.#tryFlush();
    poll();
    while (!isDone) {
      isDone = this.#tryFlush();
      poll();
    }
  }

  /** Counts rejections, and reports them. */
  #reject(rejections: readonly RejectedEvent[]): void {
    for (const { reason } of rejections) this.#engine.run("count_rejected", reason);
    this.#reports.addRejections(rejections);
  }

  /** Calls `run`, then the callbacks for what it has reported. */
  #reporting(run: () => void): void {
    try {
      run();
    } finally {
      this.#reports.deliver();
    }
  }

  /** Yields the results of `poll` until it returns undefined. */
  *#polled<T>(poll: () => T | undefined): Generator<T, void, undefined> {
    for (let chunk = this.#engine.call(poll); chunk !== undefined; chunk = this.#engine.call(poll)) yield chunk;
  }
}

export interface StreamProcessor<P extends PipelineInput = PipelineSpec> {
  /** Calls {@link StreamProcessor.dispose} at the end of a `using` block. */
  [Symbol.dispose](): void;
}

// Older browsers lack Symbol.dispose.
if (Symbol.dispose !== undefined) StreamProcessor.prototype[Symbol.dispose] = StreamProcessor.prototype.dispose;
