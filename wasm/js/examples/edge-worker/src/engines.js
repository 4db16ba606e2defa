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

const EMITS_PARTIALS = { emitsPartials: true };

export class Engines {
  #edge;
  #current;

  constructor(edge, current) {
    this.#edge = edge;
    this.#current = current;
  }

  /** Restores the processors from a checkpoint and the lines after it. */
  static load({ edge, current, journal }) {
    const engines = new Engines(restored(edge, EMITS_PARTIALS), restored(current));
    if (journal !== undefined) engines.#edge.pushNdjson(journal);
    return engines;
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

  /** Processes whole lines. */
  push(lines) {
    this.#edge.pushNdjson(lines);
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

  /** Returns snapshots of both processors. */
  checkpoint() {
    return { edge: this.#edge.snapshot(), current: this.#current.snapshot() };
  }

  /** Returns the rows of all open windows as lines of NDJSON, and the watermark; changes nothing. */
  windows(source) {
    const { edge, current } = this.checkpoint();
    const copies = [restored(edge, EMITS_PARTIALS), restored(current)];
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

function restored(snapshot, options) {
  return snapshot === undefined ? new StreamProcessor(PIPELINE, options) : StreamProcessor.restore(PIPELINE, snapshot, options);
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
