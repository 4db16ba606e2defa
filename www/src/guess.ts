/** Guesses a pipeline for an unknown file from its first lines. */
import type { PipelineSpec } from "stream-processor";

import { csvEvents } from "./csv.js";
import { Lines } from "./lines.js";

const SAMPLE_LINES = 1_000;
/** The target number of events per window and key of the sample. */
const EVENTS_PER_WINDOW = 20;
const SIZES: readonly [text: string, ms: number][] = [
  ["100ms", 1e2], ["1s", 1e3], ["10s", 1e4], ["1m", 6e4], ["5m", 3e5], ["15m", 9e5], ["1h", 3.6e6], ["6h", 2.16e7],
  ["1d", 8.64e7], ["7d", 6.048e8], ["28d", 2.4192e9],
];
const TIME_NAMES = [
  /^(ts|time|timestamp|date|datetime|at)$|_(ts|time|timestamp|date|at)$/i,
  /[a-z](Time|Timestamp|Date|At)$/,
];

type Unit = "s" | "ms" | "us" | "ns";
type Event = Record<string, unknown>;

export function guess(bytes: Uint8Array, fileName: string): PipelineSpec {
  const isCsv = /\.(csv|txt)$/i.test(fileName) || (!/json/i.test(fileName) && bytes[0] !== 0x7b);
  const text = new TextDecoder().decode(new Lines(bytes, { quoted: isCsv }).take(SAMPLE_LINES));
  const { names, events } = isCsv ? csvEvents(text) : ndjsonEvents(text);
  const timestamp = names.find(isTimeName) ?? names.find((name) => isTime(events[0]?.[name])) ?? "ts";
  const rest = names.filter((name) => name !== timestamp);
  const value = rest.find((name) => events.every((event) => event[name] == null || typeof event[name] === "number"));
  const key = rest.find((name) => name !== value && isKey(events.map((event) => event[name])));
  const unit = unitOf(events[0]?.[timestamp]);
  const times = events.map((event) => milliseconds(event[timestamp], unit)).filter((time) => !Number.isNaN(time));
  return {
    source: {
      format: isCsv ? "csv" : "ndjson",
      timestamp,
      ...(unit === "ms" ? {} : { timestamp_unit: unit }),
      ...(key === undefined ? {} : { key }),
      ...(value === undefined ? {} : { value }),
    },
    time: { max_out_of_orderness: disorderOf(times) },
    stages: [
      {
        type: "window",
        window: "tumbling",
        size: sizeFor(times, key === undefined ? 1 : new Set(events.map((event) => event[key])).size),
        aggregations: value === undefined ? ["count"] : ["count", "avg", "min", "max"],
      },
    ],
  };
}

/** Returns the lines that are events; the engine reports the faults of the others. */
function ndjsonEvents(text: string): { names: string[]; events: Event[] } {
  const events = text.split("\n").flatMap((line) => {
    try {
      const event: unknown = JSON.parse(line);
      return typeof event === "object" && event !== null && !Array.isArray(event) ? [event as Event] : [];
    } catch {
      return [];
    }
  });
  return { names: Object.keys(events[0] ?? {}), events };
}

/** Returns true if values repeat, as names do and unique ids do not. */
function isKey(values: unknown[]): boolean {
  if (!values.every((value) => typeof value === "string")) return false;
  return new Set(values).size <= Math.max(0.9 * values.length, 1);
}

function isTimeName(name: string): boolean {
  return TIME_NAMES.some((pattern) => pattern.test(name));
}

function isTime(value: unknown): boolean {
  return typeof value === "string" && /^\d{4}-\d\d-\d\d/.test(value);
}

/** Returns the unit in which a number is a time of the present. */
function unitOf(time: unknown): Unit {
  if (typeof time !== "number") return "ms";
  if (time > 1e17) return "ns";
  if (time > 1e14) return "us";
  return time > 1e11 ? "ms" : "s";
}

function milliseconds(time: unknown, unit: Unit): number {
  if (typeof time === "number") return time * { s: 1e3, ms: 1, us: 1e-3, ns: 1e-6 }[unit];
  return Date.parse(String(time));
}

/**
 * Returns twice the disorder of the sample; "unbounded" for a file in descending order, which then
 * emits all rows at the end.
 */
function disorderOf(times: number[]): string {
  if ((times.at(-1) ?? 0) < (times[0] ?? 0)) return "unbounded";
  let newest = -Infinity;
  let disorder = 0;
  for (const time of times) {
    newest = Math.max(newest, time);
    disorder = Math.max(disorder, newest - time);
  }
  return disorder === 0 ? "0s" : atLeast(2 * disorder);
}

function sizeFor(times: number[], keys: number): string {
  const span = Math.max(...times) - Math.min(...times);
  return span > 0 ? atLeast((span / times.length) * EVENTS_PER_WINDOW * keys) : "1m";
}

function atLeast(wanted: number): string {
  return (SIZES.find(([, ms]) => ms >= wanted) ?? SIZES.at(-1) ?? ["1d"])[0];
}
