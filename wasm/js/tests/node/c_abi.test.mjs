/**
 * Snapshots of a host restore here, and back. The host is the module behind its C ABI, as the program
 * uses it: with traps in place of its imports, and keys and columns in blocks.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import { init, StreamProcessor } from "stream-processor";

before(() => init());

const module = new WebAssembly.Module(readFileSync(new URL(import.meta.resolve("stream-processor/stream_processor.wasm"))));
const PIPELINES = {
  windows: { window: "sliding", size: "1m", slide: "10s", aggregations: ["count", "sum", "p95"] },
  sessions: { window: "session", gap: "700ms", allowed_lateness: "1s", aggregations: ["count", "sum", "max"] },
};
const EVENTS = Array.from({ length: 3_000 }, (_, n) => ({ ts: n * 50 + ((n * 7919) % 900), k: `ключ ${(n * 31) % 40}`, v: (n % 97) / 7 }));

/** An engine behind the C ABI. */
class Host {
  constructor(pipeline) {
    const trap = () => {
      throw new Error("the C ABI calls no import");
    };
    const imports = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) (imports[from] ??= {})[name] = trap;
    this.abi = new WebAssembly.Instance(module, imports).exports;
    this.handle = this.checked(this.withBlock(JSON.stringify(pipeline), (at, length) => this.abi.sp_open(at, length, 0, 0)));
  }

  withBlock(content, call) {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    const at = this.abi.sp_alloc(bytes.length);
    new Uint8Array(this.abi.memory.buffer).set(bytes, at);
    const result = call(at, bytes.length);
    this.abi.sp_free(at);
    return result;
  }

  /** Returns a copy of a block of the module. */
  block(packed) {
    const at = Number(packed & 0xffffffffn);
    return Buffer.from(new Uint8Array(this.abi.memory.buffer, at, Number(packed >> 32n)));
  }

  checked(result) {
    assert.ok(result >= 0, String(this.block(this.abi.sp_error())));
    return result;
  }

  push(events) {
    const keys = events.map(({ k }) => Buffer.from(k));
    const header = Buffer.alloc(64);
    header.write("SPB1");
    [events.length, 1, 32, keys.reduce((all, key) => all + key.length, 0)].forEach((value, at) => header.writeUInt32LE(value, 4 + 4 * at));
    const offsets = new Uint32Array(events.length + 1);
    keys.forEach((key, at) => (offsets[at + 1] = offsets[at] + key.length));
    const sections = [BigInt64Array.from(events, ({ ts }) => BigInt(ts * 1000)), Float64Array.from(events, ({ v }) => v), offsets, Buffer.concat(keys)];
    const padded = sections.map((section) => {
      const bytes = Buffer.from(section.buffer, section.byteOffset, section.byteLength);
      return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 7)]);
    });
    const result = this.withBlock(Buffer.concat([header, ...padded]), (at, length) => this.abi.sp_push(this.handle, at, length));
    assert.equal(this.checked(result), BigInt(events.length));
  }

  snapshot(size) {
    this.checked(this.abi.sp_snapshot(this.handle));
    const pieces = [];
    for (let piece; (piece = this.abi.sp_snapshot_read(this.handle, size)) !== 0n; ) pieces.push(this.block(piece));
    assert.equal(this.abi.sp_error(), 0n);
    return pieces;
  }

  restore(pieces) {
    pieces.forEach((piece, at) => {
      const last = at === pieces.length - 1 ? 1 : 0;
      this.checked(this.withBlock(piece, (from, length) => this.abi.sp_restore(this.handle, from, length, last)));
    });
  }
}

for (const [name, window] of Object.entries(PIPELINES)) {
  const pipeline = { source: { key: "k", value: "v" }, time: { max_out_of_orderness: "1s" }, stages: [{ type: "window", ...window }] };
  const parts = [EVENTS.slice(0, 1_000), EVENTS.slice(1_000, 2_000), EVENTS.slice(2_000)];
  const rows = (processor) => {
    processor.finish();
    return Buffer.from(processor.drainNdjson()).toString();
  };
  const whole = () => {
    const processor = new StreamProcessor(pipeline);
    processor.push(EVENTS);
    return rows(processor);
  };

  test(`${name}: a snapshot of the host restores here, with equal rows`, () => {
    const host = new Host(pipeline);
    host.push(parts[0]);
    host.push(parts[1]);
    for (const size of [777, 2 ** 31]) {
      const restored = StreamProcessor.restore(pipeline, host.snapshot(size));
      restored.push(parts[2]);
      assert.equal(rows(restored), whole());
    }
  });

  test(`${name}: a snapshot from here restores in the host and comes back, with equal bytes and rows`, () => {
    const [host, here] = [new Host(pipeline), new StreamProcessor(pipeline)];
    here.push(parts[0]);
    const chunks = [...here.snapshotChunks(1_000)];
    host.restore(chunks);
    assert.ok(Buffer.concat(host.snapshot(500)).equals(Buffer.concat(chunks)));
    host.push(parts[1]);
    here.push(parts[1]);
    const state = Buffer.concat(host.snapshot(2 ** 31));
    assert.ok(state.equals(here.snapshot()));
    const back = StreamProcessor.restore(pipeline, state);
    back.push(parts[2]);
    assert.equal(rows(back), whole());
  });
}
