//! Errors of the engine, each with a stable code.

use crate::data::reject::RejectReason;
use crate::plan::Limit;
use crate::spec::SpecError;

/// An error of the engine. Except after [`Error::LimitReached`], the engine is in the state before
/// the call.
/// ```
/// use stream_processor_core::{BatchBuilder, PipelineSpec, Plan};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut events = BatchBuilder::new(&Plan::new(&spec)?);
/// let error = events.push(1_000_000, "api", &[31.0, 45.0]).unwrap_err();
/// assert_eq!(error.code(), "column_count");
/// assert_eq!(error.to_string(), "the batch has 2 columns, but the pipeline reads 1");
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The pipeline description is invalid.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A column of a batch has another length than its timestamps.
    #[error("column `{column}` has {found} entries, but the batch has {expected} events")]
    ColumnLength {
        /// The column.
        column: String,
        /// Events in the batch.
        expected: usize,
        /// Entries in the column.
        found: usize,
    },
    /// The number of columns of a batch is not the number that the pipeline reads.
    #[error("the batch has {found} columns, but the pipeline reads {expected}")]
    ColumnCount {
        /// Columns that the pipeline reads.
        expected: usize,
        /// Columns in the batch.
        found: usize,
    },
    /// A field of an event does not fit the pipeline.
    #[error("field `{field}`: {problem}")]
    InvalidField {
        /// The field.
        field: String,
        /// The problem, and what would be right.
        problem: String,
    },
    /// The number of identity columns of a batch is not the number that the pipeline needs.
    #[error(
        "the batch has {found} identity columns, but the pipeline needs {expected}: one for each different list of `strategies`"
    )]
    IdentityCount {
        /// The number that the pipeline needs.
        expected: usize,
        /// The number in the batch.
        found: usize,
    },
    /// A batch has more events than `limits.max_batch_events`.
    #[error(
        "the batch has {found} events, more than limits.max_batch_events = {limit}: push it in parts"
    )]
    BatchTooLarge {
        /// Events in the batch.
        found: usize,
        /// The limit.
        limit: u32,
    },
    /// The pipeline has a key but the batch has none, or the reverse.
    #[error("{0}")]
    KeysMismatch(&'static str),
    /// A batch uses a key id that is not defined.
    #[error(
        "key id {id} of event {event} is not defined: define it with define_keys before it is used"
    )]
    UnknownKeyId {
        /// The id.
        id: u32,
        /// The index of the event in the batch.
        event: usize,
    },
    /// A batch of JavaScript uses a key id that its dictionary does not have.
    #[error("key {id} of event {event} is beyond the dictionary, which has {keys} keys")]
    KeyBeyondDictionary {
        /// The id.
        id: u32,
        /// The index of the event in the call.
        event: usize,
        /// The number of keys in the dictionary.
        keys: u32,
    },
    /// The pipeline names a partition but the batch has none, or the reverse.
    #[error("{0}")]
    PartitionsMismatch(&'static str),
    /// A batch uses a partition id that is not defined.
    #[error(
        "partition id {id} of event {event} is not defined: define it with define_partitions before it is used"
    )]
    UnknownPartitionId {
        /// The id.
        id: u32,
        /// The index of the event in the batch.
        event: usize,
    },
    /// The source would have more partitions than `limits.max_partitions`.
    #[error("there would be more partitions than limits.max_partitions = {limit}")]
    TooManyPartitions {
        /// The limit.
        limit: u32,
    },
    /// A key is not a valid encoding of the pipeline's key fields, or contains a number that keys
    /// may not contain.
    #[error(
        "key {index} is not a valid encoding of {fields} key field(s): numbers must be integers within ±1.8e308 or the \
         shortest decimals of doubles"
    )]
    InvalidKey {
        /// The index of the key in the block.
        index: usize,
        /// The number of key fields of the pipeline.
        fields: usize,
    },
    /// A key or the source of partial state, or the name of a partition that is known from now on,
    /// is too long.
    #[error("a key or name has {found} bytes, more than limits.max_key_bytes = {limit}")]
    KeyTooLong {
        /// The length of the encoded key, bytes.
        found: usize,
        /// The limit.
        limit: u32,
    },
    /// The engine neither emits nor merges partial state.
    #[error("{0}")]
    PartialsMismatch(&'static str),
    /// Partial state arrived before an earlier one of its source.
    #[error(
        "partial state {found} arrived, but {expected} is the next of its source: merge them in order"
    )]
    PartialGap {
        /// The expected sequence number.
        expected: u64,
        /// The sequence number that arrived.
        found: u64,
    },
    /// An event would exceed a limit whose policy is `refuse`. Earlier events are processed, and
    /// the engine can continue.
    #[error("{0}")]
    LimitReached(LimitReached),
    /// The windows run aggregators of the program, whose state the engine cannot write or read.
    #[error("the engine runs aggregators of the program, whose state cannot be written or merged")]
    CustomState,
    /// Events were pushed after `finish`.
    #[error("the stream is finished: restore a snapshot or open a new engine to continue")]
    Finished,
    /// A snapshot cannot be written or read.
    #[error("snapshot: {0}")]
    Snapshot(SnapshotError),
    /// The header of a CSV file does not fit the pipeline.
    #[cfg(feature = "text")]
    #[error(transparent)]
    Header(#[from] crate::text::HeaderError),
    /// A block does not have the layout that docs/abi.md describes.
    #[error("malformed block: {0}")]
    MalformedBlock(&'static str),
}

/// The limits that can end a call.
const LIMITS: [Limit; 3] = [Limit::Keys, Limit::Windows, Limit::Bytes];

/// The limit that ended a call, and the event that reached it.
/// ```
/// use stream_processor_core::{BatchBuilder, Engine, Error, Options, PipelineSpec};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"},
///     "limits": {"max_keys": 1, "on_max_keys": "refuse"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options::default())?;
/// let mut events = BatchBuilder::new(engine.plan());
/// events.push(1_000_000, "api", &[31.0])?;
/// events.push(2_000_000, "web", &[12.0])?;
/// let Err(Error::LimitReached(reached)) = events.push_to(&mut engine) else { panic!("two keys") };
/// assert_eq!((reached.limit, reached.consumed), ("max_keys", 1));
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitReached {
    /// The name of the limit in `limits`.
    pub limit: &'static str,
    /// The value of the limit.
    pub value: u64,
    /// The index of the stage without room.
    pub stage: u32,
    /// The ordinal of the event in the stream. For a stage behind one that makes its own rows, the
    /// ordinal among those rows.
    pub ordinal: u64,
    /// The number of events of the call that were taken, from the front of the batch.
    pub consumed: usize,
    /// True if the event is dropped and counted, because the engine or an earlier stage had taken
    /// it already. Otherwise it is the first event that was not taken.
    pub dropped: bool,
}

impl LimitReached {
    /// Returns the reason for which an event is dropped at this limit.
    #[must_use]
    pub fn reason(&self) -> RejectReason {
        let found = LIMITS.into_iter().find(|limit| limit.name() == self.limit);
        found.map_or(RejectReason::StateLimit, Limit::reason)
    }

    /// Returns the name of a limit that can end a call, or `None` if `name` is no such limit.
    #[cfg(feature = "host")]
    pub(crate) fn known_limit(name: &str) -> Option<&'static str> {
        LIMITS.into_iter().map(Limit::name).find(|known| *known == name)
    }
}

