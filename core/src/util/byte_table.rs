//! Byte strings ("runs") by dense ids: the hash table behind the key dictionaries of the engine and
//! the readers.
//!
//! A hit reads memory in two places: a table slot of 8 bytes, and the entry, which contains short
//! runs. Only long runs are stored in an arena. The table stores the hashes, so growing it does not
//! read the runs.

use core::hash::{BuildHasher, Hasher};

use bytemuck::cast_slice;
use foldhash::fast::FixedState;

use crate::util::id_table::IdTable;
use crate::util::short_bytes::{Head, SHORT, head_of};
use crate::util::sort::halves;

/// The arena is compacted only after it has at least this many unused bytes.
const MIN_UNUSED_BYTES: usize = 1 << 16;

/// An odd number with well-mixed bits (from SplitMix64).
const MIXER: u64 = 0xbf58_476d_1ce4_e5b9;

/// A run of bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// The run itself, or, for a long run, its offset in the arena.
    head: Head,
    len: u32,
}

impl Entry {
    /// Returns whether this is the run of `len` bytes, at most 16, with this head.
    #[inline(always)]
    fn equals_short(&self, [low, high]: Head, len: usize) -> bool {
        // The module would write both to memory for a comparison of 16 bytes.
        let [own_low, own_high] = self.head;
        (own_low ^ low) | (own_high ^ high) == 0 && self.len as usize == len
    }
}

/// Runs of bytes by dense ids. The caller chooses the ids and keeps track of free ones.
#[derive(Debug, Clone)]
pub(crate) struct ByteTable {
    /// The hasher of long runs.
    hasher: FixedState,
    /// The multipliers that hash short runs.
    multipliers: [u64; 4],
    ids: IdTable,
    entries: Vec<Entry>,
    /// The long runs, concatenated.
    arena: Vec<u8>,
    /// The number of bytes of the arena that belong to removed runs.
    unused_bytes: usize,
}

impl ByteTable {
    /// Creates an empty table. An unpredictable `seed` prevents provoked collisions.
    pub(crate) fn new(seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self {
            multipliers: [0_u64, 1, 2, 3].map(|number| hasher.hash_one(number)),
            hasher,
            ids: IdTable::roomy(),
            entries: Vec::new(),
            arena: Vec::new(),
            unused_bytes: 0,
        }
    }

    /// Returns the bound of ids: all are below it.
    pub(crate) fn id_bound(&self) -> usize {
        self.entries.len()
    }

