//! Reading ahead: where keys are many, what is known of them is not in the cache, and event by event each would be waited
//! for. Loops that only read have the memory look for many at once.

use super::{Slice, WindowStage};
use crate::data::frame::Events;
use crate::keys::{Keys, NONE};

/// Keys from which on it pays: what is known of fewer stays in the cache.
const MANY_KEYS: usize = 1 << 15;

impl WindowStage {
    /// Reads what the events from `from` on will need.
    pub(super) fn read_ahead(&mut self, events: &Events<'_>, from: usize, keys: &Keys) {
        let Some(timestamp) = events.timestamps.get(from) else { return };
        if self.open_by_key.len() < MANY_KEYS {
            return;
        }
        let slice = self.slices.get(&self.plan.grid.slice_of(*timestamp));
        let slots = slice.map_or(&[][..], Slice::dense);
        if let Some(slice) = slice {
            slice.read_ahead(events.keys.get(from..).unwrap_or_default());
        }
        let new = &mut self.new_keys;
        new.resize(events.timestamps.len() - from, NONE);
        let ids = events.keys.get(from..).unwrap_or_default();
        let count = find_new(slots, ids, new);
        self.accumulators.read_ahead(slots, ids);
        let new = new.get(..count).unwrap_or_default();
        core::hint::black_box(sum(&self.open_by_key, new));
        keys.read_ahead(new);
    }
}

/// Writes those of `keys` that have no slot to the front of `new`; returns how many they are.
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

/// The sum of the entries of `list` at `places`.
#[inline(never)]
fn sum(list: &[u32], places: &[u32]) -> u32 {
    let at = |place: &u32| list.get(*place as usize).copied().unwrap_or(0);
    places.iter().map(at).fold(0, u32::wrapping_add)
}
