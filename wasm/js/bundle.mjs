/**
 * Completes the compiled package in the folder of the first argument: the module as text, the
 * scripts of worker threads, and everything again for CommonJS.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const dist = process.argv[2];
const COMMONJS = ["node", "inline", "worker_node", "worker_inline"];
const GENERATED = ["bytes", "thread_source"];
const options = { bundle: true, target: "es2022", legalComments: "none", logLevel: "warning" };

await threads();
await texts();
await moduleType();
for (const name of COMMONJS) await commonjs(name);
await commonjsTypes();

/** Bundles the scripts of worker threads, which import nothing. */
async function threads() {
  const web = { ...options, minify: true, format: "iife", platform: "browser" };
  await build({ ...web, entryPoints: [join(dist, "thread_web.js")], outfile: join(dist, "worker_thread.js") });
  const node = { ...options, format: "cjs", platform: "node" };
  await build({ ...node, entryPoints: [join(dist, "thread_node.js")], outfile: join(dist, "worker_thread.cjs") });
  for (const name of ["thread", "thread_web", "thread_node"]) {
    for (const extension of ["js", "d.ts"]) await rm(join(dist, `${name}.${extension}`));
  }
}

/** Writes the module and the worker's script as modules of JavaScript. */
async function texts() {
  const compressed = gzipSync(await readFile(join(dist, "stream_processor.wasm")), { level: 9 });
  // The tenth byte is the operating system, which must not change the package.
  compressed[9] = 255;
  await sharedBytes(compressed.toString("base64"));
  const source = JSON.stringify(await readFile(join(dist, "worker_thread.js"), "utf8"));
  await writeFile(join(dist, "thread_source.js"), `export const source = ${source};\n`);
  await writeFile(join(dist, "thread_source.cjs"), `exports.source = ${source};\n`);
}

/**
 * Writes the module's text once, for ES modules and CommonJS. Its script has no exports, so that
 * both load it: it sets a global property, whose name includes a hash of the text.
 */
async function sharedBytes(text) {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 16);
  const property = `globalThis[Symbol.for("stream-processor:${hash}")]`;
  await mkdir(join(dist, "shared"), { recursive: true });
  await writeFile(join(dist, "shared/package.json"), '{ "type": "commonjs" }\n');
  await writeFile(join(dist, "shared/bytes.js"), `${property} = ${JSON.stringify(text)};\n`);
  await writeFile(join(dist, "bytes.js"), `import "./shared/bytes.js";\nexport const bytes = ${property};\n`);
  await writeFile(join(dist, "bytes.cjs"), `require("./shared/bytes.js");\nexports.bytes = ${property};\n`);
}

/** Writes the type of an import of the module's file, as Workers and Node.js give it. */
async function moduleType() {
  const type = 'declare const module: import("./source.js").CompiledModule;\nexport default module;\n';
  await writeFile(join(dist, "stream_processor.wasm.d.ts"), type);
}

/** Bundles an entry for CommonJS. The texts stay in their own files, which entries share. */
async function commonjs(name) {
  const platform = name.endsWith("node") ? "node" : "browser";
  const shared = {
    name: "shared",
    setup({ onResolve }) {
      onResolve({ filter: new RegExp(`/(${GENERATED.join("|")})\\.js$`) }, ({ path }) => {
        return { path: `./${basename(path, ".js")}.cjs`, external: true };
      });
    },
  };
  await build({
    ...options,
    entryPoints: [join(dist, `${name}.js`)],
    outfile: join(dist, `${name}.cjs`),
    format: "cjs",
    platform,
    plugins: [shared],
    // An empty `import.meta` is expected: `location_node.ts` then uses `__filename`.
    logOverride: { "empty-import-meta": "silent" },
  });
}

/** Copies all types for CommonJS: declarations in `.d.ts` files are those of ES modules. */
async function commonjsTypes() {
  for (const name of await readdir(dist)) {
    if (!name.endsWith(".d.ts")) continue;
    const types = await readFile(join(dist, name), "utf8");
    const renamed = types.replaceAll(/(["'])(\.\/[\w.]+)\.js\1/g, "$1$2.cjs$1");
    await writeFile(join(dist, name.replace(/\.d\.ts$/, ".d.cts")), renamed);
  }
}
