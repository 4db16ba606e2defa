/** The clock of a replay: in each animation frame it lets a run take the lines that are due. */
import type { Row } from "stream-processor";

import type { Run } from "./run.js";

/** Lines in one call of the processor. */
const BATCH_LINES = 1_024;
/** How long a frame may work, so that the page stays smooth at any speed. */
const FRAME_BUDGET_MS = 10;
/** Stands for no limit: frames then take what fits into their budget. */
export const FULL_SPEED = 1e9;
/** A frame that comes later than this makes up for no more. */
const MAX_FRAME_MS = 100;

/** What a player tells the page. */
export interface Listener {
  /** After each frame that took lines. */
  onRows(rows: Row[]): void;
  onError(error: unknown): void;
  /** When it starts, pauses or ends. */
  onState(): void;
}

export class Player {
  eventsPerSecond = 100;
  #run: Run | undefined;
  #frame: number | undefined;
  #due = 0;
  #before = 0;
  readonly #listener: Listener;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  /** Replaces the run, and plays it. */
  start(run: Run): void {
    this.stop();
    this.#run = run;
    this.play();
  }

  /** Ends the run for good. */
  stop(): void {
    this.pause();
    this.#run?.dispose();
    this.#run = undefined;
  }

  play(): void {
    if (this.#run?.active !== true || this.playing) return;
    this.#due = 1;
    this.#before = performance.now();
    this.#frame = requestAnimationFrame(this.#onFrame);
    this.#listener.onState();
  }

  pause(): void {
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#frame = undefined;
    this.#listener.onState();
  }

  get playing(): boolean {
    return this.#frame !== undefined;
  }

  readonly #onFrame = (now: number): void => {
    const run = this.#run;
    if (run === undefined) return;
    const elapsedMs = Math.min(Math.max(now - this.#before, 0), MAX_FRAME_MS);
    this.#before = now;
    this.#due += (this.eventsPerSecond * elapsedMs) / 1_000;
    try {
      this.#listener.onRows(this.#take(run));
    } catch (error) {
      run.active = false;
      this.#listener.onError(error);
    }
    if (run.active) this.#frame = requestAnimationFrame(this.#onFrame);
    else this.pause();
  };

  /** All lines that are due, or as many as fit into a frame. */
  #take(run: Run): Row[] {
    const deadline = performance.now() + FRAME_BUDGET_MS;
    const rows: Row[] = [];
    while (run.active && this.#due >= 1 && performance.now() < deadline) {
      const count = Math.min(Math.floor(this.#due), BATCH_LINES);
      for (const row of run.advance(count)) rows.push(row);
      this.#due -= count;
    }
    // What did not fit is not made up for.
    this.#due = Math.min(this.#due, BATCH_LINES);
    return rows;
  }
}
