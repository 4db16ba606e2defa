/** Whole events as JSON lines, for stages that compute event identities. */
import { messageOf } from "./error.js";
import type { Fault } from "./faults.js";
import { jsonOf } from "./json.js";
import type { RejectReason } from "./types.js";

/** Limits of one call into the module: events, and UTF-16 code units of text. */
const MAX_EVENTS = 16_384;
export const MAX_UNITS = 1 << 24;

/**
 * The module's functions over JSON lines. Both return the {@link LineFault}s of the lines as a JSON
 * array, or an empty text if there are none.
 */
export interface Lines {
  /** Computes the identities of further events of a call; `begins` is true for the first ones. */
  identify(lines: string, begins: boolean): string;
  /** Checks lines without storing their identities. */
  faultsOf(lines: string): string;
}

/** The module's error for a line that is not a JSON object. */
interface LineFault {
  index: number;
  reason: RejectReason;
  message: string;
}

/**
 * Sends the events of a call to the module, which computes their identities. Returns a fault for
 * each event that has no JSON text that the module can read.
 */
export function identifyEvents(events: number, eventAt: (index: number) => object, module: Lines): Map<number, Fault> {
  const faults = new Map<number, Fault>();
  for (let from = 0; from < events; ) {
    const lines: string[] = [];
    for (let units = 0; from + lines.length < events && lines.length < MAX_EVENTS && units < MAX_UNITS; ) {
      const index = from + lines.length;
      const line = lineOf(eventAt(index));
      if (typeof line !== "string") faults.set(index, line);
      lines.push(typeof line === "string" ? line : "");
      units += (lines.at(-1) as string).length;
    }
    identifyLines(lines, from, eventAt, module, faults);
    from += lines.length;
  }
  return faults;
}

/**
 * Sends the lines of the events from index `from` on to the module. Adds a fault to `faults` for
 * each line that the module cannot read and that has no fault yet.
 */
export function identifyLines(
  lines: readonly string[],
  from: number,
  eventAt: (index: number) => object,
  module: Lines,
  faults: Map<number, Fault>,
): void {
  const found = module.identify(lines.join("\n"), from === 0);
  for (const { index, reason, message } of found === "" ? [] : (JSON.parse(found) as LineFault[])) {
    const place = from + index;
    if (lines[index] === "" && faults.has(place)) continue;
    const field = fieldWhere(eventAt(place), (line) => module.faultsOf(line) !== "");
    faults.set(place, { reason, field, message: `as JSON, ${shortened(lines[index] as string)}, ${message}` });
  }
}

/** Returns the event as JSON, or the fault of an event that has no JSON. */
export function lineOf(event: object): string | Fault {
  try {
    return jsonOf(event) ?? "";
  } catch (error) {
    const field = fieldWhere(event, () => false);
    return { reason: "invalid_json", field, message: `it cannot be written as JSON: ${messageOf(error)}` };
  }
}

/** Returns the first field that cannot be written as JSON, or whose JSON line `isFaulty`. */
function fieldWhere(event: object, isFaulty: (line: string) => boolean): string | undefined {
  const isWrong = (name: string) => {
    try {
      const value = (event as Record<string, unknown>)[name];
      // JSON has no functions, and a `toJSON` function applies to the whole event.
      return typeof value !== "function" && isFaulty(jsonOf({ [name]: value }) ?? "{}");
    } catch {
      return true;
    }
  };
  try {
    return Object.keys(event).find(isWrong);
  } catch {
    return undefined;
  }
}

function shortened(line: string): string {
  return line.length > 40 ? `${line.slice(0, 40)}…` : line;
}
