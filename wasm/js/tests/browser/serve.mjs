/** A static web server on the loopback address and a free port. */
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

/**
 * Serves each folder under its prefix; the first match wins. A folder's URL lists its files as
 * JSON.
 */
export async function serve(folders) {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    const [prefix, folder] = Object.entries(folders).find(([start]) => path.startsWith(start));
    const file = join(folder, path.slice(prefix.length));
    try {
      const body = path.endsWith("/") ? JSON.stringify(await readdir(file)) : await readFile(file);
      // Many servers do not know the media type of wasm, so the bundle's module has a generic one.
      const plain = path.startsWith("/bundle/") && path.endsWith(".wasm");
      const type = plain ? "application/octet-stream" : TYPES[extname(path)];
      response.writeHead(200, { "content-type": type ?? "application/octet-stream" }).end(body);
    } catch {
      // Browsers request an icon automatically.
      response.writeHead(path === "/favicon.ico" ? 204 : 404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}
