/** The queue of unchanged events that passed a pipeline and wait to be drained. */
import { messageOf, StreamProcessorError } from "./error.js";
import { jsonOf } from "./json.js";
import { concatenated } from "./text.js";

/**
 * A queue of passed events. Objects stay the pushed objects and text stays bytes; either is
 * converted only when it is drained in the other form.
 */
export class PassedEvents {
  #parts: (object | Uint8Array)[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  addObject(event: object): void {
    this.#parts.push(event);
    this.#count += 1;
  }

  /** Appends `events` lines of NDJSON. */
  addText(text: Uint8Array, events: number): void {
    if (events > 0) this.#parts.push(text);
    this.#count += events;
  }

  /** Removes and returns all events as objects. */
  takeObjects(): object[] {
    const decoder = new TextDecoder();
    return this.#take().flatMap((part) => {
      if (!(part instanceof Uint8Array)) return [part];
      const lines = decoder.decode(part).trimEnd().split("\n");
      return lines.map((line) => JSON.parse(line) as object);
    });
  }

  /**
   * Removes and returns all events as NDJSON. If one cannot be written as JSON, throws and keeps
   * all.
   */
  takeNdjson(): Uint8Array {
    const encoder = new TextEncoder();
    const bytes = (part: object) => (part instanceof Uint8Array ? part : encoder.encode(`${lineOf(part)}\n`));
    const lines = concatenated(this.#parts.map(bytes));
    this.#take();
    return lines;
  }

  #take(): (object | Uint8Array)[] {
    const parts = this.#parts;
    this.#parts = [];
    this.#count = 0;
    return parts;
  }
}

function lineOf(event: object): string {
  let why = "";
  try {
    const line = jsonOf(event);
    if (line !== undefined) return line;
  } catch (error) {
    why = `: ${messageOf(error)}`;
  }
  const message = `an event that has passed cannot be written as JSON${why}. Nothing is lost: drain() hands out the objects`;
  throw new StreamProcessorError("invalid_event", message);
}
