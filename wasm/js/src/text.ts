/** Text in pieces of bounded size, so that the module needs no memory for all of it, and the way back. */
import { describe, StreamProcessorError } from "./error.js";

const PIECE_BYTES = 1 << 18;

/** The bytes of `text`, piece by piece; a piece is good until the next one. */
export function* pieces(text: string | Uint8Array | ArrayBuffer): Generator<Uint8Array> {
  if (typeof text === "string") {
    yield* encoded(text);
    return;
  }
  if (!(text instanceof Uint8Array || text instanceof ArrayBuffer)) {
    throw new StreamProcessorError("invalid_text", `pushNdjson needs text or a Uint8Array, but got ${describe(text)}`);
  }
  const bytes = text instanceof Uint8Array ? text : new Uint8Array(text);
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) yield bytes.subarray(from, from + PIECE_BYTES);
}

function* encoded(text: string): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  const buffer = new Uint8Array(Math.min(PIECE_BYTES, text.length * 3));
  for (let rest = text; rest.length > 0; ) {
    const { read, written } = encoder.encodeInto(rest, buffer);
    yield buffer.subarray(0, written);
    rest = rest.slice(read);
  }
}

/** One array of all `parts`. */
export function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let end = 0;
  for (const part of parts) {
    whole.set(part, end);
    end += part.length;
  }
  return whole;
}
