//! Opening of slots for keys, and the counts of open slots and keys.

use super::memory::WINDOW_BYTES;
use super::{NONE, Slice, WindowStage};
use crate::keys::Keys;
use crate::plan::{Limit, within};

/// After this many known keys in a row, the fast path of
/// [`SlotLookup`](super::slot_lookup::SlotLookup) is worth another try.
const MAX_KNOWN_IN_A_ROW: usize = 20;

impl WindowStage {
    /// Opens a slot for `key` in the slice at `start`, for an event that arrived under `watermark`.
    #[cold]
    pub(super) fn open(
        &mut self,
        start: i64,
        key: u32,
        watermark: i64,
        keys: &mut Keys,
    ) -> Result<u32, Limit> {
        let position = key as usize;
        if self.open_by_key.len() <= position {
            self.open_by_key.resize(keys.id_bound().max(position + 1), 0);
        }
        let open = self.open_by_key.get(position).copied().unwrap_or(0);
        let caps = &self.plan.caps;
        if open == 0 && self.open_keys >= caps.max_keys {
            return Err(Limit::Keys);
        }
        if open >= caps.max_windows_per_key {
            return Err(Limit::Windows);
        }
        if !self.has_room(key, open, keys) {
            return Err(Limit::Bytes);
        }
        let slot = self.take_slot(key, keys);
        self.count_open(key, keys);
        self.accumulators.reset(slot);
        self.emitted.reset(slot);
        self.invalidate_slice(start);
        let position = self.insert(start, key, slot, keys);
        if position == 0 {
            self.set_open_from(self.open_from.max(self.plan.grid.first_open(watermark)));
            self.next_due = self.next_due_after(watermark);
        }
        Ok(slot)
    }

    /// Finds the slot of each event in whichever slice it falls, and opens slots for keys that are
    /// new there.
    ///
    /// Stops once new keys become rare, or where limits, late events or the tree need more work.
    /// Returns the number of events with a slot.
    #[inline(never)]
    pub(super) fn open_many(
        &mut self,
        mut start: i64,
        timestamps: &[i64],
        ids: &[u32],
        run: &mut [u32],
        keys: &mut Keys,
    ) -> usize {
        let is_limited = self.evictions.is_some() || self.budget.is_some();
        if is_limited || start < self.late_before || self.tree.may_contain(start) {
            return 0;
        }
        let size_us = self.plan.grid.slice_us.unsigned_abs();
        let id_bound = keys.id_bound();
        let Some(mut slice) = self.slices.get_mut(&start) else { return 0 };
        let (mut done, mut known) = (0, 0);
        for ((timestamp, key), entry) in timestamps.iter().zip(ids).zip(run) {
            if known == MAX_KNOWN_IN_A_ROW {
                break;
            }
            if !within(*timestamp, start, size_us) {
                start = self.plan.grid.slice_near(*timestamp, start);
                if start < self.late_before || self.tree.may_contain(start) {
                    break;
                }
                slice = match self.slices.get_mut(&start) {
                    Some(slice) => slice,
                    None => break,
                };
            }
            known += 1;
            *entry = slice.slot(*key);
            if *entry == NONE {
                let Some(open) = self.open_by_key.get_mut(*key as usize) else { break };
                let caps = &self.plan.caps;
                let is_full = *open == 0 && self.open_keys >= caps.max_keys;
                if is_full || *open >= caps.max_windows_per_key {
                    break;
                }
                self.open_keys += u32::from(*open == 0);
                *open += 1;
                *entry = take(&mut self.free_slots, &mut self.slot_keys, *key, keys);
                self.accumulators.reset(*entry);
                self.emitted.reset(*entry);
                slice.insert(*key, *entry, id_bound);
                known = 0;
            }
            done += 1;
        }
        done
    }

    /// Returns a free slot for `key` and retains the key.
    pub(super) fn take_slot(&mut self, key: u32, keys: &mut Keys) -> u32 {
        take(&mut self.free_slots, &mut self.slot_keys, key, keys)
    }

    /// Counts one more slot of `key`.
    pub(super) fn count_open(&mut self, key: u32, keys: &Keys) {
        let Some(open) = self.open_by_key.get_mut(key as usize) else { return };
        self.open_keys += u32::from(*open == 0);
        if let Some(budget) = &mut self.budget {
            if *open == 0 {
                budget.open_key(key, keys);
            }
            budget.add(WINDOW_BYTES + self.accumulators.slot_bytes());
        }
        *open += 1;
    }

    /// Counts one slot less of the key of `slot`, and returns that key.
    pub(super) fn count_closed(&mut self, slot: u32) -> u32 {
        let key = self.slot_keys.get(slot as usize).copied().unwrap_or(NONE);
        let Some(open) = self.open_by_key.get_mut(key as usize) else { return key };
        *open = open.saturating_sub(1);
        self.open_keys -= u32::from(*open == 0);
        if let Some(budget) = &mut self.budget {
            budget.set_variable_bytes(slot, 0);
            budget.subtract(WINDOW_BYTES + self.accumulators.slot_bytes());
            if *open == 0 {
                budget.close_key(key);
            }
        }
        if let (0, Some(evictions)) = (*open, &mut self.evictions) {
            evictions.lru.remove(key);
        }
        key
    }

    /// Adds `slot` for `key` to the slice at `start`. Returns its position there.
    pub(super) fn insert(&mut self, start: i64, key: u32, slot: u32, keys: &Keys) -> usize {
        if !self.slices.contains_key(&start) {
            let previous = self.slices.range(..start).next_back();
            let slice =
                previous.map(|(_, previous)| Slice::sized_like(previous)).unwrap_or_default();
            self.slices.insert(start, slice);
        }
        let Some(slice) = self.slices.get_mut(&start) else { return 0 };
        let position = slice.slots().len();
        slice.insert(key, slot, keys.id_bound());
        if let Some(evictions) = &mut self.evictions {
            evictions.set_position(slot, position);
        }
        position
    }
}

/// Returns a free slot for `key` and retains the key.
fn take(free: &mut Vec<u32>, slot_keys: &mut Vec<u32>, key: u32, keys: &mut Keys) -> u32 {
    keys.retain(key);
    let slot = free.pop().unwrap_or_else(|| {
        slot_keys.push(NONE);
        u32::try_from(slot_keys.len() - 1).unwrap_or(NONE)
    });
    if let Some(entry) = slot_keys.get_mut(slot as usize) {
        *entry = key;
    }
    slot
}
