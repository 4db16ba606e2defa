//! The order of keys: their places among all by their bytes, kept from one firing to the next.

use crate::util::byte_table::ByteTable;
use crate::util::id_table::NONE;

/// The place of a key that came since the last ranking.
const FRESH: u32 = NONE - 1;
/// Lists up to this length are sorted by comparing.
const FEW: usize = 64;
/// How often keys that begin alike are looked at further before they are compared.
const LEVELS: u32 = 4;

/// Keys in the order of their bytes.
#[derive(Clone, Default)]
pub(super) struct Order {
    /// Ids in order, as of the last ranking.
    ids: Vec<u32>,
    /// The place of each id there; [`NONE`] of one that is gone.
    ranks: Vec<u32>,
    /// Ids that came since then: once for each time that they were given out.
    fresh: Vec<u32>,
    /// How many ids of `ids` are gone, be it that they mean another key now.
    gone: usize,
}

impl Order {
    /// Takes note that `id`, which is at most one above all others, means a key from now on.
    pub(super) fn note_new(&mut self, id: u32) {
        match self.ranks.get_mut(id as usize) {
            Some(rank) => *rank = FRESH,
            None => self.ranks.push(FRESH),
        }
        self.fresh.push(id);
    }

    /// Takes note that `id` means no key any more.
    pub(super) fn note_gone(&mut self, id: u32) {
        if let Some(rank) = self.ranks.get_mut(id as usize) {
            self.gone += usize::from(*rank != FRESH);
            *rank = NONE;
        }
    }

    /// The place of each id among all, by the bytes that `table` has of them.
    pub(super) fn ranks(&mut self, table: &ByteTable) -> &[u32] {
        self.update(table);
        &self.ranks
    }

    /// All ids in order.
    pub(super) fn ids(&mut self, table: &ByteTable) -> &[u32] {
        self.update(table);
        &self.ids
    }

    fn update(&mut self, table: &ByteTable) {
        if !self.fresh.is_empty() {
            self.rank(table);
        }
    }

    /// Sorts the keys that came since the last time and merges them into the order.
    #[cold]
    fn rank(&mut self, table: &ByteTable) {
        let mut fresh = core::mem::take(&mut self.fresh);
        fresh.retain(|id| {
            let rank = self.ranks.get_mut(*id as usize);
            // An id that was freed and given out again stands there twice.
            rank.is_some_and(|rank| core::mem::replace(rank, NONE) == FRESH)
        });
        sort(&mut fresh, table, LEVELS);
        let unmoved = self.drop_gone().min(self.merge(fresh, table));
        for (rank, id) in (0..).zip(&self.ids).skip(unmoved) {
            if let Some(entry) = self.ranks.get_mut(*id as usize) {
                *entry = rank;
            }
        }
    }

    /// Takes out the ids that are gone; returns how many stand where they stood.
    fn drop_gone(&mut self) -> usize {
        if core::mem::take(&mut self.gone) == 0 {
            return self.ids.len();
        }
        let Self { ids, ranks, .. } = self;
        let stays = |(place, id): (u32, &u32)| ranks.get(*id as usize) == Some(&place);
        let unmoved = (0..).zip(&*ids).take_while(|pair| stays(*pair)).count();
        let mut place = 0;
        ids.retain(|id| {
            place += 1;
            stays((place - 1, id))
        });
        unmoved
    }

    /// Puts `fresh`, which is in order, between the others; returns how many stand where they stood.
    fn merge(&mut self, fresh: Vec<u32>, table: &ByteTable) -> usize {
        if self.ids.is_empty() {
            self.ids = fresh;
            return 0;
        }
        let mut merged = Vec::with_capacity(self.ids.len() + fresh.len());
        let mut rest = self.ids.as_slice();
        let mut unmoved = rest.len();
        for new in fresh {
            let key = table.bytes(new);
            let before = count_before(rest, |id| table.bytes(id) < key);
            let (run, later) = rest.split_at_checked(before).unwrap_or((rest, &[]));
            merged.extend_from_slice(run);
            unmoved = unmoved.min(merged.len());
            merged.push(new);
            rest = later;
        }
        merged.extend_from_slice(rest);
        self.ids = merged;
        unmoved
    }
}

/// How many of `ids`, the first ones, are `before` something: in steps that double, as the next one is often near.
fn count_before(ids: &[u32], before: impl Fn(u32) -> bool) -> usize {
    let is_before = |place: usize| ids.get(place).is_some_and(|id| before(*id));
    let mut step = 1;
    while is_before(step - 1) {
        step *= 2;
    }
    let (from, to) = (step / 2, ids.len().min(step - 1));
    from + ids.get(from..to).unwrap_or_default().partition_point(|id| before(*id))
}

