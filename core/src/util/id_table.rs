//! Open addressing: from hashes to ids, eight bytes each, so that a look-up reads one place.

use crate::util::sort::halves;

/// No id, no position.
pub(crate) const NONE: u32 = u32::MAX;

/// A place that has no id.
const EMPTY: u64 = u64::MAX;
/// IdTable that are looked at together, side by side.
const PAIR: usize = 2;
const FIRST_PLACES: usize = 16;
/// With so many places there is no more room than elsewhere.
const ROOMY_PLACES: usize = 1 << 14;

/// Ids by hash. Growing it never asks for a hash again.
#[derive(Debug, Clone, Default)]
pub(crate) struct IdTable {
    /// By the low bits of the hash: each has the hash in its upper half and the id in its lower one.
    places: Vec<u64>,
    used: usize,
    /// Whether three of four places stay empty while there are few: then nearly all ids are in the first two places.
    is_roomy: bool,
}

impl IdTable {
    /// IdTable with much room, for few ids that are looked up all the time.
    pub(crate) fn roomy() -> Self {
        Self { is_roomy: true, ..Self::default() }
    }

    /// The id with this hash that is the `same`, or [`NONE`].
    #[inline(always)]
    pub(crate) fn find(&self, hash: u32, same: impl Fn(u32) -> bool) -> u32 {
        match self.find_first(hash, &same) {
            NONE if !self.first(hash).contains(&EMPTY) => self.find_further(hash, same),
            id => id,
        }
    }

    /// The same where it is one of the first two, as nearly all are: without a call, a loop (at every turn of one the module looks
    /// at the deadline) or a branch on which of them it is. [`NONE`] does not mean that it is not there.
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
            let place = self.places.get(at).copied().unwrap_or(EMPTY);
            let (known, id) = halves(place);
            if known == hash && same(id) {
                return id;
            }
            if place == EMPTY {
                return NONE;
            }
            at = (at + 1) & mask;
        }
    }

    /// Where [`IdTable::find`] looks first: reading it has the memory fetch it.
    #[inline(always)]
    pub(crate) fn first(&self, hash: u32) -> [u64; PAIR] {
        let pairs = self.places.as_chunks().0;
        pairs.get(self.home(hash) / PAIR).copied().unwrap_or([EMPTY; PAIR])
    }

    /// The first place for a hash.
    #[inline(always)]
    fn home(&self, hash: u32) -> usize {
        hash as usize & self.mask() & !(PAIR - 1)
    }

    /// Adds an id, which is not there yet.
    pub(crate) fn insert(&mut self, hash: u32, id: u32) {
        let places = self.places.len();
        let quarters = if self.is_roomy && places < ROOMY_PLACES { 1 } else { 3 };
        if (self.used + 1) * 4 > places * quarters {
            self.grow();
        }
        self.used += 1;
        self.put(joined(hash, id));
    }

    /// Takes an id out, and moves those behind it that would not be found any more; false: it is not there.
    pub(crate) fn remove(&mut self, hash: u32, id: u32) -> bool {
        let mask = self.mask();
        let mut at = self.home(hash);
        loop {
            match self.places.get(at) {
                Some(&found) if found == joined(hash, id) => break,
                Some(&EMPTY) | None => return false,
                Some(_) => at = (at + 1) & mask,
            }
        }
        let mut next = (at + 1) & mask;
        while let Some(&moved) = self.places.get(next).filter(|place| **place != EMPTY) {
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

    /// All hashes and ids, in any order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        self.places.iter().filter(|place| **place != EMPTY).map(|place| halves(*place))
    }

    /// Forgets all ids; keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.places.fill(EMPTY);
        self.used = 0;
    }

    fn mask(&self) -> usize {
        self.places.len().wrapping_sub(1)
    }

    fn set(&mut self, at: usize, place: u64) {
        if let Some(entry) = self.places.get_mut(at) {
            *entry = place;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let places = vec![EMPTY; FIRST_PLACES.max(self.places.len() * 2)];
        for place in core::mem::replace(&mut self.places, places) {
            if place != EMPTY {
                self.put(place);
            }
        }
    }

    /// Puts `place` where the first one is empty from its own on.
    fn put(&mut self, place: u64) {
        let mask = self.mask();
        let mut at = self.home(halves(place).0);
        while let Some(entry) = self.places.get_mut(at) {
            if *entry == EMPTY {
                *entry = place;
                return;
            }
            at = (at + 1) & mask;
        }
    }
}

fn joined(hash: u32, id: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(id)
}

const SPREAD: u32 = 0x9E37_79B1;
/// SPREAD · GATHER = 1, modulo 2^32.
const GATHER: u32 = 0x0e8b_2f51;

/// A hash of dense numbers from which [`unhash_id`] makes the number again.
#[inline(always)]
pub(crate) fn hash_id(number: u32) -> u32 {
    number.wrapping_mul(SPREAD).rotate_left(16)
}

/// The number that [`hash_id`] made `hash` of.
pub(crate) fn unhash_id(hash: u32) -> u32 {
    hash.rotate_right(16).wrapping_mul(GATHER)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_come_back_from_their_hashes() {
        for number in (0..1000).chain([u32::MAX, 1 << 31, 0x1234_5678]) {
            assert_eq!(unhash_id(hash_id(number)), number);
        }
    }

    proptest! {
        #[test]
        fn they_do_what_a_map_does(
            is_roomy: bool,
            steps in prop::collection::vec((0..60_u32, 0..3_u32, any::<bool>()), 0..300),
        ) {
            let mut places = if is_roomy { IdTable::roomy() } else { IdTable::default() };
            let mut map = BTreeMap::new();
            for (number, (kind, bit, goes)) in (0..).zip(steps) {
                // Some hashes are the same, some begin at the same place.
                let hash = kind << (bit * 10);
                let known: Option<u32> = map.get(&(hash, bit)).copied();
                let found = places.find(hash, |id| Some(id) == known);
                prop_assert_eq!(found, known.unwrap_or(NONE));
                match known {
                    Some(id) if goes => {
                        prop_assert!(places.remove(hash, id));
                        prop_assert!(!places.remove(hash, id));
                        map.remove(&(hash, bit));
                    }
                    Some(_) => {}
                    None => {
                        places.insert(hash, number);
                        map.insert((hash, bit), number);
                    }
                }
            }
            let mut all: Vec<_> = places.iter().collect();
            let mut expected: Vec<_> = map.iter().map(|((hash, _), id)| (*hash, *id)).collect();
            all.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(all, expected);
            places.clear();
            prop_assert_eq!(places.iter().count(), 0);
        }
    }
}
