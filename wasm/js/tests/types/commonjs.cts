/** A CommonJS program that uses all entries; it is only type-checked. */
import { init, type PipelineSpec, StreamProcessor } from "stream-processor";
import * as inline from "stream-processor/inline";
import * as worker from "stream-processor/worker";
import * as single from "stream-processor/worker/inline";

import type module from "stream-processor/stream_processor.wasm";

export async function use(pipeline: PipelineSpec, compiled: typeof module): Promise<number> {
  await Promise.all([init(compiled), inline.init(), worker.init(), single.init()]);
  const processor = new StreamProcessor(pipeline);
  processor.push({ ts: 1 });
  const remote = new worker.StreamProcessor(pipeline, { onReject: ({ reason }) => console.log(reason) });
  await remote.push([{ ts: 1 }]);
  return processor.drain().length + (await remote.drain()).length;
}
