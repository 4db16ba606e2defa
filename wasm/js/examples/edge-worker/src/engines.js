/**
 * The two processors of a stream.
 *
 *     lines ──> edge: dedup, windows ──> partial() ──> block ──> receiver
 *                                                      └─────> current: open windows of earlier blocks
 *
 * `edge` holds what came since the last block. `current` merges each block, as the receiver does, so
 * that this worker can show the windows.
 */
import { StreamProcessor, StreamProcessorError } from "stream-processor";
import { PIPELINE } from "./pipeline.js";
import { PIECE_BYTES } from "./store.js";

/** The number of rejected lines of a call that are described; the counters have all. */
const MAX_REPORTED = 20;
const NEWLINE = 10;

export class Engines {
  #edge;
  #current;
  /** The number of lines that `edge` has read since it was opened. */
  #lines = 0;
  #rejections = [];

  /** Restores the processors from a checkpoint and the lines after it. */
  constructor({ edge, current, journal }) {
    const onReject = ({ line, reason, field, message }) => {
      if (this.#rejections.length < MAX_REPORTED) this.#rejections.push({ line: line - this.#lines, reason, field, message });
    };
    this.#edge = restored(edge, { emitsPartials: true, onReject });
    this.#current = restored(current);
    for (const piece of journal) this.push(piece);
  }

  /** Returns true if the processors can be used; a trap of the module makes them unusable. */
  get isUsable() {
    try {
      this.stats();
      return true;
    } catch (error) {
      if (error instanceof StreamProcessorError && error.code === "trapped") return false;
      throw error;
    }
  }

  /**
   * Processes text, which may end within a line. Returns the number of its lines, and the first of
   * them that were rejected: number, reason, field and message.
   */
  push(text) {
    this.#rejections = [];
    this.#edge.pushNdjson(text);
    const lines = countOf(text);
    this.#lines += lines;
    return { lines, rejections: this.#rejections };
  }

  /** Returns the counters of the lines. */
  stats() {
    return this.#edge.stats();
  }

  /** Removes and returns the state since the last block, and adds it to the current windows. */
  cut(source) {
    const block = this.#edge.partial(source);
    merge(this.#current, block);
    return block;
  }

  /** Returns snapshots of both processors, in pieces. */
  checkpoint() {
    const [edge, current] = [this.#edge, this.#current].map((processor) => [...processor.snapshotChunks(PIECE_BYTES)]);
    return { edge, current };
  }

  /** Returns the rows of all open windows as lines of NDJSON, and the watermark; changes nothing. */
  windows(source) {
    const { edge, current } = this.checkpoint();
    const copies = [restored(edge, { emitsPartials: true }), restored(current)];
    const [sender, receiver] = copies;
    try {
      merge(receiver, sender.partial(source));
      const { watermark } = receiver;
      receiver.finish();
      return { watermark, lines: new TextDecoder().decode(receiver.drainNdjson()) };
    } finally {
      for (const copy of copies) copy.dispose();
    }
  }

  dispose() {
    this.#edge.dispose();
    this.#current.dispose();
  }
}

function restored(pieces, options) {
  return pieces.length === 0 ? new StreamProcessor(PIPELINE, options) : StreamProcessor.restore(PIPELINE, pieces, options);
}

/** Returns the number of lines that end in a text. */
function countOf(text) {
  let count = 0;
  for (const byte of text) if (byte === NEWLINE) count += 1;
  return count;
}

/** Merges a block and discards the rows of windows that fire: the receiver has them. */
function merge(processor, block) {
  for (;;) {
    try {
      processor.merge(block);
      processor.drainNdjson();
      return;
    } catch (error) {
      if (error.code !== "results_full") throw error;
      processor.drainNdjson();
    }
  }
}
