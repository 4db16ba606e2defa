/** The type of a `.wasm` import in bundlers and edge worker runtimes. */
declare module "*.wasm" {
  const module: import("./source.js").CompiledModule;
  export default module;
}
