/**
 * Properties of a pipeline that the page uses: the meaning of row fields, and formatting as JSON.
 */
import type { PipelineSpec } from "stream-processor";

/** Row fields that are times in every pipeline. */
export const WINDOW_START = "window_start";
export const WINDOW_END = "window_end";

/** Row fields by meaning. */
export interface Fields {
  keys: readonly string[];
  times: readonly string[];
}

export function fieldsOf(pipeline: PipelineSpec): Fields {
  const { key = [], timestamp = "ts" } = pipeline.source ?? {};
  return { keys: Array.isArray(key) ? key : [key], times: [WINDOW_START, WINDOW_END, timestamp] };
}

/** Formats a pipeline as JSON; arrays of plain values stay on one line. */
export function written(pipeline: PipelineSpec): string {
  const spread = JSON.stringify(pipeline, null, 2);
  return spread.replace(/\[\s+([^[\]{}]*?)\s+\]/g, (_, items: string) => `[${items.replace(/,\s+/g, ", ")}]`);
}
