/** The clock of a replay: each animation frame pushes the lines that are due into a run. */
import type { Row } from "stream-processor";

import type { Run } from "./run.js";

/** The maximum number of lines of one push. */
const BATCH_LINES = 1_024;
/** The maximum work per frame, so that the page stays responsive at any speed. */
const FRAME_BUDGET_MS = 10;
/** The speed without a limit: frames use their whole budget. */
export const FULL_SPEED = 1e9;
/** The maximum time that a late frame catches up on. */
const MAX_FRAME_MS = 100;

/** The callbacks of a player. */
export interface Listener {
  /** Called after each frame that pushed lines. */
  onRows(rows: Row[]): void;
  onError(error: unknown): void;
  /** Called when the replay starts, pauses or ends. */
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

  /** Replaces the run and plays it. */
  start(run: Run): void {
    this.stop();
    this.#run = run;
    this.play();
  }

  /** Ends the run permanently. */
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

  /** Pushes the lines that are due, as many as fit into the frame's budget. */
  #take(run: Run): Row[] {
    const deadline = performance.now() + FRAME_BUDGET_MS;
    const rows: Row[] = [];
    while (run.active && this.#due >= 1 && performance.now() < deadline) {
      const count = Math.min(Math.floor(this.#due), BATCH_LINES);
      for (const row of run.advance(count)) rows.push(row);
      this.#due -= count;
    }
    // Lines that exceeded the budget are not caught up on.
    this.#due = Math.min(this.#due, BATCH_LINES);
    return rows;
  }
}
