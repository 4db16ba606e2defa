/** What goes in and comes out, beside the pipeline itself. */

/**
 * A key field of an event. A Number is the decimal that it prints as. Integers beyond ±2^53, which a Number may round, go in as
 * BigInts, up to ±1.8e308, and always come out as BigInts.
 */
export type KeyValue = string | number | bigint | boolean;

/** A key: a value, or one for each field where the pipeline names several. */
export type Key = KeyValue | readonly KeyValue[];

/** The keys of a batch of events: one each, or their places in a dictionary. */
export type KeyColumn = readonly Key[] | KeyIds;

/** Keys by their places in a dictionary. Keep one array for all batches, appending new keys: it is then read once. */
export interface KeyIds {
  readonly ids: Uint32Array;
  readonly dictionary: readonly Key[];
}

/** Numbers, one an event; in a plain array, null and undefined are missing values. */
export type NumberColumn = Float64Array | readonly (number | null | undefined)[];

/** Texts, numbers or booleans, one an event; null and undefined are missing values. */
export type TextColumn = readonly (KeyValue | null | undefined)[];

/** A batch of events, column by column. */
export interface EventColumns {
  /**
   * Milliseconds since the epoch; fractions count down to the microsecond. A BigInt64Array has microseconds, as columns of
   * Arrow do, and takes no conversion.
   */
  readonly timestamps: Float64Array | readonly number[] | BigInt64Array;
  /**
   * Absent where the pipeline names no key. Where `key_by` names fields that `source.key` does not, they stand behind
   * those of `source.key`.
   */
  readonly keys?: KeyColumn;
  /** For pipelines with `source.partition`: the partition of each event. */
  readonly partitions?: KeyColumn;
  /** Each column by the name of its field; NaN is a missing value. Fields that are compared or told apart may be texts. */
  readonly columns?: Readonly<Record<string, NumberColumn | TextColumn>>;
}

/**
 * Columns in the module's own memory, for a caller that makes events: what is written here is not copied again. Each holds
 * what {@link EventColumns} says; all are to be written anew for each batch.
 */
export interface ReservedColumns {
  readonly timestamps: Float64Array;
  /** The same memory, for microseconds instead: say `unit: "us"` then. */
  readonly microseconds: BigInt64Array;
  /** Places in the dictionary of keys; empty where the pipeline names no key. */
  readonly keys: Uint32Array;
  /** Places in the dictionary of partitions; empty where the pipeline names none. */
  readonly partitions: Uint32Array;
  /** Each column by the name of its field; those that events may lack are full of NaN at first. */
  readonly columns: Readonly<Record<string, Float64Array>>;
}

/** What has been written into {@link ReservedColumns}. */
export interface CommitOptions {
  /** How many events there are, from the first on: all that were reserved unless set. */
  readonly events?: number;
  /** How many of them to leave out: those that were taken before an error, by its `consumed`. */
  readonly from?: number;
  /** What the times are: `"us"` takes those that were written as `microseconds`; `"ms"` unless set. */
  readonly unit?: "ms" | "us";
  /** What ids of keys stand for. Keep one array for all batches, appending new keys: it is then read once. */
  readonly keys?: readonly Key[];
  /** The same for partitions. */
  readonly partitions?: readonly Key[];
}

/**
 * A row: the key fields, then the columns, by the names that the output has everywhere. Times are milliseconds. Only key fields
 * are ever BigInts: integers beyond ±2^53.
 */
export type Row = Record<string, KeyValue | null>;

/** Rows, column by column: for charts, and for other processors, whose `pushColumns` takes the keys as they are. */
export interface RowColumns {
  /** How many there are. */
  readonly rows: number;
  /** Places in a dictionary that all batches share, until it has grown large; absent where the pipeline has no key. */
  readonly keys?: KeyIds;
  /** Each column by its name: times are milliseconds, true is 1, NaN is null. */
  readonly columns: Readonly<Record<string, Float64Array>>;
}

/** What a processor may do beyond its pipeline. */
export interface ProcessorOptions {
  /**
   * Rows beyond `limits.max_result_rows` that may wait to be drained, 1,000,000 unless set. Once there are so many, calls
   * stop with the error `results_full`, which says in `consumed` how much they have taken; nothing is lost.
   */
  readonly maxPendingRows?: number;
  /**
   * Whether the windows of the first stage that has some go out by `partial` instead of being fired here: for a browser or an
   * edge worker that sends state where another processor merges it. False unless set.
   */
  readonly emitsPartials?: boolean;
  /** Is told of each event that `push` did not take. They are counted in any case. */
  readonly onReject?: (rejection: Rejection) => void;
}

