//! Time slices: the slots of all keys with events in one slice.

use crate::keys::NONE;
use crate::util::id_table::{IdTable, hash_id, unhash_id};

/// A table indexed by id is used if at least one entry in this many is in use when it is created.
const DENSE_SHARE: usize = 4;

/// A time slice: the slots of the keys that have events in it.
#[derive(Default)]
pub(super) struct Slice {
    index: Index,
    /// The slots, in the order in which they were opened.
    slots: Vec<u32>,
}

/// A map from key id to slot: indexed by id if at least a quarter of all keys are present,
/// otherwise a hash table.
enum Index {
    Sparse(IdTable),
    Dense(Vec<u32>),
}

impl Default for Index {
    fn default() -> Self {
        Self::Sparse(IdTable::default())
    }
}

impl Slice {
    /// Returns an empty slice, sized like `other`, its neighbour: if that one has many of the keys,
    /// this one will too.
    pub(super) fn sized_like(other: &Self) -> Self {
        let dense = other.dense().len();
        if dense == 0 || other.slots.len() * DENSE_SHARE < dense {
            return Self::default();
        }
        Self {
            index: Index::Dense(vec![NONE; dense]),
            slots: Vec::with_capacity(other.slots.len()),
        }
    }

    /// Returns the slots in the order in which they were opened.
    pub(super) fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// Returns its keys in ascending order of their ids, and the slot of each.
    pub(super) fn by_key(&self) -> (Vec<u32>, Vec<u32>) {
        match &self.index {
            Index::Dense(slots) => {
                let present = (0..).zip(slots).filter(|(_, slot)| **slot != NONE);
                let mut keys = Vec::with_capacity(self.slots.len());
                let mut by_key = Vec::with_capacity(self.slots.len());
                for (key, slot) in present {
                    keys.push(key);
                    by_key.push(*slot);
                }
                (keys, by_key)
            }
            Index::Sparse(table) => {
                let of_keys = table.iter().map(|(hash, slot)| (unhash_id(hash), slot));
                let mut pairs: Vec<(u32, u32)> = of_keys.collect();
                crate::util::sort::pairs(&mut pairs);
                pairs.into_iter().unzip()
            }
        }
    }

    /// Returns the slots by key id, [`NONE`] for absent keys. Empty while the slice uses a hash
    /// table.
    pub(super) fn dense(&self) -> &[u32] {
        match &self.index {
            Index::Dense(slots) => slots,
            Index::Sparse(_) => &[],
        }
    }

    /// Prefetches the entries of `keys` if the slice uses a hash table.
    pub(super) fn prefetch(&self, keys: &[u32]) {
        if let Index::Sparse(table) = &self.index {
            let first = |key: &u32| table.first(hash_id(*key))[0];
            core::hint::black_box(keys.iter().map(first).fold(0, u64::wrapping_add));
        }
    }

    /// Returns the slot of `key`, or [`NONE`].
    pub(super) fn slot(&self, key: u32) -> u32 {
        match &self.index {
            Index::Dense(slots) => slots.get(key as usize).copied().unwrap_or(NONE),
            Index::Sparse(table) => table.find(hash_id(key), |_| true),
        }
    }

    /// Adds `slot` for `key`, which must be absent; key ids are below `id_bound`.
    pub(super) fn insert(&mut self, key: u32, slot: u32, id_bound: usize) {
        self.slots.push(slot);
        if let Index::Sparse(table) = &mut self.index {
            if self.slots.len() * DENSE_SHARE < id_bound {
                table.insert(hash_id(key), slot);
                return;
            }
            let mut dense = vec![NONE; id_bound];
            for (known, slot) in table.iter() {
                if let Some(entry) = dense.get_mut(unhash_id(known) as usize) {
                    *entry = slot;
                }
            }
            self.index = Index::Dense(dense);
        }
        if let Index::Dense(dense) = &mut self.index {
            if dense.len() <= key as usize {
                dense.resize(id_bound.max(key as usize + 1), NONE);
            }
            if let Some(entry) = dense.get_mut(key as usize) {
                *entry = slot;
            }
        }
    }

    /// Removes `key` and returns its slot. `positions` holds the index of each slot in
    /// [`Slice::slots`] and is updated.
    pub(super) fn remove(&mut self, key: u32, positions: &mut [u32]) -> Option<u32> {
        let slot = match &mut self.index {
            Index::Dense(slots) => core::mem::replace(slots.get_mut(key as usize)?, NONE),
            Index::Sparse(table) => {
                let slot = table.find(hash_id(key), |_| true);
                table.remove(hash_id(key), slot).then_some(slot)?
            }
        };
        let position = *positions.get(slot as usize)?;
        if (position as usize) < self.slots.len() {
            self.slots.swap_remove(position as usize);
        }
        let moved = self.slots.get(position as usize);
        if let Some(entry) = moved.and_then(|slot| positions.get_mut(*slot as usize)) {
            *entry = position;
        }
        Some(slot)
    }

    pub(super) fn into_slots(self) -> Vec<u32> {
        self.slots
    }
}

/// Hashes a key id. Ids are dense, so Fibonacci hashing spreads them over the high and the low
/// bits.
pub(super) fn hash(key: u32) -> u64 {
    let spread = u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    spread ^ (spread >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_found_in_hash_and_dense_index() {
        let mut slice = Slice::default();
        for key in 0..1000 {
            assert_eq!(slice.slot(key), NONE);
            slice.insert(key, key + 7, 1000);
            assert!((0..=key).all(|known| slice.slot(known) == known + 7));
            assert_eq!(slice.by_key(), ((0..=key).collect(), (7..=key + 7).collect()));
        }
        assert_eq!(slice.dense().len(), 1000);
        slice.insert(5000, 1, 5001);
        assert_eq!(slice.slot(5000), 1);
        assert_eq!(slice.slot(5001), NONE);
    }
}
