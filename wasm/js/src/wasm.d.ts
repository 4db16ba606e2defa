/** The types of `.wasm` imports in bundlers and edge runtimes. */
declare module "*.wasm" {
  const module: import("./source.js").CompiledModule;
  export default module;
}

declare module "*.wasm?module" {
  const module: import("./source.js").CompiledModule;
  export default module;
}
