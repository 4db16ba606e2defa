//! Eviction: a stage that is full lets go of the key that has had no event for the longest.

use super::{NONE, WindowStage};
use crate::keys::Keys;
use crate::stages::recency::Recency;

/// What is kept of keys where they may be evicted.
#[derive(Default)]
pub(super) struct Evictions {
    pub(super) recency: Recency,
    /// Where each slot stands in its slice.
    places: Vec<u32>,
}

impl Evictions {
    /// Takes note that `slot` stands at `place` in its slice.
    pub(super) fn put(&mut self, slot: u32, place: usize) {
        let at = slot as usize;
        if self.places.len() <= at {
            self.places.resize(at + 1, NONE);
        }
        if let Some(entry) = self.places.get_mut(at) {
            *entry = u32::try_from(place).unwrap_or(NONE);
        }
    }
}

impl WindowStage {
    /// Takes note of events of `keys` that are in the slots of `run`.
    pub(super) fn touch(&mut self, keys: &[u32], run: std::ops::Range<usize>) {
        let Some(evictions) = &mut self.evictions else { return };
        let slots = self.run.get(run).unwrap_or_default();
        for (key, _) in keys.iter().zip(slots).filter(|(_, slot)| **slot != NONE) {
            evictions.recency.touch(*key);
        }
    }

    /// Takes the oldest key out of all slices; false: there is none.
    #[cold]
    pub(super) fn evict(&mut self, keys: &mut Keys) -> bool {
        let Some(key) = self.evictions.as_ref().and_then(|evictions| evictions.recency.oldest())
        else {
            return false;
        };
        let Some(mut evictions) = self.evictions.take() else { return false };
        evictions.recency.remove(key);
        let mut left = self.open_by_key.get(key as usize).copied().unwrap_or(0);
        self.stats.evicted_keys += u64::from(left > 0);
        let mut emptied = Vec::new();
        for (start, slice) in &mut self.slices {
            if left == 0 {
                break;
            }
            let Some(slot) = slice.remove(key, &mut evictions.places) else { continue };
            left -= 1;
            if slice.slots().is_empty() {
                emptied.push(*start);
            }
            self.blocks.touch(*start);
            self.accumulators.release(&[slot]);
            self.free_slots.push(slot);
            keys.release(key);
            self.stats.evicted_windows += 1;
        }
        self.accumulators.forget_key(key);
        for start in emptied {
            self.slices.remove(&start);
        }
        if let Some(open) = self.open_by_key.get_mut(key as usize) {
            self.open_keys -= u32::from(*open > 0);
            *open = 0;
        }
        self.evictions = Some(evictions);
        true
    }
}
