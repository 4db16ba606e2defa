/** The newest rows as a table. */
import type { Row } from "stream-processor";

import { element } from "./dom.js";
import { moment, precise } from "./format.js";
import { WINDOW_END } from "./pipeline.js";
import type { RowStore } from "./rows.js";

const SHOWN_ROWS = 12;

export class Table {
  readonly #table: HTMLTableElement;
  #names = "";

  constructor(table: HTMLTableElement) {
    this.#table = table;
  }

  show(rows: RowStore): void {
    const newest = rows.newest(SHOWN_ROWS);
    const names = Object.keys(newest[0] ?? {});
    if (names.join("\n") !== this.#names) {
      this.#names = names.join("\n");
      this.#table.createTHead().replaceChildren(this.#head(names, rows));
    }
    const body = this.#table.tBodies[0] ?? this.#table.createTBody();
    body.replaceChildren(...newest.map((row) => this.#row(row, names, rows)));
  }

  #head(names: string[], rows: RowStore): HTMLElement {
    const head = element("tr");
    for (const name of names) {
      const cell = element("th", name, kind(name, rows));
      cell.setAttribute("scope", "col");
      head.append(cell);
    }
    return head;
  }

  #row(row: Row, names: string[], rows: RowStore): HTMLElement {
    const line = element("tr");
    for (const name of names) {
      const value = row[name] ?? null;
      const cell = element("td", shown(value, rows.fields.times.includes(name)), kind(name, rows));
      if (typeof value === "number") cell.title = String(value);
      if (name === rows.fields.keys[0]) cell.prepend(swatch(rows.colourOf(rows.keyOf(row))));
      line.append(cell);
    }
    return line;
  }
}

/** Returns the class that formats a column. */
function kind(name: string, { fields }: RowStore): string {
  if (name === WINDOW_END) return "end-time";
  return fields.keys.includes(name) || fields.times.includes(name) ? "" : "number";
}

function shown(value: Row[string], isTime: boolean): string {
  if (value === null) return "–";
  if (typeof value === "number") return precise(value);
  return isTime ? moment(String(value)) : String(value);
}

/** Creates a marker in the key's colour in the chart. */
function swatch(colour: number | undefined): HTMLElement {
  const dot = element("span", "", "swatch");
  if (colour !== undefined) dot.style.background = `var(--line-${colour + 1})`;
  return dot;
}
