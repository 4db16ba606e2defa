/** Bundles a program that uses the package, as an application would. */
import { build } from "esbuild";

/** Puts `entry`, all that it imports and the module it names into `folder`. */
export async function bundle(entry, folder) {
  await build({
    entryPoints: [entry],
    outdir: folder,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    loader: { ".wasm": "file" },
    publicPath: "/bundle",
    logLevel: "warning",
  });
}
