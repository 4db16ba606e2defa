//! Values in ascending order, of which any can be replaced and any rank be asked for.

/// The most values of a block.
const BLOCK: usize = 512;

/// A multiset of numbers in ascending order, −0 as 0.
///
/// Blocks of up to [`BLOCK`] sorted values, and a Fenwick tree of their lengths: adding, removing and finding a rank take a number of
/// comparisons that is logarithmic, and shift values within one block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ordered {
    /// None of them empty, save where there is one.
    blocks: Vec<Vec<f64>>,
    /// Entry `i` counts the values of the blocks from `i & (i + 1)` to `i`; of no use for one block.
    counts: Vec<usize>,
    length: usize,
}

impl Ordered {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Adds `value`, a number.
    pub(crate) fn insert(&mut self, value: f64) {
        let value = value + 0.0;
        self.length += 1;
        if self.blocks.is_empty() {
            self.blocks.push(Vec::new());
        }
        let at = self.block_of(value);
        let Some(block) = self.blocks.get_mut(at) else { return };
        let place = block.partition_point(|known| *known < value);
        block.insert(place, value);
        if block.len() <= BLOCK {
            self.count(at, 1);
            return;
        }
        let upper = block.split_off(BLOCK / 2);
        self.blocks.insert(at + 1, upper);
        self.recount();
    }

    /// Removes one of the values that are equal to `value`, if there is one.
    pub(crate) fn remove(&mut self, value: f64) {
        let value = value + 0.0;
        let at = self.block_of(value);
        let Some(block) = self.blocks.get_mut(at) else { return };
        let place = block.partition_point(|known| *known < value);
        if block.get(place) != Some(&value) {
            return;
        }
        block.remove(place);
        self.length -= 1;
        if block.is_empty() && self.blocks.len() > 1 {
            self.blocks.remove(at);
            self.recount();
        } else {
            self.count(at, -1);
        }
    }

    /// Removes `old`, which is among them, and adds `new`.
    pub(crate) fn replace(&mut self, old: f64, new: f64) {
        let (old, new) = (old + 0.0, new + 0.0);
        if let [block] = self.blocks.as_mut_slice() {
            let from = block.partition_point(|known| *known < old);
            let to = block.partition_point(|known| *known < new);
            // Those between the two places move by one, so nothing else has to.
            if from < to {
                block.copy_within(from + 1..to, from);
                put(block, to - 1, new);
            } else if from < block.len() {
                block.copy_within(to..from, to + 1);
                put(block, to, new);
            }
            return;
        }
        self.remove(old);
        self.insert(new);
    }

    /// The value at `rank`, from 0, in ascending order.
    pub(crate) fn get(&self, rank: usize) -> Option<f64> {
        let (block, place) = self.find(rank);
        self.blocks.get(block)?.get(place).copied()
    }

    /// The number of values below `value`.
    pub(crate) fn rank(&self, value: f64) -> usize {
        let at = self.block_of(value);
        let Some(block) = self.blocks.get(at) else { return 0 };
        self.before(at) + block.partition_point(|known| *known < value)
    }

    /// The number of values in the blocks before the one at `at`.
    fn before(&self, mut at: usize) -> usize {
        let mut before = 0;
        while at > 0 {
            before += self.counts.get(at - 1).copied().unwrap_or(0);
            at &= at - 1;
        }
        before
    }

    /// The first block that ends with `value` or more, or else the last one.
    fn block_of(&self, value: f64) -> usize {
        if self.blocks.len() <= 1 {
            return 0;
        }
        let ends_below = |block: &Vec<f64>| block.last().is_some_and(|last| *last < value);
        self.blocks.partition_point(ends_below).min(self.blocks.len() - 1)
    }

    /// The block with the value at `rank`, and the value's place in it.
    fn find(&self, mut rank: usize) -> (usize, usize) {
        if self.blocks.len() <= 1 {
            return (0, rank);
        }
        let mut before = 0;
        let mut stride = self.blocks.len().next_power_of_two();
        while stride > 0 {
            let last = before + stride - 1;
            if let Some(count) = self.counts.get(last).filter(|count| **count <= rank) {
                rank -= count;
                before = last + 1;
            }
            stride /= 2;
        }
        (before, rank)
    }

    /// Takes note that the block at `at` has `change` values more.
    fn count(&mut self, at: usize, change: isize) {
        if self.blocks.len() <= 1 {
            return;
        }
        let mut entry = at;
        while let Some(count) = self.counts.get_mut(entry) {
            *count = count.saturating_add_signed(change);
            entry |= entry + 1;
        }
    }

    /// Counts all blocks anew.
    fn recount(&mut self) {
        self.counts.clear();
        self.counts.resize(self.blocks.len(), 0);
        for entry in 0..self.blocks.len() {
            let own = self.blocks.get(entry).map_or(0, Vec::len);
            put_more(&mut self.counts, entry, own);
            let all = self.counts.get(entry).copied().unwrap_or(0);
            put_more(&mut self.counts, entry | (entry + 1), all);
        }
    }
}

fn put(block: &mut [f64], place: usize, value: f64) {
    if let Some(entry) = block.get_mut(place) {
        *entry = value;
    }
}

fn put_more(counts: &mut [usize], entry: usize, more: usize) {
    if let Some(count) = counts.get_mut(entry) {
        *count += more;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(ordered: &Ordered, expected: &[f64]) {
        assert_eq!(ordered.len(), expected.len());
        for (rank, value) in expected.iter().enumerate() {
            assert_eq!(ordered.get(rank), Some(*value), "rank {rank} of {}", expected.len());
        }
        assert_eq!(ordered.get(expected.len()), None);
        assert!(ordered.blocks.iter().all(|block| block.len() <= BLOCK));
    }

    /// A made-up series of `count` values, some of them equal.
    fn series(count: u32) -> Vec<f64> {
        (0..count).map(|at| f64::from(at.wrapping_mul(2_654_435_761) >> 20)).collect()
    }

    #[test]
    fn keeps_many_in_order_and_lets_go_of_all() {
        let values = series(3_000);
        let mut ordered = Ordered::default();
        let mut expected: Vec<f64> = Vec::new();
        for (at, value) in values.iter().enumerate() {
            ordered.insert(*value);
            expected.insert(expected.partition_point(|known| known < value), *value);
            if at % 100 == 0 {
                check(&ordered, &expected);
            }
        }
        assert!(ordered.blocks.len() > 5);
        for value in &values {
            assert_eq!(ordered.rank(*value), expected.partition_point(|known| known < value));
        }
        for (at, value) in values.iter().enumerate() {
            ordered.remove(*value);
            expected.remove(expected.partition_point(|known| known < value));
            if at % 100 == 0 {
                check(&ordered, &expected);
            }
        }
        check(&ordered, &[]);
        ordered.remove(1.0);
        ordered.insert(1.0);
        check(&ordered, &[1.0]);
    }

    proptest! {
        #[test]
        fn replacing_is_removing_and_adding(
            size in prop::sample::select(vec![1_usize, 2, 7, 600]),
            values in prop::collection::vec((-20..20_i32).prop_map(f64::from), 1..60),
        ) {
            let mut kept: Vec<f64> = series(600)[..size].to_vec();
            let mut ordered = Ordered::default();
            kept.iter().for_each(|value| ordered.insert(*value));
            for (at, value) in values.into_iter().enumerate() {
                let old = std::mem::replace(&mut kept[at * 7 % size], value);
                ordered.replace(old, value);
            }
            kept.sort_by(f64::total_cmp);
            check(&ordered, &kept);
        }
    }
}
