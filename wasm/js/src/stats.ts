/** Conversion of the engine's counters to the units of JavaScript. */
import type { Stats } from "./types.js";

/** Parses the module's counters from JSON and adds the stream's `watermark`, in milliseconds. */
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

/** Converts a time of the module, in microseconds, to milliseconds; null if it is absent. */
function inMilliseconds(microseconds: number | null | undefined): number | null {
  return typeof microseconds === "number" ? microseconds / 1000 : null;
}
