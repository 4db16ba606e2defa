/** Messages between the page (or program) and the worker thread that runs its processors. */
import type { StreamProcessorError } from "./error.js";
import type { PipelineSpec } from "./pipeline.js";
import type { CompiledModule } from "./source.js";
import type { Drop, ProcessorOptions, Rejection } from "./types.js";

/** The methods and properties of a processor that a message can name. */
export type Operation =
  | "push"
  | "pushColumns"
  | "pushNdjson"
  | "pushCsv"
  | "advanceWatermark"
  | "tick"
  | "finish"
  | "drain"
  | "drainColumns"
  | "drainNdjson"
  | "watermark"
  | "nextDeadline"
  | "stats"
  | "snapshot"
  | "snapshotChunks"
  | "partial"
  | "merge"
  | "dispose";

/** What the thread shall do. Requests are processed in their order. */
export type Task =
  | { readonly task: "init"; readonly module: CompiledModule }
  | {
      readonly task: "open";
      readonly processor: number;
      readonly pipeline: PipelineSpec;
      readonly options: Omit<ProcessorOptions, "onReject" | "onDrop">;
      readonly reportsRejections: boolean;
      readonly reportsDrops: boolean;
      readonly snapshot?: readonly Uint8Array[];
    }
  | { readonly task: "call"; readonly processor: number; readonly operation: Operation; readonly args: readonly unknown[] }
  | { readonly task: "identify"; readonly args: readonly unknown[] };

export type Request = Task & { readonly id: number };

/** The fields of a StreamProcessorError, which would lose its type in a message. */
export interface ErrorFields {
  readonly code: string;
  readonly message: string;
  readonly field?: string;
  readonly index?: number;
  readonly consumed?: number;
  readonly limit?: string;
}

/** The answer to a request, with the events that it rejected or dropped if the program wants them. */
export interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: ErrorFields;
  readonly rejections?: readonly Rejection[];
  readonly drops?: readonly Drop[];
}

/** Returns the fields of an error that are set. */
export function errorFields(error: StreamProcessorError): ErrorFields {
  const { code, message, field, index, consumed, limit } = error;
  return {
    code,
    message,
    ...(field !== undefined && { field }),
    ...(index !== undefined && { index }),
    ...(consumed !== undefined && { consumed }),
    ...(limit !== undefined && { limit }),
  };
}

/** Returns the buffers in a value and its fields, which a message may transfer instead of copying. */
export function buffersOf(value: unknown, found = new Set<ArrayBuffer>()): ArrayBuffer[] {
  if (value instanceof ArrayBuffer) found.add(value);
  else if (ArrayBuffer.isView(value)) {
    if (value.buffer instanceof ArrayBuffer) found.add(value.buffer);
  } else if (typeof value === "object" && value !== null && (!Array.isArray(value) || value[0] instanceof Uint8Array)) {
    for (const field of Object.values(value)) buffersOf(field, found);
  }
  return [...found];
}
