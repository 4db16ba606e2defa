/** The pipeline of every stream, and the limits of this worker. */

/** Deduplicates by `id`, then aggregates latencies by service in windows of one minute. */
export const PIPELINE = {
  source: { timestamp: "ts", key: "service", value: "latency" },
  time: { max_out_of_orderness: "10s" },
  stages: [
    { type: "dedup", strategies: ["id"], ttl: "10m" },
    { type: "window", window: "tumbling", size: "1m", aggregations: ["count", "sum", "max", "p95"] },
  ],
  // A Durable Object has 128 MB. At these limits events are dropped and counted; before that,
  // MAX_WINDOW_BYTES refuses whole requests, which loses nothing.
  limits: { max_state_bytes: 80_000_000, max_line_bytes: 65_536 },
};

/** Returns the settings of the worker: variables of its environment, or their defaults. */
export function settingsOf(env) {
  return {
    /** Where partial blocks are sent; without it, they wait for `GET …/partials`. */
    forwardUrl: env.FORWARD_URL,
    /** The time between two blocks, and the first pause after a failure. */
    forwardIntervalMs: Number(env.FORWARD_INTERVAL_MS ?? 10_000),
    /** The longest pause after failures. */
    maxRetryMs: Number(env.MAX_RETRY_MS ?? 300_000),
    /** The longest time to wait for the receiver's answer. */
    forwardTimeoutMs: Number(env.FORWARD_TIMEOUT_MS ?? 30_000),
    /** The largest body of a request, after decompression. */
    maxBodyBytes: Number(env.MAX_BODY_BYTES ?? 8_000_000),
    /** The bytes of windows that are in no block at which events are refused. */
    maxWindowBytes: Number(env.MAX_WINDOW_BYTES ?? 8_000_000),
  };
}
