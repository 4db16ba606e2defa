//! Partial state from other engines, staged until it is merged.
//!
//! Partials wait for the first window that needs them. They are then merged in the order of their
//! sources, independent of the order of arrival.

use std::collections::{BTreeMap, btree_map};

use crate::aggregates::Accumulators;
use crate::data::dropped::Dropped;
use crate::data::reject::RejectReason;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::keys::{Keys, NONE};
use crate::plan::{Caps, Limit};
use crate::snapshot::{SectionReader, SectionWriter};
use crate::stages::Context;

/// The state of one slice or session start from one source, as sent by one exported partial state.
pub(super) struct StagedPartial {
    /// The position in the stream of the partial of the first key.
    pub(super) ordinal: u64,
    /// Ids in the order of the keys' bytes; each is retained.
    pub(super) keys: Vec<u32>,
    /// For each key the end of its session, or the time of its last event. Empty for slices, whose
    /// end is known.
    pub(super) ends: Vec<i64>,
    /// The values of each key, with its index in `keys` as the slot.
    pub(super) values: Accumulators,
    /// Number of keys already merged; `keys[added]` is next.
    pub(super) added: usize,
}

impl StagedPartial {
    /// Returns the state of the next key.
    pub(super) fn next(&self) -> Option<StagedKey> {
        let at = self.added;
        let key = *self.keys.get(at)?;
        let slot = u32::try_from(at).unwrap_or(NONE);
        let ordinal = self.ordinal.saturating_add(at as u64);
        let events = self.values.events_in(slot);
        Some(StagedKey { key, slot, end: self.ends.get(at).copied(), ordinal, events })
    }
}

/// The state of one key in a staged partial.
#[derive(Debug, Clone, Copy)]
pub(super) struct StagedKey {
    pub(super) key: u32,
    /// The slot of its values in the partial.
    pub(super) slot: u32,
    /// The end of the session, or the time of the last event, where the partial has it.
    pub(super) end: Option<i64>,
    /// Its position in the stream.
    pub(super) ordinal: u64,
    pub(super) events: u64,
}

/// The reason why the state of a key cannot be merged.
#[derive(Debug, Clone, Copy)]
pub(super) enum NotAdded {
    Late,
    Limit(Limit),
}

/// The stage and window from which the state of a key is dropped.
pub(super) struct DroppedPartial<'a> {
    pub(super) stage: u32,
    pub(super) caps: &'a Caps,
    pub(super) stats: &'a mut StageStats,
    /// The watermark it was judged by.
    pub(super) watermark: i64,
    pub(super) window_end: Option<i64>,
}

impl DroppedPartial<'_> {
    /// Counts and reports `entry` as dropped: its events were taken by another engine and cannot be
    /// given back. Returns false if the limit's policy ends the call.
    pub(super) fn report(self, entry: StagedKey, why: NotAdded, context: &mut Context<'_>) -> bool {
        let Self { stage, caps, stats, watermark, window_end } = self;
        let ordinal = entry.ordinal;
        let (reason, continues) = match why {
            NotAdded::Late => (RejectReason::Late, true),
            NotAdded::Limit(limit) => {
                let outcome = context.apply_limit(limit, caps.policy(limit), stage, ordinal);
                (limit.reason(), outcome.continues())
            }
        };
        stats.count_dropped(reason, entry.events);
        let stage = Some(stage);
        context.drops.push(Dropped { ordinal, reason, stage, watermark, window_end });
        continues
    }
}

/// The start of a slice or session, then the source, then the sequence number within it.
type StagingKey = (i64, Box<[u8]>, u64);

/// All staged partials.
#[derive(Default)]
pub(super) struct Staging {
    partials: BTreeMap<StagingKey, StagedPartial>,
    /// Number of staged keys, counted once for each partial that contains them.
    waiting_keys: usize,
    /// Number of staged sessions for each end.
    ends: BTreeMap<i64, usize>,
}

impl Staging {
    /// Returns true if no partial is staged.
    pub(super) fn is_empty(&self) -> bool {
        self.partials.is_empty()
    }

    /// Returns the number of staged keys, counted once for each partial.
    pub(super) fn waiting_keys(&self) -> usize {
        self.waiting_keys
    }

