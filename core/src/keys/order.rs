//! The sort order of keys, cached between firings.

use crate::util::byte_table::ByteTable;
use crate::util::id_table::NONE;

/// The rank of a key added since the last ranking.
const UNRANKED: u32 = NONE - 1;
/// The greatest length of a list that is sorted by comparisons.
const MAX_COMPARED: usize = 64;
/// The number of rounds that compare further bytes as numbers before sorting by comparisons.
const MAX_ROUNDS: u32 = 4;
/// Sorting a key by its bytes takes as long as ranking this many keys.
const KEYS_PER_RANKED_APART: usize = 16;
/// Number of stale ids that the list of added ids may always contain.
const MIN_STALE: usize = 1024;

/// All keys, sorted by their bytes.
#[derive(Clone, Default)]
pub(super) struct KeyOrder {
    /// Ids in order, as of the last ranking.
    ids: Vec<u32>,
    /// The index of each id in `ids`; [`NONE`] for a removed id.
    ranks: Vec<u32>,
    /// Ids added since the last ranking, once for each time that they were assigned.
    added: Vec<u32>,
    /// The number of entries of `ids` that were removed, or reassigned to another key.
    removed: usize,
    /// The ranks of the last few keys that were ranked among themselves, by id.
    partial_ranks: Vec<u32>,
    /// The number of keys ranked among themselves since the last ranking.
    ranked_apart: usize,
}

impl KeyOrder {
    /// Adds `id`, at most one above all others, for a new key.
    pub(super) fn insert(&mut self, id: u32) {
        match self.ranks.get_mut(id as usize) {
            Some(rank) => *rank = UNRANKED,
            None => self.ranks.push(UNRANKED),
        }
        self.added.push(id);
        if self.added.len() > 2 * self.ranks.len() + MIN_STALE {
            self.drop_stale();
        }
    }

    /// Removes ids from `added` that were removed, or are listed twice.
    #[cold]
    fn drop_stale(&mut self) {
        let Self { ranks, added, .. } = self;
        let mut take = |id: &u32, from: u32, to: u32| {
            let rank = ranks.get_mut(*id as usize).filter(|rank| **rank == from);
            rank.map(|rank| *rank = to).is_some()
        };
        added.retain(|id| take(id, UNRANKED, NONE));
        added.iter().for_each(|id| {
            take(id, NONE, UNRANKED);
        });
    }

    /// Removes `id`, which no key has any more.
    pub(super) fn remove(&mut self, id: u32) {
        if let Some(rank) = self.ranks.get_mut(id as usize) {
            self.removed += usize::from(*rank != UNRANKED);
            *rank = NONE;
        }
    }

    /// Returns ranks by id, by the bytes in `table`, in which the `count` keys that `ids` returns
    /// have the order of their bytes. Ids may repeat.
    ///
    /// A ranking of all keys takes time in proportion to their number. So while keys were added
    /// since the last one, few keys are ranked among themselves, until that has cost as much.
    pub(super) fn ranks_of(
        &mut self,
        count: usize,
        ids: impl FnOnce() -> Vec<u32>,
        table: &ByteTable,
    ) -> &[u32] {
        let ranked_apart = self.ranked_apart.saturating_add(count);
        let all = self.ids.len() + self.added.len();
        if self.added.is_empty() || ranked_apart.saturating_mul(KEYS_PER_RANKED_APART) >= all {
            self.update(table);
            return &self.ranks;
        }
        self.ranked_apart = ranked_apart;
        let mut ids = ids();
        sort(&mut ids, table, MAX_ROUNDS);
        self.partial_ranks.resize(self.ranks.len(), NONE);
        for (rank, id) in (0..).zip(ids) {
            if let Some(entry) = self.partial_ranks.get_mut(id as usize) {
                *entry = rank;
            }
        }
        &self.partial_ranks
    }

    /// Returns all ids in order.
    pub(super) fn ids(&mut self, table: &ByteTable) -> &[u32] {
        self.update(table);
        &self.ids
    }

    fn update(&mut self, table: &ByteTable) {
        if !self.added.is_empty() {
            self.rank(table);
        }
    }

    /// Sorts the keys added since the last ranking and merges them into the order.
    #[cold]
    fn rank(&mut self, table: &ByteTable) {
        self.ranked_apart = 0;
        let mut added = core::mem::take(&mut self.added);
        added.retain(|id| {
            let rank = self.ranks.get_mut(*id as usize);
            // An id that was removed and assigned again is listed twice.
            rank.is_some_and(|rank| core::mem::replace(rank, NONE) == UNRANKED)
        });
        sort(&mut added, table, MAX_ROUNDS);
        let unchanged = self.drop_removed().min(self.merge(added, table));
        for (rank, id) in (0..).zip(&self.ids).skip(unchanged) {
            if let Some(entry) = self.ranks.get_mut(*id as usize) {
                *entry = rank;
            }
        }
    }

