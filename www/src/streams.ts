/** The page's built-in streams: two recordings and a generated one, each with a pipeline. */
import type { PipelineSpec } from "stream-processor";

import cpu from "../../tests/data/nab/ec2_cpu_utilization_5f5533.csv?url";
import earthquakes from "../../tests/data/usgs/earthquakes_week.ndjson?url";
import { requests } from "./made_up.js";

/** A recording that can be replayed. */
export interface Stream {
  name: string;
  about: string;
  pipeline: PipelineSpec;
  /** True if the newest events come first, so that the replay starts with the last line. */
  lastLineFirst: boolean;
  eventsPerSecond: number;
  bytes(): Promise<Uint8Array>;
}

export const STREAMS: readonly Stream[] = [
  {
    name: "Earthquakes, one week",
    about: "1,707 earthquakes of one week in 2018, by seismic network. Source: U.S. Geological Survey.",
    pipeline: {
      source: { format: "ndjson", timestamp: "ts", key: "key", value: "value" },
      time: { max_out_of_orderness: "10m" },
      stages: [{ type: "window", window: "tumbling", size: "6h", aggregations: ["count", "avg", "max"] }],
    },
    lastLineFirst: true,
    eventsPerSecond: 100,
    bytes: () => download(earthquakes),
  },
  {
    name: "CPU of a server, two weeks",
    about: "The CPU utilization of a cloud server, in percent, every five minutes. Source: Numenta Anomaly Benchmark.",
    pipeline: {
      source: { format: "csv", timestamp: "timestamp", value: "value" },
      stages: [{ type: "window", window: "tumbling", size: "2h", aggregations: ["avg", "min", "max", "count"] }],
    },
    lastLineFirst: false,
    eventsPerSecond: 200,
    bytes: () => download(cpu),
  },
  {
    name: "Requests to 40 services, made up",
    about: "200,000 requests within two hours: out of order, some late, a few lines broken. Try them at full speed.",
    pipeline: {
      source: { format: "ndjson", timestamp: "ts", key: "service", value: "latency" },
      time: { max_out_of_orderness: "2s" },
      stages: [{ type: "window", window: "tumbling", size: "1m", aggregations: ["avg", "count", "max"] }],
    },
    lastLineFirst: false,
    eventsPerSecond: 10_000,
    bytes: () => Promise.resolve(requests()),
  },
];

async function download(address: string): Promise<Uint8Array> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`cannot load ${address}: HTTP status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
