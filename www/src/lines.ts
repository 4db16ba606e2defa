/** Splits bytes into pieces of whole lines without copying. */

const LINE_FEED = 10;
const QUOTE = 34;

/** Rules of line ends: if `quoted` (CSV), a line feed in double quotes does not end a line. */
export interface LineRules {
  quoted: boolean;
}

export class Lines {
  /** The number of lines returned so far. */
  taken = 0;
  readonly #bytes: Uint8Array;
  readonly #rules: LineRules;
  #next = 0;

  constructor(bytes: Uint8Array, rules: LineRules) {
    this.#bytes = bytes;
    this.#rules = rules;
  }

  /** Returns the next lines, at most `count`, in one piece; empty at the end. */
  take(count: number): Uint8Array {
    const from = this.#next;
    for (let line = 0; line < count && !this.done; line += 1) {
      this.#next = this.#endOfLine(this.#next);
      this.taken += 1;
    }
    return this.#bytes.subarray(from, this.#next);
  }

  get done(): boolean {
    return this.#next >= this.#bytes.length;
  }

  /** Returns the fraction of bytes returned so far, from 0 to 1. */
  get progress(): number {
    return this.#bytes.length === 0 ? 1 : this.#next / this.#bytes.length;
  }

  #endOfLine(from: number): number {
    let end = from;
    let open = false;
    do {
      const start = end;
      const at = this.#bytes.indexOf(LINE_FEED, start);
      end = at < 0 ? this.#bytes.length : at + 1;
      if (this.#rules.quoted) open = open !== this.#hasOddQuotes(start, end);
    } while (open && end < this.#bytes.length);
    return end;
  }

  #hasOddQuotes(from: number, to: number): boolean {
    let odd = false;
    for (let at = from; at < to; at += 1) if (this.#bytes[at] === QUOTE) odd = !odd;
    return odd;
  }
}

/** Reverses the order of lines; the first `headers` lines stay at the top. */
export function lastLineFirst(bytes: Uint8Array, rules: LineRules, headers: number): Uint8Array {
  const lines = new Lines(bytes, rules);
  const reversed = new Uint8Array(bytes.length + 1);
  const head = lines.take(headers);
  reversed.set(head);
  let start = reversed.length;
  while (!lines.done) {
    const line = lines.take(1);
    const endsItself = line.at(-1) === LINE_FEED;
    start -= line.length + (endsItself ? 0 : 1);
    reversed.set(line, start);
    if (!endsItself) reversed[start + line.length] = LINE_FEED;
  }
  reversed.copyWithin(head.length, start);
  return reversed.subarray(0, head.length + reversed.length - start);
}
