//! Parts of windows that other engines have sent, until they are added.
//!
//! They wait for the first window that needs them, so that they can be added in the order of their sources, whatever the
//! order in which they came.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::accumulator::Accumulators;
use crate::error::SnapshotError;
use crate::keys::{Keys, NONE};
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
            if let Entry::Occupied(mut count) = self.ends.entry(*end) {
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
