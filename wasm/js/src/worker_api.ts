/** Exports shared by the entries of `stream-processor/worker`; each entry adds its own `init`. */
export { StreamProcessorError } from "./error.js";
export { type Init } from "./load.js";
export { identify, StreamProcessor, terminate, type SendOptions } from "./remote.js";
export type { CompiledModule, ModuleSource } from "./source.js";
export type { PipelineInput, RowOf } from "./inference.js";
export type * from "./pipeline.js";
export type { RowStream, Source, StreamOptions, TransformOptions } from "./streams.js";
export type * from "./types.js";
