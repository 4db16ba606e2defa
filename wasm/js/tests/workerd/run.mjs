/**
 * Bundles workers like their tools do, runs them in workerd, and reports like Node's test runner.
 */
import { spawnSync } from "node:child_process";
import { copyFile, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { build } from "esbuild";
import { BUNDLE } from "./bundle.mjs";

const TIMEOUT_MS = 60_000;
const WORKERS = ["worker", "first_use"];

const folder = join(process.argv[2], "workerd");
const workerd = createRequire(import.meta.url)("workerd").default;

await mkdir(join(folder, "bundle"), { recursive: true });
await build({
  entryPoints: WORKERS.map((name) => join(folder, `${name}.js`)),
  outdir: join(folder, "bundle"),
  ...BUNDLE,
  // The runtime compiles modules before a worker starts and looks them up by name.
  external: ["*.wasm"],
});
const module = join(folder, "../node_modules/stream-processor/dist/stream_processor.wasm");
await copyFile(module, join(folder, "bundle/stream_processor.wasm"));

let failed = 0;
for (const name of WORKERS) {
  const ran = spawnSync(workerd, ["test", join(folder, "config.capnp"), name], { encoding: "utf8", timeout: TIMEOUT_MS });
  const isGood = ran.status === 0 && ran.stderr.includes("[ PASS ]");
  console.log(isGood ? `ok - ${name}` : `not ok - ${name}\n${ran.error ?? ""}${ran.stdout}${ran.stderr}`);
  if (!isGood) failed += 1;
}
console.log(`# pass ${WORKERS.length - failed}\n# fail ${failed}`);
process.exitCode = failed > 0 ? 1 : 0;
