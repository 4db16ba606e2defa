/** Finds the lines of a request that the pipeline rejects, for the answer. */
import { StreamProcessor } from "stream-processor";
import { PIPELINE } from "./pipeline.js";

/** The number of rejected lines that an answer describes; the counters have all. */
const MAX_REPORTED = 20;

/** Returns the first rejected lines: number, reason, field and message. */
export function rejectionsOf(bytes) {
  const found = [];
  const reader = new StreamProcessor(PIPELINE, { onReject: ({ reason, field, message }) => found.push({ reason, field, message }) });
  const lines = new TextDecoder().decode(bytes).split("\n");
  for (let line = 1; line < lines.length && found.length < MAX_REPORTED; line += 1) {
    const before = found.length;
    try {
      reader.push([JSON.parse(lines[line - 1])]);
    } catch (error) {
      if (lines[line - 1].trim() !== "") found.push({ reason: "invalid_json", message: error.message });
    }
    if (found.length > before) found[before] = { line, ...found[before] };
  }
  reader.dispose();
  return found;
}
