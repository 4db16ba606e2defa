/** Bundles a program that uses the package, like an application does. */
import { build } from "esbuild";

/** Bundles `entry`, its imports and the module that it references into `folder`. */
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