    /// Returns the run of `id`; empty if it has none.
    #[inline]
    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        self.entries.get(id as usize).map_or(&[], |entry| self.bytes_of(entry))
    }

    /// Returns the id of `run`, or [`NONE`].
    #[inline]
    pub(crate) fn find(&self, run: &[u8]) -> u32 {
        match head_of(run) {
            Some(head) => self.find_short(head, run.len()),
            None => self.find_long(run),
        }
    }

    /// Does the same for a run of `len` bytes, at most 16, by its head.
    #[inline(always)]
    pub(crate) fn find_short(&self, head: Head, len: usize) -> u32 {
        let same = |entry: &Entry| entry.equals_short(head, len);
        self.probe(self.hash_short(head), same)
    }

    /// Does the same without a call, but only in the first two slots: [`NONE`] does not mean that
    /// the run is absent.
    #[inline(always)]
    pub(crate) fn find_short_first(&self, head: Head, len: usize) -> u32 {
        let same = |id: u32| {
            self.entries.get(id as usize).is_some_and(|entry| entry.equals_short(head, len))
        };
        self.ids.find_first(self.hash_short(head), same)
    }

    /// Returns the id of the long run that consists of the byte `first`, `inner` and one more byte.
    #[inline(never)]
    pub(crate) fn find_enclosed(&self, first: u8, inner: &[u8]) -> u32 {
        let same = |entry: &Entry| {
            let run =
                if entry.len as usize == inner.len() + 2 { self.bytes_of(entry) } else { &[] };
            run.first() == Some(&first) && is_same(inner_of(run), inner)
        };
        self.probe(self.hash_inner(inner), same)
    }

    /// Returns the id of `run`, which is long, or [`NONE`].
    #[inline(never)]
    pub(crate) fn find_long(&self, run: &[u8]) -> u32 {
        let same =
            |entry: &Entry| entry.len as usize == run.len() && is_same(self.bytes_of(entry), run);
        self.probe(self.hash_long(run), same)
    }

    /// Prefetches the slots of `runs`.
    pub(crate) fn prefetch<'a>(&self, runs: impl Iterator<Item = &'a [u8]>) {
        let first = |run| self.ids.first(self.hash(run))[0];
        core::hint::black_box(runs.map(first).fold(0, u64::wrapping_add));
    }

    /// Adds `run`, which has no id, with the id `id`: a free one, or the next.
    pub(crate) fn insert(&mut self, run: &[u8], id: u32) {
        let (hash, head) = match head_of(run) {
            Some(head) => (self.hash_short(head), head),
            None => {
                let start = self.arena.len() as u64;
                self.arena.extend_from_slice(run);
                (self.hash_long(run), [start, 0])
            }
        };
        let entry = Entry { head, len: u32::try_from(run.len()).unwrap_or(u32::MAX) };
        match self.entries.get_mut(id as usize) {
            Some(free) => *free = entry,
            None => self.entries.push(entry),
        }
        self.ids.insert(hash, id);
    }

    /// Removes the run of `id`, and so frees the id.
    pub(crate) fn remove(&mut self, id: u32) {
        let hash = self.hash(self.bytes(id));
        if !self.ids.remove(hash, id) {
            return;
        }
        let Some(entry) = self.entries.get_mut(id as usize) else { return };
        let len = entry.len as usize;
        *entry = Entry::default();
        if len > SHORT {
            self.unused_bytes += len;
            if self.unused_bytes > MIN_UNUSED_BYTES && self.unused_bytes > self.arena.len() / 2 {
                self.compact_arena();
            }
        }
    }

    /// Removes all runs but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.ids.clear();
        self.entries.clear();
        self.arena.clear();
        self.unused_bytes = 0;
    }

    #[inline]
    fn bytes_of<'a>(&'a self, entry: &'a Entry) -> &'a [u8] {
        let len = entry.len as usize;
        if len <= SHORT {
            return cast_slice::<u64, u8>(&entry.head).get(..len).unwrap_or_default();
        }
        let [start, _] = entry.head;
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        self.arena.get(start..start.saturating_add(len)).unwrap_or_default()
    }

    #[inline(always)]
    fn probe(&self, hash: u32, same: impl Fn(&Entry) -> bool) -> u32 {
        self.ids.find(hash, |id| self.entries.get(id as usize).is_some_and(&same))
    }

    #[inline]
    fn hash(&self, run: &[u8]) -> u32 {
        head_of(run).map_or_else(|| self.hash_long(run), |head| self.hash_short(head))
    }

    /// Three multiplications of 64 bits, where foldhash takes four in the module. Multiplying pairs
    /// of 32 bits with random multipliers makes collisions as rare as for random numbers (Thorup,
    /// "High Speed Hashing for Integers and Strings", pair-multiply-shift). The last multiplication
    /// spreads runs that differ in a few bits, which would share neighbouring slots.
    #[inline(always)]
    fn hash_short(&self, [low, high]: Head) -> u32 {
        let [a, b, c, d] = self.multipliers;
        let ((low_high, low_low), (high_high, high_low)) = (halves(low), halves(high));
        let product = |a: u64, b: u64, x: u32, y: u32| {
            a.wrapping_add(x.into()).wrapping_mul(b.wrapping_add(y.into()))
        };
        let sum = product(a, b, low_low, low_high).wrapping_add(product(c, d, high_low, high_high));
        halves((sum ^ sum >> 29).wrapping_mul(MIXER)).0
    }

    /// Hashes all but the first and the last byte.
    fn hash_long(&self, run: &[u8]) -> u32 {
        self.hash_inner(inner_of(run))
    }

    fn hash_inner(&self, inner: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(inner);
        halves(hasher.finish()).1
    }

    /// Copies the remaining long runs into a new arena.
    #[cold]
    fn compact_arena(&mut self) {
        let mut arena = Vec::with_capacity(self.arena.len() - self.unused_bytes);
        for entry in self.entries.iter_mut().filter(|entry| entry.len as usize > SHORT) {
            let [start, _] = entry.head;
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            let run = self.arena.get(start..start.saturating_add(entry.len as usize));
            entry.head = [arena.len() as u64, 0];
            arena.extend_from_slice(run.unwrap_or_default());
        }
        self.arena = arena;
        self.unused_bytes = 0;
    }
}

