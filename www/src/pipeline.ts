/** What the page itself needs to know of a pipeline: which fields hold what, and how it is written. */
import type { PipelineSpec } from "stream-processor";

/** Fields of rows that are times, whatever the pipeline. */
export const WINDOW_START = "window_start";
export const WINDOW_END = "window_end";

/** The fields of a row by what they mean. */
export interface Fields {
  keys: readonly string[];
  times: readonly string[];
}

export function fieldsOf(pipeline: PipelineSpec): Fields {
  const { key = [], timestamp = "ts" } = pipeline.source ?? {};
  return { keys: Array.isArray(key) ? key : [key], times: [WINDOW_START, WINDOW_END, timestamp] };
}

/** A pipeline as a person would write it: lists of plain values stay on one line. */
export function written(pipeline: PipelineSpec): string {
  const spread = JSON.stringify(pipeline, null, 2);
  return spread.replace(/\[\s+([^[\]{}]*?)\s+\]/g, (_, items: string) => `[${items.replace(/,\s+/g, ", ")}]`);
}
