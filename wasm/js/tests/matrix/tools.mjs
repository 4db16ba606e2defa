/** What the cases share: folders of small projects, child processes, pages in Chromium. */
import { execFile } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

import { ROWS } from "./program.mjs";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
const PAGE_TIMEOUT_MS = 120_000;

/** Creates the folder `name` of `project` with files given by name. Returns its path. */
export async function folder(project, name, files) {
  const path = join(project, name);
  await rm(path, { recursive: true, force: true });
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(path, file)), { recursive: true });
    await writeFile(join(path, file), text);
  }
  return path;
}

/** Runs a program and returns what it prints, without white space at the ends. */
export async function run(file, args, options = {}) {
  const { stdout, stderr } = await promisify(execFile)(file, args, { maxBuffer: 1 << 26, ...options });
  return (options.withErrors ? stdout + stderr : stdout).trim();
}

/** Throws unless `found` are the rows of the program. */
export function checkRows(found) {
  if (found !== ROWS) throw new Error(`the program got ${found}\ninstead of ${ROWS}`);
}

/** Throws unless `found` contains all `parts`. */
export function checkContains(found, parts) {
  for (const part of parts) if (!found.includes(part)) throw new Error(`${JSON.stringify(part)} is not in ${found}`);
}

/**
 * Serves a folder on the loopback address. Unknown paths get `index.html`, as servers of
 * applications do, or status 404 if `fallback` is false.
 */
export async function serve(root, { headers = {}, fallback = false } = {}) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const path = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    const send = (body, name) => response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "application/octet-stream", ...headers }).end(body);
    try {
      send(await readFile(join(root, path)), path);
    } catch {
      if (fallback) send(await readFile(join(root, "index.html")), "index.html");
      else response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { origin: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

let browser;

/** Opens a page and returns what its program stores in `finished`. */
export async function visit(url) {
  browser ??= await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && problems.push(message.text()));
  try {
    await page.goto(url, { timeout: PAGE_TIMEOUT_MS });
    await page.waitForFunction(() => globalThis.finished !== undefined, undefined, { timeout: PAGE_TIMEOUT_MS });
    return await page.evaluate(() => globalThis.finished);
  } catch (error) {
    throw new Error(`${error}\n${problems.join("\n")}`);
  } finally {
    await page.close();
  }
}

/** Serves a folder and returns what its page stores in `finished`. */
export async function visitFolder(root, options) {
  const server = await serve(root, options);
  try {
    return await visit(server.origin);
  } finally {
    server.close();
  }
}

/** Closes the browser, if a case has opened it. */
export async function closeBrowser() {
  await browser?.close();
}
