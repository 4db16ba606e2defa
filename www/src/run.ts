/** One run of a pipeline over one recording: lines go into the processor in batches, rows come out. */
import { type PipelineSpec, type Row, type Stats, StreamProcessor } from "stream-processor";

import { lastLineFirst, Lines } from "./lines.js";

/** Smaller batches say more of the clock than of the processor. */
const MIN_TIMED_LINES = 500;
/** The median of this many batches is told: others may need the machine's core too. */
const TIMED_BATCHES = 64;
/** Rows are kept for saving up to this many bytes of text. */
const MAX_SAVED_BYTES = 64 * 2 ** 20;

export class Run {
  /** False once it is finished or has failed. */
  active = true;
  readonly #processor: StreamProcessor;
  readonly #lines: Lines;
  readonly #isCsv: boolean;
  /** The first batch of some size also compiles the module's code: it does not count. */
  #warm = false;
  /** Of the latest batches, in events a second. */
  #speeds: number[] = [];
  #saved: Uint8Array[] = [];
  #savedBytes = 0;

  /** Throws a `StreamProcessorError` that says what is wrong with the pipeline. */
  constructor(pipeline: PipelineSpec, bytes: Uint8Array, options: { lastLineFirst: boolean }) {
    this.#processor = new StreamProcessor(pipeline);
    this.#isCsv = pipeline.source?.format === "csv";
    const rules = { quoted: this.#isCsv };
    this.#lines = new Lines(options.lastLineFirst ? lastLineFirst(bytes, rules, this.#isCsv ? 1 : 0) : bytes, rules);
  }

  /** Takes the next lines, at most `count`, as one batch, and gives the rows that are due; after the last line, all. */
  advance(count: number): Row[] {
    const before = this.#lines.taken;
    const batch = this.#lines.take(count);
    const start = performance.now();
    if (this.#isCsv) this.#processor.pushCsv(batch);
    else this.#processor.pushNdjson(batch);
    if (this.#lines.done) this.#finish();
    const rows = this.#processor.drainNdjson();
    this.#time(this.#lines.taken - before, performance.now() - start);
    this.#save(rows);
    return parsed(rows);
  }

  stats(): Stats {
    return this.#processor.stats();
  }

  /** Events for each second that the processor itself works; nothing before it had batches of some size. */
  get eventsPerSecond(): number | undefined {
    return this.#speeds.toSorted((a, b) => a - b)[this.#speeds.length >> 1];
  }

  get progress(): number {
    return this.#lines.progress;
  }

  /** All rows so far, byte for byte as the command line prints them; nothing if they have grown too large to keep. */
  savedRows(): Blob | undefined {
    if (this.#savedBytes > MAX_SAVED_BYTES) return undefined;
    return new Blob(this.#saved as BlobPart[], { type: "application/x-ndjson" });
  }

  /** Gives the processor's memory back. */
  dispose(): void {
    this.active = false;
    this.#processor.dispose();
  }

  #finish(): void {
    this.#processor.finish();
    this.active = false;
  }

  #time(lines: number, ms: number): void {
    if (lines < MIN_TIMED_LINES || ms === 0) return;
    if (this.#warm) this.#speeds.push((lines / ms) * 1_000);
    this.#warm = true;
    if (this.#speeds.length > TIMED_BATCHES) this.#speeds.shift();
  }

  #save(rows: Uint8Array): void {
    if (rows.length === 0) return;
    this.#savedBytes += rows.length;
    if (this.#savedBytes > MAX_SAVED_BYTES) this.#saved = [];
    else this.#saved.push(rows);
  }
}

/** The page shows the very rows that it saves; a page that saves none would call `drain()`, which gives objects. */
function parsed(ndjson: Uint8Array): Row[] {
  if (ndjson.length === 0) return [];
  const lines = new TextDecoder().decode(ndjson).trimEnd().replaceAll("\n", ",");
  return JSON.parse(`[${lines}]`) as Row[];
}
