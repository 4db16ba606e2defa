/** What the module says of its pipeline: the columns that it reads and those that it writes. */

/** The columns that a pipeline reads. */
export interface InputSchema {
  format: "ndjson" | "csv";
  timestamp: string;
  timestamp_unit: "s" | "ms" | "us" | "ns";
  /** The fields of the source's key, and behind them those that `key_by` reads as well. */
  key: string[];
  /** The field of the partition; null where there is none. */
  partition: string | null;
  /** Whether the module must know the whole events, to tell whether they came before. */
  has_identities: boolean;
  columns: InputColumn[];
}

/** A column that a pipeline reads. */
export interface InputColumn {
  name: string;
  required: boolean;
  /** Flags are numbers, or true and false; the module gets texts, numbers, true and false as their fingerprints. */
  kind: "number" | "flag" | "text";
}

/** The columns that a pipeline writes, the key fields first. */
export interface OutputSchema {
  key: string[];
  columns: { name: string; kind: "number" | "bool" }[];
  /** Whether rows are the events that have passed, as they came. */
  passes_events: boolean;
}

/** Both, and the bounds that concern a caller. */
export interface Schema {
  input: InputSchema;
  output: OutputSchema;
  max_dictionary_keys: number;
}
