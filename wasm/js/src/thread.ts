/** The worker thread's side of `stream-processor/worker`: runs processors for messages. */
import { messageOf, StreamProcessorError } from "./error.js";
import { identify } from "./identity.js";
import { initSync } from "./load.js";
import { StreamProcessor } from "./processor.js";
import { buffersOf, errorFields, type Reply, type Request } from "./worker_protocol.js";
import type { Drop, Rejection } from "./types.js";

/** Sends a reply; the buffers in it are transferred. */
type Send = (reply: Reply, transfer: ArrayBuffer[]) => void;

/** A processor, or the error with which it failed to open. */
type Opened = StreamProcessor | StreamProcessorError;

/** Returns the function that answers requests by `send`. */
export function serve(send: Send): (request: Request) => void {
  const processors = new Map<number, Opened>();
  let rejections: Rejection[] = [];
  let drops: Drop[] = [];
  const perform = (request: Request): unknown => {
    switch (request.task) {
      case "init":
        return initSync(request.module);
      case "open":
        try {
          processors.set(request.processor, open(request, (rejection) => rejections.push(rejection), (drop) => drops.push(drop)));
          return;
        } catch (error) {
          processors.set(request.processor, asError(error));
          throw error;
        }
      case "identify":
        return (identify as (...args: readonly unknown[]) => unknown)(...request.args);
      case "call": {
        const processor = processors.get(request.processor);
        if (request.operation === "dispose") processors.delete(request.processor);
        if (processor instanceof StreamProcessor) return called(processor, request.operation, request.args);
        throw processor ?? new StreamProcessorError("disposed", "the processor was disposed of and cannot be used");
      }
    }
  };
  return (request) => {
    const { id } = request;
    rejections = [];
    drops = [];
    let reply: Reply;
    try {
      reply = { id, value: perform(request) };
    } catch (error) {
      reply = { id, error: errorFields(asError(error)) };
    }
    if (rejections.length > 0) reply = { ...reply, rejections };
    if (drops.length > 0) reply = { ...reply, drops };
    // Rows have no buffers: only columns and bytes are transferred.
    send(reply, buffersOf(reply.value));
  };
}

function open(
  request: Extract<Request, { task: "open" }>,
  onReject: (rejection: Rejection) => void,
  onDrop: (drop: Drop) => void,
): StreamProcessor {
  const { pipeline, snapshot, reportsRejections, reportsDrops } = request;
  const options = { ...request.options, ...(reportsRejections && { onReject }), ...(reportsDrops && { onDrop }) };
  return snapshot === undefined ? new StreamProcessor(pipeline, options) : StreamProcessor.restore(pipeline, snapshot, options);
}

/** Calls a method, or reads a property. All chunks of a snapshot are one reply. */
function called(processor: StreamProcessor, operation: keyof StreamProcessor, args: readonly unknown[]): unknown {
  const member = processor[operation] as unknown;
  const value: unknown = typeof member === "function" ? Reflect.apply(member, processor, args) : member;
  return operation === "snapshotChunks" ? [...(value as Iterable<Uint8Array>)] : value;
}

function asError(error: unknown): StreamProcessorError {
  return error instanceof StreamProcessorError ? error : new StreamProcessorError("internal", messageOf(error), { cause: error });
}
