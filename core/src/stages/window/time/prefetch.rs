//! Prefetching: with many keys their table entries are not in the cache, and each event would wait
//! for memory.
//!
//! Loops that only read let the processor load many entries at once.

use super::WindowStage;
use super::slice::Slice;
use crate::data::frame::Events;
use crate::keys::{Keys, NONE};

/// Number of keys from which prefetching pays; the entries of fewer keys stay in the cache.
const MIN_KEYS: usize = 1 << 15;

impl WindowStage {
    /// Prefetches the table entries of the events from `from` on.
    pub(super) fn prefetch(&mut self, events: &Events<'_>, from: usize, keys: &Keys) {
        let Some(timestamp) = events.timestamps.get(from) else { return };
        let open_by_key = self.table.keyed().entries_by_key();
        if open_by_key.len() < MIN_KEYS {
            return;
        }
        let slice = self.table.slice(self.plan.grid.slice_of(*timestamp));
        let slots = slice.map_or(&[][..], Slice::dense);
        if let Some(slice) = slice {
            slice.prefetch(events.keys.get(from..).unwrap_or_default());
        }
        let new = &mut self.new_keys;
        new.resize(events.timestamps.len() - from, NONE);
        let ids = events.keys.get(from..).unwrap_or_default();
        let count = find_new(slots, ids, new);
        self.accumulators.prefetch(slots, ids);
        let new = new.get(..count).unwrap_or_default();
        core::hint::black_box(sum(open_by_key, new));
        keys.prefetch(new);
    }
}

/// Writes those of `keys` that have no slot to the front of `new`, and returns their number.
#[inline(never)]
fn find_new(slots: &[u32], keys: &[u32], new: &mut [u32]) -> usize {
    let mut count = 0;
    for key in keys {
        if let Some(entry) = new.get_mut(count) {
            *entry = *key;
        }
        count += usize::from(slots.get(*key as usize).copied().unwrap_or(NONE) == NONE);
    }
    count
}

/// Returns the sum of the entries of `list` at `indexes`.
#[inline(never)]
fn sum(list: &[u32], indexes: &[u32]) -> u32 {
    let at = |index: &u32| list.get(*index as usize).copied().unwrap_or(0);
    indexes.iter().map(at).fold(0, u32::wrapping_add)
}
