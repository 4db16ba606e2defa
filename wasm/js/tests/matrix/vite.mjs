/** Cases of Vite, for each of its versions. */
import { join } from "node:path";

import { each, ENTRIES, project, workerProject } from "./projects.mjs";
import { checkRows, visit, visitFolder } from "./tools.mjs";

function settings(path) {
  return { root: path, cacheDir: join(path, "cache"), logLevel: "error", configFile: false };
}

/** Builds a project. Returns the folder of the result. */
export async function viteBuild(vite, path) {
  process.env.NODE_ENV = "production";
  await vite.build(settings(path));
  return join(path, "dist");
}

/** Runs a project on the development server. Returns what its page stores. */
async function viteDev(vite, path) {
  // A build of the same process leaves "production" here.
  process.env.NODE_ENV = "development";
  const server = await vite.createServer({ ...settings(path), server: { host: "127.0.0.1", port: 0 } });
  await server.listen();
  try {
    return await visit(server.resolvedUrls.local[0]);
  } finally {
    await server.close();
  }
}

/** Returns the cases of a version of Vite. */
export function viteCases(vite) {
  const version = vite.version.split(".")[0];
  const name = `vite-${version}`;
  return [
    ...each(ENTRIES, `Vite ${version}, build`, async (root, entry) => checkRows(await visitFolder(await viteBuild(vite, await project(root, name, entry))))),
    ...each(ENTRIES, `Vite ${version}, dev`, async (root, entry) => checkRows(await viteDev(vite, await project(root, `${name}-dev`, entry)))),
    [`Vite ${version}, build, in a web worker`, async (root) => checkRows(await visitFolder(await viteBuild(vite, await workerProject(root, name))))],
    [`Vite ${version}, dev, in a web worker`, async (root) => checkRows(await viteDev(vite, await workerProject(root, `${name}-dev`)))],
  ];
}
