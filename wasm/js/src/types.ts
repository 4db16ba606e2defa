/** The types of inputs and outputs, except the pipeline. */

/**
 * A key field of an event. A Number stands for the decimal that it prints as. Pass integers beyond
 * ±2^53, which a Number may round, as BigInts, up to ±1.8e308; rows always have them as BigInts.
 */
export type KeyValue = string | number | bigint | boolean;

/** A key field; null with `source.on_null_key = "keep"`. */
export type KeyField = KeyValue | null;

/** A key: one value, or an array of values if the pipeline has several key fields. */
export type Key = KeyField | readonly KeyField[];

/** The keys of a batch of events: one key per event, or ids of a dictionary. */
export type KeyColumn = readonly Key[] | KeyIds;

/**
 * Dictionary-encoded keys: an id is an index into the dictionary. Keep one dictionary array for all
 * batches and append new keys to it; each key is then read once.
 */
export interface KeyIds {
  readonly ids: Uint32Array;
  readonly dictionary: readonly Key[];
}

/** Numbers, one per event; in a plain array, null and undefined are missing values. */
export type NumberColumn = Float64Array | readonly (number | null | undefined)[];

/** Texts, numbers or booleans, one per event; null and undefined are missing values. */
export type TextColumn = readonly (KeyValue | null | undefined)[];

/** A batch of events, column by column. */
export interface EventColumns {
  /**
   * Milliseconds since the epoch, with fractions down to the microsecond. A BigInt64Array holds
   * microseconds, like Arrow timestamp columns, and needs no conversion.
   */
  readonly timestamps: Float64Array | readonly number[] | BigInt64Array;
  /**
   * The key of each event; absent if the pipeline has no key. Fields of `key_by` that are not in
   * `source.key` follow the fields of `source.key`.
   */
  readonly keys?: KeyColumn;
  /** The partition of each event, for pipelines with `source.partition`. */
  readonly partitions?: KeyColumn;
  /**
   * Columns by field name; NaN is a missing value. Fields that are only compared or counted as
   * distinct values may be texts.
   */
  readonly columns?: Readonly<Record<string, NumberColumn | TextColumn>>;
}

/**
 * Columns in the module's own memory, for a caller that produces events: they are not copied again.
 * Their contents are those of {@link EventColumns}. Write all columns again for each batch.
 */
export interface ReservedColumns {
  readonly timestamps: Float64Array;
  /** The memory of `timestamps`, for microseconds: commit with `unit: "us"`. */
  readonly microseconds: BigInt64Array;
  /** Indexes into the dictionary of keys; empty if the pipeline has no key. */
  readonly keys: Uint32Array;
  /** Indexes into the dictionary of partitions; empty if the pipeline has no partition field. */
  readonly partitions: Uint32Array;
  /** Columns by field name; optional columns are initially filled with NaN. */
  readonly columns: Readonly<Record<string, Float64Array>>;
}

/** Describes the contents of {@link ReservedColumns}. */
export interface CommitOptions {
  /** The number of written events, from the first one on; default: all reserved events. */
  readonly events?: number;
  /** The number of events to skip: those `consumed` before an error; default 0. */
  readonly from?: number;
  /**
   * The unit of the times: `"us"` reads `microseconds`, `"ms"` reads `timestamps`; default `"ms"`.
   */
  readonly unit?: "ms" | "us";
  /**
   * The dictionary of keys. Keep one array for all batches and append new keys to it; each key is
   * then read once.
   */
  readonly keys?: readonly Key[];
  /** The dictionary of partitions, used like that of keys. */
  readonly partitions?: readonly Key[];
}

/**
 * A row: the key fields, then the columns; names are the same in every runtime. Times are
 * milliseconds. Only key fields can be BigInts: integers beyond ±2^53.
 */
export type Row = Record<string, KeyValue | null>;

/** Rows as columns, for charts or for `pushColumns` of another processor, which accepts `keys`. */
export interface RowColumns {
  /** The number of rows. */
  readonly rows: number;
  /**
   * Keys as ids of a dictionary that batches share until it is full and a new one starts; absent if
   * the pipeline has no key.
   */
  readonly keys?: KeyIds;
  /** Columns by name: times are milliseconds, true is 1, NaN is null. */
  readonly columns: Readonly<Record<string, Float64Array>>;
}

/** Options of a processor. */
export interface ProcessorOptions {
  /**
   * Maximum number of rows beyond `limits.max_result_rows` that wait to be drained; default
   * 1,000,000. At the maximum, calls throw `results_full`; its `consumed` is how much was
   * processed. No data is lost.
   */
  readonly maxPendingRows?: number;
  /**
   * If true, windows of the first window stage are not fired; `partial` returns their state. Use it
   * in a browser or edge worker that sends state to another processor. Default false.
   */
  readonly emitsPartials?: boolean;
  /**
   * If true, the processor has an instance of the module for itself: a trap costs no other
   * processor, and its memory is released with it. An instance takes about 2 MB. Default false.
   */
  readonly isolated?: boolean;
  /**
   * Called for each event or line that is rejected, at the end of the call that processes it. Events
   * that are pushed one by one are processed together: see `push`. Rejected events are counted in
   * any case.
   */
  readonly onReject?: (rejection: Rejection) => void;
  /**
   * Called for each event that a stage dropped, because it was late, a duplicate or beyond a limit,
   * at the end of the call that processes it. Dropped events are counted in any case.
   */
  readonly onDrop?: (drop: Drop) => void;
}

/** The reason for a rejection, by the name that the command line and dead letters use. */
export type RejectReason =
  | "missing_field"
  | "wrong_type"
  | "invalid_timestamp"
  | "timestamp_out_of_range"
  | "non_finite"
  | "invalid_key_number"
  | "key_too_long"
  | "invalid_json"
  | "not_an_object"
  | "line_too_long"
  | "invalid_utf8"
  | "invalid_csv"
  | "wrong_column_count";

