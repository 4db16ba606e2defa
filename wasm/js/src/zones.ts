/**
 * Rules of named time zones. The module has no time zone database, so the rules are read from
 * `Intl` and passed in the pipeline.
 */
import { StreamProcessorError } from "./error.js";
import type { PipelineSpec } from "./pipeline.js";

/**
 * The range of years with rules. Before it, every zone uses local mean time. From `MODEL_YEAR` on,
 * each zone has one yearly rule, so the last 400 years, the cycle of the calendar, repeat.
 */
const FROM_YEAR = 1800;
const UNTIL_YEAR = 2500;
/** The first of 28 years that cover each first weekday, in leap years and in common years. */
const MODEL_YEAR = 2104;
const SEARCHED_UNTIL_MS = newYear(MODEL_YEAR + 28);
/** The step of the search; no zone changes its clocks twice within it. */
const STEP_MS = 7 * 86_400_000;

/** Returns the pipeline with the rules of the named zones of its calendar windows filled in. */
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

/**
 * Returns the zone's rules: pairs of a start in seconds since the epoch and an offset in seconds.
 */
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

/** Returns the rules of `year`, copied from the model year with the same weekdays. */
function asInModelYear(rules: [number, number][], year: number): [number, number][] {
  const weekday = (of: number): number => new Date(newYear(of)).getUTCDay();
  let model = MODEL_YEAR;
  while (weekday(model) !== weekday(year) || weekday(model + 1) !== weekday(year + 1)) model++;
  const [from, until] = [newYear(model) / 1000, newYear(model + 1) / 1000];
  const ofYear = rules.filter(([since]) => from <= since && since < until);
  return ofYear.map(([since, offset]) => [since - from + newYear(year) / 1000, offset]);
}

/** Returns the start of a year in UTC, in milliseconds. */
function newYear(year: number): number {
  return Date.UTC(year, 0, 1);
}

/** Returns a function from a time in milliseconds to the zone's offset from UTC in seconds. */
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
