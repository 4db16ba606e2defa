/**
 * Streams of rows: async iteration, and transform streams. Both handle `results_full`: they hand out
 * rows before they push the remaining events.
 */
import { isObject, isSingle, listOf } from "./arguments.js";
import { describe, messageOf, StreamProcessorError } from "./error.js";

/** A source of events: an async or plain iterable, or a readable stream. */
export type Source = AsyncIterable<unknown> | Iterable<unknown> | ReadableStream<unknown>;

/** Options of {@link rowsOf}. */
export interface StreamOptions {
  /** Ends the stream early: the iteration throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Options of {@link transformStream}. */
export interface TransformOptions extends StreamOptions {
  /** The form of the rows: objects, or bytes of NDJSON; default `"objects"`. */
  readonly output?: "objects" | "ndjson";
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

/** Yields the rows of `source`. */
export async function* rowsOf(
  target: Target,
  format: TextFormat,
  source: Source,
  options: StreamOptions,
): AsyncGenerator<unknown, void, undefined> {
  const abort = new Abort(checkedStreamOptions(options, "rows").signal);
  const drain = async () => (await target.drain()) as unknown[];
  const input = inputOf(source);
  let isOpen = true;
  try {
    for (;;) {
      const next = await abort.orResult(input.next());
      if (next.done === true) break;
      for await (const rows of pushed(target, format, next.value, drain)) yield* rows;
    }
    isOpen = false;
    for await (const rows of finished(target, drain)) yield* rows;
  } finally {
    abort.forget();
    // The source is released if the loop ends early. After an abort it may never answer.
    const released = isOpen ? Promise.resolve(input.return?.()) : undefined;
    if (abort.isAborted) released?.catch(() => {});
    else await released;
  }
}

/** Returns a transform stream from events to rows. */
export function transformStream(target: Target, format: TextFormat, options: TransformOptions): TransformStream<unknown, unknown> {
  const { signal, output = "objects" } = checkedStreamOptions(options, "toTransformStream");
  if (output !== "objects" && output !== "ndjson") {
    const message = `toTransformStream needs "objects" or "ndjson" as options.output, but got ${describe(output)}`;
    throw new StreamProcessorError("invalid_argument", message, { field: "options.output" });
  }
  const drain = async (): Promise<unknown[]> => {
    if (output === "objects") return (await target.drain()) as unknown[];
    const bytes = (await target.drainNdjson()) as Uint8Array;
    return bytes.length > 0 ? [bytes] : [];
  };
  const enqueue = async (steps: AsyncIterable<unknown[]>, controller: TransformStreamDefaultController<unknown>) => {
    for await (const rows of steps) for (const row of rows) controller.enqueue(row);
  };
  const abort = new Abort(signal);
  return new TransformStream<unknown, unknown>({
    start: (controller) => abort.onAbort((reason) => controller.error(reason)),
    transform: (chunk, controller) => enqueue(pushed(target, format, chunk, drain), controller),
    flush: async (controller) => {
      await enqueue(finished(target, drain), controller);
      abort.forget();
    },
  });
}

/** Pushes an element of a source. Yields the rows that have finished. */
async function* pushed(
  target: Target,
  format: TextFormat,
  element: unknown,
  drain: () => Promise<unknown[]>,
): AsyncGenerator<unknown[], void, undefined> {
  if (typeof element === "string" || element instanceof Uint8Array || element instanceof ArrayBuffer) {
    const text = element instanceof ArrayBuffer ? new Uint8Array(element) : element;
    for (let from = 0; from < text.length; ) {
      const piece = text.slice(from, from + PIECE);
      const consumed = await untilFull(() => (format === "csv" ? target.pushCsv(piece) : target.pushNdjson(piece)));
      // A piece is taken as a whole, or not at all.
      if (consumed !== 0) from += PIECE;
      yield await drain();
    }
    return;
  }
  const isList = isObject(element) && !isSingle(element);
  let rest = isList ? listOf(element as Iterable<object>, "events") : (element as object);
  for (;;) {
    const consumed = await untilFull(() => target.push(rest));
    yield await drain();
    if (consumed === undefined) return;
    if (Array.isArray(rest)) rest = rest.slice(consumed) as object[];
    else if (consumed > 0) return;
  }
}

/** Ends the stream. Yields the rows that have finished. */
async function* finished(target: Target, drain: () => Promise<unknown[]>): AsyncGenerator<unknown[], void, undefined> {
  for (;;) {
    const consumed = await untilFull(() => target.finish());
    yield await drain();
    if (consumed === undefined) return;
  }
}

/** Calls `push`; returns the `consumed` of the error `results_full`, or undefined without an error. */
async function untilFull(push: () => unknown): Promise<number | undefined> {
  try {
    await push();
    return undefined;
  } catch (error) {
    if (error instanceof StreamProcessorError && error.code === "results_full") return error.consumed ?? 0;
    throw error;
  }
}

/** Returns the iterator of a source. Browsers without iterable streams read by a reader. */
function inputOf(source: Source): AsyncIterator<unknown> | Iterator<unknown> {
  try {
    if (isObject(source)) {
      if (Symbol.asyncIterator in source) return (source as AsyncIterable<unknown>)[Symbol.asyncIterator]();
      if (Symbol.iterator in source) return (source as Iterable<unknown>)[Symbol.iterator]();
      if ("getReader" in source) return readerOf((source as ReadableStream<unknown>).getReader());
    }
  } catch (cause) {
    throw new StreamProcessorError("invalid_argument", `rows cannot read the source: ${messageOf(cause)}`, { field: "source", cause });
  }
  const message = `rows needs an iterable, an async iterable or a ReadableStream of events, but got ${describe(source)}`;
  throw new StreamProcessorError("invalid_argument", message, { field: "source" });
}

function readerOf(reader: ReadableStreamDefaultReader<unknown>): AsyncIterator<unknown> {
  return {
    next: async () => (await reader.read()) as IteratorResult<unknown>,
    return: async () => {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}

/** An abort signal, or none. */
class Abort {
  readonly #signal: AbortSignal | undefined;
  #listener = (_reason: unknown) => {};
  readonly #abort = () => this.#listener(this.#signal?.reason);

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    signal?.addEventListener("abort", this.#abort, { once: true });
  }

  get isAborted(): boolean {
    return this.#signal?.aborted === true;
  }

  /** Sets what is called when the signal is aborted, with its reason; calls it if it is already. */
  onAbort(listener: (reason: unknown) => void): void {
    this.#listener = listener;
    if (this.isAborted) this.#abort();
  }

  /** Returns the result of a promise; throws the signal's reason if that comes first. */
  orResult<T>(result: Promise<T> | T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.onAbort(reject);
      Promise.resolve(result).then(resolve, reject);
    });
  }

  /** Stops listening to the signal. */
  forget(): void {
    this.#signal?.removeEventListener("abort", this.#abort);
  }
}

function checkedStreamOptions(options: TransformOptions, call: string): TransformOptions {
  const signal = (options as TransformOptions | null)?.signal ?? undefined;
  if (isObject(options) && (signal === undefined || typeof signal.addEventListener === "function")) return options;
  const field = signal === undefined ? "options" : "options.signal";
  const needs = signal === undefined ? "an object of options, or none" : "an AbortSignal as options.signal";
  const found = signal === undefined ? options : signal;
  throw new StreamProcessorError("invalid_argument", `${call} needs ${needs}, but got ${describe(found)}`, { field });
}
