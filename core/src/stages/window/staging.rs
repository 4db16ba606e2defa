//! Parts of windows that other engines have sent, until they are added.
//!
//! They wait for the first window that needs them, so that they can be added in the order of their sources, whatever the
//! order in which they came.

use std::collections::{BTreeMap, btree_map};

use super::Context;
use super::accumulator::Accumulators;
use crate::data::dropped::Dropped;
use crate::data::reject::RejectReason;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::keys::{Keys, NONE};
use crate::plan::{Caps, Limit};
use crate::snapshot::{SectionReader, SectionWriter};

/// What one slice holds of the events of one source, between two of its partial states.
pub(super) struct Part {
    /// The place in the stream of the first key's part.
    pub(super) ordinal: u64,
    /// Ids, in the order of the keys' bytes; each is retained.
    pub(super) keys: Vec<u32>,
    /// By the place in `keys`: the end of the session, or the time of the last event. Empty where slices say it.
    pub(super) ends: Vec<i64>,
    /// By the place in `keys`.
    pub(super) values: Accumulators,
    /// Those of the keys before it have been added.
    pub(super) done: usize,
}

impl Part {
    /// What it holds of the next key.
    pub(super) fn next(&self) -> Option<Entry> {
        let at = self.done;
        let key = *self.keys.get(at)?;
        let place = u32::try_from(at).unwrap_or(NONE);
        let ordinal = self.ordinal.saturating_add(at as u64);
        let events = self.values.events_in(place);
        Some(Entry { key, place, end: self.ends.get(at).copied(), ordinal, events })
    }
}

/// What a part holds of one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: u32,
    /// Where its values are.
    pub(super) place: u32,
    /// The end of the session, or the time of the last event, where the part has it.
    pub(super) end: Option<i64>,
    /// Its place in the stream.
    pub(super) ordinal: u64,
    pub(super) events: u64,
}

/// Why something is not added.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unplaced {
    Late,
    Limit(Limit),
}

/// Where something is not added.
pub(super) struct Turning<'a> {
    pub(super) stage: u32,
    pub(super) caps: &'a Caps,
    pub(super) stats: &'a mut StageStats,
    /// The watermark that it is judged by.
    pub(super) met: i64,
    pub(super) window_end: Option<i64>,
}

impl Turning<'_> {
    /// Drops `entry`, which nobody could be given back; false: that is to be said, and the call ends.
    pub(super) fn drop(self, entry: Entry, why: Unplaced, context: &mut Context<'_>) -> bool {
        let Self { stage, caps, stats, met: watermark, window_end } = self;
        let ordinal = entry.ordinal;
        let (reason, goes_on) = match why {
            Unplaced::Late => (RejectReason::Late, true),
            Unplaced::Limit(limit) => {
                let outcome = context.apply_limit(limit, caps.policy(limit), stage, ordinal);
                (limit.reason(), outcome.continues())
            }
        };
        stats.count_dropped(reason, entry.events);
        let stage = Some(stage);
        context.drops.push(Dropped { ordinal, reason, stage, watermark, window_end });
        goes_on
    }
}

/// The start of a slice or a session, a source and a sequence.
type Place = (i64, Box<[u8]>, u64);

/// All parts that wait.
#[derive(Default)]
pub(super) struct Staging {
    parts: BTreeMap<Place, Part>,
    /// Keys in them, each as often as it is there.
    waiting: usize,
    /// How many of them have each end.
    ends: BTreeMap<i64, usize>,
}

impl Staging {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn push(&mut self, place: Place, part: Part) {
        self.waiting += part.keys.len() - part.done;
        for end in part.ends.iter().skip(part.done) {
            *self.ends.entry(*end).or_default() += 1;
        }
        self.parts.insert(place, part);
    }

    /// The start of the first of them.
    pub(super) fn first(&self) -> Option<i64> {
        self.parts.first_key_value().map(|((slice, _, _), _)| *slice)
    }

    /// The earliest end of those that have one.
    pub(super) fn first_end(&self) -> Option<i64> {
        self.ends.first_key_value().map(|(end, _)| *end)
    }

    /// Takes the first of them out, until [`Staging::put_back`].
    pub(super) fn take_first(&mut self) -> Option<(Place, Part)> {
        self.parts.pop_first()
    }

    /// Keeps what is left of the part that was taken out when those of its keys before `from` had been added.
    pub(super) fn put_back(&mut self, place: Place, part: Part, from: usize) {
        let added = part.done - from;
        self.waiting -= added;
        for end in part.ends.iter().skip(from).take(added) {
            if let btree_map::Entry::Occupied(mut count) = self.ends.entry(*end) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        if part.done < part.keys.len() {
            self.parts.insert(place, part);
        }
    }

    pub(super) fn save(&self, positions: &[u32], writer: &mut SectionWriter<'_>) {
        writer.length(self.parts.len());
        for ((slice, source, sequence), part) in &self.parts {
            writer.i64(*slice);
            writer.length(source.len());
            writer.raw(source);
            writer.u64(*sequence);
            writer.u64(part.ordinal.saturating_add(part.done as u64));
            let keys = part.keys.get(part.done..).unwrap_or_default();
            writer.length(keys.len());
            let position = |key: &u32| positions.get(*key as usize).copied().unwrap_or(NONE);
            writer.u32s(keys.iter().map(position));
            writer.i64s(part.ends.iter().skip(part.done).copied());
            let slots = (0..).zip(&part.keys).skip(part.done).map(|(slot, _)| slot);
            part.values.save(&slots.collect::<Vec<u32>>(), writer);
        }
    }

    /// Reads what [`Staging::save`] wrote; `empty` is an accumulator like those of the parts.
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
            let part = read_part(ordinal, reader, ids, empty, have_ends)?;
            part.keys.iter().for_each(|key| keys.retain(*key));
            self.push((slice, source, sequence), part);
        }
        Ok(())
    }
}

/// Reads the keys of a part, and what it holds of each.
pub(super) fn read_part(
    ordinal: u64,
    reader: &mut SectionReader<'_>,
    ids: &[u32],
    empty: &Accumulators,
    has_ends: bool,
) -> Result<Part, SnapshotError> {
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
    Ok(Part { ordinal, keys, ends, values, done: 0 })
}
