/** The cases of every test run: bundlers, Node.js, pages, and checks of the package's manifest. */
import { copyFile, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import resolve from "@rollup/plugin-node-resolve";
import { build as esbuild } from "esbuild";
import { rollup } from "rollup";
import * as vite from "vite";
import webpack from "webpack";

import { program } from "./program.mjs";
import { each, ENTRIES, INLINE, project, withPage } from "./projects.mjs";
import { SERVICE_WORKER_CASES } from "./service_worker.mjs";
import { checkContains, checkRows, folder, run, visit, visitFolder } from "./tools.mjs";
import { viteBuild, viteCases } from "./vite.mjs";

const CSP = { "content-security-policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'" };
const BIN = join(import.meta.dirname, "node_modules/.bin");

async function bundleWithEsbuild(root, entry, settings, options) {
  const path = await project(root, `esbuild-${settings.format}`, entry, options);
  const result = await esbuild({ entryPoints: [join(path, "main.js")], outdir: join(path, "out"), bundle: true, logLevel: "silent", ...settings });
  if (result.warnings.length > 0) throw new Error(JSON.stringify(result.warnings));
  return join(path, "out");
}

async function bundleWithWebpack(root, entry, mode) {
  const path = await project(root, `webpack-${mode}`, entry);
  const output = { path: join(path, "out"), filename: "main.js" };
  const stats = await new Promise((done, fail) => {
    webpack({ mode, context: path, entry: "./main.js", output, performance: { hints: false } }, (error, stats) => (error ? fail(error) : done(stats)));
  });
  if (stats.hasErrors() || stats.hasWarnings()) throw new Error(stats.toString("errors-warnings"));
  return withPage(output.path);
}

async function bundleWithRollup(root, entry) {
  const path = await project(root, "rollup", entry);
  const onwarn = (warning) => {
    throw new Error(warning.message);
  };
  const bundle = await rollup({ input: join(path, "main.js"), plugins: [resolve({ browser: true })], onwarn });
  await bundle.write({ dir: join(path, "out"), format: "es" });
  return withPage(join(path, "out"));
}

/** Runs a bundle where no `node_modules` can be found. */
async function runAlone(file) {
  const path = await mkdtemp(join(tmpdir(), "stream-processor-"));
  await copyFile(file, join(path, "main.cjs"));
  return run(process.execPath, ["main.cjs"], { cwd: path });
}

const tarball = process.argv[3];

/** Pairs of a name and a function of the folder where the package is installed. */
export const CASES = [
  ["publint", () => run(join(BIN, "publint"), ["run", tarball, "--strict"])],
  ["are the types wrong", () => run(join(BIN, "attw"), [tarball, "--profile", "node16", "--no-emoji"])],
  ...each(ENTRIES, "Node.js, ES module", async (root, entry) => {
    const path = await folder(root, `node-esm-${entry.length}`, { "main.mjs": program(entry) });
    checkRows(await run(process.execPath, [join(path, "main.mjs")]));
  }),
  ...each([...ENTRIES, ...INLINE], "Node.js, require", async (root, entry) => {
    const path = await folder(root, `node-cjs-${entry.length}`, { "main.cjs": program(entry, { commonjs: true }) });
    checkRows(await run(process.execPath, [join(path, "main.cjs")]));
  }),
  ...["esm", "cjs"].map((format) => [
    `esbuild for Node.js, ${format}: stream-processor`,
    async (root) => {
      const outExtension = { ".js": format === "esm" ? ".mjs" : ".cjs" };
      const out = await bundleWithEsbuild(root, "stream-processor", { format, platform: "node", outExtension });
      checkRows(await run(process.execPath, [join(out, `main${outExtension[".js"]}`)]));
    },
  ]),
  [
    "esbuild for Node.js, a single file: stream-processor/inline",
    async (root) => {
      const out = await bundleWithEsbuild(root, "stream-processor/inline", { format: "cjs", platform: "node", outExtension: { ".js": ".cjs" } });
      checkRows(await runAlone(join(out, "main.cjs")));
    },
  ],
  [
    "a bundle for Node.js without the module names the file and the line that helps",
    async (root) => {
      const out = await bundleWithEsbuild(root, "stream-processor", { format: "cjs", platform: "node", outExtension: { ".js": ".cjs" } });
      checkContains(await runAlone(join(out, "main.cjs")), ["ENOENT", "stream_processor.wasm'", "stream-processor/inline"]);
    },
  ],
  ...each(INLINE, "esbuild, page", async (root, entry) => {
    checkRows(await visitFolder(await withPage(await bundleWithEsbuild(root, entry, { format: "esm" }))));
  }),
  [
    "esbuild, page, --loader:.wasm=file: stream-processor",
    async (root) => {
      const imports = 'import module from "stream-processor/stream_processor.wasm";';
      const out = await bundleWithEsbuild(root, "stream-processor", { format: "esm", loader: { ".wasm": "file" } }, { imports, source: "module" });
      checkRows(await visitFolder(await withPage(out)));
    },
  ],
  ...each(INLINE, "file:// page, one script", async (root, entry) => {
    const out = await withPage(await bundleWithEsbuild(root, entry, { format: "iife" }), "text/javascript");
    // Browsers refuse scripts of the type "module" in pages of files.
    checkRows(await visit(`file://${join(out, "index.html")}`));
  }),
  ...each(INLINE, "Rollup", async (root, entry) => checkRows(await visitFolder(await bundleWithRollup(root, entry)))),
  ...[true, false].map((fallback) => [
    `a page without the module names the address and ${fallback ? "the HTML" : "the status"} that came`,
    async (root) => {
      const found = await visitFolder(await bundleWithRollup(root, "stream-processor"), { fallback });
      const what = fallback ? "an HTML page instead of a module" : "HTTP status 404";
      checkContains(found, ["http://127.0.0.1:", "/stream_processor.wasm: ", what, "stream-processor/inline"]);
    },
  ]),
  [
    "a page without the worker's script names it and the line that helps",
    async (root) => {
      const out = await bundleWithRollup(root, "stream-processor/worker");
      await copyFile(join(root, "node_modules/stream-processor/dist/stream_processor.wasm"), join(out, "stream_processor.wasm"));
      checkContains(await visitFolder(out), ["worker_thread.js", "stream-processor/worker/inline"]);
    },
  ],
  ...viteCases(vite),
  ...each(ENTRIES, "webpack, production, under a Content-Security-Policy", async (root, entry) => {
    checkRows(await visitFolder(await bundleWithWebpack(root, entry, "production"), { headers: CSP }));
  }),
  ...each(ENTRIES, "webpack, development", async (root, entry) => checkRows(await visitFolder(await bundleWithWebpack(root, entry, "development")))),
  [
    "a page whose Content-Security-Policy forbids WebAssembly names the word that helps",
    async (root) => {
      const headers = { "content-security-policy": "script-src 'self'" };
      checkContains(await visitFolder(await viteBuild(vite, await project(root, "vite-csp", "stream-processor")), { headers }), ["'wasm-unsafe-eval'"]);
    },
  ],
  ...SERVICE_WORKER_CASES,
];
