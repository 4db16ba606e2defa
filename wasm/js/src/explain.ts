/** Explains from the counters why no further rows have come. */
import type { Stats } from "./types.js";

/** What a processor waits for. Times are milliseconds. */
export interface Explanation {
  /** The stream's watermark; null before the first event and after the end. */
  readonly watermark: number | null;
  /** The stages with open windows, in order. */
  readonly waiting: readonly WaitingStage[];
  /**
   * The partitions of the source that hold the watermark back; null is the name of the only one.
   * Empty if the stream has a single watermark.
   */
  readonly heldBackBy: readonly (string | null)[];
  /** The time of day at which `tick` has an effect; null if there is none. */
  readonly nextDeadline: number | null;
  /** Events that were rejected or dropped, which are in no row. */
  readonly lost: number;
  /** The same in one sentence. */
  readonly message: string;
}

/** A stage whose windows have not fired yet. */
export interface WaitingStage {
  /** The index of the stage in `stages`, and its type. */
  readonly stage: number;
  readonly type: string;
  readonly openWindows: number;
  /** The watermark of the stage's input; null before the first event. */
  readonly watermark: number | null;
  /** The watermark at which the next window with events fires; null if none does by time. */
  readonly nextFire: number | null;
  /** How far the watermark must still advance for that; null if it is not known. */
  readonly missing: number | null;
}

/** Returns the explanation of the counters `stats`. */
export function explain(stats: Stats, nextDeadline: number | null): Explanation {
  const { watermark, partitions } = stats;
  const waiting = stats.stages.flatMap((stage, index): WaitingStage[] => {
    const { type, open_windows: openWindows, next_fire: nextFire } = stage;
    if (openWindows === 0) return [];
    const missing = nextFire === null || stage.watermark === null ? null : Math.max(0, nextFire - stage.watermark);
    return [{ stage: index, type, openWindows, watermark: stage.watermark, nextFire, missing }];
  });
  const heldBackBy = partitions.filter(({ holds_back }) => holds_back).map(({ partition }) => partition);
  const lost = stats.rejected + stats.late_dropped + stats.limit_dropped;
  const explanation = { watermark, waiting, heldBackBy, nextDeadline, lost };
  return { ...explanation, message: sentence(explanation, stats.events) };
}

function sentence({ waiting, heldBackBy, lost }: Omit<Explanation, "message">, events: number): string {
  const losses = lost > 0 ? `; ${lost} events were rejected or dropped` : "";
  const [first] = waiting;
  if (first === undefined) {
    return events === 0 ? `no event was accepted${losses}` : `no window is open${losses}`;
  }
  const { stage, openWindows, nextFire } = first;
  const windows = `${openWindows} window${openWindows === 1 ? " is" : "s are"} open in stage ${stage}`;
  if (nextFire === null) return `${windows}; they do not fire by the watermark${losses}`;
  const names = heldBackBy.filter((name) => name !== null).map((name) => JSON.stringify(name));
  const holding = names.length > 0 ? `; partition ${names.join(", ")} holds the watermark back` : "";
  const now = first.watermark === null ? "there is no watermark yet" : `the watermark is ${timeOf(first.watermark)}`;
  return `${windows}; the next fires at the watermark ${timeOf(nextFire)}, and ${now}${holding}${losses}`;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
