/** The display of the processor's counters. */
import type { Stats } from "stream-processor";

import { byId } from "./dom.js";
import { momentOfMs, short, whole } from "./format.js";

export function showCounters(stats: Stats, eventsPerSecond: number | undefined): void {
  set("events", whole(stats.events));
  set("late", whole(stats.late_dropped), stats.limit_dropped > 0 ? `limits kept out ${whole(stats.limit_dropped)}` : "");
  const reasons = stats.rejected_by_reason.map(({ reason, count }) => `${reason} ${whole(count)}`);
  set("rejected", whole(stats.rejected), reasons.join(", "));
  set("rows", whole(stats.rows));
  set("watermark", stats.watermark === null ? "–" : momentOfMs(Math.floor(stats.watermark / 1_000) * 1_000));
  set("speed", eventsPerSecond === undefined ? "–" : short(Number(eventsPerSecond.toPrecision(2))));
}

function set(name: string, value: string, note = ""): void {
  byId(`count-${name}`, HTMLElement).textContent = value;
  const place = document.getElementById(`note-${name}`);
  if (place !== null && note !== "") place.textContent = note;
  else if (place?.dataset["note"] !== undefined) place.textContent = place.dataset["note"];
}
