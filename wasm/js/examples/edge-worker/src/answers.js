/** Answers of the worker: JSON, and errors as JSON with a code. */
import { StreamProcessorError } from "stream-processor";

/** A request that is not fulfilled: its status, and an error that names what is wrong and where. */
export class Refusal extends Error {
  constructor(status, code, message, { details = {}, headers = {} } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
    this.headers = headers;
  }
}

/** Returns an answer with a JSON body. */
export function json(body, status = 200, headers = {}) {
  return new Response(`${JSON.stringify(body)}\n`, { status, headers: { "content-type": "application/json", ...headers } });
}

/** Returns the answer for an exception. */
export function failure(error) {
  if (error instanceof Refusal) {
    const { status, code, message, details, headers } = error;
    return json({ error: { code, message, ...details } }, status, headers);
  }
  console.error(error);
  const isKnown = error instanceof StreamProcessorError;
  const { field, limit } = isKnown ? error : {};
  const message = error instanceof Error ? error.message : String(error);
  return json({ error: { code: isKnown ? error.code : "internal", message, field, limit } }, 500);
}
