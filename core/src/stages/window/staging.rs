//! Partial state from other engines, staged until it is merged.
//!
//! Partials wait for the first window that needs them. They are then merged in the order of their
//! sources, independent of the order of arrival.

use core::ops::Range;
use std::collections::{BTreeMap, btree_map};

use crate::aggregates::Accumulators;
use crate::error::SnapshotError;
use crate::keys::{Keys, NONE};
use crate::snapshot::Codec;
use crate::stages::keyed::memory_budget::key_bytes;

/// A key in a partial, and the end of its session or the time of its last event, where the kind of
/// windows has either.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PartialKey {
    pub(super) key: u32,
    pub(super) end: i64,
}

/// The state of one slice or session start from one source, as sent by one exported partial state.
pub(super) struct StagedPartial {
    /// The position in the stream of the partial of the first key.
    pub(super) ordinal: u64,
    /// In the order of the keys' bytes; each key is retained.
    pub(super) keys: Vec<PartialKey>,
    /// The values of each key, with its index in `keys` as the slot.
    pub(super) values: Accumulators,
    /// Number of keys already merged; `keys[added]` is next.
    pub(super) added: usize,
}

/// The state of one key in a staged partial.
#[derive(Debug, Clone, Copy)]
pub(super) struct StagedKey {
    pub(super) key: u32,
    /// The slot of its values in the partial.
    pub(super) slot: u32,
    /// The end of the session, or the time of the last event.
    pub(super) end: i64,
    /// Its position in the stream.
    pub(super) ordinal: u64,
    pub(super) events: u64,
}

impl StagedPartial {
    /// Creates a partial without keys; `empty` is an empty accumulator of the stage.
    #[inline]
    pub(super) fn new(ordinal: u64, empty: Accumulators) -> Self {
        Self { ordinal, keys: Vec::new(), values: empty, added: 0 }
    }

    /// Returns the state of the next key.
    #[inline]
    pub(super) fn next(&self) -> Option<StagedKey> {
        let at = self.added;
        let PartialKey { key, end } = *self.keys.get(at)?;
        let slot = u32::try_from(at).unwrap_or(NONE);
        let ordinal = self.ordinal.saturating_add(at as u64);
        let events = self.values.events_in(slot);
        Some(StagedKey { key, slot, end, ordinal, events })
    }

    /// Returns the bytes counted for the entries `range`, whose keys are in `keys`.
    fn bytes_of(&self, range: Range<usize>, keys: &Keys) -> u64 {
        let slots = range.clone().map(|slot| u32::try_from(slot).unwrap_or(NONE));
        let entries = self.keys.get(range).unwrap_or_default().iter().zip(slots);
        let bytes = entries.map(|(row, slot)| {
            let values = self.values.slot_bytes() + self.values.variable_bytes(slot);
            STAGED_KEY_BYTES + key_bytes(row.key, keys) + values
        });
        bytes.fold(0, u64::saturating_add)
    }

    /// Writes the keys that are not merged yet, or reads keys into an empty partial.
    #[inline]
    fn fields(&mut self, have_ends: bool, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        let mut ordinal = self.ordinal.saturating_add(self.added as u64);
        codec.number(&mut ordinal)?;
        let mut keys = self.keys.get(self.added..).unwrap_or_default().to_vec();
        let slots = (0..).zip(&self.keys).skip(self.added).map(|(slot, _)| slot).collect();
        keys_and_values(&mut keys, slots, &mut self.values, have_ends, codec)?;
        if codec.reads() {
            (self.ordinal, self.keys) = (ordinal, keys);
        }
        Ok(())
    }
}

/// Writes `keys`, whose values are in `slots` of `values`, or reads them into the first slots.
#[inline]
pub(super) fn keys_and_values(
    keys: &mut Vec<PartialKey>,
    slots: Vec<u32>,
    values: &mut Accumulators,
    have_ends: bool,
    codec: &mut dyn Codec,
) -> Result<(), SnapshotError> {
    let mut columns = codec.rows(keys)?;
    columns.ascending_key(|row| &mut row.key)?;
    if have_ends {
        columns.number(|row| &mut row.end)?;
    }
    let slots = if codec.reads() { (0..).zip(keys).map(|(slot, _)| slot).collect() } else { slots };
    values.fields(&slots, codec)
}

/// The place of a partial in the order of merging: the start of its slice or sessions, then its
/// source, then the sequence number within that.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StagingKey {
    pub(super) start: i64,
    pub(super) source: Box<[u8]>,
    pub(super) sequence: u64,
}