    /// Stages `partial`.
    pub(super) fn push(&mut self, key: StagingKey, partial: StagedPartial) {
        self.waiting_keys += partial.keys.len() - partial.added;
        for end in partial.ends.iter().skip(partial.added) {
            *self.ends.entry(*end).or_default() += 1;
        }
        self.partials.insert(key, partial);
    }

    /// Returns the start of the first staged slice or session.
    pub(super) fn first(&self) -> Option<i64> {
        self.partials.first_key_value().map(|((slice, _, _), _)| *slice)
    }

    /// Returns the earliest end of a staged session.
    pub(super) fn first_end(&self) -> Option<i64> {
        self.ends.first_key_value().map(|(end, _)| *end)
    }

    /// Removes the first partial, to be merged and handed to [`Staging::put_back`].
    pub(super) fn take_first(&mut self) -> Option<(StagingKey, StagedPartial)> {
        self.partials.pop_first()
    }

    /// Returns the remainder of a partial to the queue, after its keys from `from` to `added` were
    /// merged.
    pub(super) fn put_back(&mut self, key: StagingKey, partial: StagedPartial, from: usize) {
        let added = partial.added - from;
        self.waiting_keys -= added;
        for end in partial.ends.iter().skip(from).take(added) {
            if let btree_map::Entry::Occupied(mut count) = self.ends.entry(*end) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        if partial.added < partial.keys.len() {
            self.partials.insert(key, partial);
        }
    }

    /// Writes the staged partials; keys are written as `positions[id]`.
    pub(super) fn save(&self, positions: &[u32], writer: &mut SectionWriter<'_>) {
        writer.length(self.partials.len());
        for ((slice, source, sequence), partial) in &self.partials {
            writer.i64(*slice);
            writer.length(source.len());
            writer.raw(source);
            writer.u64(*sequence);
            writer.u64(partial.ordinal.saturating_add(partial.added as u64));
            let keys = partial.keys.get(partial.added..).unwrap_or_default();
            writer.length(keys.len());
            let position = |key: &u32| positions.get(*key as usize).copied().unwrap_or(NONE);
            writer.u32s(keys.iter().map(position));
            writer.i64s(partial.ends.iter().skip(partial.added).copied());
            let slots = (0..).zip(&partial.keys).skip(partial.added).map(|(slot, _)| slot);
            partial.values.save(&slots.collect::<Vec<u32>>(), writer);
        }
    }

    /// Reads what [`Staging::save`] wrote; `empty` is an empty accumulator of the stage.
    pub(super) fn load(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
        empty: &Accumulators,
        have_ends: bool,
    ) -> Result<(), SnapshotError> {
        for _ in 0..reader.length()? {
            let slice = reader.i64()?;
            let length = reader.length()?;
            let source = reader.raw(length)?.into();
            let sequence = reader.u64()?;
            let ordinal = reader.u64()?;
            let partial = read_partial(ordinal, reader, ids, empty, have_ends)?;
            partial.keys.iter().for_each(|key| keys.retain(*key));
            self.push((slice, source, sequence), partial);
        }
        Ok(())
    }
}

/// Reads the keys of a partial and their values.
pub(super) fn read_partial(
    ordinal: u64,
    reader: &mut SectionReader<'_>,
    ids: &[u32],
    empty: &Accumulators,
    has_ends: bool,
) -> Result<StagedPartial, SnapshotError> {
    let count = reader.length()?;
    let positions: Vec<u32> = reader.u32s(count)?.collect();
    if !positions.is_sorted_by(|a, b| a < b) {
        return Err(SnapshotError::Damaged("the keys of a part are out of order"));
    }
    let key = |position: &u32| ids.get(*position as usize).copied();
    let keys: Option<Vec<u32>> = positions.iter().map(key).collect();
    let keys = keys.ok_or(SnapshotError::Damaged("a part of a key that is not there"))?;
    let ends = if has_ends { reader.i64s(count)?.collect() } else { Vec::new() };
    let slots: Vec<u32> = (0..).zip(&keys).map(|(slot, _)| slot).collect();
    let mut values = empty.clone();
    values.load(&slots, reader)?;
    Ok(StagedPartial { ordinal, keys, ends, values, added: 0 })
}
