/** Events that have passed a pipeline as they came, and wait to be drained. */
import { StreamProcessorError } from "./error.js";
import { jsonOf } from "./json.js";
import { concatenated } from "./text.js";

/** Those of objects stay the objects that they were, those of text its bytes, until they are asked for in the other form. */
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

  /** Takes lines of NDJSON. */
  addText(text: Uint8Array, events: number): void {
    if (events > 0) this.#parts.push(text);
    this.#count += events;
  }

  takeObjects(): object[] {
    const decoder = new TextDecoder();
    return this.#take().flatMap((part) => {
      if (!(part instanceof Uint8Array)) return [part];
      const lines = decoder.decode(part).trimEnd().split("\n");
      return lines.map((line) => JSON.parse(line) as object);
    });
  }

  /** Takes all of them as lines; where one cannot be written as JSON, all stay. */
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
  let cause: unknown;
  try {
    const line = jsonOf(event);
    if (line !== undefined) return line;
  } catch (error) {
    cause = error;
  }
  const why = cause instanceof Error ? `: ${cause.message}` : "";
  const message = `an event that has passed cannot be written as JSON${why}. Nothing is lost: drain() hands out the objects`;
  throw new StreamProcessorError("invalid_event", message, { cause });
}
