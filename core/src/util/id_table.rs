//! An open-addressing hash table from hashes to ids. A slot has eight bytes, so that a look-up
//! usually reads memory in one place.

use crate::util::sort::halves;

/// No id, no position.
pub(crate) const NONE: u32 = u32::MAX;

/// A slot without an id.
const EMPTY: u64 = u64::MAX;
/// The number of adjacent slots that are probed together.
const PROBED_SLOTS: usize = 2;
const INITIAL_SLOTS: usize = 16;
/// The number of slots from which a roomy table is filled like any other.
const MAX_ROOMY_SLOTS: usize = 1 << 14;

/// Ids by hash. The hashes are stored, so growing the table does not compute them again.
#[derive(Debug, Clone, Default)]
pub(crate) struct IdTable {
    /// The slots, indexed by the low bits of the hash. Each has the hash in its upper half and the
    /// id in its lower half.
    slots: Vec<u64>,
    used: usize,
    /// True if three of four slots stay empty while the table is small. Then nearly all ids are in
    /// their first two slots.
    is_roomy: bool,
}

impl IdTable {
    /// Creates a sparse table, for few ids that are looked up all the time.
    pub(crate) fn roomy() -> Self {
        Self { is_roomy: true, ..Self::default() }
    }

    /// Returns the id with this hash for which `same` holds, or [`NONE`].
    #[inline(always)]
    pub(crate) fn find(&self, hash: u32, same: impl Fn(u32) -> bool) -> u32 {
        match self.find_first(hash, &same) {
            NONE if !self.first(hash).contains(&EMPTY) => self.find_further(hash, same),
            id => id,
        }
    }

    /// Does the same for the first two slots, which hold nearly all ids. Avoids a call, a loop (in
    /// each iteration the module checks the deadline), and a branch on which slot matches. [`NONE`]
    /// does not mean that the id is absent.
    #[inline(always)]
    pub(crate) fn find_first(&self, hash: u32, same: impl Fn(u32) -> bool) -> u32 {
        let [first, second] = self.first(hash).map(halves);
        let (known, id) = if first.0 == hash { first } else { second };
        if known == hash && same(id) { id } else { NONE }
    }

    #[inline(never)]
    fn find_further(&self, hash: u32, same: impl Fn(u32) -> bool) -> u32 {
        let mask = self.mask();
        let mut at = self.home(hash);
        loop {
            let slot = self.slots.get(at).copied().unwrap_or(EMPTY);
            let (known, id) = halves(slot);
            if known == hash && same(id) {
                return id;
            }
            if slot == EMPTY {
                return NONE;
            }
            at = (at + 1) & mask;
        }
    }

    /// Returns the slots that [`IdTable::find`] probes first. Reading them prefetches them.
    #[inline(always)]
    pub(crate) fn first(&self, hash: u32) -> [u64; PROBED_SLOTS] {
        let pairs = self.slots.as_chunks().0;
        pairs.get(self.home(hash) / PROBED_SLOTS).copied().unwrap_or([EMPTY; PROBED_SLOTS])
    }

    /// Returns the index of the first slot of a hash.
    #[inline(always)]
    fn home(&self, hash: u32) -> usize {
        hash as usize & self.mask() & !(PROBED_SLOTS - 1)
    }

    /// Adds an id that is not in the table.
    pub(crate) fn insert(&mut self, hash: u32, id: u32) {
        let slots = self.slots.len();
        let quarters = if self.is_roomy && slots < MAX_ROOMY_SLOTS { 1 } else { 3 };
        if (self.used + 1) * 4 > slots * quarters {
            self.grow();
        }
        self.used += 1;
        self.put(joined(hash, id));
    }

    /// Removes an id, and moves later ids that could no longer be found. Returns `false` if the id
    /// is not in the table.
    pub(crate) fn remove(&mut self, hash: u32, id: u32) -> bool {
        let mask = self.mask();
        let mut at = self.home(hash);
        loop {
            match self.slots.get(at) {
                Some(&found) if found == joined(hash, id) => break,
                Some(&EMPTY) | None => return false,
                Some(_) => at = (at + 1) & mask,
            }
        }
        let mut next = (at + 1) & mask;
        while let Some(&moved) = self.slots.get(next).filter(|slot| **slot != EMPTY) {
            let home = self.home(halves(moved).0);
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(at) & mask {
                self.set(at, moved);
                at = next;
            }
            next = (next + 1) & mask;
        }
        self.set(at, EMPTY);
        self.used -= 1;
        true
    }

    /// Returns all hashes and ids, in any order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        self.slots.iter().filter(|slot| **slot != EMPTY).map(|slot| halves(*slot))
    }

    /// Removes all ids but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.slots.fill(EMPTY);
        self.used = 0;
    }

    fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }

    fn set(&mut self, at: usize, slot: u64) {
        if let Some(entry) = self.slots.get_mut(at) {
            *entry = slot;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let slots = vec![EMPTY; INITIAL_SLOTS.max(self.slots.len() * 2)];
        for slot in core::mem::replace(&mut self.slots, slots) {
            if slot != EMPTY {
                self.put(slot);
            }
        }
    }

    /// Stores `slot` in the first empty slot from its home on.
    fn put(&mut self, slot: u64) {
        let mask = self.mask();
        let mut at = self.home(halves(slot).0);
        while let Some(entry) = self.slots.get_mut(at) {
            if *entry == EMPTY {
                *entry = slot;
                return;
            }
            at = (at + 1) & mask;
        }
    }
}

fn joined(hash: u32, id: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(id)
}

const MULTIPLIER: u32 = 0x9E37_79B1;
/// The inverse of MULTIPLIER modulo 2^32.
const INVERSE: u32 = 0x0e8b_2f51;

/// Returns a hash of dense numbers that [`unhash_id`] can invert.
#[inline(always)]
pub(crate) fn hash_id(number: u32) -> u32 {
    number.wrapping_mul(MULTIPLIER).rotate_left(16)
}

/// Returns the number that [`hash_id`] mapped to `hash`.
pub(crate) fn unhash_id(hash: u32) -> u32 {
    hash.rotate_right(16).wrapping_mul(INVERSE)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unhash_id_inverts_hash_id() {
        for number in (0..1000).chain([u32::MAX, 1 << 31, 0x1234_5678]) {
            assert_eq!(unhash_id(hash_id(number)), number);
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_map(
            is_roomy: bool,
            steps in prop::collection::vec((0..60_u32, 0..3_u32, any::<bool>()), 0..300),
        ) {
            let mut table = if is_roomy { IdTable::roomy() } else { IdTable::default() };
            let mut map = BTreeMap::new();
            for (number, (kind, bit, remove)) in (0..).zip(steps) {
                // Some hashes are equal, some share a home slot.
                let hash = kind << (bit * 10);
                let known: Option<u32> = map.get(&(hash, bit)).copied();
                let found = table.find(hash, |id| Some(id) == known);
                prop_assert_eq!(found, known.unwrap_or(NONE));
                match known {
                    Some(id) if remove => {
                        prop_assert!(table.remove(hash, id));
                        prop_assert!(!table.remove(hash, id));
                        map.remove(&(hash, bit));
                    }
                    Some(_) => {}
                    None => {
                        table.insert(hash, number);
                        map.insert((hash, bit), number);
                    }
                }
            }
            let mut all: Vec<_> = table.iter().collect();
            let mut expected: Vec<_> = map.iter().map(|((hash, _), id)| (*hash, *id)).collect();
            all.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(all, expected);
            table.clear();
            prop_assert_eq!(table.iter().count(), 0);
        }
    }
}
