//! A multiset of numbers in ascending order, with access by rank.

/// Maximum number of values of a chunk.
const MAX_CHUNK: usize = 512;

/// A multiset of numbers in ascending order, −0 as 0.
///
/// It consists of chunks of up to [`MAX_CHUNK`] sorted values, and a Fenwick tree of their lengths.
/// Insertion, removal and access by rank take a logarithmic number of comparisons, and shift values
/// within one chunk.
#[derive(Debug, Clone, Default)]
pub(crate) struct OrderedMultiset {
    /// The chunks; none is empty, unless it is the only one.
    chunks: Vec<Vec<f64>>,
    /// Fenwick tree: entry `i` counts the values of the chunks from `i & (i + 1)` to `i`. Not used
    /// for a single chunk.
    counts: Vec<usize>,
    length: usize,
}

impl OrderedMultiset {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Inserts `value`, which is not NaN.
    pub(crate) fn insert(&mut self, value: f64) {
        let value = value + 0.0;
        self.length += 1;
        if self.chunks.is_empty() {
            self.chunks.push(Vec::new());
        }
        let at = self.chunk_of(value);
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        let index = chunk.partition_point(|known| *known < value);
        chunk.insert(index, value);
        if chunk.len() <= MAX_CHUNK {
            self.change_count(at, 1);
            return;
        }
        let upper = chunk.split_off(MAX_CHUNK / 2);
        self.chunks.insert(at + 1, upper);
        self.recount();
    }

    /// Removes one value equal to `value`, if there is one.
    pub(crate) fn remove(&mut self, value: f64) {
        let value = value + 0.0;
        let at = self.chunk_of(value);
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        let index = chunk.partition_point(|known| *known < value);
        if chunk.get(index) != Some(&value) {
            return;
        }
        chunk.remove(index);
        self.length -= 1;
        if chunk.is_empty() && self.chunks.len() > 1 {
            self.chunks.remove(at);
            self.recount();
        } else {
            self.change_count(at, -1);
        }
    }

    /// Removes `old`, which must be present, and inserts `new`.
    pub(crate) fn replace(&mut self, old: f64, new: f64) {
        let (old, new) = (old + 0.0, new + 0.0);
        if let [chunk] = self.chunks.as_mut_slice() {
            let from = chunk.partition_point(|known| *known < old);
            let to = chunk.partition_point(|known| *known < new);
            // Only the values between the two positions move, by one.
            if from < to {
                chunk.copy_within(from + 1..to, from);
                set(chunk, to - 1, new);
            } else if from < chunk.len() {
                chunk.copy_within(to..from, to + 1);
                set(chunk, to, new);
            }
            return;
        }
        self.remove(old);
        self.insert(new);
    }

    /// Returns the value at `rank` in ascending order, from 0.
    pub(crate) fn get(&self, rank: usize) -> Option<f64> {
        let (chunk, index) = self.find(rank);
        self.chunks.get(chunk)?.get(index).copied()
    }

    /// Returns the number of values below `value`.
    pub(crate) fn rank(&self, value: f64) -> usize {
        let at = self.chunk_of(value);
        let Some(chunk) = self.chunks.get(at) else { return 0 };
        self.count_before(at) + chunk.partition_point(|known| *known < value)
    }

    /// Returns the number of values in the chunks before chunk `at`.
    fn count_before(&self, mut at: usize) -> usize {
        let mut before = 0;
        while at > 0 {
            before += self.counts.get(at - 1).copied().unwrap_or(0);
            at &= at - 1;
        }
        before
    }

    /// Returns the first chunk whose last value is `value` or more, or else the last chunk.
    fn chunk_of(&self, value: f64) -> usize {
        if self.chunks.len() <= 1 {
            return 0;
        }
        let ends_below = |chunk: &Vec<f64>| chunk.last().is_some_and(|last| *last < value);
        self.chunks.partition_point(ends_below).min(self.chunks.len() - 1)
    }

    /// Returns the chunk with the value at `rank`, and the index of the value in it.
    fn find(&self, mut rank: usize) -> (usize, usize) {
        if self.chunks.len() <= 1 {
            return (0, rank);
        }
        let mut before = 0;
        let mut stride = self.chunks.len().next_power_of_two();
        while stride > 0 {
            let last = before + stride - 1;
            if let Some(change_count) =
                self.counts.get(last).filter(|change_count| **change_count <= rank)
            {
                rank -= change_count;
                before = last + 1;
            }
            stride /= 2;
        }
        (before, rank)
    }

    /// Adds `change` to the length of chunk `at` in the Fenwick tree.
    fn change_count(&mut self, at: usize, change: isize) {
        if self.chunks.len() <= 1 {
            return;
        }
        let mut entry = at;
        while let Some(change_count) = self.counts.get_mut(entry) {
            *change_count = change_count.saturating_add_signed(change);
            entry |= entry + 1;
        }
    }

    /// Rebuilds the Fenwick tree.
    fn recount(&mut self) {
        self.counts.clear();
        self.counts.resize(self.chunks.len(), 0);
        for entry in 0..self.chunks.len() {
            let own = self.chunks.get(entry).map_or(0, Vec::len);
            add_to(&mut self.counts, entry, own);
            let all = self.counts.get(entry).copied().unwrap_or(0);
            add_to(&mut self.counts, entry | (entry + 1), all);
        }
    }
}

fn set(chunk: &mut [f64], index: usize, value: f64) {
    if let Some(entry) = chunk.get_mut(index) {
        *entry = value;
    }
}

fn add_to(counts: &mut [usize], entry: usize, more: usize) {
    if let Some(change_count) = counts.get_mut(entry) {
        *change_count += more;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(ordered: &OrderedMultiset, expected: &[f64]) {
        assert_eq!(ordered.len(), expected.len());
        for (rank, value) in expected.iter().enumerate() {
            assert_eq!(ordered.get(rank), Some(*value), "rank {rank} of {}", expected.len());
        }
        assert_eq!(ordered.get(expected.len()), None);
        assert!(ordered.chunks.iter().all(|chunk| chunk.len() <= MAX_CHUNK));
    }

    /// A pseudo-random series of `count` values, some of them equal.
    fn series(change_count: u32) -> Vec<f64> {
        (0..change_count).map(|at| f64::from(at.wrapping_mul(2_654_435_761) >> 20)).collect()
    }

    #[test]
    fn order_holds_through_insertion_and_removal_of_many() {
        let values = series(3_000);
        let mut ordered = OrderedMultiset::default();
        let mut expected: Vec<f64> = Vec::new();
        for (at, value) in values.iter().enumerate() {
            ordered.insert(*value);
            expected.insert(expected.partition_point(|known| known < value), *value);
            if at % 100 == 0 {
                check(&ordered, &expected);
            }
        }
        assert!(ordered.chunks.len() > 5);
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
        fn replace_equals_remove_and_insert(
            size in prop::sample::select(vec![1_usize, 2, 7, 600]),
            values in prop::collection::vec((-20..20_i32).prop_map(f64::from), 1..60),
        ) {
            let mut kept: Vec<f64> = series(600)[..size].to_vec();
            let mut ordered = OrderedMultiset::default();
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
