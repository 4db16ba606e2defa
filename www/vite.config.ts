/** How the page is bundled: addresses are relative, so that `dist/` works from any folder of any web server. */
import { defineConfig, type Plugin } from "vite";

/** What the built page may load: its own files, and WebAssembly. It can send nothing anywhere else. */
const POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

const contentSecurityPolicy: Plugin = {
  name: "content-security-policy",
  apply: "build",
  transformIndexHtml: () => [
    { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: POLICY }, injectTo: "head-prepend" },
  ],
};

export default defineConfig({
  base: "./",
  plugins: [contentSecurityPolicy],
  build: { target: "es2022", reportCompressedSize: false },
  // The package finds its .wasm file beside itself; in the dev server that needs the package left as it is.
  optimizeDeps: { exclude: ["stream-processor"] },
  // The package and the data lie beside this folder.
  server: { fs: { allow: [".."] } },
});
