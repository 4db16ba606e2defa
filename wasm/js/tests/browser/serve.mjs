/** A static server on the loopback address and a free port. */
import { createServer } from "node:http";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** Serves each folder under its prefix, the first that fits; a folder's own address lists its files as JSON. */
export async function serve(folders) {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    const [prefix, folder] = Object.entries(folders).find(([start]) => path.startsWith(start));
    const file = join(folder, path.slice(prefix.length));
    try {
      const body = path.endsWith("/") ? JSON.stringify(await readdir(file)) : await readFile(file);
      // Many servers do not know the type of a module: the bundle's comes as plain bytes.
      const plain = path.startsWith("/bundle/") && path.endsWith(".wasm");
      const type = plain ? "application/octet-stream" : TYPES[extname(path)];
      response.writeHead(200, { "content-type": type ?? "application/octet-stream" }).end(body);
    } catch {
      // Browsers ask for an icon by themselves.
      response.writeHead(path === "/favicon.ico" ? 204 : 404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}
