//! What can go wrong, each with a code that never changes.

use crate::data::reject::RejectReason;
use crate::plan::Limit;
use crate::spec::SpecError;

/// An error of the engine. After any of them but [`Error::LimitReached`] the engine is as it was before the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The pipeline description is wrong.
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
    /// A batch has more or fewer columns than the pipeline reads.
    #[error("the batch has {found} columns, but the pipeline reads {expected}")]
    ColumnCount {
        /// Columns that the pipeline reads.
        expected: usize,
        /// Columns in the batch.
        found: usize,
    },
    /// A batch has more or fewer lists of identities than the pipeline needs.
    #[error(
        "the batch has {found} lists of identities, but the pipeline needs {expected}: one for each way to tell them"
    )]
    IdentityCount {
        /// Lists that the pipeline needs.
        expected: usize,
        /// Lists in the batch.
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
    /// The pipeline has a key and the batch none, or the other way round.
    #[error("{0}")]
    KeysMismatch(&'static str),
    /// A batch uses a key id that was never defined.
    #[error(
        "key id {id} of event {event} is not defined: define it with define_keys before it is used"
    )]
    UnknownKeyId {
        /// The id.
        id: u32,
        /// The event's place in the batch.
        event: usize,
    },
    /// The pipeline names a partition and the batch none, or the other way round.
    #[error("{0}")]
    PartitionsMismatch(&'static str),
    /// A batch uses an id of a partition that was never defined.
    #[error(
        "partition id {id} of event {event} is not defined: define it with define_partitions before it is used"
    )]
    UnknownPartitionId {
        /// The id.
        id: u32,
        /// The event's place in the batch.
        event: usize,
    },
    /// More partitions are to be waited for than `limits.max_partitions`.
    #[error("there would be more partitions than limits.max_partitions = {limit}")]
    TooManyPartitions {
        /// The limit.
        limit: u32,
    },
    /// A key is not a valid encoding of the pipeline's key fields, or has a number that keys may not have.
    #[error(
        "key {index} is not a valid encoding of {fields} key field(s), whose numbers are integers within ±1.8e308 or the \
         shortest decimals of doubles"
    )]
    InvalidKey {
        /// The key's place in the block.
        index: usize,
        /// Key fields of the pipeline.
        fields: usize,
    },
    /// Partial state is asked of an engine that has none to give or to take.
    #[error("{0}")]
    PartialsMismatch(&'static str),
    /// Partial state came before an earlier one of its source.
    #[error(
        "partial state {found} came, but {expected} is the next of its source: merge them in their order"
    )]
    PartialGap {
        /// The one that is next.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// An event would exceed a limit whose policy is `refuse`. What came before it is done, and the engine can go on.
    #[error("{0}")]
    LimitReached(LimitReached),
    /// Events were pushed after `finish`.
    #[error("the stream is finished: restore a snapshot or open a new engine to go on")]
    Finished,
    /// A snapshot cannot be written or read.
    #[error("snapshot: {0}")]
    Snapshot(SnapshotError),
    /// The header of CSV is not what the pipeline needs.
    #[cfg(feature = "text")]
    #[error(transparent)]
    Header(#[from] crate::text::HeaderError),
    /// A block does not have the layout that docs/abi.md describes.
    #[error("malformed block: {0}")]
    MalformedBlock(&'static str),
}

/// Where a limit has ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitReached {
    /// Its name in `limits`.
    pub limit: &'static str,
    /// Its value.
    pub value: u64,
    /// The stage that has no room, by its place.
    pub stage: u32,
    /// The event's place in the stream; behind a stage that makes rows of its own, among these.
    pub ordinal: u64,
    /// Events of the call that were taken, from the front of the batch.
    pub consumed: usize,
    /// Whether the event is dropped and counted, for an earlier stage, or the engine, had taken it already. If not, it is
    /// the first that was not taken.
    pub dropped: bool,
}

impl LimitReached {
    /// Why an event is dropped that the limit keeps out.
    #[must_use]
    pub fn reason(&self) -> RejectReason {
        let limits = [Limit::Keys, Limit::Windows, Limit::Bytes];
        let found = limits.into_iter().find(|limit| limit.name() == self.limit);
        found.map_or(RejectReason::StateLimit, Limit::reason)
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
            "stages[{stage}]: event {ordinal} needs {needs} limits.{limit} = {value}: raise it, or have on_{limit} say \
             \"evict\" or \"drop\""
        )
    }
}

/// What is wrong with a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It does not begin as a snapshot does.
    #[error("not a snapshot of stream-processor")]
    NotASnapshot,
    /// It does not begin as partial state does.
    #[error("not partial state of stream-processor")]
    NotAPartial,
    /// It was written by a newer version.
    #[error("section {section} has version {found}; this program reads up to {known}")]
    NewerVersion {
        /// The section.
        section: u32,
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// It belongs to another pipeline.
    #[error("it was taken of another pipeline (keys, fields, time, stages or limits differ)")]
    OtherPipeline,
    /// Bytes are missing, changed or contradict each other.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// It would exceed `limits.max_snapshot_bytes`.
    #[error("it exceeds limits.max_snapshot_bytes = {limit}")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The engine changed while it was being read.
    #[error("the engine has moved on since it was begun: begin again")]
    Outdated,
}

impl From<SnapshotError> for Error {
    fn from(error: SnapshotError) -> Self {
        Self::Snapshot(error)
    }
}

impl Error {
    /// A short name that never changes, the same in Rust, JavaScript, logs and docs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Spec(_) => "invalid_pipeline",
            Self::ColumnLength { .. } => "column_length",
            Self::ColumnCount { .. } => "column_count",
            Self::IdentityCount { .. } => "identity_count",
            Self::BatchTooLarge { .. } => "batch_too_large",
            Self::KeysMismatch(_) => "keys_mismatch",
            Self::UnknownKeyId { .. } => "unknown_key_id",
            Self::PartitionsMismatch(_) => "partitions_mismatch",
            Self::UnknownPartitionId { .. } => "unknown_partition_id",
            Self::TooManyPartitions { .. } => "too_many_partitions",
            Self::InvalidKey { .. } => "invalid_key",
            Self::PartialsMismatch(_) => "partials_mismatch",
            Self::PartialGap { .. } => "partial_gap",
            Self::LimitReached(_) => "limit_reached",
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
