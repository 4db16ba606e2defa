//! Progress of a run: counts of the lines read, and the observer that receives them.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stream_processor_core::{Escaped, RejectReason};

use super::disorder::Disorder;
use super::first_times::UnlikelyTimes;

/// Counts of the input that was read so far.
#[derive(Debug, Clone, Default)]
pub struct RunProgress {
    pub(super) accepted: u64,
    /// Lines without a key or a value that the filters in front removed.
    pub(super) skipped: u64,
    /// Refused lines, in the order of [`RejectReason::ALL`].
    refused: Vec<u64>,
    /// Events that passed unchecked.
    pub(super) unchecked: u64,
    pub(super) bytes: Arc<AtomicU64>,
    /// The order of the accepted events.
    pub(super) disorder: Disorder,
}

/// Receives reports during a run. All methods do nothing by default.
pub trait Observer {
    /// Receives a refused line.
    fn refused(&mut self, line: &RefusedLine<'_>) {
        let _ = line;
    }

    /// Receives the first event times, at most once, if most of them can hardly be meant.
    fn unlikely_times(&mut self, times: &UnlikelyTimes) {
        let _ = times;
    }

    /// Receives a message about something outside of the input that endangers the results, such as
    /// the settings of a shared store.
    fn warning(&mut self, message: &str) {
        let _ = message;
    }

    /// Receives the counts after each batch that was sent to the shards, and when the input pauses.
    fn progress(&mut self, progress: &RunProgress) {
        let _ = progress;
    }
}

/// An observer that ignores all reports.
impl Observer for () {}

/// A line that gave no event. Its text is a message: `input:line: reason: detail`.
pub struct RefusedLine<'a> {
    /// The path of the file, or `stdin`.
    pub input: &'a str,
    /// The line in that file, from 1.
    pub line: u64,
    /// The reason, as counted in the summary.
    pub reason: RejectReason,
    /// A message: the field, what was found there, and what was expected.
    pub detail: &'a dyn Display,
}

impl Display for RefusedLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, line, reason, detail } = self;
        write!(f, "{}:{line}: {reason}: {detail}", Escaped(input))
    }
}

impl RunProgress {
    /// Counts a refused line.
    pub(super) fn count_refused(&mut self, reason: RejectReason) {
        self.refused.resize(RejectReason::ALL.len(), 0);
        if let Some(count) = self.refused.get_mut(reason.number()) {
            *count += 1;
        }
    }

    /// Returns the number of lines that gave an event.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Returns the number of lines that gave no event.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// Returns the number of refused lines for each reason that occurred.
    pub fn refused_by_reason(&self) -> impl Iterator<Item = (RejectReason, u64)> {
        RejectReason::ALL.iter().copied().zip(self.refused.iter().copied()).filter(|(_, n)| *n > 0)
    }

    /// Returns the number of events that passed unchecked, because the shared store of a `dedup`
    /// stage was unavailable.
    #[must_use]
    pub fn unchecked(&self) -> u64 {
        self.unchecked
    }

    /// Returns the bytes of input read, before decompression.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
