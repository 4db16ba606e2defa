/** What bundlers and runtimes for edge workers make of an import of the module. */
declare module "*.wasm" {
  const module: import("./load.js").CompiledModule;
  export default module;
}