/** A rejected event or line: it does not fit the pipeline. */
export type Rejection = RejectedEvent | RejectedLine;

/** An event object that was rejected. */
export interface RejectedEvent {
  readonly event: object;
  /** The event's index in the call. */
  readonly index: number;
  readonly line?: undefined;
  readonly text?: undefined;
  readonly reason: RejectReason;
  /** The field that is wrong; undefined if the whole event is wrong. */
  readonly field: string | undefined;
  /** The error and the allowed values. */
  readonly message: string;
}

/** A line of text that was rejected. */
export interface RejectedLine {
  readonly event?: undefined;
  readonly index?: undefined;
  /** The number of the line in all text of the processor; 1 for the first. */
  readonly line: number;
  /** The line without its end; of a line that is too long, its first part. */
  readonly text: string;
  readonly reason: RejectReason;
  /** The field that is wrong; undefined if the whole line is wrong. */
  readonly field: string | undefined;
  /** The error and what is expected, as the command line prints it. */
  readonly message: string;
}

/** The reason why a stage dropped an event, by the name that the command line and dead letters use. */
export type DropReason =
  | "late"
  | "duplicate"
  | "future"
  | "unjudged"
  | "key_limit"
  | "window_limit"
  | "partition_limit"
  | "state_limit"
  | RejectReason;

/** An event that was dropped. Times are milliseconds. */
export interface Drop {
  readonly reason: DropReason;
  /** The index of the stage in `stages`; null if the event reached no stage. */
  readonly stage: number | null;
  /**
   * The number of events accepted before it, text and objects counted together. Null for a row that
   * an earlier stage made, and for an event that a limit refused.
   */
  readonly ordinal: number | null;
  /** The watermark in effect when the event arrived; null if there was none. */
  readonly watermark: number | null;
  /** The end of the window that it was too late for; null if there is none. */
  readonly windowEnd: number | null;
  /** The event, if the call that dropped it pushed it as an object or as columns. */
  readonly event?: object;
  /** The event's line and its number, if the call that dropped it pushed it as text. */
  readonly line?: number;
  readonly text?: string;
}

/** Counters of a processor. */
export interface Stats {
  /** Events that the source accepted. */
  events: number;
  /** Events that were rejected before any stage. */
  rejected: number;
  /** Events that were late for all of their windows. */
  late_dropped: number;
  /** Events dropped by a limit. */
  limit_dropped: number;
  /** Calls that a limit stopped with the error `limit_reached`. */
  limit_refused: number;
  /** Events that are in no row, because a limit evicted their state. */
  evicted_events: number;
  /** Bytes of state held by all stages, by the rule in docs/semantics.md. */
  state_bytes: number;
  /** Duplicate events, by their identity. */
  duplicates: number;
  /** Events too late for `dedup` to detect duplicates; its `on_unjudged` passes or drops them. */
  unjudged: number;
  /** Events that are more than `time.max_future_skew` ahead of the host's time. */
  future: number;
  /** Events that no window covers. */
  unassigned: number;
  /** Rows emitted by the last stage. */
  rows: number;
  /** Rejected events by reason. */
  rejected_by_reason: { reason: string; count: number }[];
  /** The limits that were reached. */
  limits_struck: string[];
  /** The stages in order. */
  stages: StageStats[];
  /** The stream's watermark in milliseconds; null before the first event and after the end. */
  watermark: number | null;
  /**
   * The progress of each partition of the source, by name; it explains the stream's watermark.
   * Empty if the stream has a single watermark.
   */
  partitions: PartitionStats[];
}

/** The progress of one partition of the source. Times are milliseconds. */
export interface PartitionStats {
  /** The partition's name; null if the pipeline has no partition field. */
  partition: string | null;
  /** The greatest time of its events, except events too far in the future. */
  greatest_time: number | null;
  /** The partition's own watermark. */
  watermark: number | null;
  /** True if it had no events for `time.idle_timeout`; the stream's watermark then ignores it. */
  idle: boolean;
  /** True if the partition holds back the stream's watermark. */
  holds_back: boolean;
}

/** Counters of one stage. */
export interface StageStats {
  type: string;
  events: number;
  rows: number;
  late_dropped: number;
  unassigned: number;
  key_limit: number;
  /** Keys whose whole state was evicted, for limits with the policy "evict". */
  evicted_keys: number;
  /** Evicted windows, including those of evicted keys. */
  evicted_windows: number;
  /** Events in evicted windows that had not yet been in a row of each of their windows. */
  evicted_events: number;
  window_limit: number;
  state_limit: number;
  value_limit: number;
  /** Rows whose number was not remembered at `limits.max_state_bytes`; a later `revision` is 0 again. */
  revision_limit: number;
  folded_values: number;
  /** Duplicate events. */
  duplicates: number;
  /** Events without an identity. */
  unidentified: number;
  /** Events at least a ttl behind the watermark with an unknown identity: passed or dropped. */
  unjudged: number;
  /** Identities evicted by a limit. */
  evicted: number;
  /** Identities stored now. */
  entries: number;
  /** Filled grid points. */
  filled: number;
  /** Values that were outliers. */
  outliers: number;
  /** Counts of reached limits of normalization. */
  fill_limit: number;
  buffer_limit: number;
  keys: number;
  /** Bytes of state held now. */
  state_bytes: number;
  open_windows: number;
  /**
   * The input watermark of a stage with windows, in milliseconds; null before the first event and
   * after the end.
   */
  watermark: number | null;
  /** The watermark at which the next window with events fires, in milliseconds. */
  next_fire: number | null;
}
