/** The controls: stream, speed, play, pause, and download of the rows. */
import { byId } from "./dom.js";
import { whole } from "./format.js";
import { FULL_SPEED } from "./player.js";
import type { Stream } from "./streams.js";

/** The speeds of the slider's steps, in events per second. */
const SPEEDS = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 100_000, FULL_SPEED];

export type State = "playing" | "paused" | "finished" | "failed";

/** The callbacks of the controls. */
export interface Actions {
  onStream(stream: Stream): void;
  onSpeed(eventsPerSecond: number): void;
  onToggle(): void;
  onRestart(): void;
  onSave(): Blob | undefined;
}

export class Controls {
  readonly #actions: Actions;
  readonly #streams: Stream[];
  readonly #stream = byId("stream", HTMLSelectElement);
  readonly #speed = byId("speed", HTMLInputElement);
  readonly #toggle = byId("toggle", HTMLButtonElement);
  readonly #lastLineFirst = byId("last-line-first", HTMLInputElement);

  constructor(streams: readonly Stream[], actions: Actions) {
    this.#streams = [...streams];
    this.#actions = actions;
    this.#stream.replaceChildren(...streams.map(({ name }) => new Option(name)));
    this.#speed.max = String(SPEEDS.length - 1);
    this.#stream.addEventListener("change", () => {
      const stream = this.#streams[this.#stream.selectedIndex];
      if (stream !== undefined) actions.onStream(stream);
    });
    this.#speed.addEventListener("input", () => this.#setSpeed());
    this.#toggle.addEventListener("click", actions.onToggle);
    this.#lastLineFirst.addEventListener("change", actions.onRestart);
    byId("restart", HTMLButtonElement).addEventListener("click", actions.onRestart);
    byId("save", HTMLButtonElement).addEventListener("click", () => this.#save());
  }

  get lastLineFirst(): boolean {
    return this.#lastLineFirst.checked;
  }

  /** Adds a stream to the choice. */
  add(stream: Stream): void {
    this.#streams.push(stream);
    this.#stream.add(new Option(stream.name));
  }

  /** Shows a stream as the selected one and sets its default speed. */
  show(stream: Stream): void {
    this.#stream.selectedIndex = this.#streams.indexOf(stream);
    byId("about", HTMLElement).textContent = stream.about;
    this.#lastLineFirst.checked = stream.lastLineFirst;
    this.#speed.value = String(SPEEDS.indexOf(stream.eventsPerSecond));
    this.#setSpeed();
  }

  showState(state: State, text: string): void {
    byId("state", HTMLElement).textContent = text;
    document.body.dataset["state"] = state;
    this.#toggle.textContent = { playing: "Pause", paused: "Play", finished: "Play again", failed: "Try again" }[state];
  }

  showProgress(progress: number): void {
    byId("progress", HTMLProgressElement).value = progress;
  }

  #setSpeed(): void {
    const speed = SPEEDS[this.#speed.valueAsNumber] as number;
    const text = speed === FULL_SPEED ? "full speed" : `${whole(speed)} events/s`;
    byId("speed-text", HTMLOutputElement).textContent = text;
    this.#speed.setAttribute("aria-valuetext", text);
    this.#actions.onSpeed(speed);
  }

  #save(): void {
    const rows = this.#actions.onSave();
    if (rows === undefined) {
      byId("state", HTMLElement).textContent = "The rows are too many to keep them all: nothing is saved.";
      return;
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(rows);
    link.download = "rows.ndjson";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }
}