/** Why an event was refused: the names are those of the command line and of dead letters. */
export type RejectReason =
  | "missing_field"
  | "wrong_type"
  | "invalid_timestamp"
  | "timestamp_out_of_range"
  | "non_finite"
  | "invalid_key_number"
  | "invalid_json"
  | "not_an_object";

/** An event that does not fit the pipeline. */
export interface Rejection {
  readonly event: object;
  /** The event's place among those of the call. */
  readonly index: number;
  readonly reason: RejectReason;
  /** The field that is wrong; undefined where it is the event as a whole. */
  readonly field: string | undefined;
  /** What is wrong and what would be right. */
  readonly message: string;
}

/** What a processor has seen and done, in numbers of events and rows. */
export interface Stats {
  /** Events that the source accepted. */
  events: number;
  /** Events that were refused before any stage. */
  rejected: number;
  /** Events that came too late for every window of theirs. */
  late_dropped: number;
  /** Events that a limit kept out. */
  limit_dropped: number;
  /** Calls that a limit has ended, with the error `limit_reached`. */
  limit_refused: number;
  /** Events that are in no row, because limits have taken what was kept of them. */
  evicted_events: number;
  /** Bytes of state that all stages keep now, by the rule in docs/semantics.md. */
  state_bytes: number;
  /** Events that came before, by their identity. */
  duplicates: number;
  /** Events so late that `dedup` could not tell whether they came before: passed or dropped, as its `on_unjudged` says. */
  unjudged: number;
  /** Events further ahead of the host's time than `time.max_future_skew`. */
  future: number;
  /** Events that no window covers. */
  unassigned: number;
  /** Rows that the last stage has made. */
  rows: number;
  /** Why events were refused. */
  rejected_by_reason: { reason: string; count: number }[];
  /** The limits that have struck. */
  limits_struck: string[];
  /** The stages in order. */
  stages: StageStats[];
  /** The stream's watermark in milliseconds; null before the first event and after the end. */
  watermark: number | null;
  /** How far each partition of the source has come, by name: why the watermark is where it is. Empty where one time says it all. */
  partitions: PartitionStats[];
}

/** How far one partition of the source has come. Times are milliseconds. */
export interface PartitionStats {
  /** Its name as text; null where the pipeline names no field for it. */
  partition: string | null;
  /** The greatest time of its events; those too far in the future do not count. */
  greatest_time: number | null;
  /** Its own watermark. */
  watermark: number | null;
  /** Whether it was silent for `time.idle_timeout`, so that nobody waits for it. */
  idle: boolean;
  /** Whether the stream's watermark waits for it. */
  holds_back: boolean;
}

/** What one stage has seen and done. */
export interface StageStats {
  type: string;
  events: number;
  rows: number;
  late_dropped: number;
  unassigned: number;
  key_limit: number;
  /** Keys that lost all of their state, where a limit's policy is "evict". */
  evicted_keys: number;
  /** Windows that made room, those of such keys and others. */
  evicted_windows: number;
  /** Events that were in them, and will not be in a row of each. */
  evicted_events: number;
  window_limit: number;
  state_limit: number;
  value_limit: number;
  folded_values: number;
  /** Events that came before, those without an identity, identities that a limit has pushed out, those remembered now. */
  duplicates: number;
  unidentified: number;
  /** Events whose time is a ttl behind the watermark, and which are not remembered: passed or dropped. */
  unjudged: number;
  evicted: number;
  entries: number;
  /** Grid points that were filled, values that were outliers, and where limits of normalization have struck. */
  filled: number;
  outliers: number;
  fill_limit: number;
  buffer_limit: number;
  keys: number;
  /** Bytes of state that it keeps now. */
  state_bytes: number;
  open_windows: number;
  /** The watermark that a stage with windows has seen, in milliseconds; null before the first event and after the end. */
  watermark: number | null;
  /** The watermark at which its next window with events fires, in milliseconds: until then no row is due. */
  next_fire: number | null;
}
