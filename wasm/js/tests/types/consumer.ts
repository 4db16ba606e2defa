/** A program that uses the whole public API; it is only type-checked. */
import { identify, init, initSync, StreamProcessor, StreamProcessorError } from "stream-processor";
import type { CommitOptions, EventColumns, Key, KeyValue, PipelineSpec, ProcessorOptions, ReservedColumns, Row, RowColumns, Stats } from "stream-processor";

interface Request {
  ts: number;
  service: string;
  latency: number;
}

interface Window {
  service: string;
  window_start: number;
  window_end: number;
  count: number;
  avg: number | null;
}

const pipeline: PipelineSpec = {
  source: { timestamp: "ts", key: "service", value: "latency", timestamp_unit: "ms" },
  time: { max_out_of_orderness: "2s" },
  stages: [
    {
      type: "window",
      window: "tumbling",
      size: "10s",
      aggregations: ["count", "avg", { op: "max", field: "bytes", name: "peak" }],
    },
  ],
  limits: { max_keys: 10_000 },
};
const options: ProcessorOptions = { maxPendingRows: 10 };

export async function use(module: Uint8Array): Promise<Window[]> {
  await init();
  initSync(module);
  const processor = new StreamProcessor(pipeline, options);
  const requests: readonly Request[] = [{ ts: 1, service: "a", latency: 2 }];
  processor.push(requests);
  processor.push({ ts: new Date(), service: "a", latency: 2 });
  const keys: readonly Key[] = ["a", 1, true, 9007199254740993n];
  const columns: EventColumns = {
    timestamps: new Float64Array(1),
    keys: { ids: new Uint32Array(1), dictionary: keys },
    columns: { latency: [1] },
  };
  processor.pushColumns(columns);
  const reserved: ReservedColumns = processor.reserveColumns(2);
  reserved.timestamps[0] = reserved.keys[0] = 1;
  reserved.columns["latency"]?.fill(3);
  reserved.microseconds[0] = 1n;
  const commit: CommitOptions = { events: 1, from: 0, keys, unit: "us" };
  processor.commitColumns(commit);
  processor.pushNdjson("{}");
  processor.pushNdjson(new Uint8Array(3));
  processor.advanceWatermark(5);
  processor.tick(new Date());
  const watermark: number | null = processor.watermark;
  const deadline: number | null = processor.nextDeadline;
  const stats: Stats = processor.stats();
  const snapshot: Uint8Array = processor.snapshot();
  processor[Symbol.dispose]();
  const restored = StreamProcessor.restore(pipeline, snapshot);
  restored.finish();
  const text: Uint8Array = restored.drainNdjson();
  const rows: Row[] = restored.drain();
  const first: KeyValue | null | undefined = rows[0]?.["avg"];
  const chunk: RowColumns | undefined = restored.drainColumns();
  if (chunk?.keys) restored.pushColumns({ timestamps: new BigInt64Array(chunk.rows), keys: chunk.keys, columns: chunk.columns });
  try {
    restored.dispose();
  } catch (error) {
    if (error instanceof StreamProcessorError) {
      const { code, field, index, consumed, limit } = error;
      const known: [string, string | undefined, number | undefined, number | undefined] = [code, field, index, consumed];
      throw new Error(`${known} ${limit ?? ""} ${stats.state_bytes} ${watermark} ${deadline} ${stats.events} ${text.length} ${first}`);
    }
  }
  return restored.drain<Window>();
}

export const wrong: PipelineSpec[] = [
  // @ts-expect-error: unknown window kind
  { stages: [{ type: "window", window: "tumblin", size: "1s", aggregations: ["count"] }] },
  // @ts-expect-error: unknown aggregation
  { stages: [{ type: "window", window: "tumbling", size: "1s", aggregations: ["average"] }] },
  // @ts-expect-error: the window kind is missing
  { stages: [{ type: "window", size: "1s", aggregations: ["count"] }] },
  // @ts-expect-error: unknown pipeline field
  { stages: [], sauce: {} },
];

export const nulls: EventColumns = { timestamps: [1, 2], columns: { latency: [1, null] } };

// @ts-expect-error: a timestamp must not be missing
export const noTime: EventColumns = { timestamps: [null] };

export const told: ProcessorOptions = {
  onReject: ({ reason, field, message }) => {
    if (reason === "invalid_key_number" || reason === "invalid_json") throw new Error(`${field ?? "the event"}: ${message}`);
  },
};

export const texts: EventColumns = { timestamps: [1, 2], columns: { latency: new Float64Array(2), user: ["ann", undefined] } };

export const identities: (string | null)[] = [identify(["id", ["tenant", "order"], "@content"], pipeline), identify(["id"], "{}")];

export const restored: StreamProcessor = StreamProcessor.restore(pipeline, new ArrayBuffer(8));
