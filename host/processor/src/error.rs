//! The error of this crate, with the stable codes of the engine.

use crate::engine;
use crate::engine::statistics::StatisticsError;
use crate::engine::{RejectReason, SpecError};
use crate::state::StateError;

/// An error of a processor, a normalizer or an aggregator.
///
/// Codes are those of the engine and of the npm package.
/// ```
/// use processor::{StreamProcessorBuilder, aggregation::SumAggregator};
/// use chrono::Duration;
///
/// let processor = StreamProcessorBuilder::new()
///     .build_tumbling(Duration::zero(), |_key: &str| SumAggregator::new());
/// let error = processor.check().unwrap_err();
/// assert_eq!(error.code(), "invalid_pipeline");
/// assert!(error.to_string().starts_with("stages[0].size"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A size, an option or a name is wrong. The path says which one.
    #[error(transparent)]
    Spec(SpecError),
    /// `result_buffer_size` results wait for the reader. Read some, or wait with
    /// [`crate::StreamProcessor::ready`], then call again with the rest.
    #[error(
        "{waiting} results wait for the reader, and {consumed} events of the call were taken: \
         read results, or wait until there is room with ready(), then continue with the next event"
    )]
    ResultsFull {
        /// The number of events of the call that were taken, from the front.
        consumed: usize,
        /// The number of results that wait.
        waiting: usize,
    },
    /// An event cannot be processed. No event of the call was taken.
    #[error("the event is rejected: {reason}{}", hint(*reason))]
    Rejected {
        /// The reason.
        reason: RejectReason,
    },
    /// The key of an event is too long, or its aggregator is wrong. The event was not taken.
    #[error("key {key:?}: {source} ({consumed} events of the call were taken)")]
    Key {
        /// The key, at most its first 64 characters.
        key: String,
        /// The number of events of the call that were taken, from the front.
        consumed: usize,
        /// The reason.
        source: Box<Error>,
    },
    /// A snapshot was written by a processor of another configuration, window or factory.
    #[error(
        "the snapshot belongs to another processor: {option} is {found} there, but {expected} here"
    )]
    OtherSnapshot {
        /// The path of the option that differs, as in `stages[0].size`.
        option: String,
        /// Its value here, as JSON.
        expected: String,
        /// Its value in the snapshot, as JSON.
        found: String,
    },
    /// The state of a program's own aggregators cannot be written to a snapshot.
    #[error(
        "a snapshot cannot contain a program's own aggregators: use those of \
         processor::aggregation, or rebuild the state from the events"
    )]
    CustomState,
    /// The engine returned an error.
    #[error(transparent)]
    Engine(engine::Error),
    /// A statistic has an option out of its range.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// A state backend returned an error.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Error {
    /// Returns a short stable name, the same in Rust, JavaScript, logs and documents.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Spec(_) => "invalid_pipeline",
            Self::ResultsFull { .. } => "results_full",
            Self::Rejected { reason } => reason.name(),
            Self::Key { source, .. } => source.code(),
            Self::OtherSnapshot { .. } => "snapshot_other_pipeline",
            Self::CustomState => "custom_state",
            Self::Engine(error) => error.code(),
            Self::Statistics(_) => "invalid_option",
            Self::State(error) => error.code(),
        }
    }
}

impl From<SpecError> for Error {
    fn from(error: SpecError) -> Self {
        Self::Spec(error)
    }
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        match error {
            engine::Error::Spec(error) => Self::Spec(error),
            engine::Error::CustomState => Self::CustomState,
            error => Self::Engine(error),
        }
    }
}

/// Returns what would be right instead of an event that is rejected for `reason`.
fn hint(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::NonFinite => ": a value is a finite number",
        RejectReason::TimestampOutOfRange => ": a time is at most 8.64e15 ms from 1970",
        RejectReason::Future => ": it is further ahead of the last tick than max_future_skew",
        _ => "",
    }
}
