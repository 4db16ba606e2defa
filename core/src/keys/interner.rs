//! A dictionary of encoded keys: dense ids in the order of first occurrence.

use crate::util::byte_table::ByteTable;
use crate::util::id_table::NONE;

/// Assigns dense ids to distinct byte strings, starting at 0.
///
/// Ids follow the order of first occurrence, so the hash seed has no visible effect. The caller
/// bounds the number of entries: ids are `u32`, and entries beyond `u32::MAX` would share the last
/// one.
#[derive(Debug, Clone)]
pub struct Interner {
    table: ByteTable,
    total_bytes: usize,
}

impl Interner {
    /// Creates an empty dictionary whose table is hashed with `seed`. An unpredictable seed
    /// prevents provoked collisions.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { table: ByteTable::new(seed), total_bytes: 0 }
    }

    /// Returns the id of `bytes`, adding them if needed.
    #[inline]
    pub fn intern(&mut self, bytes: &[u8]) -> u32 {
        match self.table.find(bytes) {
            NONE => self.insert(bytes),
            id => id,
        }
    }

    #[cold]
    fn insert(&mut self, bytes: &[u8]) -> u32 {
        let id = u32::try_from(self.table.id_bound()).unwrap_or(NONE);
        self.table.insert(bytes, id);
        self.total_bytes += bytes.len();
        id
    }

    /// Returns the id of `bytes`, if they have one.
    #[inline]
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Option<u32> {
        Some(self.table.find(bytes)).filter(|id| *id != NONE)
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.id_bound()
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the total length of all entries in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.total_bytes
    }

    /// Returns the bytes with the id `id`; empty if there are none.
    #[must_use]
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.table.bytes(id)
    }

    /// Returns the entries from `first_id` on, in the order of their ids.
    pub fn entries_from(&self, first_id: u32) -> impl Iterator<Item = (u32, &[u8])> {
        let len = u32::try_from(self.len()).unwrap_or(u32::MAX);
        (first_id..len).map(|id| (id, self.bytes(id)))
    }

    /// Removes all entries but keeps the memory. Ids start at 0 again.
    pub fn clear(&mut self) {
        self.table.clear();
        self.total_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_first_occurrence_for_every_seed() {
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
    fn entries_survive_growth_and_clear_restarts_ids() {
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
