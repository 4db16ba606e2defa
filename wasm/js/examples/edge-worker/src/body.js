/** Reads request bodies: NDJSON, plain or compressed by gzip, up to a limit. */
import { Refusal } from "./answers.js";

const TYPES = ["application/x-ndjson", "application/ndjson", "application/jsonl", "text/plain"];
const NEWLINE = 10;

/**
 * Returns the lines of a request as bytes that end with a newline. Throws a {@link Refusal} if the
 * type or the encoding is not supported, or if there are more than `maxBytes`.
 */
export async function linesOf(request, maxBytes) {
  const type = (request.headers.get("content-type") ?? TYPES[0]).split(";")[0].trim().toLowerCase();
  if (!TYPES.includes(type)) {
    throw new Refusal(415, "unsupported_type", `content-type is ${JSON.stringify(type)}: send ${TYPES[0]}, one JSON object a line`);
  }
  const stream = decoded(request);
  const chunks = [];
  let length = 0;
  try {
    for await (const chunk of stream ?? []) {
      length += chunk.length;
      if (length > maxBytes) {
        const details = { limit: "MAX_BODY_BYTES" };
        throw new Refusal(413, "body_too_large", `the body has more than ${maxBytes} bytes after decompression: send fewer events a request`, { details });
      }
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(400, "unreadable_body", `the body cannot be read: ${error.message}`);
  }
  return withNewline(chunks, length);
}

/** Returns the body's stream, decompressed. */
function decoded(request) {
  const encoding = (request.headers.get("content-encoding") ?? "identity").trim().toLowerCase();
  if (encoding === "identity") return request.body;
  if (encoding === "gzip") return request.body?.pipeThrough(new DecompressionStream("gzip"));
  const message = `content-encoding is ${JSON.stringify(encoding)}: send gzip or no encoding`;
  throw new Refusal(415, "unsupported_encoding", message, { headers: { "accept-encoding": "gzip" } });
}

/** Joins chunks; a last line without a newline gets one. */
function withNewline(chunks, length) {
  const endsLine = length === 0 || chunks.at(-1).at(-1) === NEWLINE;
  const bytes = new Uint8Array(endsLine ? length : length + 1);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  if (!endsLine) bytes[length] = NEWLINE;
  return bytes;
}
