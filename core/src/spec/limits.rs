//! Limits: every structure that grows has a named limit with a default.

use serde::{Deserialize, Serialize};

/// Maximum number of stages of a pipeline.
pub const MAX_STAGES: usize = 64;

/// Maximum number of columns of the rows of one stage, key fields included, and of fields that a
/// pipeline reads from an event.
pub const MAX_COLUMNS: usize = 1_024;

/// Maximum size of a pipeline description in bytes: its sections `time` and `stages`, and the keys
/// and values of its source, as JSON without white space.
pub const MAX_DESCRIPTION_BYTES: usize = 256 << 10;

/// Treatment of an event that would take a stage beyond one of its limits.
/// ```
/// use stream_processor_core::spec::LimitPolicy;
/// assert_eq!(serde_json::from_str::<LimitPolicy>(r#""evict""#)?, LimitPolicy::Evict);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LimitPolicy {
    /// The event is dropped, and counted under the name of the limit.
    #[default]
    Drop,
    /// The oldest key or window is evicted: its state is discarded without a row. This is counted
    /// as `evicted_keys`, `evicted_windows` and `evicted_events`.
    Evict,
    /// The call stops before the event with the error `limit_reached`.
    Refuse,
}

/// `[limits]`: the limits of one engine. Events and values that reach one are counted in
/// [`crate::Stats`].
/// ```
/// use stream_processor_core::spec::{LimitPolicy, Limits};
/// let limits = Limits { max_keys: 1_000, on_max_keys: LimitPolicy::Evict, ..Limits::default() };
/// # assert_eq!(limits.max_keys, 1_000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Maximum number of keys for which one stage holds state.
    pub max_keys: u32,
    /// Treatment of an event of a key beyond `max_keys`. `evict` removes the key whose last
    /// event in the stage is the longest ago.
    pub on_max_keys: LimitPolicy,
    /// Maximum number of open windows or sessions of one key in one stage, including those kept for
    /// late events. For sliding windows, slices are counted.
    pub max_windows_per_key: u32,
    /// Treatment of an event that would open a window beyond `max_windows_per_key`. `evict`
    /// removes the window with the earliest start.
    pub on_max_windows_per_key: LimitPolicy,
    /// Maximum memory for state, in bytes. At most 4/9 of it holds state as counted by the rule in
    /// docs/semantics.md, since tables double when they grow. Stages that keep state have equal
    /// shares. Default: unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_state_bytes: Option<u64>,
    /// Treatment of an event whose key or window would exceed `max_state_bytes`. `evict` removes
    /// a key as for `on_max_keys`.
    pub on_max_state_bytes: LimitPolicy,
    /// Maximum number of values that an exact percentile keeps for one window and key, at least
    /// 512. Beyond it, a sketch replaces them, which is counted as `value_limit`.
    pub max_values: u32,
    /// Maximum number of partitions of the source. Events of further ones are rejected with the
    /// reason `partition_limit`.
    pub max_partitions: u32,
    /// Maximum number of sliding windows that contain one event. A pipeline where `size / slide`
    /// exceeds it is rejected.
    pub max_windows_per_event: u32,
    /// Maximum number of grid points that are filled between two samples. A longer gap is not
    /// filled and starts a new series, which is counted as `fill_limit`.
    pub max_fill_points: u32,
    /// Maximum number of rows that wait to be polled. The engine then returns `full` and accepts no
    /// events until it is polled.
    pub max_result_rows: u32,
    /// Maximum work of one call, in units of about 10 ns: an event that passes a stage, a row, a key
    /// of a slice that is merged, a value that is sorted. The engine then returns `full`, and
    /// continues with the next call. Results do not depend on it.
    pub max_call_work: u32,
    /// Maximum number of dropped events that wait to be reported, if they are reported at all. The
    /// engine then returns `full` as well.
    pub max_dropped_events: u32,
    /// Maximum size of a snapshot, in bytes. A larger one is an error and leaves the engine
    /// unchanged.
    pub max_snapshot_bytes: u64,
    /// Maximum length of an input line, in bytes. A longer one is rejected with the reason
    /// `line_too_long`.
    pub max_line_bytes: u32,
    /// Maximum length of a key, or of the name of a partition, in bytes as encoded: a text of n
    /// bytes counts n + 2. Events with a longer one are rejected with the reason `key_too_long`.
    pub max_key_bytes: u32,
    /// Maximum number of keys in the dictionary of a text reader, which is then emptied. It is also
    /// emptied at 16 MiB of keys. Results do not depend on it.
    pub max_dictionary_keys: u32,
    /// Maximum number of events in one batch. A larger batch is an error.
    pub max_batch_events: u32,
}

/// The greatest number of keys in a dictionary, whatever `max_dictionary_keys` says: the table that
/// their ids index then has at most 16 MiB.
const MAX_DICTIONARY_KEYS: u32 = 1 << 22;

impl Limits {
    /// Returns the number of keys at which a reader empties its dictionary; ids are below it.
    #[must_use]
    pub fn dictionary_keys(&self) -> u32 {
        self.max_dictionary_keys.clamp(1, MAX_DICTIONARY_KEYS)
    }
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
            max_call_work: 1_000_000,
            max_dropped_events: 65_536,
            max_snapshot_bytes: 4 << 30,
            max_line_bytes: 1 << 20,
            max_key_bytes: 1 << 16,
            max_dictionary_keys: 65_536,
            max_batch_events: 1 << 24,
        }
    }
}
