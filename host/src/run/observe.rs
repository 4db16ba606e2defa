//! What a run tells while it is under way.

use std::fmt::Display;

use stream_processor_core::RejectReason;

use super::tally::Tally;

/// Hears of a run while it is under way; both methods do nothing unless written otherwise.
pub trait Observer {
    /// A line was refused.
    fn refused(&mut self, line: &RefusedLine<'_>) {
        let _ = line;
    }

    /// A batch was sent on its way, or the input pauses.
    fn progress(&mut self, tally: &Tally) {
        let _ = tally;
    }
}

/// Nobody listens.
impl Observer for () {}

/// A line that gave no event.
pub struct RefusedLine<'a> {
    /// The file, or `stdin`.
    pub input: &'a str,
    /// The line in that file, from 1.
    pub line: u64,
    /// Why.
    pub reason: RejectReason,
    /// The same in words: the field, what was found, and what would be right.
    pub detail: &'a dyn Display,
}
