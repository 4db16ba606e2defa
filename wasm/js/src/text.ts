/**
 * Encodes text as UTF-8 in pieces of bounded size, so that the module's memory does not grow with
 * the text.
 */
import { checkedBytes, hasLoneSurrogate } from "./arguments.js";

const PIECE_BYTES = 1 << 18;

/** The number of bytes that stand for a lone surrogate. */
const SURROGATE_BYTES = 3;

/** A piece of a call's text; valid until the next piece is requested. */
export interface Piece {
  bytes: Uint8Array;
  /** The bytes of the call up to the end of the piece; a high surrogate at the end counts as 3. */
  consumed: number;
  /** The high surrogate at the end of the call's text; the next call may begin with the low one. */
  surrogate: string;
}

/**
 * Encodes `text` piece by piece. `surrogate` is the high surrogate that ended the text of the
 * previous call, or empty. `call` is the calling method, for messages.
 */
export function* pieces(text: unknown, surrogate: string, call: string): Generator<Piece> {
  if (typeof text === "string") {
    if (text !== "") yield* encoded(text, surrogate);
    return;
  }
  const bytes = checkedBytes(text, call, "text", "text, a Uint8Array or an ArrayBuffer", "invalid_text");
  // Bytes cannot complete a surrogate pair.
  if (surrogate !== "" && bytes.length > 0) yield { bytes: surrogateBytes(surrogate), consumed: 0, surrogate: "" };
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
    const piece = bytes.subarray(from, from + PIECE_BYTES);
    yield { bytes: piece, consumed: from + piece.length, surrogate: "" };
  }
}

/**
 * Returns the bytes of a lone surrogate. They are not valid UTF-8, so the line is rejected as
 * `invalid_utf8`.
 */
export function surrogateBytes(surrogate: string): Uint8Array {
  const unit = surrogate.charCodeAt(0);
  return Uint8Array.of(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f));
}

function* encoded(text: string, before: string): Generator<Piece> {
  const surrogate = /[\ud800-\udbff]$/.test(text) ? text.slice(-1) : "";
  const whole = before + text.slice(0, text.length - surrogate.length);
  // The previous call already counted 3 bytes for its surrogate. A completed pair has 4 bytes; a
  // lone surrogate keeps its 3.
  const isCompleted = /^[\udc00-\udfff]/.test(text);
  let consumed = before === "" ? 0 : isCompleted ? SURROGATE_BYTES - 4 : -SURROGATE_BYTES;
  let left = whole.length;
  if (left === 0) yield { bytes: new Uint8Array(), consumed: SURROGATE_BYTES, surrogate };
  for (const { bytes, read } of runs(whole)) {
    left -= read;
    consumed += bytes.length + (left === 0 ? SURROGATE_BYTES * surrogate.length : 0);
    yield { bytes, consumed, surrogate: left === 0 ? surrogate : "" };
  }
}

/** Encodes all of `text`; yields bytes and the number of UTF-16 code units that they encode. */
function* runs(text: string): Generator<{ bytes: Uint8Array; read: number }> {
  const encoder = new TextEncoder();
  const buffer = new Uint8Array(Math.min(PIECE_BYTES, text.length * 3));
  const parts = hasLoneSurrogate(text) ? text.split(/(\p{Surrogate})/u) : [text];
  for (const part of parts) {
    if (part.length === 1 && hasLoneSurrogate(part)) {
      yield { bytes: surrogateBytes(part), read: 1 };
      continue;
    }
    for (let from = 0; from < part.length; ) {
      const { read, written } = encoder.encodeInto(from === 0 ? part : part.slice(from), buffer);
      from += read;
      yield { bytes: buffer.subarray(0, written), read };
    }
  }
}

/** Returns the concatenation of all `parts`. */
export function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array;
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let end = 0;
  for (const part of parts) {
    whole.set(part, end);
    end += part.length;
  }
  return whole;
}
