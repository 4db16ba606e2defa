/** The one error type of the package. */

/** Where an error happened, as far as it is known. */
export interface ErrorDetails {
  /** The field or column that is wrong. */
  field?: string;
  /** The place of the wrong event among those of the call. */
  index?: number;
  /** What of the call was taken before the error: events, or bytes of text. */
  consumed?: number;
  /** With the code `limit_reached`: the name of the limit in the pipeline's `limits`. */
  limit?: string;
  cause?: unknown;
}

/** An error with a `code` that never changes; the engine's codes are the same in Rust, in logs and in the docs. */
export class StreamProcessorError extends Error {
  override readonly name = "StreamProcessorError";
  readonly code: string;
  readonly field: string | undefined;
  readonly index: number | undefined;
  readonly consumed: number | undefined;
  readonly limit: string | undefined;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.code = code;
    this.field = details.field;
    this.index = details.index;
    this.consumed = details.consumed;
    this.limit = details.limit;
  }
}

/** The same error, where `consumed` of the call was taken before it. */
export function after(error: unknown, consumed: number): unknown {
  if (!(error instanceof StreamProcessorError) || error.limit === undefined) return error;
  return new StreamProcessorError(error.code, error.message, { limit: error.limit, consumed, cause: error.cause });
}

/** Says what a value is, for messages about values of the wrong kind. */
export function describe(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "string") return `the text ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`;
  if (typeof value === "object") return Array.isArray(value) ? "an array" : "an object";
  return `a ${typeof value}`;
}
