/** The edge worker answers each wrong request with a status and an error in JSON. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { start, storage } from "./edge.mjs";

const GOOD = '{"id":1,"ts":1700000000000,"service":"api","latency":3}\n';
const TOKEN = "secret";
const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };
let worker;

before(async () => {
  worker = await start(await storage(), { TOKEN, MAX_BODY_BYTES: 10_000 });
});
after(() => worker.stop());

/** Sends a request. Sends it again if it met the end of a connection: that ends after the answer to a body that was not read. */
async function send(path, { headers = {}, ...init } = {}) {
  const request = () => worker.send(path, { ...init, headers: { ...AUTHORIZED, ...headers } });
  try {
    return await request();
  } catch {
    return request();
  }
}

const post = (body, headers = {}) => send("/streams/s/events", { method: "POST", body, headers });

/** Checks the status and fields of the error. Returns the answer. */
async function refused(answer, status, expected) {
  const { error } = await answer.clone().json();
  assert.equal(answer.status, status, JSON.stringify(error));
  for (const [name, value] of Object.entries(expected)) assert.equal(error[name], value, JSON.stringify(error));
  assert.ok(error.message.length > 10);
  return answer;
}

test("a request without the token is 401", async () => {
  await refused(await worker.send("/streams/s/status"), 401, { code: "unauthorized" });
  await refused(await send("/streams/s/status", { headers: { authorization: "Bearer wrong" } }), 401, { code: "unauthorized" });
});

test("unknown paths are 404, wrong methods 405 with the allowed ones, wrong names 400", async () => {
  for (const path of ["/", "/streams", "/streams/s", "/streams/s/rows", "/streams/s/status/1", "/streams/s/partials/1/2"]) {
    await refused(await send(path), 404, { code: "no_such_path" });
  }
  const answer = await refused(await send("/streams/s/events"), 405, { code: "wrong_method" });
  assert.equal(answer.headers.get("allow"), "POST");
  await refused(await send("/streams/a%20b/status"), 400, { code: "invalid_stream_name" });
  await refused(await send(`/streams/${"x".repeat(65)}/status`), 400, { code: "invalid_stream_name" });
});

test("bodies of other types and encodings are 415", async () => {
  await refused(await post(GOOD, { "content-type": "text/csv" }), 415, { code: "unsupported_type" });
  const answer = await refused(await post(GOOD, { "content-encoding": "br" }), 415, { code: "unsupported_encoding" });
  assert.equal(answer.headers.get("accept-encoding"), "gzip");
});

test("a body that is not gzip, or ends early, is 400", async () => {
  const headers = { "content-encoding": "gzip" };
  await refused(await post("no gzip", headers), 400, { code: "unreadable_body" });
  await refused(await post(gzipSync(GOOD).subarray(0, 30), headers), 400, { code: "unreadable_body" });
});

test("a body that is too large is 413, also if it is small before decompression", async () => {
  const large = GOOD.repeat(1_000);
  await refused(await post(large), 413, { code: "body_too_large", limit: "MAX_BODY_BYTES" });
  const headers = { "content-encoding": "gzip" };
  await refused(await post(gzipSync(large), headers), 413, { code: "body_too_large", limit: "MAX_BODY_BYTES" });
});

test("a body without any valid line is 422 with line, reason and field", async () => {
  const bad = '{"id":1,"ts":"soon","service":"api","latency":3}';
  await refused(await post(`${bad}\n{\n`), 422, { code: "no_valid_event", line: 1, reason: "invalid_timestamp", field: "ts" });
  await refused(await post("{\n"), 422, { code: "no_valid_event", line: 1, reason: "invalid_json" });
});

test("valid lines are taken, and the others are reported", async () => {
  const answer = await post(`${GOOD}{"id":2,"ts":1700000000000,"service":"api"}\n{"id":3,\n`);
  assert.equal(answer.status, 200);
  const { accepted, rejected, rejections } = await answer.json();
  assert.deepEqual([accepted, rejected], [1, 2]);
  const places = rejections.map(({ line, reason, field }) => [line, reason, field]);
  assert.deepEqual(places, [[2, "missing_field", "latency"], [3, "invalid_json", undefined]]);
});

test("a last line without a newline is taken, and an empty body takes nothing", async () => {
  assert.equal((await (await post(GOOD.trimEnd().replace('"id":1', '"id":9'))).json()).accepted, 1);
  assert.equal((await (await post("")).json()).accepted, 0);
});

test("only blocks that exist can be acknowledged", async () => {
  for (const number of ["1", "0", "x", "1.5"]) {
    await refused(await send(`/streams/new/partials/${number}`, { method: "DELETE" }), 404, { code: "no_such_block" });
  }
});
