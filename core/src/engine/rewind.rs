//! Calls that end in the middle of a chunk: the source goes back to before the first event that was not taken.

use core::ops::Range;

use super::{Engine, Progress, Pushed};
use crate::data::batch::Batch;
use crate::data::frame::{Events, Frame};
use crate::error::Error;
use crate::event_time::EventTime;
use crate::event_time::watermark::Generator;
use crate::stages::Refusal;

/// What the source was before a chunk.
pub(super) struct Mark {
    stream: Generator,
    /// Where the stream's watermark is not all there is to it.
    time: Option<EventTime>,
    next_ordinal: u64,
    accepted: u64,
    rejected: Vec<u64>,
    /// Dropped events that wait.
    drops: usize,
}

impl Engine {
    pub(super) fn mark(&self) -> Mark {
        let source = &self.source;
        Mark {
            stream: source.time.stream.clone(),
            time: (!source.time.is_simple()).then(|| source.time.clone()),
            next_ordinal: source.next_ordinal,
            accepted: source.accepted,
            rejected: source.rejected.clone(),
            drops: self.drops.waiting().len(),
        }
    }

    /// Ends a call that has taken `taken` of the events of `chunk`, and says why. The others are as good as never seen.
    pub(super) fn stop(
        &mut self,
        batch: &Batch<'_>,
        chunk: Range<usize>,
        taken: usize,
        refusal: Option<Refusal>,
        before: Mark,
    ) -> Result<Pushed, Error> {
        let consumed = chunk.start.saturating_add(taken);
        if consumed < chunk.end {
            self.rewind(batch, chunk.start..consumed, before);
        }
        // What the events that were taken have made due is all that is left to do.
        let rest = Events::none(self.source.watermark());
        self.pending = Some(Frame::rest_of(&rest, 0, &mut self.keys));
        match refusal {
            Some(refusal) if refusal.dropped => return Err(self.refused(refusal, consumed)),
            None => return Ok(Pushed { consumed, full: true }),
            Some(_) => {}
        }
        match self.resume() {
            // It comes to the refused event again when it is pushed again.
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

    /// Has the source see no more of a chunk than the events of `taken`.
    fn rewind(&mut self, batch: &Batch<'_>, taken: Range<usize>, before: Mark) {
        let Mark { stream, time, next_ordinal, accepted, rejected, drops } = before;
        if let Some(time) = time {
            self.source.time = time;
        }
        self.source.time.stream = stream;
        self.source.next_ordinal = next_ordinal;
        self.source.accepted = accepted;
        self.source.rejected = rejected;
        let all = self.source.judge(batch, taken.clone());
        let refused = if all { Vec::new() } else { self.source.scratch.refused.clone() };
        for (place, event) in taken.enumerate() {
            let ordinal = batch.ordinals.and_then(|ordinals| ordinals.get(event)).copied();
            let ordinal = ordinal.unwrap_or(self.source.next_ordinal);
            self.source.next_ordinal = ordinal.saturating_add(1);
            let reason = refused.iter().find(|(refused, _)| *refused == place);
            self.source.count(reason.map(|(_, reason)| *reason));
        }
        let end = self.source.next_ordinal;
        self.drops.forget_refused(drops, end);
    }
}
