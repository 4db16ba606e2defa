/** What the module tells of its engine, in the units of JavaScript. */
import type { Stats } from "./types.js";

/** The counters that the module has written as JSON, with the stream's `watermark`, which the module gives in milliseconds. */
export function statsOf(json: string, watermark: number | null): Stats {
  const stats = JSON.parse(json) as Stats;
  const stages = stats.stages.map((stage) => ({
    ...stage,
    watermark: inMilliseconds(stage.watermark),
    next_fire: inMilliseconds(stage.next_fire),
  }));
  const partitions = (stats.partitions ?? []).map((partition) => ({
    ...partition,
    greatest_time: inMilliseconds(partition.greatest_time),
    watermark: inMilliseconds(partition.watermark),
  }));
  return { ...stats, stages, partitions, watermark };
}

/** What the module counts in microseconds, and leaves out where there is none. */
function inMilliseconds(microseconds: number | null | undefined): number | null {
  return typeof microseconds === "number" ? microseconds / 1000 : null;
}
