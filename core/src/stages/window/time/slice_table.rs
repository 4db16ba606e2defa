//! The slice table: the open slices, and the slots of all keys in them.

use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};

use super::slice::Slice;
use crate::error::SnapshotError;
use crate::keys::{Keys, NONE};
use crate::plan::{Caps, Grid, Limit, within};
use crate::snapshot::Codec;
use crate::stages::keyed::slots::Slots;
use crate::stages::keyed::state::KeyedState;

/// After this many known keys in a row, the fast path of
/// [`SlotLookup`](super::slot_lookup::SlotLookup) is worth another try.
const MAX_KNOWN_IN_A_ROW: usize = 20;

/// The slices with events, by start. Each key has a slot in every slice with events of it.
///
/// Windows that are being emitted have slots too, which are in no slice.
pub(super) struct SliceTable {
    by_start: BTreeMap<i64, Slice>,
    /// The key of each slot.
    slot_keys: Slots<u32>,
    /// The number of slices of each key.
    keyed: KeyedState,
    /// Kept if slices may be evicted.
    eviction: Option<EvictionIndex>,
}

/// Finds the slices of a key, and the slot of a key in its slice's list, without a search through
/// other slices.
#[derive(Default)]
struct EvictionIndex {
    /// The index of each slot in its slice's list of slots.
    positions: Vec<u32>,
    /// The key and the start of each of its slices.
    starts: BTreeSet<(i64, i64)>,
}

impl EvictionIndex {
    /// Adds `slot` of `key` at `position` in the list of the slice at `start`.
    fn insert(&mut self, start: i64, key: u32, slot: u32, position: usize) {
        self.starts.insert((key.into(), start));
        let at = slot as usize;
        if self.positions.len() <= at {
            self.positions.resize(at + 1, NONE);
        }
        if let Some(entry) = self.positions.get_mut(at) {
            *entry = u32::try_from(position).unwrap_or(NONE);
        }
    }
}

impl SliceTable {
    /// Creates a table for slices that count for `entry_bytes` each, without values of variable
    /// size.
    pub(super) fn new(caps: &Caps, entry_bytes: u64) -> Self {
        Self {
            by_start: BTreeMap::new(),
            slot_keys: Slots::default(),
            keyed: KeyedState::new(caps, entry_bytes, true).order_keys_if_windows_evict(),
            eviction: caps.evicts().then(EvictionIndex::default),
        }
    }

    /// Returns the number of slices of each key, and what they cost.
    pub(super) fn keyed(&self) -> &KeyedState {
        &self.keyed
    }

    /// Returns the number of slices of each key, and what they cost.
    pub(super) fn keyed_mut(&mut self) -> &mut KeyedState {
        &mut self.keyed
    }

    /// Returns the slice at `start`.
    #[inline]
    pub(super) fn slice(&self, start: i64) -> Option<&Slice> {
        self.by_start.get(&start)
    }

    /// Returns the slot of `key` in the slice at `start`, or [`NONE`].
    pub(super) fn slot(&self, start: i64, key: u32) -> u32 {
        self.slice(start).map_or(NONE, |slice| slice.slot(key))
    }

    /// Returns the slices that start in `range`.
    pub(super) fn range(
        &self,
        range: Range<i64>,
    ) -> impl DoubleEndedIterator<Item = (i64, &Slice)> {
        let end = range.end.max(range.start);
        self.by_start.range(range.start..end).map(|(start, slice)| (*start, slice))
    }

    /// Returns all slices.
    pub(super) fn slices(&self) -> impl Iterator<Item = (i64, &Slice)> {
        self.by_start.iter().map(|(start, slice)| (*start, slice))
    }

    /// Returns the starts of the slices of `key` that start in `range`, if slices may be evicted.
    pub(super) fn slices_of(&self, key: u32, range: Range<i64>) -> impl Iterator<Item = i64> {
        let key = i64::from(key);
        let starts = self
            .eviction
            .iter()
            .flat_map(move |eviction| eviction.starts.range((key, range.start)..(key, range.end)));
        starts.map(|(_, start)| *start)
    }

    /// Returns the start of the first slice at `from` or later.
    pub(super) fn first_from(&self, from: i64) -> Option<i64> {
        self.by_start.range(from..).next().map(|(start, _)| *start)
    }

    /// Returns the key of `slot`.
    #[inline]
    pub(super) fn key_in(&self, slot: u32) -> u32 {
        self.slot_keys.get(slot).copied().unwrap_or(NONE)
    }

