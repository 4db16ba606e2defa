/** Whole events on their way to the module, which tells them apart: as JSON, one a line. */
import { jsonOf } from "./json.js";
import type { Fault } from "./objects.js";
import type { RejectReason } from "./types.js";

/** Events, and units of their text, that go to the module at once. */
const MAX_EVENTS = 16_384;
const MAX_UNITS = 1 << 24;

/** The part of the module that knows events as lines; both give {@link LineFault}s as a JSON array, empty where there are none. */
export interface Lines {
  /** Takes further events of a call; `begins` says that they are its first. */
  identify(lines: string, begins: boolean): string;
  faultsOf(lines: string): string;
}

/** What the module has to say of a line that is no JSON object. */
interface LineFault {
  index: number;
  reason: RejectReason;
  message: string;
}

/** Tells the module so many `events`; returns why those are rejected that JSON, as the module reads it, cannot say. */
export function identifyEvents(events: number, eventAt: (index: number) => object, module: Lines): Map<number, Fault> {
  const faults = new Map<number, Fault>();
  for (let from = 0; from < events; ) {
    const lines: string[] = [];
    for (let units = 0; from + lines.length < events && lines.length < MAX_EVENTS && units < MAX_UNITS; ) {
      const index = from + lines.length;
      const line = lineOf(eventAt(index), index, faults);
      lines.push(line);
      units += line.length;
    }
    const found = module.identify(lines.join("\n"), from === 0);
    for (const { index, reason, message } of found === "" ? [] : (JSON.parse(found) as LineFault[])) {
      const place = from + index;
      if (faults.has(place)) continue;
      const field = fieldWhere(eventAt(place), (line) => module.faultsOf(line) !== "");
      faults.set(place, { reason, field, message: `as JSON, ${shortened(lines[index] as string)}, ${message}` });
    }
    from += lines.length;
  }
  return faults;
}

/** The event as JSON; where there is no such text, empty, and why is put into `faults`. */
function lineOf(event: object, index: number, faults: Map<number, Fault>): string {
  try {
    return jsonOf(event) ?? "";
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const field = fieldWhere(event, () => false);
    faults.set(index, { reason: "invalid_json", field, message: `it cannot be written as JSON: ${why}` });
    return "";
  }
}

/** The first field that cannot be written by itself, or whose line `isFaulty`. */
function fieldWhere(event: object, isFaulty: (line: string) => boolean): string | undefined {
  return Object.keys(event).find((name) => {
    try {
      const value = (event as Record<string, unknown>)[name];
      // JSON has no functions, and `toJSON` speaks for the whole event.
      return typeof value !== "function" && isFaulty(jsonOf({ [name]: value }) ?? "{}");
    } catch {
      return true;
    }
  });
}

function shortened(line: string): string {
  return line.length > 40 ? `${line.slice(0, 40)}…` : line;
}
