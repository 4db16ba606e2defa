/** The error type of the package. */

/** Details of an error, where they are known. */
export interface ErrorDetails {
  /** The field or column that is wrong. */
  field?: string;
  /** The index of the wrong event in the call. */
  index?: number;
  /** How much of the call was processed before the error: events, or bytes of text. */
  consumed?: number;
  /** With the code `limit_reached`: the name of the limit in the pipeline's `limits`. */
  limit?: string;
  cause?: unknown;
}

/**
 * An error with a stable `code`. The engine's codes are the same in Rust, in JavaScript, in logs
 * and in the documentation.
 */
export class StreamProcessorError extends Error {
  override readonly name = "StreamProcessorError";
  readonly code: string;
  readonly field: string | undefined;
  readonly index: number | undefined;
  readonly consumed: number | undefined;
  readonly limit: string | undefined;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(escaped(message), "cause" in details ? { cause: details.cause } : undefined);
    this.code = code;
    this.field = details.field;
    this.index = details.index;
    this.consumed = details.consumed;
    this.limit = details.limit;
  }
}

/** Control characters, ends of lines, and marks of text direction. */
const ESCAPED = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * Escapes characters of names and values from data that would end the line of a message, move the
 * cursor of a terminal, or change the order of its text.
 */
export function escaped(message: string): string {
  return message.replace(ESCAPED, (character) => `\\u{${character.charCodeAt(0).toString(16)}}`);
}

/**
 * Returns `limit_reached` errors with `consumed`, how much of the call was processed before;
 * returns other errors unchanged.
 */
export function withConsumed(error: unknown, consumed: number): unknown {
  if (!(error instanceof StreamProcessorError) || error.limit === undefined) return error;
  return new StreamProcessorError(error.code, error.message, { limit: error.limit, consumed, cause: error.cause });
}

/** Describes a value, for messages about values of the wrong type. */
export function describe(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "string") return `the text ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`;
  if (typeof value === "object") return Array.isArray(value) ? "an array" : "an object";
  return `a ${typeof value}`;
}

/** Returns the message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? String(thrown.message) : String(thrown);
  } catch {
    return "an error without a message";
  }
}
