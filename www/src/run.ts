/** One run of a pipeline over one recording: pushes lines in batches and drains rows. */
import { type PipelineSpec, type Row, type Stats, StreamProcessor } from "stream-processor";

import { lastLineFirst, Lines } from "./lines.js";

/** Smaller batches are not timed: the clock's resolution would dominate. */
const MIN_TIMED_LINES = 500;
/** The speed is the median of this many batches, because other programs disturb single ones. */
const TIMED_BATCHES = 64;
/** Rows are kept for download up to this many bytes of text. */
const MAX_SAVED_BYTES = 64 * 2 ** 20;

export class Run {
  /** False after the run has finished or failed. */
  active = true;
  readonly #processor: StreamProcessor;
  readonly #lines: Lines;
  readonly #isCsv: boolean;
  /** False until the first timed batch, which is ignored: it also compiles the module's code. */
  #warm = false;
  /** The speeds of the latest batches, in events per second. */
  #speeds: number[] = [];
  #saved: Uint8Array[] = [];
  #savedBytes = 0;

  /** Opens the pipeline; throws a `StreamProcessorError` if it is invalid. */
  constructor(pipeline: PipelineSpec, bytes: Uint8Array, options: { lastLineFirst: boolean }) {
    this.#processor = new StreamProcessor(pipeline);
    this.#isCsv = pipeline.source?.format === "csv";
    const rules = { quoted: this.#isCsv };
    this.#lines = new Lines(options.lastLineFirst ? lastLineFirst(bytes, rules, this.#isCsv ? 1 : 0) : bytes, rules);
  }

  /**
   * Pushes at most `count` lines as one batch and returns the finished rows. The last line ends the
   * stream.
   */
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

  /**
   * Returns the processor's speed in events per second of its own work; undefined until it is
   * measured.
   */
  get eventsPerSecond(): number | undefined {
    return this.#speeds.toSorted((a, b) => a - b)[this.#speeds.length >> 1];
  }

  get progress(): number {
    return this.#lines.progress;
  }

  /**
   * Returns all rows so far, with the bytes that the command line prints; undefined if they are too
   * large.
   */
  savedRows(): Blob | undefined {
    if (this.#savedBytes > MAX_SAVED_BYTES) return undefined;
    return new Blob(this.#saved as BlobPart[], { type: "application/x-ndjson" });
  }

  /** Frees the processor's memory. */
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

/**
 * Parses the rows of the saved text. A page that saves none would call `drain()`, which returns
 * objects.
 */
function parsed(ndjson: Uint8Array): Row[] {
  if (ndjson.length === 0) return [];
  const lines = new TextDecoder().decode(ndjson).trimEnd().replaceAll("\n", ",");
  return JSON.parse(`[${lines}]`) as Row[];
}
