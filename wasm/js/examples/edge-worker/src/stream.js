/** A stream: the Durable Object that takes lines, shows windows and hands out partial blocks. */
import { DurableObject } from "cloudflare:workers";
import { init } from "stream-processor";
import { failure, json, Refusal } from "./answers.js";
import { linesOf } from "./body.js";
import { Engines } from "./engines.js";
import { settingsOf } from "./pipeline.js";
import { Store } from "./store.js";

const RETRY_AFTER_SECONDS = "10";

export class Stream extends DurableObject {
  #store;
  #settings;
  /** Open while the object is in memory; closed after an error, so that storage decides. */
  #engines;
  /** Failures of forwarding since the last success, and the last one's message. */
  #failures = 0;
  #lastFailure = null;

  constructor(ctx, env) {
    super(ctx, env);
    this.#store = new Store(ctx.storage);
    this.#settings = settingsOf(env);
  }

  async fetch(request) {
    const [, , name, resource, sequence] = new URL(request.url).pathname.split("/");
    try {
      await init();
      if (this.#store.source === undefined) await this.#begin(name);
      switch (`${request.method} ${resource}`) {
        case "POST events":
          return await this.#takeEvents(request);
        case "GET windows":
          return this.#windows();
        case "GET status":
          return this.#status();
        case "GET partials":
          return this.#block();
        case "DELETE partials":
          return this.#acknowledge(Number(sequence));
      }
    } catch (error) {
      if (!(error instanceof Refusal)) this.#close();
      return failure(error);
    }
  }

  /** Forwards a block; on failure the same block is sent again later. */
  async alarm() {
    try {
      await init();
      const forwarded = await this.#forward();
      this.#failures = 0;
      this.#lastFailure = null;
      if (forwarded || this.#store.pendingLines > 0) await this.#schedule(this.#settings.forwardIntervalMs);
    } catch (error) {
      this.#close();
      this.#failures += 1;
      this.#lastFailure = error.message;
      console.warn(`forwarding failed ${this.#failures} times: ${error.message}`);
      const { forwardIntervalMs, maxRetryMs } = this.#settings;
      await this.#schedule(Math.min(forwardIntervalMs * 2 ** Math.min(this.#failures, 20), maxRetryMs));
    }
  }

  /** Names the source of a new stream and plans its first block, by which the receiver knows it. */
  async #begin(name) {
    // A source without restored state needs a new name, so a deleted stream's is not used again.
    this.#store.setSource(`${name}-${crypto.randomUUID()}`);
    await this.#planForward();
  }

  /** Takes the lines of a request: all of them, or, after an error, none. */
  async #takeEvents(request) {
    const lines = await linesOf(request, this.#settings.maxBodyBytes);
    // From here to the answer nothing waits, so no other request comes in between.
    const engines = this.#open();
    const before = engines.stats();
    this.#checkRoom(before);
    const { lines: count, rejections } = engines.push(lines);
    const after = engines.stats();
    const since = (counter) => after[counter] - before[counter];
    const taken = {
      accepted: since("events"),
      rejected: since("rejected"),
      duplicates: since("duplicates"),
      late: since("late_dropped"),
      dropped_by_limit: since("limit_dropped"),
    };
    if (taken.accepted === 0 && taken.rejected > 0) {
      const [{ message, ...details }] = rejections;
      throw new Refusal(422, "no_valid_event", `no line is an event: ${message}`, { details: { ...details, rejections } });
    }
    this.#store.appendLines(lines, count);
    if (this.#store.isJournalLong) this.#store.checkpoint(engines.checkpoint());
    await this.#planForward();
    return json({ ...taken, rejections });
  }

  /** Refuses events while the windows that wait for a block need too much memory. */
  #checkRoom({ stages }) {
    const bytes = stages.filter(({ type }) => type !== "dedup").reduce((sum, stage) => sum + stage.state_bytes, 0);
    if (bytes < this.#settings.maxWindowBytes) return;
    const message = `windows of ${bytes} bytes wait for their partial block to be taken: send the events again later`;
    const details = { limit: "MAX_WINDOW_BYTES" };
    throw new Refusal(503, "stream_full", message, { details, headers: { "retry-after": RETRY_AFTER_SECONDS } });
  }

  /** Answers the rows of all open windows, as the program prints them. */
  #windows() {
    const { watermark, lines } = this.#open().windows(this.#store.source);
    const time = watermark === null ? "null" : JSON.stringify(new Date(watermark));
    const rows = lines.trimEnd().replaceAll("\n", ",");
    return new Response(`{"watermark":${time},"windows":[${rows}]}\n`, { headers: { "content-type": "application/json" } });
  }

  #status() {
    const stats = this.#open().stats();
    const { source, sequence, pendingLines } = this.#store;
    const waiting = this.#store.block();
    const block = waiting && { sequence, bytes: waiting.length };
    return json({ source, pending_lines: pendingLines, block, failures: this.#failures, last_failure: this.#lastFailure, stats });
  }

  /** Answers the block that waits, or cuts one. It is the same block until it is acknowledged. */
  #block() {
    if (this.#settings.forwardUrl !== undefined) {
      throw new Refusal(409, "blocks_are_forwarded", "FORWARD_URL is set: this worker sends its blocks itself");
    }
    const block = this.#store.block() ?? this.#cut();
    if (block === undefined) return new Response(null, { status: 204 });
    return new Response(block, { headers: this.#headersOf() });
  }

  /** Removes a block that the receiver has. A repeated acknowledgement changes nothing. */
  #acknowledge(sequence) {
    if (!Number.isSafeInteger(sequence) || sequence < 1 || sequence > this.#store.sequence) {
      throw new Refusal(404, "no_such_block", `the last block has number ${this.#store.sequence}`);
    }
    if (this.#settings.forwardUrl !== undefined) {
      throw new Refusal(409, "blocks_are_forwarded", "FORWARD_URL is set: this worker acknowledges its blocks itself");
    }
    this.#store.acknowledge(sequence);
    return new Response(null, { status: 204 });
  }

  /** Sends the block that waits, or a new one. Returns false if there is nothing to send. */
  async #forward() {
    const block = this.#store.block() ?? this.#cut();
    if (block === undefined) return false;
    const { forwardUrl, forwardTimeoutMs } = this.#settings;
    const sequence = this.#store.sequence;
    const signal = AbortSignal.timeout(forwardTimeoutMs);
    const request = { method: "POST", headers: this.#headersOf(), body: block, redirect: "manual", signal };
    const answer = await fetch(forwardUrl, request);
    await answer.body?.cancel();
    if (!answer.ok) throw new Error(`the receiver answered with status ${answer.status}`);
    this.#store.acknowledge(sequence);
    return true;
  }

  /**
   * Cuts a block and stores it with the state after it; undefined if no line came since. The first
   * block may be empty: no window of the receiver fires before it knows all of its sources.
   */
  #cut() {
    if (this.#store.pendingLines === 0 && this.#store.sequence > 0) return undefined;
    const engines = this.#open();
    const block = engines.cut(this.#store.source);
    this.#store.addBlock(block, engines.checkpoint());
    return block;
  }

  #headersOf() {
    const { source, sequence } = this.#store;
    return { "content-type": "application/octet-stream", "partial-source": source, "partial-sequence": String(sequence) };
  }

  /** Returns the processors; loads them from storage if they are not in memory. */
  #open() {
    // A trap in another stream of this isolate makes the processors of all streams unusable.
    if (this.#engines !== undefined && !this.#engines.isUsable) this.#close();
    this.#engines ??= new Engines(this.#store.load());
    return this.#engines;
  }

  #close() {
    this.#engines?.dispose();
    this.#engines = undefined;
  }

  /** Plans the next block, if this worker forwards blocks and none is planned. */
  async #planForward() {
    if (this.#settings.forwardUrl === undefined) return;
    if ((await this.ctx.storage.getAlarm()) === null) await this.#schedule(this.#settings.forwardIntervalMs);
  }

  #schedule(delayMs) {
    return this.ctx.storage.setAlarm(Date.now() + delayMs);
  }
}
