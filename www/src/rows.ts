/** The rows that the page keeps, and the chart lines computed from them. */
import type { Row } from "stream-processor";

import { type Fields, WINDOW_END, WINDOW_START } from "./pipeline.js";

/** The minimum number of newest rows that are kept. */
const MAX_ROWS = 20_000;
/** The maximum number of keys that are candidates for the chart. */
const MAX_COUNTED_KEYS = 10_000;
/** The maximum number of chart lines: the number of distinguishable colours. */
export const MAX_LINES = 6;

/** A chart line: its key and colour number, which is stable while the key is one of the busiest. */
export interface Line {
  key: string;
  colour: number;
  values: (number | null)[];
}

/** Chart lines over shared times, in seconds since the epoch. */
export interface Lines {
  times: number[];
  lines: Line[];
}

export class RowStore {
  readonly fields: Fields;
  #rows: Row[] = [];
  /** Events per key, or rows per key if the pipeline does not count events. */
  readonly #weights = new Map<string, number>();
  /** Keys by colour number. */
  readonly #colours: (string | undefined)[] = Array.from({ length: MAX_LINES });

  constructor(fields: Fields) {
    this.fields = fields;
  }

  add(rows: readonly Row[]): void {
    for (const row of rows) {
      this.#rows.push(row);
      const key = this.keyOf(row);
      const before = this.#weights.get(key);
      if (before === undefined && this.#weights.size >= MAX_COUNTED_KEYS) continue;
      this.#weights.set(key, (before ?? 0) + (typeof row["count"] === "number" ? row["count"] : 1));
    }
    if (this.#rows.length > 2 * MAX_ROWS) this.#rows = this.#rows.slice(-MAX_ROWS);
    this.#giveColours();
  }

  /** Returns the newest rows, newest first. */
  newest(count: number): Row[] {
    return this.#rows.slice(-count).reverse();
  }

  /** Returns the columns that can be drawn. */
  get columns(): string[] {
    const { keys, times } = this.fields;
    return Object.keys(this.#rows[0] ?? {}).filter((name) => !keys.includes(name) && !times.includes(name));
  }

  get keys(): number {
    return this.#weights.size;
  }

  /** Returns the key of a row as text; empty if the pipeline has no key. */
  keyOf(row: Row): string {
    return this.fields.keys.map((name) => String(row[name])).join(" · ");
  }

  /** Returns the colour number of a key; undefined if it is not one of the busiest. */
  colourOf(key: string): number | undefined {
    const colour = this.#colours.indexOf(key);
    return colour < 0 ? undefined : colour;
  }

  /** Returns one line for each of the busiest keys: `column` over window starts. */
  lines(column: string): Lines {
    const points = new Map<number, Map<string, number>>();
    for (const row of this.#rows) {
      const time = this.#timeOf(row);
      const value = row[column];
      if (time === undefined) continue;
      let ofTime = points.get(time);
      if (ofTime === undefined) points.set(time, (ofTime = new Map()));
      if (typeof value === "number") ofTime.set(this.keyOf(row), value);
    }
    const times = [...points.keys()].sort((a, b) => a - b);
    const lines = this.#colours.flatMap((key, colour) => {
      if (key === undefined) return [];
      return [{ key, colour, values: times.map((time) => points.get(time)?.get(key) ?? null) }];
    });
    return { times, lines };
  }

  #timeOf(row: Row): number | undefined {
    const { times } = this.fields;
    const name = [WINDOW_START, ...times].find((field) => typeof row[field] === "string" && field !== WINDOW_END);
    const ms = name === undefined ? Number.NaN : Date.parse(row[name] as string);
    return Number.isNaN(ms) ? undefined : ms / 1_000;
  }

  /** Assigns colours to the busiest keys; a key keeps its colour while it is one of them. */
  #giveColours(): void {
    const ranked = [...this.#weights].sort((a, b) => b[1] - a[1]);
    const busiest = new Set(ranked.slice(0, MAX_LINES).map(([key]) => key));
    for (const [colour, key] of this.#colours.entries()) {
      if (key !== undefined && !busiest.delete(key)) this.#colours[colour] = undefined;
    }
    for (const key of busiest) this.#colours[this.#colours.indexOf(undefined)] = key;
  }
}
