//! How far things may grow: every limit has a name and a default here.

use serde::{Deserialize, Serialize};

/// What a stage does with an event of one key more than it may keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeyPolicy {
    /// The event is dropped with the reason `key_limit`.
    #[default]
    Drop,
    /// The key whose last event in the stage is the longest ago loses all that the stage keeps of it, without a row; that is
    /// counted as `evicted_keys` and `evicted_windows`.
    Evict,
}

/// `[limits]`: the bounds of one engine instance. What happens at each is counted in [`crate::Stats`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Keys with open state in one stage; `on_max_keys` says what an event of one key more does.
    pub max_keys: u32,
    /// What happens at `max_keys`.
    pub on_max_keys: KeyPolicy,
    /// Open windows of one key in one stage, slices where they slide, with those that are kept for late events; an event
    /// that would open one more is dropped with the reason `window_limit`.
    pub max_windows_per_key: u32,
    /// Values of one window and key that an exact percentile keeps, at least 512; with more it goes on as a sketch, which is
    /// counted as `value_limit`.
    pub max_values: u32,
    /// Partitions of the source; an event of one more is refused with the reason `partition_limit`.
    pub max_partitions: u32,
    /// Sliding windows that cover one event; a pipeline where `size / slide` is more is refused.
    pub max_windows_per_event: u32,
    /// Grid points between two samples that are made at most; a longer gap gives none, begins a new series, and is counted
    /// as `fill_limit`.
    pub max_fill_points: u32,
    /// Rows that wait to be polled; then the engine says `full` and takes no more until it is polled.
    pub max_result_rows: u32,
    /// Dropped events that wait to be reported, where someone asked for them; then the engine says `full` as well.
    pub max_dropped_events: u32,
    /// Bytes of a snapshot; a larger one is an error and leaves the engine as it was.
    pub max_snapshot_bytes: u64,
    /// Bytes of an input line; a longer one is rejected with the reason `line_too_long`.
    pub max_line_bytes: u32,
    /// Keys that a reader of text remembers before it starts its dictionary anew; results do not depend on it.
    pub max_dictionary_keys: u32,
    /// Events in one batch; a larger batch is refused.
    pub max_batch_events: u32,
}

impl Limits {
    pub(crate) fn evicts_keys(&self) -> bool {
        self.on_max_keys == KeyPolicy::Evict
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_keys: 1_000_000,
            on_max_keys: KeyPolicy::Drop,
            max_windows_per_key: 20_000,
            max_values: 1_000_000,
            max_partitions: 1_024,
            max_windows_per_event: 10_000,
            max_fill_points: 100_000,
            max_result_rows: 65_536,
            max_dropped_events: 65_536,
            max_snapshot_bytes: 4 << 30,
            max_line_bytes: 1 << 20,
            max_dictionary_keys: 65_536,
            max_batch_events: 1 << 24,
        }
    }
}
