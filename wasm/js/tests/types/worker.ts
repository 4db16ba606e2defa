/** A program that uses the entry for worker threads; it is only type-checked. */
import { identify, init, StreamProcessor, StreamProcessorError, terminate } from "stream-processor/worker";
import type { PipelineSpec, Row, RowColumns, Stats } from "stream-processor/worker";

export async function use(pipeline: PipelineSpec): Promise<Row[]> {
  await init("/stream_processor.wasm");
  const processor = new StreamProcessor(pipeline, { maxPendingRows: 10 });
  await processor.ready;
  await processor.push([{ ts: 1 }]);
  await processor.pushColumns({ timestamps: new Float64Array(1) }, { transfer: true });
  await processor.pushNdjson(new Uint8Array(3), { transfer: true });
  const stats: Stats = await processor.stats();
  const columns: RowColumns | undefined = await processor.drainColumns();
  const watermark: number | null = await processor.watermark;
  const restored: StreamProcessor = await StreamProcessor.restore(pipeline, await processor.snapshot());
  const identity: string | null = await identify(["id"], "{}");
  terminate();
  // @ts-expect-error: memory of another thread cannot be reserved
  restored.reserveColumns(1);
  if (watermark === stats.events) throw new StreamProcessorError("internal", `${identity} ${columns?.rows}`);
  return restored.drain();
}