impl StagingKey {
    /// Returns the bytes counted for a partial, without those of its keys.
    fn bytes(&self) -> u64 {
        PARTIAL_BYTES + self.source.len() as u64
    }
}

/// All staged partials.
#[derive(Default)]
pub(super) struct Staging {
    partials: BTreeMap<StagingKey, StagedPartial>,
    /// Number of staged keys, counted once for each partial that contains them.
    waiting_keys: usize,
    /// Number of staged keys for each end.
    ends: BTreeMap<i64, usize>,
    /// The bytes counted for all staged partials.
    bytes: u64,
}

/// Bytes counted for a staged partial in addition to its source and its keys.
const PARTIAL_BYTES: u64 = 160;
/// Bytes counted for a staged key in addition to those of a key and of its values.
const STAGED_KEY_BYTES: u64 = 32;

impl Staging {
    /// Returns true if no partial is staged.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.partials.is_empty()
    }

    /// Returns the number of staged keys, counted once for each partial.
    #[inline]
    pub(super) fn waiting_keys(&self) -> usize {
        self.waiting_keys
    }

    /// Returns the bytes counted for the staged partials.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Stages `partial`, whose keys are in `keys`.
    pub(super) fn push(&mut self, key: StagingKey, partial: StagedPartial, keys: &Keys) {
        self.waiting_keys += partial.keys.len() - partial.added;
        let of_keys: u64 = partial.bytes_of(partial.added..partial.keys.len(), keys);
        self.bytes = self.bytes.saturating_add(key.bytes()).saturating_add(of_keys);
        for row in partial.keys.iter().skip(partial.added) {
            *self.ends.entry(row.end).or_default() += 1;
        }
        self.partials.insert(key, partial);
    }

    /// Returns the start of the first staged slice or session.
    #[inline]
    pub(super) fn first(&self) -> Option<i64> {
        self.partials.first_key_value().map(|(key, _)| key.start)
    }

    /// Returns the earliest end of a staged session.
    #[inline]
    pub(super) fn first_end(&self) -> Option<i64> {
        self.ends.first_key_value().map(|(end, _)| *end)
    }

    /// Removes the first partial, to be merged and handed to [`Staging::put_back`].
    pub(super) fn take_first(&mut self) -> Option<(StagingKey, StagedPartial)> {
        self.partials.pop_first()
    }

    /// Returns the remainder of a partial to the queue, after its keys from `from` to `added` were
    /// merged. They are in `keys`.
    #[inline]
    pub(super) fn put_back(
        &mut self,
        key: StagingKey,
        partial: StagedPartial,
        from: usize,
        keys: &Keys,
    ) {
        let added = partial.added - from;
        self.bytes = self.bytes.saturating_sub(partial.bytes_of(from..partial.added, keys));
        self.waiting_keys -= added;
        for row in partial.keys.iter().skip(from).take(added) {
            if let btree_map::Entry::Occupied(mut count) = self.ends.entry(row.end) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        if partial.added < partial.keys.len() {
            self.partials.insert(key, partial);
        } else {
            self.bytes = self.bytes.saturating_sub(key.bytes());
        }
    }

    /// Writes the staged partials, or reads them; `empty` is an empty accumulator of the stage.
    #[inline]
    pub(super) fn fields(
        &mut self,
        empty: &Accumulators,
        have_ends: bool,
        codec: &mut dyn Codec,
    ) -> Result<(), SnapshotError> {
        let count = codec.length(self.partials.len())?;
        if !codec.reads() {
            return self.partials.iter_mut().try_for_each(|(key, partial)| {
                staged_fields(&mut key.clone(), partial, have_ends, codec)
            });
        }
        for _ in 0..count {
            let mut key = StagingKey::default();
            let mut partial = StagedPartial::new(0, empty.clone());
            staged_fields(&mut key, &mut partial, have_ends, codec)?;
            if let Some(keys) = codec.keys() {
                partial.keys.iter().for_each(|row| keys.retain(row.key));
                self.push(key, partial, keys);
            }
        }
        Ok(())
    }
}

#[inline]
fn staged_fields(
    key: &mut StagingKey,
    partial: &mut StagedPartial,
    have_ends: bool,
    codec: &mut dyn Codec,
) -> Result<(), SnapshotError> {
    codec.number(&mut key.start)?;
    codec.bytes(&mut key.source)?;
    codec.number(&mut key.sequence)?;
    partial.fields(have_ends, codec)
}
