/** Rows whose fields follow from the pipeline; it is only type-checked. */
import { type KeyValue, type Row, StreamProcessor } from "stream-processor";
import * as worker from "stream-processor/worker";

const source = { key: "service", value: "latency" };

export function literal(): (number | null)[] {
  const processor = new StreamProcessor({
    source: { key: ["service", "zone"], value: "latency" },
    stages: [
      { type: "filter", where: [{ field: "latency", op: ">", value: { a: 1 } }] },
      {
        type: "window",
        window: "tumbling",
        size: "10s",
        allowed_lateness: "1s",
        aggregations: ["count", "avg", { op: "max", field: "bytes" }, { op: "min", field: "latency" }, { op: "p95", name: "tail" }],
      },
    ],
  });
  const [row] = processor.drain();
  if (row === undefined) return [];
  const count: number = row.count;
  const key: [KeyValue, KeyValue] = [row.service, row.zone];
  const start: number = row.window_start;
  const revision: number | undefined = row.revision;
  // @ts-expect-error: a typo
  row.averag;
  // @ts-expect-error: without events, an average is null
  const never: number = row.avg;
  // @ts-expect-error: only early rows have this column
  row.early;
  return [count, row.avg, row.max_bytes, row.min, row.tail, start, revision ?? never, key.length];
}

export async function regrouped(snapshot: Uint8Array): Promise<number> {
  const stages = [
    { type: "key_by", fields: "city" },
    { type: "window", window: "global", aggregations: ["count"] },
  ] as const;
  const [row] = StreamProcessor.restore({ source, stages }, snapshot).drain();
  const city: KeyValue | undefined = row?.city;
  const end: number | null | undefined = row?.window_end;
  const [remote] = await new worker.StreamProcessor({ source, stages }).drain();
  // @ts-expect-error: the key is the city alone
  remote?.service;
  return (remote?.count ?? 0) + (end ?? Number(city));
}

export function others(): Row[] {
  const passing = new StreamProcessor({ stages: [{ type: "filter", where: [] }] });
  const general: StreamProcessor = new StreamProcessor({ source, stages: [] });
  return [...passing.drain(), ...general.drain()];
}

export const wrong = [
  // @ts-expect-error: unknown window kind
  () => new StreamProcessor({ stages: [{ type: "window", window: "tumblin", size: "1s", aggregations: ["count"] }] }),
  // @ts-expect-error: unknown field of the pipeline
  () => new StreamProcessor({ stages: [], sauce: {} }),
  // @ts-expect-error: unknown field of a stage
  () => new StreamProcessor({ stages: [{ type: "window", window: "tumbling", sise: "1s", aggregations: ["count"] }] }),
  // @ts-expect-error: unknown field of the source
  () => new StreamProcessor({ source: { keys: "a" }, stages: [] }),
];

/** A pipeline that TypeScript has inferred: its names are of the type `string`. */
const declared = {
  source: { key: "service", value: "latency" },
  time: { max_out_of_orderness: "2s" },
  stages: [
    { type: "dedup", strategies: ["id"], ttl: "1h" },
    { type: "window", window: "tumbling", size: "10s", aggregations: ["count", { op: "p95", name: "tail" }] },
  ],
};
const misspelt = { stages: [{ type: "window", window: "tumbling", sise: "10s", aggregations: ["count"] }] };

export function variable(snapshot: Uint8Array): Row[] {
  const processor = new StreamProcessor(declared);
  const restored = StreamProcessor.restore(declared, [snapshot, snapshot], { isolated: true });
  void new worker.StreamProcessor(declared);
  // @ts-expect-error: unknown field of a stage
  void new StreamProcessor(misspelt);
  const rows: Row[] = processor.drain();
  const value: KeyValue | null | undefined = restored.drain()[0]?.["any_name"];
  return value === null ? [] : rows;
}

export async function streams(source: ReadableStream<Uint8Array>): Promise<number> {
  const stages = [{ type: "window", window: "tumbling", size: "1s", aggregations: ["count", "avg"] }] as const;
  let sum = 0;
  for await (const row of new StreamProcessor({ stages }).rows(source, { signal: AbortSignal.timeout(1) })) {
    sum += row.count + (row.avg ?? 0);
    // @ts-expect-error: a typo
    row.cuont;
  }
  const objects = source.pipeThrough(new worker.StreamProcessor({ stages }).toTransformStream());
  const { value } = await objects.getReader().read();
  const bytes: ReadableStream<Uint8Array> = source.pipeThrough(new StreamProcessor({ stages }).toTransformStream({ output: "ndjson" }));
  await bytes.cancel();
  return sum + (value?.count ?? 0);
}

export const reports = new StreamProcessor(
  { stages: [] },
  {
    onReject: (rejection) => {
      const where: number = rejection.text === undefined ? rejection.index : rejection.line;
      if (where > 0) throw new Error(rejection.message);
    },
    onDrop: ({ reason, stage, ordinal, watermark, windowEnd, event, line, text }) => {
      const known: (number | null | undefined)[] = [stage, ordinal, watermark, windowEnd, line];
      if (reason === "late" && known.length > 9) throw new Error(text ?? String(event));
    },
  },
);
