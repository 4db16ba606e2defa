//! The path of a checked batch, chunk by chunk, into the first stage.

use core::ops::Range;

use super::flow::ChunkOutcome;
use super::source::{ChunkCheck, Source, ordinal_after};
use super::{Engine, Progress, Pushed};
use crate::data::batch::{Batch, Column, Identity, KeyColumn};
use crate::data::dropped::Dropped;
use crate::data::frame::{ColumnView, Events, Identities, Ordinals, RowOrder};
use crate::data::reject::RejectReason;
use crate::error::Error;
use crate::keys::{KeyLengths, TOO_LONG};

/// The number of events in a chunk. Its columns stay in the second-level cache: 1,024 to 4,096
/// measured alike in the module.
pub(super) const CHUNK_EVENTS: usize = 4096;

#[derive(Default)]
pub(super) struct Scratch {
    /// The engine's ids of the batch's keys, unless `same_ids` is set: then they equal those of the
    /// batch.
    pub(super) keys: Vec<u32>,
    pub(super) same_ids: bool,
    pub(super) key_lengths: KeyLengths,
    /// The engine's ids of the batch's partitions.
    pub(super) partitions: Vec<u32>,
    pub(super) partition_lengths: KeyLengths,
    pub(super) watermarks: Vec<i64>,
    /// The events of a chunk that are rejected, or too far in the future, by their index in the
    /// chunk.
    pub(super) rejected: Vec<(usize, RejectReason)>,
    accepted: AcceptedEvents,
}

/// The accepted events of a chunk in which some are rejected.
#[derive(Default)]
struct AcceptedEvents {
    /// The index of each event in the chunk.
    indexes: Vec<usize>,
    timestamps: Vec<i64>,
    keys: Vec<u32>,
    watermarks: Vec<i64>,
    ordinals: Vec<u64>,
    columns: Vec<Vec<f64>>,
    identities: Vec<Vec<Identity>>,
}

impl Engine {
    /// Processes a checked batch, chunk by chunk.
    pub(super) fn push_admitted(&mut self, batch: &Batch<'_>) -> Result<Pushed, Error> {
        if self.resume()? == Progress::Full {
            return Ok(Pushed { consumed: 0, full: true });
        }
        let events = batch.timestamps.len();
        let max_drops = self.plan.limits.max_dropped_events as usize;
        let mut at = 0;
        while at < events {
            if self.drops.waiting().len() >= max_drops || self.work.is_spent() {
                return Ok(Pushed { consumed: at, full: true });
            }
            let end = events.min(at + self.chunk_events);
            let before = self.plan.refuses.then(|| self.source_checkpoint());
            let outcome = match self.source.assign_watermarks(batch, at..end) {
                ChunkCheck::AllAccepted => self.push_in_place(batch, at..end)?,
                ChunkCheck::SomeRejected => self.push_accepted(batch, at..end)?,
            };
            match (outcome, before) {
                (ChunkOutcome::Done, _) => at = end,
                (ChunkOutcome::Stopped(taken, refusal), Some(before)) => {
                    return self.end_call_early(batch, at..end, taken, refusal, before);
                }
                (ChunkOutcome::Stopped(..), None) => {
                    return Ok(Pushed { consumed: end, full: true });
                }
            }
        }
        Ok(Pushed { consumed: events, full: false })
    }

    /// Sends `events` through the stages. If no limit has the policy `refuse`, unprocessed events
    /// are stored.
    fn send(&mut self, events: &Events<'_>) -> Result<ChunkOutcome, Error> {
        if self.plan.refuses {
            return Ok(self.flow_without_storing(events));
        }
        Ok(match self.flow(events)? {
            Progress::Done => ChunkOutcome::Done,
            Progress::Full => ChunkOutcome::Stopped(events.timestamps.len(), None),
        })
    }

    /// Processes a chunk without rejected events: its columns are used where they are, without a copy.
    fn push_in_place(
        &mut self,
        batch: &Batch<'_>,
        range: Range<usize>,
    ) -> Result<ChunkOutcome, Error> {
        let timestamps = batch.timestamps.get(range.clone()).unwrap_or_default();
        let listed = batch.ordinals.and_then(|ordinals| ordinals.get(range.clone()));
        let ordinals = listed.map_or(Ordinals::From(self.source.next_ordinal), Ordinals::Listed);
        self.source.count_accepted(listed, range.len());
        let columns = batch.columns.iter().map(|Column::F64(values)| {
            ColumnView::Number(values.get(range.clone()).unwrap_or_default())
        });
        let columns: Vec<_> = columns.collect();
        let scratch = core::mem::take(&mut self.source.scratch);
        let outcome = self.send(&Events {
            timestamps,
            keys: scratch.keys_of(batch, range.clone()),
            watermarks: &scratch.watermarks,
            ordinals,
            order: RowOrder::default(),
            columns: &columns,
            identities: Identities::Batch(batch.identities, range.start, range.end),
            watermark: self.source.watermark(),
        });
        self.source.scratch = scratch;
        outcome
    }

