/**
 * Cases of Next.js 15 and 16: one application with a server component, a client component, a route
 * handler and a route handler of the edge runtime.
 */
import { execFile, spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";

import { program } from "./program.mjs";
import { checkRows, folder, run, visit } from "./tools.mjs";

const START_TIMEOUT_MS = 60_000;
const tarball = process.argv[3];

/** Returns the text of a module that exports the rows of the program as the promise `found`. */
function moduleOf(entry, options) {
  return `let settle;\nexport const found = new Promise((resolve) => (settle = resolve));\n${program(entry, { ...options, finish: "settle" })}`;
}

const ROUTE = 'import { found } from "./rows.js";\nexport const GET = async () => new Response(await found);\n';
const DYNAMIC = 'export const dynamic = "force-dynamic";\n';

const FILES = {
  "app/layout.js": "export default ({ children }) => <html><body>{children}</body></html>;\n",
  "app/server/rows.js": moduleOf("stream-processor"),
  "app/server/page.js": `${DYNAMIC}import { found } from "./rows.js";\nexport default async () => <pre id="rows">{await found}</pre>;\n`,
  "app/client/page.js": `"use client";
import { useEffect } from "react";
export default function Client() {
  useEffect(() => void import("./rows.js"), []);
  return <p>client</p>;
}
`,
  "app/client/rows.js": program("stream-processor"),
  "app/worker/page.js": `"use client";
import { useEffect } from "react";
export default function Client() {
  useEffect(() => void import("./rows.js"), []);
  return <p>worker</p>;
}
`,
  "app/worker/rows.js": program("stream-processor/worker"),
  "app/route/rows.js": moduleOf("stream-processor"),
  "app/route/route.js": DYNAMIC + ROUTE,
  "app/edge/rows.js": moduleOf("stream-processor"),
  "app/edge/route.js": `export const runtime = "edge";\n${DYNAMIC}${ROUTE}`,
};

/** Returns a port that is free now. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Creates the application in a folder of its own, with copies (hard links) of Next's packages. */
async function application(root, version) {
  const path = await folder(join(root, ".."), `next-${version}`, { ...FILES, "package.json": '{ "private": true }' });
  await run("cp", ["-al", join(import.meta.dirname, `next${version}/node_modules`), join(path, "node_modules")]);
  const own = join(path, "node_modules/stream-processor");
  await rm(own, { recursive: true, force: true });
  await run("mkdir", [own]);
  await run("tar", ["-xzf", tarball, "--strip-components=1", "-C", own]);
  return path;
}

/** Builds and starts the application; calls `use` with its address. */
async function started(root, version, use) {
  const path = await application(root, version);
  const next = join(path, "node_modules/next/dist/bin/next");
  // The cases of Vite leave another mode in this process.
  const env = { ...process.env, NODE_ENV: "production", NEXT_TELEMETRY_DISABLED: "1" };
  await promisify(execFile)(process.execPath, [next, "build"], { cwd: path, env, maxBuffer: 1 << 26 });
  const port = await freePort();
  const server = spawn(process.execPath, [next, "start", "--hostname", "127.0.0.1", "--port", String(port)], { cwd: path, env, stdio: "pipe" });
  let printed = "";
  for (const stream of [server.stdout, server.stderr]) stream.on("data", (data) => (printed += data));
  const origin = `http://127.0.0.1:${port}`;
  try {
    await untilReady(origin);
    await use(origin);
  } catch (error) {
    throw new Error(`${error.stack}\n${printed}`);
  } finally {
    server.kill("SIGKILL");
  }
}

async function untilReady(origin) {
  for (const end = Date.now() + START_TIMEOUT_MS; ; ) {
    try {
      await fetch(`${origin}/none`);
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

const textOf = async (address) => (await fetch(address)).text();
const unescaped = (html) => html.replaceAll("&quot;", '"');

export const NEXT_CASES = [15, 16].map((version) => [
  `Next.js ${version}: server and client component, in a worker, route handler, edge`,
  (root) =>
    started(root, version, async (origin) => {
      const [, rows] = /<pre id="rows">(.*?)<\/pre>/s.exec(await textOf(`${origin}/server`)) ?? [];
      checkRows(unescaped(String(rows)));
      checkRows(await textOf(`${origin}/route`));
      checkRows(await textOf(`${origin}/edge`));
      checkRows(await visit(`${origin}/client`));
      checkRows(await visit(`${origin}/worker`));
    }),
]);
