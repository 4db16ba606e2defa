/** Options of esbuild for programs that run in workerd, as the tools of Cloudflare Workers set them. */
export const BUNDLE = {
  bundle: true,
  format: "esm",
  platform: "neutral",
  mainFields: ["module", "main"],
  conditions: ["workerd", "worker", "browser"],
  target: "es2022",
  logLevel: "warning",
};