/// Returns the bytes between the first and the last one.
#[inline(always)]
fn inner_of(run: &[u8]) -> &[u8] {
    run.get(1..run.len().saturating_sub(1)).unwrap_or_default()
}

/// Returns whether two runs of equal length are the same. Compares 8 bytes at a time, as a
/// comparison of any length is a slow call in the module.
#[inline(always)]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let same = |(a, b): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*a) == u64::from_le_bytes(*b);
    a.as_chunks().0.iter().zip(b.as_chunks().0).all(same)
        && a.last_chunk().zip(b.last_chunk()).is_none_or(same)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::util::id_table::NONE;

    /// Returns short and long runs, some of which differ in one byte or in zeros at the end only.
    fn runs() -> impl Strategy<Value = Vec<u8>> {
        let lengths = prop_oneof![0..20_usize, 14..18_usize, 30..70_usize];
        (lengths, 0..4_u8, 0..3_u8).prop_map(|(len, last, fill)| {
            let mut run = vec![fill; len];
            if let Some(byte) = run.last_mut() {
                *byte = last;
            }
            run
        })
    }

    proptest! {
        #[test]
        fn behaves_like_a_map(
            seed: u64,
            steps in prop::collection::vec((runs(), any::<bool>()), 0..400),
        ) {
            let mut table = ByteTable::new(seed);
            let mut map: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
            let mut free: Vec<u32> = vec![];
            for (run, remove) in steps {
                let known = map.get(&run).copied();
                prop_assert_eq!(table.find(&run), known.unwrap_or(NONE));
                match known {
                    Some(id) if remove => {
                        table.remove(id);
                        map.remove(&run);
                        free.push(id);
                    }
                    Some(_) => {}
                    None => {
                        let next = u32::try_from(table.id_bound()).unwrap();
                        let id = free.pop().unwrap_or(next);
                        table.insert(&run, id);
                        map.insert(run, id);
                    }
                }
            }
            for (run, id) in &map {
                prop_assert_eq!(table.find(run), *id);
                prop_assert_eq!(table.bytes(*id), run.as_slice());
            }
            table.clear();
            prop_assert!(map.keys().all(|run| table.find(run) == NONE));
        }
    }

    #[test]
    fn similar_runs_are_spread_for_every_seed() {
        let similar = |number: u32| [format!("user{number}"), format!("{number:08x}")];
        for seed in 0..50 {
            for kind in 0..2 {
                let mut table = ByteTable::new(seed);
                for number in 0..4_000 {
                    table.insert(similar(number)[kind].as_bytes(), number);
                }
                let is_first = |number: &u32| {
                    let run = &similar(*number)[kind];
                    let head = head_of(run.as_bytes()).unwrap();
                    let first = table.ids.first(table.hash_short(head));
                    first.iter().any(|slot| halves(*slot).1 == *number)
                };
                // At a quarter full, 0.96 of random entries are in their first two slots.
                let first = (0..4_000).filter(is_first).count();
                assert!(first > 3_750, "{first} of 4,000 with seed {seed}");
            }
        }
    }

    #[test]
    fn removed_long_runs_free_their_memory() {
        let mut table = ByteTable::new(3);
        let run = |number: u32| format!("a run that is longer than sixteen bytes: {number}");
        for number in 0..20_000 {
            table.insert(run(number).as_bytes(), number % 100);
            if number >= 99 {
                table.remove((number + 1) % 100);
            }
        }
        assert!(table.arena.len() < 4 * MIN_UNUSED_BYTES, "{}", table.arena.len());
        for number in 19_901..20_000 {
            assert_eq!(table.find(run(number).as_bytes()), number % 100);
        }
    }
}
