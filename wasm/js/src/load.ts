/** Loads the module once for all processors and re-instantiates it after a trap. */
import { describe, type ErrorDetails, StreamProcessorError } from "./error.js";
import * as glue from "./glue.js";

/**
 * `WebAssembly.Module` if the program's type libraries declare it; those of Node.js alone do not.
 */
export type CompiledModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer M } } } ? M : object;

/** The source of the module: its URL, a response, its bytes, or a compiled module. */
export type ModuleSource = string | URL | Response | ArrayBuffer | ArrayBufferView | CompiledModule;

/** Loads the module unless it is already loaded. The default source is the package's own file. */
export type Init = (source?: ModuleSource | Promise<ModuleSource>) => Promise<void>;

let loaded = false;
let loading: Promise<void> | undefined;
/** The number of traps so far; each one invalidates all processors of its generation. */
let generation = 0;

/** Returns an `init` function whose default source is the result of `locate`. */
export function initWith(locate: () => ModuleSource | Promise<ModuleSource>): Init {
  return (source) => {
    if (!loaded && loading === undefined) {
      loading = load(source === undefined ? locate : () => source).finally(() => {
        loading = undefined;
      });
      return loading;
    }
    // The module is loaded or loading, so this source is unused: ignore its failure.
    Promise.resolve(source).catch(() => {});
    return loading ?? Promise.resolve();
  };
}

/** Loads the module synchronously, from a compiled module or from bytes. */
export function initSync(source: CompiledModule | ArrayBuffer | ArrayBufferView): void {
  if (loaded) return;
  try {
    glue.initSync({ module: source as WebAssembly.Module });
  } catch (cause) {
    throw cannotLoad(cause);
  }
  loaded = true;
}

async function load(locate: () => ModuleSource | Promise<ModuleSource>): Promise<void> {
  let module: WebAssembly.Module;
  try {
    module = await compile(await locate());
  } catch (cause) {
    throw cannotLoad(cause);
  }
  initSync(module);
}

async function compile(source: ModuleSource): Promise<WebAssembly.Module> {
  if (typeof source === "string" || source instanceof URL) return compile(await fetch(source));
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    return WebAssembly.compile(source as BufferSource);
  }
  if (typeof (source as Partial<Response> | null)?.arrayBuffer !== "function") {
    throw new TypeError(`expected an address, a Response, bytes or a WebAssembly.Module, but got ${describe(source)}`);
  }
  if (!source.ok) throw new Error(`${source.url || "the response"}: HTTP status ${source.status}`);
  // compileStreaming requires this type; some servers send another one.
  if (source.headers.get("content-type") === "application/wasm") return WebAssembly.compileStreaming(source);
  return WebAssembly.compile(await source.arrayBuffer());
}

function cannotLoad(cause: unknown): StreamProcessorError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StreamProcessorError("module_not_loaded", `cannot load stream_processor.wasm: ${why}`, { cause });
}

/** Returns the module's current generation, which each new processor stores. */
export function currentGeneration(): number {
  if (!loaded) {
    throw new StreamProcessorError("not_initialized", "the module is not loaded yet: `await init()` first");
  }
  return generation;
}

/** The generation of a disposed processor. */
export const DISPOSED = -1;

/**
 * Calls into the module for a processor of the generation `created`. Converts exceptions of the
 * module to {@link StreamProcessorError}s.
 */
export function guarded<T>(created: number, call: () => T): T {
  if (created === DISPOSED) throw new StreamProcessorError("disposed", "the processor was disposed of and cannot be used");
  if (created !== generation) throw trapped();
  try {
    return call();
  } catch (error) {
    throw translated(error);
  }
}

function translated(error: unknown): unknown {
  if (error instanceof StreamProcessorError) return error;
  // JavaScript engines throw a RangeError when the module's stack overflows.
  if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) {
    generation += 1;
    glue.__wbg_reset_state();
    return trapped(error);
  }
  if (!(error instanceof Error)) return new StreamProcessorError("internal", String(error), { cause: error });
  const { code = "internal", field, limit, consumed } = error as { code?: string } & ErrorDetails;
  const details: ErrorDetails = { cause: error };
  if (field !== undefined) details.field = field;
  if (limit !== undefined) details.limit = limit;
  if (consumed !== undefined) details.consumed = consumed;
  return new StreamProcessorError(code, error.message, details);
}

function trapped(cause?: unknown): StreamProcessorError {
  const message = "the module has trapped and lost its memory: go on with StreamProcessor.restore and the last snapshot";
  return new StreamProcessorError("trapped", message, cause === undefined ? {} : { cause });
}
