/** The chart: one line for each of the keys with the most events. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { momentOfMs, precise, short, ticks } from "./format.js";
import type { Lines } from "./rows.js";

const MAX_DOTS = 120;
const FONT = "12px system-ui, sans-serif";

export class Chart {
  readonly #place: HTMLElement;
  #plot: uPlot | undefined;
  /** The configuration of the plot; a change creates a new plot. */
  #made = "";
  #shown: { lines: Lines; column: string } | undefined;

  constructor(place: HTMLElement) {
    this.#place = place;
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#made = "";
      if (this.#shown !== undefined) this.show(this.#shown.lines, this.#shown.column);
    });
  }

  /** Draws `lines` of the values of `column`. */
  show(lines: Lines, column: string): void {
    this.#shown = { lines, column };
    const data = [lines.times, ...lines.lines.map((line) => line.values)] as uPlot.AlignedData;
    const made = JSON.stringify([column, lines.lines.map(({ key, colour }) => [key, colour])]);
    if (this.#plot !== undefined && made === this.#made) {
      this.#plot.setData(data);
    } else {
      this.clear();
      this.#plot = new uPlot(this.#options(lines, column), data, this.#place);
      this.#made = made;
    }
    // Without a cursor, the legend shows the newest values.
    if (this.#plot.cursor.idx == null) this.#plot.setLegend({ idx: lines.times.length - 1 });
  }

  clear(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
    this.#made = "";
  }

  #size(): { width: number; height: number } {
    const { clientWidth: width } = this.#place;
    return { width, height: width < 500 ? 220 : 370 };
  }

  #options(lines: Lines, column: string): uPlot.Options {
    const style = getComputedStyle(this.#place);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const strokes = ["transparent", ...lines.lines.map((line) => colour(`--line-${line.colour + 1}`))];
    const axis = {
      font: FONT,
      stroke: colour("--quiet"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
    };
    return {
      ...this.#size(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1_000), "Etc/UTC"),
      padding: [12, 28, 0, 0],
      cursor: { y: false, points: { size: 7 } },
      legend: { markers: { width: 0, fill: (_, place) => strokes[place] ?? "transparent" } },
      axes: [
        { ...axis, size: 36, gap: 9, values: (_, times, _axis, _space, step) => ticks(times, step) },
        { ...axis, size: 44, values: (_, values) => values.map(short) },
      ],
      scales: { y: { range: (_, min, max) => range(min, max) } },
      series: [
        { label: "window", value: (_, seconds) => (seconds == null ? "" : momentOfMs(seconds * 1_000)) },
        ...lines.lines.map(({ key }, place): uPlot.Series => {
          const stroke = strokes[place + 1] as string;
          return {
            label: key || column,
            stroke,
            width: 1.75,
            points: { size: 5, fill: stroke, width: 0, show: hasFewPoints },
            value: (_, value) => (value == null ? "–" : precise(value)),
          };
        }),
      ],
    };
  }
}

/**
 * Returns true if a line has few points, so that its points are drawn as dots. Dots show windows
 * without adjacent rows, which a line cannot show; many dots would hide the line.
 */
function hasFewPoints(plot: uPlot, place: number): boolean {
  const values = plot.data[place] ?? [];
  return values.length < MAX_DOTS || Array.from(values).filter((value) => value != null).length < MAX_DOTS;
}

/** Returns the range of the value axis; includes zero unless that would flatten the lines. */
function range(min: number | null, max: number | null): [number, number] {
  if (min === null || max === null) return [0, 1];
  const [low, high] = uPlot.rangeNum(min, max, 0.1, true) as [number, number];
  return [min >= 0 && min < max / 2 ? 0 : low, high];
}