impl core::fmt::Display for LimitReached {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { limit, value, stage, ordinal, .. } = self;
        let needs = match *limit {
            "max_keys" => "one key more than",
            "max_windows_per_key" => "one window of its key more than",
            _ => "more bytes of state than its share of",
        };
        write!(
            f,
            "stages[{stage}]: event {ordinal} needs {needs} limits.{limit} = {value}: raise it, or set on_{limit} to \
             \"evict\" or \"drop\""
        )
    }
}

/// An error of writing or reading a snapshot.
/// ```
/// use stream_processor_core::{Engine, Error, Options, PipelineSpec, SnapshotError};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let error = Engine::restore(&spec, Options::default(), &[0; 64]).err();
/// assert_eq!(error, Some(Error::Snapshot(SnapshotError::NotASnapshot)));
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes do not start like a snapshot.
    #[error("not a snapshot of stream-processor")]
    NotASnapshot,
    /// The bytes do not start like partial state.
    #[error("not partial state of stream-processor")]
    NotAPartial,
    /// A newer version wrote the snapshot.
    #[error("section {section} has version {found}; this program reads up to {known}")]
    NewerVersion {
        /// The section.
        section: u32,
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// The snapshot belongs to another pipeline.
    #[error("it belongs to another pipeline (keys, fields, time, stages or limits differ)")]
    OtherPipeline,
    /// Bytes are missing, changed or inconsistent.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// The snapshot would exceed `limits.max_snapshot_bytes`.
    #[error("it exceeds limits.max_snapshot_bytes = {limit}")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The engine changed while the snapshot was being read.
    #[error("the engine has changed since the snapshot was begun: begin again")]
    Outdated,
}

impl From<SnapshotError> for Error {
    fn from(error: SnapshotError) -> Self {
        Self::Snapshot(error)
    }
}

impl Error {
    /// Returns a short stable name, the same in Rust, JavaScript, logs and docs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Spec(_) => "invalid_pipeline",
            Self::ColumnLength { .. } => "column_length",
            Self::ColumnCount { .. } => "column_count",
            Self::InvalidField { .. } => "invalid_field",
            Self::IdentityCount { .. } => "identity_count",
            Self::BatchTooLarge { .. } => "batch_too_large",
            Self::KeysMismatch(_) => "keys_mismatch",
            Self::UnknownKeyId { .. } | Self::KeyBeyondDictionary { .. } => "unknown_key_id",
            Self::PartitionsMismatch(_) => "partitions_mismatch",
            Self::UnknownPartitionId { .. } => "unknown_partition_id",
            Self::TooManyPartitions { .. } => "too_many_partitions",
            Self::InvalidKey { .. } => "invalid_key",
            Self::KeyTooLong { .. } => "key_too_long",
            Self::PartialsMismatch(_) => "partials_mismatch",
            Self::PartialGap { .. } => "partial_gap",
            Self::LimitReached(_) => "limit_reached",
            Self::CustomState => "custom_state",
            Self::Finished => "finished",
            Self::Snapshot(error) => match error {
                SnapshotError::NotASnapshot => "snapshot_not_a_snapshot",
                SnapshotError::NotAPartial => "snapshot_not_a_partial",
                SnapshotError::NewerVersion { .. } => "snapshot_newer_version",
                SnapshotError::OtherPipeline => "snapshot_other_pipeline",
                SnapshotError::Damaged(_) => "snapshot_damaged",
                SnapshotError::TooLarge { .. } => "snapshot_too_large",
                SnapshotError::Outdated => "snapshot_outdated",
            },
            #[cfg(feature = "text")]
            Self::Header(_) => "invalid_header",
            Self::MalformedBlock(_) => "malformed_block",
        }
    }
}
