//! Calls that end in the middle of a chunk: the source is restored to the first event that was not
//! taken.

use core::ops::Range;

use super::source::{ChunkCheck, ordinal_after};
use super::{Engine, Progress, Pushed};
use crate::data::batch::Batch;
use crate::data::frame::{Events, Frame};
use crate::error::Error;
use crate::event_time::EventTime;
use crate::event_time::watermark::Generator;
use crate::stages::Refusal;

/// The state of the source before a chunk.
pub(super) struct SourceCheckpoint {
    stream: Generator,
    /// The event time, if it has more state than the stream's watermark.
    time: Option<EventTime>,
    next_ordinal: u64,
    accepted: u64,
    rejected: Vec<u64>,
    /// The number of dropped events that waited.
    drops: usize,
}

impl Engine {
    pub(super) fn source_checkpoint(&self) -> SourceCheckpoint {
        let source = &self.source;
        SourceCheckpoint {
            stream: source.time.stream.clone(),
            time: (!source.time.is_simple()).then(|| source.time.clone()),
            next_ordinal: source.next_ordinal,
            accepted: source.accepted,
            rejected: source.rejected.clone(),
            drops: self.drops.waiting().len(),
        }
    }

    /// Ends a call that has taken `taken` events of `chunk`. The source is restored as if the other
    /// events had not arrived.
    pub(super) fn end_call_early(
        &mut self,
        batch: &Batch<'_>,
        chunk: Range<usize>,
        taken: usize,
        refusal: Option<Refusal>,
        before: SourceCheckpoint,
    ) -> Result<Pushed, Error> {
        let consumed = chunk.start.saturating_add(taken);
        if consumed < chunk.end {
            self.rewind(batch, chunk.start..consumed, before);
        }
        // Only the firings caused by the taken events remain to be processed.
        let no_events = Events::none(self.source.watermark());
        self.pending = Some(Frame::copy_remaining(&no_events, 0, &mut self.keys));
        match refusal {
            Some(refusal) if refusal.dropped => return Err(self.refused(refusal, consumed)),
            None => return Ok(Pushed { consumed, full: true }),
            Some(_) => {}
        }
        match self.resume() {
            // The refused event reaches the limit again when the caller pushes it again.
            Ok(Progress::Full) => return Ok(Pushed { consumed, full: true }),
            Err(Error::LimitReached(earlier)) => {
                return Err(Error::LimitReached(crate::LimitReached { consumed, ..earlier }));
            }
            _ => {}
        }
        match refusal {
            Some(refusal) => Err(self.refused(refusal, consumed)),
            None => Ok(Pushed { consumed, full: true }),
        }
    }

    /// Restores the source and lets it take only the events of `taken` again.
    fn rewind(&mut self, batch: &Batch<'_>, taken: Range<usize>, before: SourceCheckpoint) {
        let SourceCheckpoint { stream, time, next_ordinal, accepted, rejected: counts, drops } =
            before;
        if let Some(time) = time {
            self.source.time = time;
        }
        self.source.time.stream = stream;
        self.source.next_ordinal = next_ordinal;
        self.source.accepted = accepted;
        self.source.rejected = counts;
        let rejected = match self.source.assign_watermarks(batch, taken.clone()) {
            ChunkCheck::AllAccepted => Vec::new(),
            ChunkCheck::SomeRejected => self.source.scratch.rejected.clone(),
        };
        for (index, event) in taken.enumerate() {
            let ordinal = batch.ordinals.and_then(|ordinals| ordinals.get(event)).copied();
            let ordinal = ordinal.unwrap_or(self.source.next_ordinal);
            self.source.next_ordinal = ordinal_after(ordinal, 1);
            let reason = rejected.iter().find(|(rejected, _)| *rejected == index);
            self.source.count(reason.map(|(_, reason)| *reason));
        }
        let end = self.source.next_ordinal;
        self.drops.discard_rejected(drops, end);
    }
}
