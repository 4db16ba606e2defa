/**
 * The bundler's configuration. URLs are relative, so that `dist/` works in any folder of a web
 * server.
 */
import { defineConfig, type Plugin } from "vite";

/**
 * The content security policy: the page loads only its own files and WebAssembly; it sends no data.
 */
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
  // The package loads its .wasm file from its own folder, so the dev server must not prebundle it.
  optimizeDeps: { exclude: ["stream-processor"] },
  // The package and the data are outside this folder.
  server: { fs: { allow: [".."] } },
});