    /// Removes the entries of removed ids. Returns the length of the unchanged prefix.
    fn drop_removed(&mut self) -> usize {
        if core::mem::take(&mut self.removed) == 0 {
            return self.ids.len();
        }
        let Self { ids, ranks, .. } = self;
        let is_current = |(index, id): (u32, &u32)| ranks.get(*id as usize) == Some(&index);
        let unchanged = (0..).zip(&*ids).take_while(|pair| is_current(*pair)).count();
        let mut index = 0;
        ids.retain(|id| {
            index += 1;
            is_current((index - 1, id))
        });
        unchanged
    }

    /// Merges the sorted ids `added` into the order. Returns the length of the unchanged prefix.
    fn merge(&mut self, added: Vec<u32>, table: &ByteTable) -> usize {
        if self.ids.is_empty() {
            self.ids = added;
            return 0;
        }
        let mut merged = Vec::with_capacity(self.ids.len() + added.len());
        let mut rest = self.ids.as_slice();
        let mut unchanged = rest.len();
        for new in added {
            let key = table.bytes(new);
            let before = prefix_len(rest, |id| table.bytes(id) < key);
            let (run, later) = rest.split_at_checked(before).unwrap_or((rest, &[]));
            merged.extend_from_slice(run);
            unchanged = unchanged.min(merged.len());
            merged.push(new);
            rest = later;
        }
        merged.extend_from_slice(rest);
        self.ids = merged;
        unchanged
    }
}

/// Returns the length of the prefix of `ids` for which `before` holds. Gallops in doubling steps,
/// as the end is often near.
fn prefix_len(ids: &[u32], before: impl Fn(u32) -> bool) -> usize {
    let is_before = |index: usize| ids.get(index).is_some_and(|id| before(*id));
    let mut step = 1;
    while is_before(step - 1) {
        step *= 2;
    }
    let (from, to) = (step / 2, ids.len().min(step - 1));
    from + ids.get(from..to).unwrap_or_default().partition_point(|id| before(*id))
}

/// Sorts `ids` by their bytes. Builds numbers from the first bytes in which the keys differ, and
/// sorts these.
fn sort(ids: &mut [u32], table: &ByteTable, rounds: u32) {
    let Some(first) = ids.first().filter(|_| ids.len() > MAX_COMPARED && rounds > 0) else {
        crate::util::sort::by(ids, |a, b| table.bytes(*a).cmp(table.bytes(*b)));
        return;
    };
    let shared = ids.iter().fold(table.bytes(*first), |shared, id| {
        let same = shared.iter().zip(table.bytes(*id)).take_while(|(a, b)| a == b).count();
        shared.get(..same).unwrap_or_default()
    });
    let mut numbers: Vec<u64> = Vec::with_capacity(ids.len());
    numbers.extend(ids.iter().map(|id| leading_number(table.bytes(*id).get(shared.len()..))));
    let widths = BitWidths::of(&numbers);
    for (number, id) in numbers.iter_mut().zip(&*ids) {
        *number = widths.compress(*number) << 32 | u64::from(*id);
    }
    crate::util::sort::unsigned(&mut numbers);
    for (id, number) in ids.iter_mut().zip(&numbers) {
        *id = crate::util::sort::halves(*number).1;
    }
    let mut rest = ids;
    for alike in numbers.chunk_by(|a, b| a >> 32 == b >> 32) {
        let (run, later) = rest.split_at_mut(alike.len().min(rest.len()));
        if run.len() > 1 {
            sort(run, table, rounds - 1);
        }
        rest = later;
    }
}

/// Returns the first eight of `bytes` as a number with the same order, zero-padded at the end.
fn leading_number(bytes: Option<&[u8]>) -> u64 {
    let bytes = bytes.unwrap_or_default();
    let whole = bytes.first_chunk().map(|chunk| u64::from_be_bytes(*chunk));
    whole.unwrap_or_else(|| {
        let short = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        short << (64 - 8 * bytes.len()).min(63)
    })
}

/// The number of bits that differ in each byte of some numbers, most significant byte first. At
/// most 32 bits in all.
struct BitWidths([u32; 8]);

impl BitWidths {
    fn of(numbers: &[u64]) -> Self {
        let first = numbers.first().copied().unwrap_or(0);
        let differ = numbers.iter().fold(0, |differ, number| differ | (number ^ first));
        let mut room = 32;
        Self(differ.to_be_bytes().map(|byte| {
            let width = 8 - byte.leading_zeros();
            let fits = width <= room;
            // Bytes after the first one that does not fit have no bits.
            room = if fits { room - width } else { 0 };
            if fits { width } else { 0 }
        }))
    }

