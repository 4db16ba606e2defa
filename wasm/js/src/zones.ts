/** Time zones by name: the module has no database of them, so it is given their rules. */
import { StreamProcessorError } from "./error.js";
import type { PipelineSpec } from "./pipeline.js";

/**
 * The years whose rules are given. Every zone has local mean time before the first, and one rule for all years from
 * `MODEL_YEAR` on: so the last 400 years repeat.
 */
const FROM_YEAR = 1800;
const UNTIL_YEAR = 2500;
/** The first of 28 years in which every kind of year comes: with each day of the week as its first one, leap years and others. */
const MODEL_YEAR = 2104;
const SEARCHED_UNTIL_MS = newYear(MODEL_YEAR + 28);
/** No zone sets its clocks and sets them back within this. */
const STEP_MS = 7 * 86_400_000;

/** The pipeline with the rules of every named zone that calendar windows go by, unless it has them. */
export function withZoneRules(pipeline: PipelineSpec): PipelineSpec {
  const stages = (pipeline as { stages?: unknown } | null)?.stages;
  if (!Array.isArray(stages) || !stages.some(needsRules)) return pipeline;
  const resolved = stages.map((stage: unknown, index) => {
    if (!needsRules(stage)) return stage;
    return { ...stage, zone_offsets: rulesOf(stage.zone, index), zone_offsets_until: newYear(UNTIL_YEAR) / 1000 };
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
  const first = newYear(FROM_YEAR);
  let [last, offset] = [first, offsetAt(first)];
  const rules: [number, number][] = [[first / 1000, offset]];
  for (let time = first; time < SEARCHED_UNTIL_MS; time = last) {
    const next = Math.min(time + STEP_MS, SEARCHED_UNTIL_MS);
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
  for (let year = MODEL_YEAR + 28; year < UNTIL_YEAR; year++) rules.push(...asInModelYear(rules, year));
  known.set(zone, rules);
  return rules;
}

/** The rules of `year`, taken from those of the model year with the same days of the week. */
function asInModelYear(rules: [number, number][], year: number): [number, number][] {
  const weekday = (of: number): number => new Date(newYear(of)).getUTCDay();
  let model = MODEL_YEAR;
  while (weekday(model) !== weekday(year) || weekday(model + 1) !== weekday(year + 1)) model++;
  const [from, until] = [newYear(model) / 1000, newYear(model + 1) / 1000];
  const ofYear = rules.filter(([since]) => from <= since && since < until);
  return ofYear.map(([since, offset]) => [since - from + newYear(year) / 1000, offset]);
}

/** When a year begins in UTC, milliseconds. */
function newYear(year: number): number {
  return Date.UTC(year, 0, 1);
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
