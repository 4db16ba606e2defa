/** Async iteration and transform streams, in this thread and in a worker. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as local from "stream-processor";
import * as worker from "stream-processor/worker";

before(() => Promise.all([local.init(), worker.init()]));

const WINDOW = { type: "window", window: "tumbling", size: "1s", aggregations: ["count", "sum"] };
const PIPELINE = { source: { key: "k", value: "v" }, stages: [WINDOW] };
const EVENTS = Array.from({ length: 3_000 }, (_, n) => ({ ts: n * 10, k: `ключ ${n % 3} 😀`, v: n }));
const LINES = EVENTS.map((event) => `${JSON.stringify(event)}\n`).join("");
const ENTRIES = { "this thread": local, "a worker": worker };

function due(pipeline = PIPELINE) {
  const processor = new local.StreamProcessor(pipeline);
  processor.push(EVENTS);
  processor.finish();
  return processor.drain();
}

async function collected(iterable) {
  const all = [];
  for await (const one of iterable) all.push(one);
  return all;
}

function* parts(whole, size) {
  for (let from = 0; from < whole.length; from += size) yield whole.slice(from, from + size);
}

async function* later(iterable) {
  for (const one of iterable) {
    await new Promise(setImmediate);
    yield one;
  }
}

const bytes = new TextEncoder().encode(LINES);
const SOURCES = {
  events: () => EVENTS,
  "arrays of events": () => parts(EVENTS, 700),
  "sets of events": () => [new Set(EVENTS)],
  "an async generator": () => later(parts(EVENTS, 1_000)),
  "a ReadableStream": () => ReadableStream.from(parts(EVENTS, 1_000)),
  "text cut anywhere": () => parts(LINES, 997),
  "one text": () => [LINES],
  "bytes cut anywhere": () => later(parts(bytes, 9_999)),
  buffers: () => [bytes.slice().buffer],
};

for (const [where, { StreamProcessor }] of Object.entries(ENTRIES)) {
  for (const [name, source] of Object.entries(SOURCES)) {
    test(`rows of ${name}, in ${where}`, async () => {
      assert.deepEqual(await collected(new StreamProcessor(PIPELINE).rows(source())), due());
    });
  }

  test(`a transform stream gives the same rows, as objects and as NDJSON, in ${where}`, async () => {
    for (const source of Object.values(SOURCES)) {
      const readable = () => ReadableStream.from(source());
      assert.deepEqual(await collected(readable().pipeThrough(new StreamProcessor(PIPELINE).toTransformStream())), due());
    }
    const output = readable(SOURCES.events()).pipeThrough(new StreamProcessor(PIPELINE).toTransformStream({ output: "ndjson" }));
    const processor = new local.StreamProcessor(PIPELINE);
    processor.push(EVENTS);
    processor.finish();
    assert.equal(Buffer.concat(await collected(output)).toString(), Buffer.from(processor.drainNdjson()).toString());
  });

  test(`results_full is handled, in ${where}`, async () => {
    const small = { ...PIPELINE, stages: [{ ...WINDOW, size: "10ms" }], limits: { max_result_rows: 2 } };
    for (const source of Object.values(SOURCES)) {
      const processor = new StreamProcessor(small, { maxPendingRows: 3 });
      assert.deepEqual(await collected(processor.rows(source())), due(small));
      assert.equal((await processor.stats()).events, EVENTS.length);
      const stream = new StreamProcessor(small, { maxPendingRows: 3 }).toTransformStream();
      assert.deepEqual(await collected(ReadableStream.from(source()).pipeThrough(stream)), due(small));
    }
  });

  test(`an aborted signal ends the stream, in ${where}`, async () => {
    const reason = new Error("enough");
    const never = { next: () => new Promise(() => {}), [Symbol.asyncIterator]() { return this; } };
    const abort = new AbortController();
    const pending = collected(new StreamProcessor(PIPELINE).rows(never, { signal: abort.signal }));
    setTimeout(() => abort.abort(reason), 5);
    await assert.rejects(pending, (error) => error === reason);
    await assert.rejects(collected(new StreamProcessor(PIPELINE).rows(EVENTS, { signal: abort.signal })), (error) => error === reason);

    const second = new AbortController();
    const stream = new StreamProcessor(PIPELINE).toTransformStream({ signal: second.signal });
    const writer = stream.writable.getWriter();
    const read = stream.readable.getReader().read();
    await writer.write(EVENTS[0]);
    second.abort(reason);
    await assert.rejects(read, (error) => error === reason);
    await assert.rejects(writer.write(EVENTS[1]), (error) => error === reason);
    const aborted = new StreamProcessor(PIPELINE).toTransformStream({ signal: second.signal });
    await assert.rejects(aborted.readable.getReader().read(), (error) => error === reason);
  });

  test(`a loop that ends early releases the source and leaves the processor usable, in ${where}`, async () => {
    let isReleased = false;
    const source = (async function* () {
      try {
        yield* EVENTS;
      } finally {
        isReleased = true;
      }
    })();
    const processor = new StreamProcessor(PIPELINE);
    for await (const row of processor.rows(source)) {
      assert.equal(row.count, 34);
      break;
    }
    assert.ok(isReleased);
    await processor.finish();
    assert.ok((await processor.drain()).length > 0);
  });

  test(`errors of the source and of events are passed on, in ${where}`, async () => {
    const own = new Error("my own");
    const source = (async function* () {
      yield EVENTS[0];
      throw own;
    })();
    await assert.rejects(collected(new StreamProcessor(PIPELINE).rows(source)), (error) => error === own);
    await assert.rejects(collected(new StreamProcessor(PIPELINE).rows([null])), { code: "invalid_event" });
    for (const wrong of [undefined, null, 5, {}, "text"]) {
      await assert.rejects(collected(new StreamProcessor(PIPELINE).rows(wrong)), { code: "invalid_argument", field: "source" });
    }
    assert.throws(() => new StreamProcessor(PIPELINE).toTransformStream({ output: "csv" }), { code: "invalid_argument", field: "options.output" });
    assert.throws(() => new StreamProcessor(PIPELINE).toTransformStream(null), { code: "invalid_argument", field: "options" });
    await assert.rejects(collected(new StreamProcessor(PIPELINE).rows([], { signal: 5 })), { code: "invalid_argument", field: "options.signal" });
  });
}

test("a source is read no faster than rows are taken", async () => {
  let read = 0;
  const source = (async function* () {
    for (const event of EVENTS) {
      read += 1;
      yield event;
    }
  })();
  const rows = new local.StreamProcessor(PIPELINE).rows(source);
  await rows.next();
  assert.ok(read < 110, String(read));
  await rows.return();
});

test("CSV text goes through streams", async () => {
  const csv = { ...PIPELINE, source: { ...PIPELINE.source, format: "csv" } };
  for (const { StreamProcessor } of Object.values(ENTRIES)) {
    const rows = await collected(new StreamProcessor(csv).rows(["ts,k,v\n1,a", ",2\n3,a,4\n"]));
    assert.deepEqual(rows.map(({ count, sum }) => [count, sum]), [[2, 6]]);
  }
});

function readable(iterable) {
  return ReadableStream.from(iterable);
}