    /// Returns the counted bits of `number`, at most 32. They sort as the numbers do, as far as
    /// they reach.
    fn compress(&self, number: u64) -> u64 {
        let bytes = number.to_be_bytes().into_iter().zip(self.0);
        bytes.fold(0, |compressed, (byte, width)| {
            compressed << width | u64::from(byte) & ((1 << width) - 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> impl Strategy<Value = Vec<u8>> {
        let text = prop_oneof!["[ab]{0,3}", "svc-[0-9]{1,6}", "tenant-[ab]/service-[0-9]{1,4}/x"];
        text.prop_map(|text| {
            let mut key = Vec::new();
            crate::key::push_str(&mut key, &text);
            key
        })
    }

    proptest! {
        #[test]
        fn ranks_match_sorting_by_bytes(
            seed: u64,
            rounds in prop::collection::vec(
                (prop::collection::vec(keys(), 0..300), prop::collection::vec(any::<prop::sample::Index>(), 0..50)),
                1..5,
            ),
        ) {
            let (mut table, mut order) = (ByteTable::new(seed), KeyOrder::default());
            let (mut live, mut free): (Vec<u32>, Vec<u32>) = (vec![], vec![]);
            for (keys, removed) in rounds {
                for key in keys {
                    if table.find(&key) == NONE {
                        let id = free.pop().unwrap_or(u32::try_from(table.id_bound()).unwrap());
                        table.insert(&key, id);
                        order.insert(id);
                        live.push(id);
                    }
                }
                for index in removed {
                    if !live.is_empty() {
                        let id = live.swap_remove(index.index(live.len()));
                        table.remove(id);
                        order.remove(id);
                        free.push(id);
                    }
                }
                let mut sorted = live.clone();
                sorted.sort_by_key(|id| table.bytes(*id).to_vec());
                let few: Vec<u32> = sorted.iter().copied().step_by(9).take(3).collect();
                let mut listed = few.clone();
                listed.extend(few.iter().rev());
                let ranks = order.ranks_of(listed.len(), || listed.clone(), &table).to_vec();
                prop_assert!(few.is_sorted_by(|a, b| ranks[*a as usize] < ranks[*b as usize]));
                let ranks = order.ranks_of(usize::MAX, Vec::new, &table).to_vec();
                prop_assert!(sorted.is_sorted_by_key(|id| ranks[*id as usize]));
                prop_assert!(sorted.iter().all(|id| ranks[*id as usize] < UNRANKED));
                let ids: Vec<u32> = order.ids(&table).iter().copied().filter(|id| live.contains(id)).collect();
                prop_assert_eq!(ids, sorted);
            }
        }
    }

    #[test]
    fn firing_with_a_new_key_does_not_rank_all_keys() {
        let (mut table, mut order) = (ByteTable::new(0), KeyOrder::default());
        let mut add = |order: &mut KeyOrder, id: u32| {
            table.insert(&id.to_le_bytes(), id);
            order.insert(id);
            let ids = [id, id / 2];
            let ranks = order.ranks_of(2, || ids.to_vec(), &table).to_vec();
            let bytes = ids.map(|id| table.bytes(id));
            assert_eq!(ids.map(|id| ranks[id as usize]).is_sorted(), bytes.is_sorted());
            order.ids.len()
        };
        let ranked: Vec<usize> = (0..20_000).map(|id| add(&mut order, id)).collect();
        let rankings = ranked.windows(2).filter(|pair| pair[0] != pair[1]);
        let copied: usize = rankings.map(|pair| pair[1]).sum();
        assert!(copied < 20_000 * 2 * KEYS_PER_RANKED_APART * 2, "{copied}");
    }

    #[test]
    fn list_of_added_keys_is_bounded_by_the_ids() {
        let (mut table, mut order) = (ByteTable::new(0), KeyOrder::default());
        for round in 0..100_000_u32 {
            let id = round % 10;
            if round >= 10 {
                table.remove(id);
                order.remove(id);
            }
            table.insert(&round.to_be_bytes(), id);
            order.insert(id);
            assert!(order.added.len() <= 2 * 10 + MIN_STALE);
        }
        assert_eq!(order.ids(&table), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn widths_fit_the_differing_bits_into_32() {
        let widths = BitWidths::of(&[0x3031_3200_0000_0000, 0x3031_3935_3600_0000]);
        assert_eq!(widths.0, [0, 0, 4, 6, 6, 0, 0, 0]);
        let widths = BitWidths::of(&[0, u64::MAX]);
        assert_eq!(widths.0, [8, 8, 8, 8, 0, 0, 0, 0]);
        let widths = BitWidths::of(&[0, 0x7fff_ffff_ffff_0000]);
        assert_eq!(widths.0, [7, 8, 8, 8, 0, 0, 0, 0]);
    }
}
