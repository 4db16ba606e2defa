/** The editor of the pipeline's JSON; shows errors while the user types. */
import { type PipelineSpec, StreamProcessor, StreamProcessorError } from "stream-processor";

import { byId, element, withCode } from "./dom.js";
import { written } from "./pipeline.js";

export class Editor {
  readonly #text = byId("pipeline", HTMLTextAreaElement);
  readonly #message = byId("pipeline-message", HTMLElement);
  readonly #apply = byId("apply", HTMLButtonElement);
  #applied = "";

  /** Creates the editor; it calls `onApply` with each pipeline that the user runs. */
  constructor(onApply: (pipeline: PipelineSpec) => void) {
    const apply = () => {
      const pipeline = this.check();
      if (pipeline === undefined) return;
      this.#applied = this.#text.value;
      this.check();
      onApply(pipeline);
    };
    this.#text.addEventListener("input", () => this.check());
    this.#text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) apply();
    });
    this.#apply.addEventListener("click", apply);
  }

  /** Shows `pipeline` as the running one. */
  show(pipeline: PipelineSpec): void {
    this.#text.value = written(pipeline);
    this.#applied = this.#text.value;
    this.check();
  }

  /** Returns the pipeline; if it is invalid, shows the error and returns undefined. */
  check(): PipelineSpec | undefined {
    try {
      const pipeline = JSON.parse(this.#text.value) as PipelineSpec;
      new StreamProcessor(pipeline).dispose();
      const isNew = this.#text.value !== this.#applied;
      this.#say("good", isNew ? "Valid. Apply it to start over with it (Ctrl + Enter)." : "Valid, and in use.");
      this.#apply.disabled = !isNew;
      return pipeline;
    } catch (error) {
      this.showError(error);
      this.#apply.disabled = true;
      return undefined;
    }
  }

  /** Shows an error with its place and the allowed values. */
  showError(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const path = error instanceof StreamProcessorError ? /^([\w.[\]]+): /.exec(message)?.[1] : undefined;
    if (error instanceof SyntaxError) this.#say("bad", `Not JSON yet: ${message}`);
    else if (path === undefined) this.#say("bad", message);
    else this.#say("bad", message.slice(path.length + 2), path);
  }

  #say(kind: "good" | "bad", text: string, path?: string): void {
    this.#message.className = `message ${kind}`;
    this.#message.replaceChildren(...(path === undefined ? [] : [element("strong", path)]), ...withCode(text));
    this.#text.setAttribute("aria-invalid", String(kind === "bad"));
  }
}
