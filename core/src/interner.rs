//! A dictionary of encoded keys: bytes to dense ids in order of first sight.

use core::hash::Hasher as _;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::BuildHasher as _;

/// Gives each distinct run of bytes a dense id, 0 for the first one seen.
///
/// Ids follow the order of first sight, so the seed of the hash never shows. The caller bounds the number of entries:
/// ids are `u32`, and entries beyond `u32::MAX` would share the last one.
#[derive(Debug, Clone)]
pub struct Interner {
    table: HashTable<u32>,
    hasher: FixedState,
    /// The bytes of all entries, end to end.
    arena: Vec<u8>,
    /// Where each entry ends in `arena`.
    ends: Vec<usize>,
}

impl Interner {
    /// An empty dictionary, its table hashed with `seed`: from an unpredictable one, nobody can provoke collisions.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            table: HashTable::new(),
            hasher: FixedState::with_seed(seed),
            arena: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// The id of `bytes`, a new one if they were never seen.
    #[inline]
    pub fn intern(&mut self, bytes: &[u8]) -> u32 {
        let hash = hash(&self.hasher, bytes);
        let Self { table, hasher, arena, ends } = self;
        let entry = table.entry(
            hash,
            |&id| entry(arena, ends, id) == bytes,
            |&id| self::hash(hasher, entry(arena, ends, id)),
        );
        match entry {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(vacant) => {
                let id = u32::try_from(ends.len()).unwrap_or(u32::MAX);
                vacant.insert(id);
                arena.extend_from_slice(bytes);
                ends.push(arena.len());
                id
            }
        }
    }

    /// The id of `bytes` if they have one.
    #[inline]
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Option<u32> {
        let same = |&id: &u32| entry(&self.arena, &self.ends, id) == bytes;
        self.table.find(hash(&self.hasher, bytes), same).copied()
    }

    /// Entries so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether nothing was interned yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of all entries together.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.arena.len()
    }

    /// The bytes with the id `id`; empty if there are none.
    #[must_use]
    pub fn bytes(&self, id: u32) -> &[u8] {
        entry(&self.arena, &self.ends, id)
    }

    /// The entries from `first_id` on, in order of their ids.
    pub fn entries_from(&self, first_id: u32) -> impl Iterator<Item = (u32, &[u8])> {
        let len = u32::try_from(self.len()).unwrap_or(u32::MAX);
        (first_id..len).map(|id| (id, self.bytes(id)))
    }

    /// Forgets all entries: ids start at 0 again. Keeps the memory.
    pub fn clear(&mut self) {
        self.table.clear();
        self.arena.clear();
        self.ends.clear();
    }
}

#[inline]
fn hash(hasher: &FixedState, bytes: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

#[inline]
fn entry<'a>(arena: &'a [u8], ends: &[usize], id: u32) -> &'a [u8] {
    let id = id as usize;
    let start = if id == 0 { Some(&0) } else { ends.get(id - 1) };
    match (start, ends.get(id)) {
        (Some(&start), Some(&end)) => arena.get(start..end).unwrap_or(&[]),
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_first_sight_whatever_the_seed() {
        for seed in [0, 1, u64::MAX] {
            let mut interner = Interner::new(seed);
            let ids: Vec<u32> =
                ["a", "b", "a", "", "c", "b"].map(|text| interner.intern(text.as_bytes())).into();
            assert_eq!(ids, [0, 1, 0, 2, 3, 1]);
            assert_eq!(interner.len(), 4);
            assert_eq!(interner.total_bytes(), 3);
            assert_eq!(interner.bytes(1), b"b");
            assert_eq!(interner.bytes(2), b"");
            assert_eq!(interner.bytes(9), b"");
            assert_eq!(interner.find(b"c"), Some(3));
            assert_eq!(interner.find(b"d"), None);
            let new: Vec<_> = interner.entries_from(2).collect();
            assert_eq!(new, [(2, &b""[..]), (3, b"c")]);
        }
    }

    #[test]
    fn many_entries_survive_growth_and_clear_starts_again() {
        let mut interner = Interner::new(7);
        for round in 0..2 {
            for number in 0..10_000_u32 {
                assert_eq!(interner.intern(&number.to_be_bytes()), number, "round {round}");
            }
            for number in 0..10_000_u32 {
                assert_eq!(interner.find(&number.to_be_bytes()), Some(number));
            }
            interner.clear();
            assert!(interner.is_empty());
            assert_eq!(interner.find(&5_u32.to_be_bytes()), None);
        }
    }
}
