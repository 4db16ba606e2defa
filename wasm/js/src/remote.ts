/** The package's names, for processors that run in a worker thread: every method is asynchronous. */
import { checkedPieces, isObject, isSingle, listOf, wrongArgument } from "./arguments.js";
import { type Callbacks, Connection, type Platform } from "./connection.js";
import { StreamProcessorError } from "./error.js";
import type { CheckedPipeline, PipelineInput, RowOf } from "./inference.js";
import type { Init } from "./load.js";
import type { PipelineSpec, Strategy } from "./pipeline.js";
import { rowsOf, type RowStream, type Source, type StreamOptions, type TextFormat, type TransformOptions, transformStream } from "./streams.js";
import type { EventColumns, ProcessorOptions, RowColumns, Stats } from "./types.js";
import { buffersOf, type Operation } from "./worker_protocol.js";

let current: Connection | undefined;
let starting: Promise<void> | undefined;

/** Returns an `init` function that starts the worker of `platform`. */
export function initWorkerWith(platform: Platform): Init {
  return (source) => {
    const isRunning = current !== undefined && !current.isClosed;
    if (isRunning || starting !== undefined) {
      // The worker runs or starts, so this source is unused: ignore its failure.
      Promise.resolve(source).catch(() => {});
      return isRunning ? Promise.resolve() : (starting as Promise<void>);
    }
    starting = Connection.start(platform, source)
      .then((connection) => {
        current = connection;
      })
      .finally(() => {
        starting = undefined;
      });
    return starting;
  };
}

/** Ends the worker. Its processors are lost; `init` starts a new worker. */
export function terminate(): void {
  current?.terminate();
  current = undefined;
}

function connected(): Connection {
  if (current !== undefined) return current;
  throw new StreamProcessorError("not_initialized", "the worker is not started yet: `await init()` first");
}

/**
 * Returns the identity of an event, as the function of the same name in `stream-processor`.
 */
export async function identify(strategies: readonly Strategy[], event: object | string): Promise<string | null> {
  return (await connected().request({ task: "identify", args: [strategies, event] })) as string | null;
}

/** A snapshot: one array of bytes, or its chunks in their order. */
type Snapshot = Uint8Array | ArrayBuffer | Iterable<Uint8Array | ArrayBuffer>;

/** How arguments go to the worker. */
export interface SendOptions {
  /**
   * If true, the buffers of typed arrays move to the worker without a copy, and the caller's arrays
   * become empty. Default false.
   */
  readonly transfer?: boolean;
}

/**
 * Runs one pipeline in the worker. Methods are those of `StreamProcessor` in `stream-processor`, and
 * return promises. Calls are processed in their order, so that not each has to be awaited; a program
 * that awaits `push` never sends more than the worker can take.
 */
export class StreamProcessor<const P extends PipelineInput = PipelineSpec> {
  readonly #connection: Connection;
  readonly #id: number;
  readonly #callbacks: Callbacks;
  readonly #format: TextFormat;
  /** Fulfilled when the pipeline is open; rejected, as all other calls are, if it is invalid. */
  readonly ready: Promise<void>;

  /**
   * Opens a pipeline, or restores `snapshot` of it. Errors of the pipeline reject {@link ready} and
   * the calls of all methods.
   */
  constructor(pipeline: P & CheckedPipeline<P>, options: ProcessorOptions = {}, snapshot?: Snapshot) {
    if (!isObject(options)) throw wrongArgument("StreamProcessor", "options", "an object of options, or none", options);
    this.#connection = connected();
    this.#id = this.#connection.nextProcessor();
    const spec = pipeline as PipelineInput as PipelineSpec;
    this.#callbacks = options;
    this.#format = (spec as PipelineSpec | null)?.source?.format === "csv" ? "csv" : "ndjson";
    this.ready = this.#open(spec, options, snapshot === undefined ? undefined : checkedPieces(snapshot, "restore"));
    // Methods reject with the same error.
    this.ready.catch(() => {});
  }

  /** Restores a processor from a snapshot of the same pipeline, or from its chunks. */
  static async restore<const P extends PipelineInput>(
    pipeline: P & CheckedPipeline<P>,
    snapshot: Snapshot,
    options: ProcessorOptions = {},
  ): Promise<StreamProcessor<P>> {
    const processor = new StreamProcessor<P>(pipeline, options, checkedPieces(snapshot, "restore"));
    await processor.ready;
    return processor;
  }

  /** Processes one event object, or several in order. The worker receives copies. */
  async push(events: object | Iterable<object>): Promise<void> {
    await this.#call("push", [isObject(events) && !isSingle(events) ? listOf(events as Iterable<object>, "events") : events]);
  }

