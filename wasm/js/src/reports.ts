/** Rejected and dropped events, which wait until the call that found them ends. */
import type { Drop, ProcessorOptions, RejectedEvent, RejectedLine, Rejection } from "./types.js";

/** A dropped event as the module reports it; times are microseconds. */
interface RawDrop {
  reason: Drop["reason"];
  stage: number | null;
  ordinal: number | null;
  watermark: number;
  window_end: number | null;
  line: number | null;
  text: string | null;
}

/** A rejected line as the module reports it. */
type RawLine = Omit<RejectedLine, "field"> & { field: string | null };

/** The smallest 64-bit integer: the engine's watermark before the first event. */
const NO_TIME = -(2 ** 63);

/** The callbacks of a processor, and the reports that wait for them. */
export class Reports {
  readonly #onReject: ProcessorOptions["onReject"] | undefined;
  readonly #onDrop: ProcessorOptions["onDrop"] | undefined;
  #rejections: Rejection[] = [];
  #drops: Drop[] = [];

  constructor(onReject: ProcessorOptions["onReject"] | undefined, onDrop: ProcessorOptions["onDrop"] | undefined) {
    this.#onReject = onReject;
    this.#onDrop = onDrop;
  }

  get wantsRejections(): boolean {
    return this.#onReject !== undefined;
  }

  get wantsDrops(): boolean {
    return this.#onDrop !== undefined;
  }

  /** Adds rejected events. */
  addRejections(rejections: readonly RejectedEvent[]): void {
    if (this.#onReject === undefined) return;
    for (const rejection of rejections) this.#rejections.push(rejection);
  }

  /** Adds the rejected lines of the module's JSON, which is empty if there are none. */
  addLines(json: string): void {
    if (json === "") return;
    for (const line of JSON.parse(json) as RawLine[]) this.#rejections.push({ ...line, field: line.field ?? undefined });
  }

  /**
   * Adds the dropped events of the module's JSON, which is empty if there are none. `eventAt`
   * returns an event by its ordinal, if it is at hand.
   */
  addDrops(json: string, eventAt: (ordinal: number) => object | undefined): void {
    if (json === "") return;
    for (const { reason, stage, ordinal, watermark, window_end, line, text } of JSON.parse(json) as RawDrop[]) {
      const event = ordinal === null || text !== null ? undefined : eventAt(ordinal);
      const windowEnd = window_end === null ? null : window_end / 1000;
      const where = text !== null && line !== null ? { line, text } : event && { event };
      this.#drops.push({ reason, stage, ordinal, watermark: watermark === NO_TIME ? null : watermark / 1000, windowEnd, ...where });
    }
  }

  /** Calls the callbacks for all reports that wait. An error of a callback ends that. */
  deliver(): void {
    const [rejections, drops] = [this.#rejections, this.#drops];
    if (rejections.length === 0 && drops.length === 0) return;
    this.#rejections = [];
    this.#drops = [];
    for (const rejection of rejections) this.#onReject?.(rejection);
    for (const drop of drops) this.#onDrop?.(drop);
  }
}
