/**
 * Opens pages that use the installed package in headless Chromium; reports like Node's test runner.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

import { bundle } from "./bundle.mjs";
import { serve } from "./serve.mjs";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const PAGE_TIMEOUT_MS = 60_000;

const project = process.argv[2];
const tests = join(process.env.VECTORS, "..");
const outcomes = [];

await mkdir(join(project, "bundle"), { recursive: true });
await bundle(join(project, "browser/bundled.js"), join(project, "bundle"));
const server = await serve({ "/tests/": tests, "/": project });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
try {
  outcomes.push({ name: `Chromium ${browser.version()} starts` });
  for (const page of ["plain", "bundled"]) outcomes.push(...(await visit(page)));
} finally {
  await browser.close();
  server.close();
}
report();

/** Returns the outcomes that a page stores in `window.finished`, and all errors of the page. */
async function visit(name) {
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push({ name: `${name}: no error on the page`, error: String(error) }));
  page.on("console", (message) => {
    // One check requests a module that does not exist.
    if (message.location().url.endsWith("/nowhere.wasm")) return;
    if (["error", "warning"].includes(message.type())) problems.push({ name: `${name}: a quiet console`, error: message.text() });
  });
  try {
    await page.goto(`${server.origin}/browser/${name}.html`);
    await page.waitForFunction(() => window.finished !== undefined, undefined, { timeout: PAGE_TIMEOUT_MS });
    if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true });
    const found = await page.evaluate(() => window.finished);
    return [...found.map((outcome) => ({ ...outcome, name: `${name}: ${outcome.name}` })), ...problems];
  } catch (error) {
    return [...problems, { name: `${name}: the page finishes`, error: String(error) }];
  } finally {
    await page.close();
  }
}

function report() {
  for (const { name, error } of outcomes) console.log(error === undefined ? `ok - ${name}` : `not ok - ${name}\n${error}`);
  const failed = outcomes.filter(({ error }) => error !== undefined).length;
  console.log(`# pass ${outcomes.length - failed}\n# fail ${failed}`);
  process.exitCode = failed > 0 ? 1 : 0;
}
