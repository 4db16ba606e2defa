/** The edge worker in workerd: blocks are merged exactly once, and state outlives the worker. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { init, linesOf, listen, PIPELINE, start, storage, StreamProcessor, until } from "./edge.mjs";

const NDJSON = { "content-type": "application/x-ndjson" };
const SERVICES = ["api", "web", "db", "mail", "auth"];

before(() => init());

/** Returns events of some minutes, in order, with values that have exact sums. */
function eventsOf(sender, count, from = 0) {
  return Array.from({ length: count }, (_, n) => ({
    id: `${sender}-${from + n}`,
    ts: 1_700_000_000_000 + (from + n) * 7,
    service: SERVICES[(from + n) % SERVICES.length],
    latency: ((from + n) * 37) % 1000,
  }));
}

function rowsOf(events) {
  const processor = new StreamProcessor(PIPELINE);
  processor.push(events);
  processor.finish();
  return sorted(processor.drain());
}

function sorted(rows) {
  const place = (row) => `${row.window_start} ${row.service}`;
  return rows.toSorted((a, b) => place(a).localeCompare(place(b)));
}

async function post(worker, stream, events) {
  const answer = await worker.send(`/streams/${stream}/events`, { method: "POST", headers: NDJSON, body: linesOf(events) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}

async function postGzip(worker, stream, events) {
  const headers = { ...NDJSON, "content-encoding": "gzip" };
  const answer = await worker.send(`/streams/${stream}/events`, { method: "POST", headers, body: gzipSync(linesOf(events)) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}

/** Returns the block that waits, with its number; undefined if there is none. */
async function blockOf(worker, stream) {
  const answer = await worker.send(`/streams/${stream}/partials`);
  if (answer.status === 204) return undefined;
  assert.equal(answer.status, 200);
  const sequence = Number(answer.headers.get("partial-sequence"));
  return { sequence, source: answer.headers.get("partial-source"), bytes: new Uint8Array(await answer.arrayBuffer()) };
}

async function acknowledge(worker, stream, sequence) {
  const answer = await worker.send(`/streams/${stream}/partials/${sequence}`, { method: "DELETE" });
  assert.equal(answer.status, 204);
}

test("merged partials of two workers give the rows of all raw events", async () => {
  const folders = [await storage(), await storage()];
  let workers = await Promise.all(folders.map((folder) => start(folder)));
  const server = new StreamProcessor(PIPELINE);
  const sent = [0, 1].map((sender) => eventsOf(sender, 30_000));
  const rounds = 3;
  try {
    // The first blocks are empty: by them, the receiver knows both sources before windows fire.
    for (const worker of workers) {
      const { bytes, sequence } = await blockOf(worker, "shop");
      server.merge(bytes);
      await acknowledge(worker, "shop", sequence);
    }
    for (let round = 0; round < rounds; round += 1) {
      for (const [sender, worker] of workers.entries()) {
        const part = sent[sender].slice(round * 10_000, (round + 1) * 10_000);
        const send = sender === 0 ? post : postGzip;
        assert.equal((await send(worker, "shop", part)).duplicates, 0);
        // The answer was lost, so the sender repeats its request.
        assert.equal((await send(worker, "shop", part)).duplicates, part.length);
      }
      // Restart between taking events and handing out their block.
      await Promise.all(workers.map((worker) => worker.stop()));
      workers = await Promise.all(folders.map((folder) => start(folder)));
      for (const worker of workers) {
        const first = await blockOf(worker, "shop");
        assert.equal(first.sequence, round + 2);
        assert.equal(server.merge(first.bytes), true);
        // The acknowledgement was lost, so the receiver fetches the block again.
        const again = await blockOf(worker, "shop");
        assert.deepEqual(again, first);
        assert.equal(server.merge(again.bytes), false);
        await acknowledge(worker, "shop", first.sequence);
        await acknowledge(worker, "shop", first.sequence);
        assert.equal(await blockOf(worker, "shop"), undefined);
      }
    }
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
  server.finish();
  assert.deepEqual(sorted(server.drain()), rowsOf(sent.flat().toSorted((a, b) => a.ts - b.ts)));
});

test("a failed forward is repeated and doubles nothing", async () => {
  const server = new StreamProcessor(PIPELINE);
  const outcomes = [];
  // The first request fails before the merge, the second after it: its answer is lost.
  const receiver = await listen((bytes) => {
    if (outcomes.length === 0) {
      outcomes.push("refused");
      return 503;
    }
    outcomes.push(server.merge(bytes) ? "merged" : "known");
    return outcomes.length === 2 ? 500 : 204;
  });
  const folder = await storage();
  const variables = { FORWARD_URL: receiver.address, FORWARD_INTERVAL_MS: 50, MAX_RETRY_MS: 200 };
  const worker = await start(folder, variables);
  const events = eventsOf(2, 20_000);
  try {
    await post(worker, "shop", events.slice(0, 5_000));
    await until(() => outcomes.length >= 2);
    await post(worker, "shop", events.slice(5_000));
    await until(async () => {
      const status = await (await worker.send("/streams/shop/status")).json();
      return status.pending_lines === 0 && status.block === undefined;
    });
    const refused = await worker.send("/streams/shop/partials");
    assert.deepEqual([refused.status, (await refused.json()).error.code], [409, "blocks_are_forwarded"]);
  } finally {
    await worker.stop();
    receiver.close();
  }
  assert.deepEqual(outcomes.slice(0, 3), ["refused", "merged", "known"]);
  assert.ok(outcomes.includes("merged", 3), outcomes.join());
  server.finish();
  assert.deepEqual(sorted(server.drain()), rowsOf(events));
});

test("current windows are those that a processor of all events has open", async () => {
  const worker = await start(await storage());
  const events = eventsOf(3, 30_000);
  const direct = new StreamProcessor(PIPELINE);
  try {
    for (const [round, part] of [events.slice(0, 12_000), events.slice(12_000)].entries()) {
      await post(worker, "shop", part);
      if (round === 0) assert.ok((await blockOf(worker, "shop")).bytes.length > 0);
      direct.push(part);
      direct.drainNdjson();
      const open = StreamProcessor.restore(PIPELINE, direct.snapshot());
      open.finish();
      const lines = new TextDecoder().decode(open.drainNdjson()).trimEnd().split("\n");
      const answer = await (await worker.send("/streams/shop/windows")).json();
      assert.deepEqual(answer, { watermark: new Date(direct.watermark).toISOString(), windows: lines.map((line) => JSON.parse(line)) });
      assert.ok(answer.windows.length >= SERVICES.length);
    }
  } finally {
    await worker.stop();
  }
});

test("state larger than a value of the storage outlives restarts", async () => {
  const folder = await storage();
  const events = eventsOf(4, 120_000);
  const direct = new StreamProcessor(PIPELINE);
  direct.push(events);
  assert.ok(direct.snapshot().length > 2 * 1024 * 1024);
  direct.dispose();
  let worker = await start(folder);
  const restart = async () => {
    await worker.stop();
    worker = await start(folder);
  };
  try {
    for (let at = 0; at < events.length; at += 40_000) await postGzip(worker, "large", events.slice(at, at + 40_000));
    await restart();
    const { bytes, sequence } = await blockOf(worker, "large");
    await acknowledge(worker, "large", sequence);
    await restart();
    assert.equal((await postGzip(worker, "large", events.slice(80_000))).duplicates, 40_000);
    const server = new StreamProcessor(PIPELINE);
    server.merge(bytes);
    server.finish();
    assert.deepEqual(sorted(server.drain()), rowsOf(events));
  } finally {
    await worker.stop();
  }
});

test("events are refused while windows wait for their block, and taken again after it", async () => {
  const worker = await start(await storage(), { MAX_WINDOW_BYTES: 400 });
  try {
    await post(worker, "full", eventsOf(5, 100));
    const refused = await worker.send("/streams/full/events", { method: "POST", headers: NDJSON, body: linesOf(eventsOf(5, 100, 100)) });
    assert.equal(refused.status, 503);
    assert.equal(refused.headers.get("retry-after"), "10");
    const { error } = await refused.json();
    assert.deepEqual([error.code, error.limit], ["stream_full", "MAX_WINDOW_BYTES"]);
    assert.equal((await blockOf(worker, "full")).sequence, 1);
    assert.equal((await post(worker, "full", eventsOf(5, 100, 100))).accepted, 100);
  } finally {
    await worker.stop();
  }
});
