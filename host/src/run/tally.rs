//! Counts of what the parser has seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stream_processor_core::RejectReason;

/// What was read so far.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub(super) accepted: u64,
    /// Refused lines, in the order of [`RejectReason::ALL`].
    refused: Vec<u64>,
    pub(super) bytes: Arc<AtomicU64>,
}

impl Tally {
    pub(super) fn refuse(&mut self, reason: RejectReason) {
        self.refused.resize(RejectReason::ALL.len(), 0);
        if let Some(count) = self.refused.get_mut(reason.number()) {
            *count += 1;
        }
    }

    /// Lines that gave an event.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Lines that gave none.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// Lines that gave none, by reason; only reasons that occurred.
    pub fn refused_by_reason(&self) -> impl Iterator<Item = (RejectReason, u64)> {
        RejectReason::ALL.iter().copied().zip(self.refused.iter().copied()).filter(|(_, n)| *n > 0)
    }

    /// Bytes of input, as stored.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