/// Sorts `ids` by their bytes: by numbers that are made of the first bytes in which they differ.
fn sort(ids: &mut [u32], table: &ByteTable, levels: u32) {
    let Some(first) = ids.first().filter(|_| ids.len() > FEW && levels > 0) else {
        ids.sort_unstable_by(|a, b| table.bytes(*a).cmp(table.bytes(*b)));
        return;
    };
    let shared = ids.iter().fold(table.bytes(*first), |shared, id| {
        let same = shared.iter().zip(table.bytes(*id)).take_while(|(a, b)| a == b).count();
        shared.get(..same).unwrap_or_default()
    });
    let mut numbers: Vec<u64> = Vec::with_capacity(ids.len());
    numbers.extend(ids.iter().map(|id| begin(table.bytes(*id).get(shared.len()..))));
    let widths = Widths::of(&numbers);
    for (number, id) in numbers.iter_mut().zip(&*ids) {
        *number = widths.squeeze(*number) << 32 | u64::from(*id);
    }
    crate::util::sort::unsigned(&mut numbers);
    for (id, number) in ids.iter_mut().zip(&numbers) {
        *id = crate::util::sort::halves(*number).1;
    }
    let mut rest = ids;
    for alike in numbers.chunk_by(|a, b| a >> 32 == b >> 32) {
        let (run, later) = rest.split_at_mut(alike.len().min(rest.len()));
        if run.len() > 1 {
            sort(run, table, levels - 1);
        }
        rest = later;
    }
}

/// The first eight of `bytes` as a number that orders as they do; zeros where there are fewer.
fn begin(bytes: Option<&[u8]>) -> u64 {
    let bytes = bytes.unwrap_or_default();
    let whole = bytes.first_chunk().map(|chunk| u64::from_be_bytes(*chunk));
    whole.unwrap_or_else(|| {
        let short = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        short << (64 - 8 * bytes.len()).min(63)
    })
}

/// How many bits of each byte differ among numbers, the first byte being the highest: those that 32 bits have room for.
struct Widths([u32; 8]);

impl Widths {
    fn of(numbers: &[u64]) -> Self {
        let first = numbers.first().copied().unwrap_or(0);
        let differ = numbers.iter().fold(0, |differ, number| differ | (number ^ first));
        let mut room = 32;
        Self(differ.to_be_bytes().map(|byte| {
            let width = 8 - byte.leading_zeros();
            let fits = width <= room;
            // Behind what has no room nothing has.
            room = if fits { room - width } else { 0 };
            if fits { width } else { 0 }
        }))
    }

    /// The bits of `number` that count, at most 32: they order as the numbers do, as far as they go.
    fn squeeze(&self, number: u64) -> u64 {
        let bytes = number.to_be_bytes().into_iter().zip(self.0);
        bytes.fold(0, |squeezed, (byte, width)| {
            squeezed << width | u64::from(byte) & ((1 << width) - 1)
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
        fn places_are_those_of_sorted_keys(
            seed: u64,
            rounds in prop::collection::vec(
                (prop::collection::vec(keys(), 0..300), prop::collection::vec(any::<prop::sample::Index>(), 0..50)),
                1..5,
            ),
        ) {
            let (mut table, mut order) = (ByteTable::new(seed), Order::default());
            let (mut live, mut free): (Vec<u32>, Vec<u32>) = (vec![], vec![]);
            for (keys, gone) in rounds {
                for key in keys {
                    if table.find(&key) == NONE {
                        let id = free.pop().unwrap_or(u32::try_from(table.id_bound()).unwrap());
                        table.insert(&key, id);
                        order.note_new(id);
                        live.push(id);
                    }
                }
                for index in gone {
                    if !live.is_empty() {
                        let id = live.swap_remove(index.index(live.len()));
                        table.remove(id);
                        order.note_gone(id);
                        free.push(id);
                    }
                }
                let mut sorted = live.clone();
                sorted.sort_by_key(|id| table.bytes(*id).to_vec());
                let ranks = order.ranks(&table).to_vec();
                prop_assert!(sorted.is_sorted_by_key(|id| ranks[*id as usize]));
                prop_assert!(sorted.iter().all(|id| ranks[*id as usize] < FRESH));
                let ids: Vec<u32> = order.ids(&table).iter().copied().filter(|id| live.contains(id)).collect();
                prop_assert_eq!(ids, sorted);
            }
        }
    }

    #[test]
    fn numbers_are_squeezed_into_32_bits() {
        let widths = Widths::of(&[0x3031_3200_0000_0000, 0x3031_3935_3600_0000]);
        assert_eq!(widths.0, [0, 0, 4, 6, 6, 0, 0, 0]);
        let widths = Widths::of(&[0, u64::MAX]);
        assert_eq!(widths.0, [8, 8, 8, 8, 0, 0, 0, 0]);
        let widths = Widths::of(&[0, 0x7fff_ffff_ffff_0000]);
        assert_eq!(widths.0, [7, 8, 8, 8, 0, 0, 0, 0]);
    }
}
