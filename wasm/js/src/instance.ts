/** One instance of the module: its functions, and how its errors and traps become errors of the package. */
import { type ErrorDetails, StreamProcessorError } from "./error.js";
import { createGlue, type Glue } from "./glue.js";
import type { CompiledModule } from "./source.js";

/** The generation of a disposed processor. */
export const DISPOSED = -1;

/** An instance of the module. After a trap it starts again, with an empty memory. */
export class ModuleInstance {
  readonly #module: CompiledModule;
  #glue: Glue;
  /** The number of traps so far; each one invalidates all processors of its generation. */
  #generation = 0;

  constructor(module: CompiledModule) {
    this.#module = module;
    this.#glue = createGlue(module);
  }

  /** The class of low-level processors. */
  get Processor(): Glue["Processor"] {
    return this.#glue.Processor;
  }

  /** The current generation, which each new processor stores. */
  get generation(): number {
    return this.#generation;
  }

  /** Throws unless processors of the generation `created` are usable. */
  check(created: number): void {
    if (created === this.#generation) return;
    if (created === DISPOSED) throw new StreamProcessorError("disposed", "the processor was disposed of and cannot be used");
    throw trapped();
  }

  /**
   * Calls into the module for a processor of the generation `created`. Converts exceptions of the
   * module to {@link StreamProcessorError}s.
   */
  guarded<T>(created: number, call: () => T): T {
    this.check(created);
    try {
      return call();
    } catch (error) {
      throw this.#translated(error);
    }
  }

  #translated(error: unknown): unknown {
    if (error instanceof StreamProcessorError) return error;
    // JavaScript engines throw a RangeError when the module's stack overflows.
    if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) {
      this.#generation += 1;
      this.#glue.stop();
      this.#glue = createGlue(this.#module);
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
}

function trapped(cause?: unknown): StreamProcessorError {
  const message = "the module has trapped and lost its memory: restore the last snapshot";
  return new StreamProcessorError("trapped", message, { cause });
}
