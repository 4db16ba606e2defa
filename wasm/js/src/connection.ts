/** A worker thread and the requests that wait for its replies. */
import { messageOf, StreamProcessorError } from "./error.js";
import { compiled, type Location, type ModuleSource } from "./source.js";
import type { ProcessorOptions } from "./types.js";
import type { Reply, Task } from "./worker_protocol.js";

/** A worker of the platform. */
export interface Thread {
  /** The address of its script, for messages. */
  readonly script: string;
  post(message: unknown, transfer: ArrayBuffer[]): void;
  listen(onReply: (reply: Reply) => void, onError: (why: string | undefined) => void): void;
  /** Says whether a reply is awaited: only then, the thread keeps a Node.js program running. */
  hold(isAwaited: boolean): void;
  terminate(): void;
}

/** Functions of the platform. */
export interface Platform extends Location {
  readonly start: () => Thread;
  /** The line that helps if the thread cannot start. */
  readonly help: string;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly callbacks: Callbacks;
}

/** The callbacks of a processor. */
export type Callbacks = Pick<ProcessorOptions, "onReject" | "onDrop">;

/** A worker thread with the module loaded. */
export class Connection {
  readonly #thread: Thread;
  readonly #help: string;
  readonly #waiting = new Map<number, Waiting>();
  #requests = 0;
  #processors = 0;
  #failure: StreamProcessorError | undefined;

  private constructor(thread: Thread, help: string) {
    this.#thread = thread;
    this.#help = help;
    thread.listen(
      (reply) => this.#answer(reply),
      (why) => this.#fail(why),
    );
    thread.hold(false);
  }

  /** Starts a thread and loads the module in it. */
  static async start(platform: Platform, source?: ModuleSource | Promise<ModuleSource>): Promise<Connection> {
    const module = await compiled(platform, source);
    let thread: Thread;
    try {
      thread = platform.start();
    } catch (cause) {
      throw new StreamProcessorError("worker_failed", `cannot start the worker: ${messageOf(cause)}; ${platform.help}`, { cause });
    }
    const connection = new Connection(thread, platform.help);
    await connection.request({ task: "init", module });
    return connection;
  }

  /** True after the thread has failed or was terminated. */
  get isClosed(): boolean {
    return this.#failure !== undefined;
  }

  /** Returns a new number of a processor. */
  nextProcessor(): number {
    this.#processors += 1;
    return this.#processors;
  }

  /** Sends a request and returns the value of its reply. */
  request(task: Task, transfer: ArrayBuffer[] = [], callbacks: Callbacks = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure;
      this.#requests += 1;
      const id = this.#requests;
      try {
        this.#thread.post({ ...task, id }, transfer);
      } catch (cause) {
        // Functions and some objects cannot be sent to another thread.
        const message = `an argument cannot be sent to the worker: ${messageOf(cause)}`;
        throw new StreamProcessorError("invalid_argument", message, { cause });
      }
      this.#waiting.set(id, { resolve, reject, callbacks });
      this.#thread.hold(true);
    });
  }

  /** Ends the thread; requests that wait, and later ones, are rejected. */
  terminate(): void {
    this.#close(new StreamProcessorError("worker_failed", "the worker was terminated"));
    this.#thread.terminate();
  }

  #answer({ id, value, error, rejections = [], drops = [] }: Reply): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#thread.hold(false);
    try {
      for (const rejection of rejections) waiting.callbacks.onReject?.(rejection);
      for (const drop of drops) waiting.callbacks.onDrop?.(drop);
    } catch (thrown) {
      waiting.reject(thrown);
      return;
    }
    if (error === undefined) waiting.resolve(value);
    else waiting.reject(new StreamProcessorError(error.code, error.message, error));
  }

  #fail(why: string | undefined): void {
    const what = why ?? `the script ${this.#thread.script} cannot be loaded`;
    this.#close(new StreamProcessorError("worker_failed", `the worker has failed: ${what}; ${this.#help}`));
  }

  #close(failure: StreamProcessorError): void {
    this.#failure ??= failure;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
    this.#thread.hold(false);
  }
}
