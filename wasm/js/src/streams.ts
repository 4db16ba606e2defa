/**
 * Streams of rows: async iteration, and transform streams. Both handle `results_full`: they hand out
 * rows before they push the remaining events.
 */
import { isObject, isSingle, listOf, wrongArgument } from "./arguments.js";
import { StreamProcessorError } from "./error.js";

/** A source of events: an async or plain iterable, or a readable stream. */
export type Source = AsyncIterable<unknown> | Iterable<unknown> | ReadableStream<unknown>;

/** Options of a stream of rows. */
export interface StreamOptions {
  /** Ends the stream early: the iteration throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Options of a transform stream. */
export interface TransformOptions extends StreamOptions {
  /** The form of the rows: objects, or bytes of NDJSON; default `"objects"`. */
  readonly output?: "objects" | "ndjson";
}

/** A transform stream from events to rows, for `pipeThrough`. */
export interface RowStream<R> {
  readonly writable: WritableStream<unknown>;
  readonly readable: ReadableStream<R>;
}

/** The methods of a processor, in this thread or in a worker. */
export interface Target {
  push(events: object): unknown;
  pushNdjson(text: string | Uint8Array): unknown;
  pushCsv(text: string | Uint8Array): unknown;
  finish(): unknown;
  drain(): unknown;
  drainNdjson(): unknown;
}

/** The format of a pipeline's text. */
export type TextFormat = "ndjson" | "csv";

/** The greatest number of code units or bytes of a piece, which a processor takes wholly or not at all. */
const PIECE = 1 << 16;

/** Yields the rows of `source`, or with `output: "ndjson"` their bytes. */
export async function* rowsOf(
  target: Target,
  format: TextFormat,
  source: Source,
  options: TransformOptions,
  call = "rows",
): AsyncGenerator<unknown, void, undefined> {
  const { signal, output } = checkedOptions(options, call);
  const input = inputOf(source, call);
  let reject = (_reason: unknown) => {};
  const abort = () => reject(signal?.reason);
  signal?.addEventListener("abort", abort);
  let isOpen = true;
  try {
    while (isOpen) {
      const next = await new Promise<IteratorResult<unknown>>((resolve, no) => {
        reject = no;
        if (signal?.aborted === true) abort();
        else Promise.resolve(input.next()).then(resolve, no);
      });
      isOpen = next.done !== true;
      const steps = isOpen ? pushed(target, format, next.value) : driven(() => target.finish(), () => true);
      while ((await steps.next()).done !== true) {
        if (output !== "ndjson") yield* (await target.drain()) as unknown[];
        else {
          const bytes = (await target.drainNdjson()) as Uint8Array;
          if (bytes.length > 0) yield bytes;
        }
      }
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    // The source is released if the loop ends early. After an abort it may never answer.
    const released = isOpen ? Promise.resolve(input.return?.(signal?.reason)) : undefined;
    if (signal?.aborted === true) released?.catch(() => {});
    else await released;
  }
}

/** Returns a transform stream from events to rows. */
export function transformStream(target: Target, format: TextFormat, options: TransformOptions): RowStream<unknown> {
  const call = "toTransformStream";
  const { signal } = checkedOptions(options, call);
  const ended = new AbortController();
  const abort = () => ended.abort(signal?.reason);
  if (signal?.aborted === true) abort();
  signal?.addEventListener("abort", abort, { signal: ended.signal });
  const { readable, writable } = new TransformStream<unknown, unknown>();
  const rows = rowsOf(target, format, readable, { ...options, signal: ended.signal }, call);
  return {
    writable,
    readable: new ReadableStream({
      pull: async (controller) => {
        const { done, value } = await rows.next();
        if (done !== true) controller.enqueue(value);
        else {
          ended.abort();
          controller.close();
        }
      },
      cancel: (reason) => ended.abort(reason),
    }),
  };
}

/** Pushes an element of a source. Yields whenever rows should be drained. */
async function* pushed(target: Target, format: TextFormat, element: unknown): AsyncGenerator<void, void, undefined> {
  if (typeof element === "string" || element instanceof Uint8Array || element instanceof ArrayBuffer) {
    const text = element instanceof ArrayBuffer ? new Uint8Array(element) : element;
    for (let from = 0; from < text.length; from += PIECE) {
      const piece = text.slice(from, from + PIECE);
      yield* driven(
        () => (format === "csv" ? target.pushCsv(piece) : target.pushNdjson(piece)),
        (consumed) => consumed === 0,
      );
    }
    return;
  }
  let rest = isSingle(element) || !isObject(element) ? [element] : listOf(element as Iterable<unknown>, "events");
  yield* driven(
    () => target.push(rest),
    (consumed) => {
      rest = rest.slice(consumed);
      return true;
    },
  );
}

/**
 * Repeats `step` while it throws `results_full` and `isUnfinished` returns true for the `consumed`
 * of the error. Yields after each step.
 */
async function* driven(step: () => unknown, isUnfinished: (consumed: number) => boolean): AsyncGenerator<void, void, undefined> {
  for (let again = true; again; ) {
    again = false;
    try {
      await step();
    } catch (error) {
      if (!(error instanceof StreamProcessorError) || error.code !== "results_full") throw error;
      again = isUnfinished(error.consumed ?? 0);
    }
    yield;
  }
}

/** Returns the iterator of a source. A stream is read by a reader, which can be cancelled at any time. */
function inputOf(source: Source, call: string): AsyncIterator<unknown> | Iterator<unknown> {
  const { getReader, [Symbol.asyncIterator]: later, [Symbol.iterator]: now } = (isObject(source) ? source : {}) as Partial<
    ReadableStream<unknown> & AsyncIterable<unknown> & Iterable<unknown>
  >;
  if (getReader !== undefined) {
    const reader = (source as ReadableStream<unknown>).getReader();
    return {
      next: async () => (await reader.read()) as IteratorResult<unknown>,
      return: async (reason) => {
        await reader.cancel(reason);
        return { done: true, value: undefined };
      },
    };
  }
  const iterate = (later ?? now) as ((this: unknown) => AsyncIterator<unknown> | Iterator<unknown>) | undefined;
  if (iterate !== undefined) return iterate.call(source);
  throw wrongArgument(call, "source", "an iterable or a ReadableStream of events", source);
}

function checkedOptions(options: TransformOptions, call: string): TransformOptions {
  if (!isObject(options)) throw wrongArgument(call, "options", "an object of options, or none", options);
  const { signal, output = "objects" } = options;
  if (signal !== undefined && typeof signal?.addEventListener !== "function") {
    throw wrongArgument(call, "options.signal", "an AbortSignal as options.signal", signal);
  }
  if (output !== "objects" && output !== "ndjson") {
    throw wrongArgument(call, "options.output", '"objects" or "ndjson" as options.output', output);
  }
  return options;
}