    /// Processes a chunk with rejected events: the accepted ones are copied together. If the stages
    /// stop at one of them, the events of the chunk before that one are taken.
    #[cold]
    fn push_accepted(
        &mut self,
        batch: &Batch<'_>,
        range: Range<usize>,
    ) -> Result<ChunkOutcome, Error> {
        let mut scratch = core::mem::take(&mut self.source.scratch);
        let mut accepted = core::mem::take(&mut scratch.accepted);
        accepted.clear(batch.columns.len(), batch.identities.len());
        let mut rejected = scratch.rejected.iter().copied().peekable();
        let keys = scratch.keys_of(batch, range.clone());
        let length = range.len();
        let events = range.zip(keys).zip(&scratch.watermarks).enumerate();
        for (index, ((event, key), watermark)) in events {
            let ordinal = batch.ordinals.and_then(|ordinals| ordinals.get(event)).copied();
            let ordinal = ordinal.unwrap_or(self.source.next_ordinal);
            self.source.next_ordinal = ordinal_after(ordinal, 1);
            let reason = rejected.next_if(|(rejected, _)| *rejected == index);
            let reason = reason.map(|(_, reason)| reason);
            self.source.count(reason);
            if let Some(reason) = reason {
                let watermark = *watermark;
                let dropped = Dropped { ordinal, reason, stage: None, watermark, window_end: None };
                self.drops.push(dropped);
                continue;
            }
            let timestamp = batch.timestamps.get(event).copied().unwrap_or_default();
            accepted.push(index, timestamp, *key, *watermark, ordinal);
            for (column, Column::F64(values)) in accepted.columns.iter_mut().zip(batch.columns) {
                column.push(values.get(event).copied().unwrap_or(f64::NAN));
            }
            for (identities, column) in accepted.identities.iter_mut().zip(batch.identities) {
                identities.extend(column.get(event));
            }
        }
        let columns: Vec<_> =
            accepted.columns.iter().map(|values| ColumnView::Number(values)).collect();
        let outcome = self.send(&Events {
            timestamps: &accepted.timestamps,
            keys: &accepted.keys,
            watermarks: &accepted.watermarks,
            ordinals: Ordinals::Listed(&accepted.ordinals),
            order: RowOrder::default(),
            columns: &columns,
            identities: Identities::Frame(&accepted.identities),
            watermark: self.source.watermark(),
        });
        drop(columns);
        let outcome = outcome.map(|outcome| match outcome {
            ChunkOutcome::Stopped(taken, refusal) => ChunkOutcome::Stopped(
                accepted.indexes.get(taken).copied().unwrap_or(length),
                refusal,
            ),
            done => done,
        });
        self.source.scratch = Scratch { accepted, ..scratch };
        outcome
    }
}

impl Source {
    pub(super) fn count_rejected(&mut self, reason: RejectReason) {
        if let Some(count) = self.rejected.get_mut(reason.number()) {
            *count += 1;
        }
    }

    /// Counts an event that is rejected for `reason`, or accepted.
    pub(super) fn count(&mut self, reason: Option<RejectReason>) {
        match reason {
            // The event is valid, its sender's clock is wrong; [`EventTime`] has counted it.
            None | Some(RejectReason::Future) => self.accepted += 1,
            Some(reason) => self.count_rejected(reason),
        }
    }

    fn count_accepted(&mut self, listed: Option<&[u64]>, events: usize) {
        self.accepted += events as u64;
        self.next_ordinal = match listed.and_then(<[u64]>::last) {
            Some(last) => ordinal_after(*last, 1),
            None => ordinal_after(self.next_ordinal, events as u64),
        };
    }
}

impl Scratch {
    /// Returns true if events of the batch are rejected for their key or partition.
    pub(super) fn has_long_keys(&self) -> bool {
        [self.key_lengths, self.partition_lengths].contains(&KeyLengths::SomeTooLong)
    }

    /// Returns the reason to reject the event at `event` of the batch for its key or partition.
    pub(super) fn key_rejection(&self, event: usize) -> Option<RejectReason> {
        let is_too_long = |ids: &Vec<u32>| ids.get(event) == Some(&TOO_LONG);
        let is_rejected =
            (!self.same_ids && is_too_long(&self.keys)) || is_too_long(&self.partitions);
        is_rejected.then_some(RejectReason::KeyTooLong)
    }

    /// Returns the engine's ids of the keys of the events of `range`.
    fn keys_of<'a>(&'a self, batch: &Batch<'a>, range: Range<usize>) -> &'a [u32] {
        match batch.keys {
            KeyColumn::Ids(ids) if self.same_ids => ids.get(range).unwrap_or_default(),
            _ => self.keys.get(range).unwrap_or_default(),
        }
    }
}

impl AcceptedEvents {
    fn clear(&mut self, columns: usize, identity_columns: usize) {
        self.indexes.clear();
        self.timestamps.clear();
        self.keys.clear();
        self.watermarks.clear();
        self.ordinals.clear();
        self.columns.resize_with(columns, Vec::new);
        self.columns.iter_mut().for_each(Vec::clear);
        self.identities.resize_with(identity_columns, Vec::new);
        self.identities.iter_mut().for_each(Vec::clear);
    }

    fn push(&mut self, index: usize, timestamp: i64, key: u32, watermark: i64, ordinal: u64) {
        self.indexes.push(index);
        self.timestamps.push(timestamp);
        self.keys.push(key);
        self.watermarks.push(watermark);
        self.ordinals.push(ordinal);
    }
}
