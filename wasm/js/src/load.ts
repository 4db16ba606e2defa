/** Loads the module once for all processors and re-instantiates it after a trap. */
import { type ErrorDetails, StreamProcessorError } from "./error.js";
import * as glue from "./glue.js";
import { cannotLoad, compiled, type CompiledModule, type Location, type ModuleSource } from "./source.js";

/** Loads the module unless it is already loaded. The default source is the package's own file. */
export type Init = (source?: ModuleSource | Promise<ModuleSource>) => Promise<void>;

let loaded = false;
let loading: Promise<void> | undefined;
/** The number of traps so far; each one invalidates all processors of its generation. */
let generation = 0;

/** Returns an `init` function that finds the module at `location`. */
export function initWith(location: Location): Init {
  return (source) => {
    if (!loaded && loading === undefined) {
      loading = load(location, source).finally(() => {
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

async function load(location: Location, source?: ModuleSource | Promise<ModuleSource>): Promise<void> {
  initSync(await compiled(location, source));
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
