/** Time zones by name: the module has no database of them, so it is given their rules. */
import { StreamProcessorError } from "./error.js";
import type { PipelineSpec } from "./pipeline.js";

/** The years whose rules are given: before and after, the first and the last hold. */
const FROM_MS = Date.UTC(1900, 0, 1);
const UNTIL_MS = Date.UTC(2200, 0, 1);
/** No zone changes its rules and back within this. */
const STEP_MS = 7 * 86_400_000;

/** The pipeline with the rules of every named zone that calendar windows go by, unless it has them. */
export function withZoneRules(pipeline: PipelineSpec): PipelineSpec {
  const stages = (pipeline as { stages?: unknown } | null)?.stages;
  if (!Array.isArray(stages) || !stages.some(needsRules)) return pipeline;
  const resolved = stages.map((stage: unknown, index) => {
    return needsRules(stage) ? { ...stage, zone_offsets: rulesOf(stage.zone, index) } : stage;
  });
  return { ...pipeline, stages: resolved as PipelineSpec["stages"] };
}

function needsRules(stage: unknown): stage is { zone: string } {
  const { window, zone, zone_offsets: rules } = (stage ?? {}) as Record<string, unknown>;
  return window === "calendar" && rules === undefined && typeof zone === "string" && /^(?!UTC$)[^+-]/.test(zone);
}

const known = new Map<string, [number, number][]>();

/** Since when, seconds, the zone is how many seconds ahead of UTC. */
function rulesOf(zone: string, index: number): [number, number][] {
  const found = known.get(zone);
  if (found !== undefined) return found;
  const offsetAt = offsets(zone, index);
  let [last, offset] = [FROM_MS, offsetAt(FROM_MS)];
  const rules: [number, number][] = [[FROM_MS / 1000, offset]];
  for (let time = FROM_MS; time < UNTIL_MS; time = last) {
    const next = time + STEP_MS;
    const later = offsetAt(next);
    if (later !== offset) {
      let [before, from] = [time, next];
      while (from - before > 1000) {
        const middle = Math.floor((before + from) / 2000) * 1000;
        if (offsetAt(middle) === offset) before = middle;
        else from = middle;
      }
      offset = offsetAt(from);
      rules.push([from / 1000, offset]);
      last = from;
    } else {
      last = next;
    }
  }
  known.set(zone, rules);
  return rules;
}

/** How many seconds the zone is ahead of UTC at a time. */
function offsets(zone: string, index: number): (ms: number) => number {
  const fields = ["year", "month", "day", "hour", "minute", "second"] as const;
  const options = Object.fromEntries(fields.map((field) => [field, "numeric"]));
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US-u-ca-iso8601", { ...options, timeZone: zone, hourCycle: "h23" });
  } catch {
    const message = `no time zone "${zone}": expected UTC, an offset such as "+05:30", or a name such as "Europe/Berlin"`;
    throw new StreamProcessorError("invalid_pipeline", message, { field: `stages[${index}].zone` });
  }
  return (ms) => {
    const parts = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
    const { year, month, day, hour, minute, second } = parts as Record<(typeof fields)[number], number>;
    return (Date.UTC(year, month - 1, day, hour, minute, second) - ms) / 1000;
  };
}
