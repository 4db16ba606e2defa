/** Folders of small projects, below the folder where the package is installed. */
import { copyFile } from "node:fs/promises";
import { join } from "node:path";

import { page, program, workerPage } from "./program.mjs";
import { folder } from "./tools.mjs";

/** Entries that run in this thread and in a worker. */
export const ENTRIES = ["stream-processor", "stream-processor/worker"];
export const INLINE = ["stream-processor/inline", "stream-processor/worker/inline"];

/** Returns cases of each entry: pairs of a name and a function of the package's project. */
export function each(entries, name, check) {
  return entries.map((entry) => [`${name}: ${entry}`, (root) => check(root, entry)]);
}

/** Creates a project with one program in `main.js` and a page. Returns its folder. */
export function project(root, name, entry, options) {
  const files = { "main.js": program(entry, options), "index.html": page("./main.js") };
  return folder(root, `${name}-${entry.replaceAll("/", "-")}`, files);
}

/** Creates a project whose page runs a web worker that uses the package. Returns its folder. */
export function workerProject(root, name) {
  const worker = program("stream-processor", { finish: "postMessage" });
  return folder(root, `${name}-web-worker`, { "main.js": workerPage(), "worker.js": worker, "index.html": page("./main.js") });
}

/** Copies a page next to a bundle. */
export async function withPage(path, type) {
  await folder(path, "page", { "index.html": page("./main.js", type) });
  await copyFile(join(path, "page/index.html"), join(path, "index.html"));
  return path;
}