  /** Processes events given as columns. */
  async pushColumns(batch: EventColumns, options?: SendOptions): Promise<void> {
    await this.#call("pushColumns", [batch], options);
  }

  /** Processes text with one JSON object a line. */
  async pushNdjson(text: string | Uint8Array | ArrayBuffer, options?: SendOptions): Promise<void> {
    await this.#call("pushNdjson", [text], options);
  }

  /** Processes CSV text. */
  async pushCsv(text: string | Uint8Array | ArrayBuffer, options?: SendOptions): Promise<void> {
    await this.#call("pushCsv", [text], options);
  }

  /** Advances the watermark to `time`. */
  async advanceWatermark(time: number | Date): Promise<void> {
    await this.#call("advanceWatermark", [time]);
  }

  /** Passes the time of day to pipelines that use it. */
  async tick(now: number | Date): Promise<void> {
    await this.#call("tick", [now]);
  }

  /** Ends the stream and emits the rows of all open windows. */
  async finish(): Promise<void> {
    await this.#call("finish", []);
  }

  /** Removes and returns all finished rows as objects. */
  async drain<R extends object = RowOf<P>>(): Promise<R[]> {
    return (await this.#call("drain", [])) as R[];
  }

  /** Removes and returns the next finished rows as columns; undefined if there are none. */
  async drainColumns(): Promise<RowColumns | undefined> {
    return (await this.#call("drainColumns", [])) as RowColumns | undefined;
  }

  /** Removes and returns all finished rows as NDJSON. */
  async drainNdjson(): Promise<Uint8Array> {
    return (await this.#call("drainNdjson", [])) as Uint8Array;
  }

  /** Yields the rows of all events of `source`, then ends the stream. */
  rows<R extends object = RowOf<P>>(source: Source, options: StreamOptions = {}): AsyncGenerator<R, void, undefined> {
    return rowsOf(this, this.#format, source, options) as AsyncGenerator<R, void, undefined>;
  }

  /** Returns a transform stream from events to rows, or to NDJSON. */
  toTransformStream(options: TransformOptions & { readonly output: "ndjson" }): RowStream<Uint8Array>;
  toTransformStream<R extends object = RowOf<P>>(options?: TransformOptions): RowStream<R>;
  toTransformStream(options: TransformOptions = {}): RowStream<unknown> {
    return transformStream(this, this.#format, options);
  }

  /** The stream's watermark in milliseconds; null before the first event and after the end. */
  get watermark(): Promise<number | null> {
    return this.#call("watermark", []) as Promise<number | null>;
  }

  /** The earliest time in milliseconds at which {@link tick} has an effect; null if there is none. */
  get nextDeadline(): Promise<number | null> {
    return this.#call("nextDeadline", []) as Promise<number | null>;
  }

  /** Returns the processor's counters and watermarks. */
  async stats(): Promise<Stats> {
    return (await this.#call("stats", [])) as Stats;
  }

  /** Returns the whole state, for {@link restore}. */
  async snapshot(): Promise<Uint8Array> {
    return (await this.#call("snapshot", [])) as Uint8Array;
  }

  /** Returns the whole state in chunks of `maxBytes`, the last one shorter. */
  async snapshotChunks(maxBytes: number): Promise<Uint8Array[]> {
    return (await this.#call("snapshotChunks", [maxBytes])) as Uint8Array[];
  }

  /** Removes and returns the state of all windows, for {@link merge} of another processor. */
  async partial(source: string): Promise<Uint8Array> {
    return (await this.#call("partial", [source])) as Uint8Array;
  }

  /** Merges the {@link partial} state of another processor. Returns false if it was merged before. */
  async merge(partial: Uint8Array | ArrayBuffer, options?: SendOptions): Promise<boolean> {
    return (await this.#call("merge", [partial], options)) as boolean;
  }

  /** Frees the processor's memory; the processor cannot be used afterwards. */
  async dispose(): Promise<void> {
    await this.#call("dispose", []);
  }

  async #open(pipeline: PipelineSpec, options: ProcessorOptions, snapshot: readonly Uint8Array[] | undefined): Promise<void> {
    const { onReject, onDrop, ...others } = options;
    await this.#connection.request({
      task: "open",
      processor: this.#id,
      pipeline,
      options: others,
      reportsRejections: onReject !== undefined,
      reportsDrops: onDrop !== undefined,
      ...(snapshot !== undefined && { snapshot }),
    });
  }

  #call(operation: Operation, args: unknown[], options?: SendOptions): Promise<unknown> {
    const transfer = options?.transfer === true ? args.flatMap((value) => buffersOf(value)) : [];
    return this.#connection.request({ task: "call", processor: this.#id, operation, args }, transfer, this.#callbacks);
  }
}
