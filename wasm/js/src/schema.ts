/** The schema that the module returns for a pipeline: the columns that it reads and writes. */

/** The columns that a pipeline reads. */
export interface InputSchema {
  format: "ndjson" | "csv";
  timestamp: string;
  /** True if events may lack the time. */
  time_is_optional: boolean;
  timestamp_unit: "s" | "ms" | "us" | "ns";
  /** The key fields of `source.key`, followed by further fields of `key_by`. */
  key: string[];
  /** The treatment of events that lack a field of their key. */
  on_null_key: "reject" | "drop" | "keep";
  /** The partition field; null if there is none. */
  partition: string | null;
  /** True if the module needs whole events, to compute the identities for deduplication. */
  has_identities: boolean;
  columns: InputColumn[];
  /** The number of leading columns of which an event must have at least one; 0 if it need not. */
  require_any_of: number;
}

/** A column that a pipeline reads. */
export interface InputColumn {
  name: string;
  required: boolean;
  /**
   * A flag is a number or a boolean. A text is a text, a number or a boolean, sent as fingerprint.
   */
  kind: "number" | "flag" | "text";
}

/** The columns that a pipeline writes, the key fields first. */
export interface OutputSchema {
  key: string[];
  columns: { name: string; kind: "number" | "bool" }[];
  /** True if the output rows are the unchanged input events. */
  passes_events: boolean;
}

/** The input and output schema, and the limits that apply to the caller. */
export interface Schema {
  input: InputSchema;
  output: OutputSchema;
  max_dictionary_keys: number;
  max_key_bytes: number;
  /** True if a limit ends a call with the error `limit_reached` instead of dropping the event. */
  refuses_events: boolean;
}
