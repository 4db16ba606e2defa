/** Exports shared by all entries; each entry adds its own `init`. */
export { StreamProcessorError } from "./error.js";
export { identify } from "./identity.js";
export { initSync, type Init } from "./load.js";
export { StreamProcessor } from "./processor.js";
export type { CompiledModule, ModuleSource } from "./source.js";
export type { PipelineInput, RowOf } from "./inference.js";
export type * from "./pipeline.js";
export type { RowStream, Source, StreamOptions, TransformOptions } from "./streams.js";
export type * from "./types.js";