    /// Returns the key of each of `slots`.
    pub(super) fn keys_in<'a>(&'a self, slots: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
        slots.iter().map(|slot| self.key_in(*slot))
    }

    /// Returns the number of slots in use.
    pub(super) fn slots_in_use(&self) -> usize {
        self.slot_keys.used()
    }

    /// Returns a free slot for `key` and retains the key.
    pub(super) fn take_slot(&mut self, key: u32, keys: &mut Keys) -> u32 {
        keys.retain(key);
        self.slot_keys.take(key)
    }

    /// Frees `slot`; its key stays retained.
    pub(super) fn free_slot(&mut self, slot: u32) {
        self.slot_keys.free(slot);
    }

    /// Frees `slots` and releases their keys.
    pub(super) fn release_slots(&mut self, slots: &[u32], keys: &mut Keys) {
        for slot in slots {
            self.slot_keys.free(*slot);
            keys.release(self.key_in(*slot));
        }
    }

    /// Returns the limit that leaves no room for one more slice of `key`.
    pub(super) fn limit(&self, key: u32, keys: &Keys) -> Option<Limit> {
        self.keyed.limit(key, keys)
    }

    /// Adds `slot` for `key`, which must be absent, to the slice at `start`. Returns true if the
    /// slice was empty.
    pub(super) fn insert(&mut self, start: i64, key: u32, slot: u32, keys: &Keys) -> bool {
        self.keyed.open(key, keys);
        if !self.by_start.contains_key(&start) {
            let previous = self.by_start.range(..start).next_back();
            let slice =
                previous.map(|(_, previous)| Slice::sized_like(previous)).unwrap_or_default();
            self.by_start.insert(start, slice);
        }
        let Some(slice) = self.by_start.get_mut(&start) else { return false };
        let position = slice.slots().len();
        slice.insert(key, slot, keys.id_bound());
        if let Some(eviction) = &mut self.eviction {
            eviction.insert(start, key, slot, position);
        }
        position == 0
    }

    /// Finds the slot of each event in whichever slice it falls, from the slice at `start` on, and
    /// takes slots for keys that are new there. Calls `reset` with each of these.
    ///
    /// Stops once new keys become rare, or where limits, or a slice that is not `plain`, need more
    /// work. Returns the number of events with a slot.
    #[inline(always)]
    pub(super) fn insert_many(
        &mut self,
        mut start: i64,
        (timestamps, ids, run): (&[i64], &[u32], &mut [u32]),
        grid: &Grid,
        is_plain: impl Fn(i64) -> bool,
        mut reset: impl FnMut(u32),
        keys: &mut Keys,
    ) -> usize {
        if !self.keyed.only_counts() || !is_plain(start) {
            return 0;
        }
        let size_us = grid.slice_us.unsigned_abs();
        let id_bound = keys.id_bound();
        let Some(mut slice) = self.by_start.get_mut(&start) else { return 0 };
        let (mut done, mut known) = (0, 0);
        for ((timestamp, key), entry) in timestamps.iter().zip(ids).zip(run) {
            if known == MAX_KNOWN_IN_A_ROW {
                break;
            }
            if !within(*timestamp, start, size_us) {
                start = grid.slice_near(*timestamp, start);
                if !is_plain(start) {
                    break;
                }
                slice = match self.by_start.get_mut(&start) {
                    Some(slice) => slice,
                    None => break,
                };
            }
            known += 1;
            *entry = slice.slot(*key);
            if *entry == NONE {
                if !self.keyed.try_open(*key) {
                    break;
                }
                keys.retain(*key);
                *entry = self.slot_keys.take(*key);
                reset(*entry);
                slice.insert(*key, *entry, id_bound);
                known = 0;
            }
            done += 1;
        }
        done
    }

    /// Removes the slice at `start` and returns its slots, which stay in use.
    pub(super) fn remove_slice(&mut self, start: i64) -> Vec<u32> {
        let slots = self.by_start.remove(&start).map(Slice::into_slots).unwrap_or_default();
        for slot in &slots {
            let key = self.key_in(*slot);
            self.keyed.close(key, *slot);
            if let Some(eviction) = &mut self.eviction {
                eviction.starts.remove(&(key.into(), start));
            }
        }
        slots
    }

    /// Removes `key` from the slice at `start`, releases it and frees its slot. Returns the slot.
    pub(super) fn remove_key(&mut self, start: i64, key: u32, keys: &mut Keys) -> Option<u32> {
        let slice = self.by_start.get_mut(&start)?;
        let eviction = self.eviction.as_mut()?;
        let slot = slice.remove(key, &mut eviction.positions)?;
        eviction.starts.remove(&(key.into(), start));
        if slice.slots().is_empty() {
            self.by_start.remove(&start);
        }
        self.keyed.close(key, slot);
        self.release_slots(&[slot], keys);
        Some(slot)
    }

    /// Checks that each key in the order of use has slices.
    pub(super) fn check_order(&self) -> Result<(), SnapshotError> {
        self.keyed.check_order()
    }

    /// Writes or reads the order in which keys were used. Slots are inserted as they are read.
    pub(super) fn fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        self.keyed.fields(codec)
    }
}
