//! The reasons to reject or drop events: one list for the readers and the engine.

/// The reason why an event was rejected or dropped.
///
/// The names are stable: they appear in dead letters, summaries, metrics and `err.code`.
/// ```
/// use stream_processor_core::RejectReason;
/// assert_eq!(RejectReason::Late.name(), "late");
/// ```
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RejectReason {
    /// The line is longer than the limit.
    LineTooLong,
    /// The line is not UTF-8.
    InvalidUtf8,
    /// The line is not one JSON value.
    InvalidJson,
    /// The line is JSON, but not an object.
    NotAnObject,
    /// The record has more or fewer fields than the header.
    WrongColumnCount,
    /// A field that the pipeline needs is missing, null, or (CSV) empty.
    MissingField,
    /// A field holds a value of a type that the pipeline cannot use there.
    WrongType,
    /// The timestamp is text that is not a time.
    InvalidTimestamp,
    /// The timestamp is outside ±8.64e15 milliseconds.
    TimestampOutOfRange,
    /// A number is not finite: it overflows a double, or says NaN or infinity.
    NonFinite,
    /// The event arrived too late for all of its windows.
    Late,
    /// The event's key would exceed `limits.max_keys`.
    KeyLimit,
    /// The event's window would exceed `limits.max_windows_per_key`.
    WindowLimit,
    /// The event repeats an earlier identity.
    Duplicate,
    /// The event is further ahead of the host's time than `time.max_future_skew`.
    Future,
    /// The event's partition would exceed `limits.max_partitions`.
    PartitionLimit,
    /// The event's state would exceed `limits.max_state_bytes`.
    StateLimit,
    /// A quote in a CSV record is not closed, or text follows the closing quote.
    InvalidCsv,
    /// The event is so far behind the watermark that `dedup` cannot tell whether it is a duplicate.
    Unjudged,
    /// A number in the key is neither an integer within the range of doubles nor the shortest
    /// decimal of a double.
    InvalidKeyNumber,
    /// The event's key, or its partition, is longer than `limits.max_key_bytes`.
    KeyTooLong,
}

impl RejectReason {
    /// All reasons, in the order of their declaration.
    pub const ALL: &'static [Self] = &[
        Self::LineTooLong,
        Self::InvalidUtf8,
        Self::InvalidJson,
        Self::NotAnObject,
        Self::WrongColumnCount,
        Self::MissingField,
        Self::WrongType,
        Self::InvalidTimestamp,
        Self::TimestampOutOfRange,
        Self::NonFinite,
        Self::Late,
        Self::KeyLimit,
        Self::WindowLimit,
        Self::Duplicate,
        Self::Future,
        Self::PartitionLimit,
        Self::StateLimit,
        Self::InvalidCsv,
        Self::Unjudged,
        Self::InvalidKeyNumber,
        Self::KeyTooLong,
    ];

    /// Returns the index in [`RejectReason::ALL`], as stored in blocks and snapshots.
    #[must_use]
    pub fn number(self) -> usize {
        self as usize
    }

    /// Returns the reason's stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LineTooLong => "line_too_long",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::InvalidJson => "invalid_json",
            Self::NotAnObject => "not_an_object",
            Self::WrongColumnCount => "wrong_column_count",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::InvalidTimestamp => "invalid_timestamp",
            Self::TimestampOutOfRange => "timestamp_out_of_range",
            Self::NonFinite => "non_finite",
            Self::Late => "late",
            Self::KeyLimit => "key_limit",
            Self::WindowLimit => "window_limit",
            Self::Duplicate => "duplicate",
            Self::Future => "future",
            Self::PartitionLimit => "partition_limit",
            Self::StateLimit => "state_limit",
            Self::InvalidCsv => "invalid_csv",
            Self::Unjudged => "unjudged",
            Self::InvalidKeyNumber => "invalid_key_number",
            Self::KeyTooLong => "key_too_long",
        }
    }
}

impl core::fmt::Display for RejectReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_uses_the_stable_names() {
        for &reason in RejectReason::ALL {
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(json, format!("\"{}\"", reason.name()));
            assert_eq!(serde_json::from_str::<RejectReason>(&json).unwrap(), reason);
        }
    }
}
