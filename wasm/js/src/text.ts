/** Text in pieces of bounded size, so that the module needs no memory for all of it, and the way back. */
import { checkedBytes, hasLoneSurrogate } from "./arguments.js";

const PIECE_BYTES = 1 << 18;

/** Bytes that UTF-8 decoders see where half of a surrogate pair stands alone. */
const HALF_BYTES = 3;

/** A piece of the text of a call, good until the next one. */
export interface Piece {
  bytes: Uint8Array;
  /** The bytes of the call up to the end of the piece; half of a character that is cut counts as 3. */
  consumed: number;
  /** The half of a character that ends the text of the call: the next call begins with the other one. */
  half: string;
}

/** The bytes of `text`, which goes on behind `half` of a character; `call` is the method that was given it. */
export function* pieces(text: unknown, half: string, call: string): Generator<Piece> {
  if (typeof text === "string") {
    if (text !== "") yield* encoded(text, half);
    return;
  }
  const bytes = checkedBytes(text, call, "text", "text, a Uint8Array or an ArrayBuffer", "invalid_text");
  // Bytes cannot go on with half a character.
  if (half !== "" && bytes.length > 0) yield { bytes: halfAsBytes(half), consumed: 0, half: "" };
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
    const piece = bytes.subarray(from, from + PIECE_BYTES);
    yield { bytes: piece, consumed: from + piece.length, half: "" };
  }
}

/** The bytes of half a surrogate pair that stays alone: no UTF-8, so that the line is rejected as `invalid_utf8`. */
export function halfAsBytes(half: string): Uint8Array {
  const unit = half.charCodeAt(0);
  return Uint8Array.of(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f));
}

function* encoded(text: string, before: string): Generator<Piece> {
  const half = /[\ud800-\udbff]$/.test(text) ? text.slice(-1) : "";
  const whole = before + text.slice(0, text.length - half.length);
  // The half before was counted by its own call: with the other one it makes 4 bytes, alone it keeps its 3.
  const isCompleted = /^[\udc00-\udfff]/.test(text);
  let consumed = before === "" ? 0 : isCompleted ? HALF_BYTES - 4 : -HALF_BYTES;
  let left = whole.length;
  if (left === 0) yield { bytes: new Uint8Array(), consumed: HALF_BYTES, half };
  for (const { bytes, read } of runs(whole)) {
    left -= read;
    consumed += bytes.length + (left === 0 ? HALF_BYTES * half.length : 0);
    yield { bytes, consumed, half: left === 0 ? half : "" };
  }
}

/** The bytes of all of `text`, and how many of its units they are. */
function* runs(text: string): Generator<{ bytes: Uint8Array; read: number }> {
  const encoder = new TextEncoder();
  const buffer = new Uint8Array(Math.min(PIECE_BYTES, text.length * 3));
  const parts = hasLoneSurrogate(text) ? text.split(/(\p{Surrogate})/u) : [text];
  for (const part of parts) {
    if (part.length === 1 && hasLoneSurrogate(part)) {
      yield { bytes: halfAsBytes(part), read: 1 };
      continue;
    }
    for (let from = 0; from < part.length; ) {
      const { read, written } = encoder.encodeInto(from === 0 ? part : part.slice(from), buffer);
      from += read;
      yield { bytes: buffer.subarray(0, written), read };
    }
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
