//! How far things may grow: every limit has a name and a default here.

use serde::{Deserialize, Serialize};

/// What becomes of an event that would take a stage beyond one of its limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LimitPolicy {
    /// The event is dropped, and counted under the name of the limit.
    #[default]
    Drop,
    /// The oldest makes room: it loses all that the stage keeps of it, without a row; that is counted as `evicted_keys`,
    /// `evicted_windows` and `evicted_events`.
    Evict,
    /// The call stops with the error `limit_reached`, before the event.
    Refuse,
}

/// `[limits]`: the bounds of one engine instance. What happens at each is counted in [`crate::Stats`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Keys with open state in one stage.
    pub max_keys: u32,
    /// What becomes of the event of one key more: the oldest key is the one whose last event in the stage is the longest ago.
    pub on_max_keys: LimitPolicy,
    /// Open windows or sessions of one key in one stage, slices where windows slide, with those that are kept for late
    /// events.
    pub max_windows_per_key: u32,
    /// What becomes of the event that would open one window more: the oldest window is the one that begins first.
    pub on_max_windows_per_key: LimitPolicy,
    /// Bytes of memory for state: what is counted by the rule in docs/semantics.md may be 4/9 of it, as tables double when
    /// they grow. Where several stages keep state, each has an equal share. Absent: as much as there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_state_bytes: Option<u64>,
    /// What becomes of the event for whose key or window there is no room: the oldest key is as at `on_max_keys`.
    pub on_max_state_bytes: LimitPolicy,
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

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_keys: 1_000_000,
            on_max_keys: LimitPolicy::Drop,
            max_windows_per_key: 20_000,
            on_max_windows_per_key: LimitPolicy::Drop,
            max_state_bytes: None,
            on_max_state_bytes: LimitPolicy::Drop,
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
