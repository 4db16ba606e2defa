//! Logarithmic buckets for the magnitudes of one sign, with removal.

use super::MAX_OCTAVES;
use super::half_histogram::{BUCKETS_PER_OCTAVE, HalfHistogram, bucket_middle, octave_and_bucket};
use super::removable_histogram::low_bits;

/// Number of buckets that are summed at once in the search for a rank.
const STEP: usize = 8;

/// A [`HalfHistogram`] with removal. It keeps all octaves, because removing one can make a lower
/// one count among the greatest again.
#[derive(Clone, Default)]
pub(super) struct RemovableHalfHistogram {
    /// The octaves with values, ascending.
    octaves: Vec<i32>,
    /// Number of values of each octave.
    totals: Vec<u64>,
    /// Number of values of each bucket, modulo 2^32.
    counts: Vec<[u32; BUCKETS_PER_OCTAVE]>,
    /// Number of values of all octaves.
    total: u64,
    /// Number of buckets with values.
    nonzero_buckets: usize,
    /// Number of values that were already folded in a merged histogram.
    folded: u64,
}

impl RemovableHalfHistogram {
    pub(super) fn nonzero_buckets(&self) -> usize {
        self.nonzero_buckets
    }

    #[inline]
    pub(super) fn add(&mut self, magnitude: u64, times: u64) {
        let (octave, bucket) = octave_and_bucket(magnitude);
        let position = self.position_or_insert(octave);
        self.count(position, bucket, times);
    }

    #[inline]
    pub(super) fn remove(&mut self, magnitude: u64, times: u64) {
        let (octave, bucket) = octave_and_bucket(magnitude);
        let Ok(position) = self.position(octave) else { return };
        self.count(position, bucket, times.wrapping_neg());
        if self.totals.get(position) == Some(&0) {
            self.remove_octave(position);
        }
    }

    /// Adds `times` to a bucket of the octave at `position`. All counts wrap, so a negated number
    /// subtracts.
    #[inline]
    fn count(&mut self, position: usize, bucket: usize, times: u64) {
        self.total = self.total.wrapping_add(times);
        let (Some(total), Some(counts)) =
            (self.totals.get_mut(position), self.counts.get_mut(position))
        else {
            return;
        };
        *total = total.wrapping_add(times);
        if let Some(count) = counts.get_mut(bucket) {
            self.nonzero_buckets += usize::from(*count == 0);
            *count = count.wrapping_add(low_bits(times));
            self.nonzero_buckets -= usize::from(*count == 0);
        }
    }

    /// Adds the counts of `half`.
    pub(super) fn add_half(&mut self, half: &HalfHistogram) {
        self.folded = self.folded.wrapping_add(half.folded());
        for (octave, more) in half.octaves() {
            let position = self.position_or_insert(octave);
            self.apply(position, more, u64::wrapping_add, u32::wrapping_add);
        }
    }

    /// Subtracts the counts of `half`.
    pub(super) fn remove_half(&mut self, half: &HalfHistogram) {
        self.folded = self.folded.wrapping_sub(half.folded());
        for (octave, less) in half.octaves() {
            let Ok(position) = self.position(octave) else { continue };
            self.apply(position, less, u64::wrapping_sub, u32::wrapping_sub);
            if self.totals.get(position) == Some(&0) {
                self.remove_octave(position);
            }
        }
    }

    /// Changes the octave at `position` by the counts `by`, with the given addition or subtraction.
    fn apply(
        &mut self,
        position: usize,
        by: &[u32; BUCKETS_PER_OCTAVE],
        of_total: impl Fn(u64, u64) -> u64,
        of_count: impl Fn(u32, u32) -> u32,
    ) {
        let (Some(total), Some(counts)) =
            (self.totals.get_mut(position), self.counts.get_mut(position))
        else {
            return;
        };
        let changed = sum(by);
        *total = of_total(*total, changed);
        self.total = of_total(self.total, changed);
        self.nonzero_buckets -= count_nonzero(counts);
        for (count, by) in counts.iter_mut().zip(by) {
            *count = of_count(*count, *by);
        }
        self.nonzero_buckets += count_nonzero(counts);
    }

    /// Returns the index of `octave`, or the index at which to insert it.
    #[inline]
    fn position(&self, octave: i32) -> Result<usize, usize> {
        // Usually the octaves have no gaps.
        let first = self.octaves.first().copied().unwrap_or(octave);
        let guess = usize::try_from(octave.wrapping_sub(first)).unwrap_or(usize::MAX);
        match self.octaves.get(guess) {
            Some(found) if *found == octave => Ok(guess),
            _ => self.octaves.binary_search(&octave),
        }
    }

    fn position_or_insert(&mut self, octave: i32) -> usize {
        self.position(octave).unwrap_or_else(|position| {
            self.octaves.insert(position, octave);
            self.totals.insert(position, 0);
            self.counts.insert(position, [0; BUCKETS_PER_OCTAVE]);
            position
        })
    }

    /// Removes an octave without values.
    #[cold]
    fn remove_octave(&mut self, position: usize) {
        self.nonzero_buckets -= self.counts.get(position).map_or(0, count_nonzero);
        self.octaves.remove(position);
        self.totals.remove(position);
        self.counts.remove(position);
    }

    /// Returns the index of the first octave that percentiles use: only the greatest
    /// [`MAX_OCTAVES`].
    fn first_kept(&self) -> usize {
        self.octaves.len().saturating_sub(MAX_OCTAVES)
    }

    /// Returns the number of values in octaves below those that percentiles use.
    pub(super) fn folded(&self) -> u64 {
        let below = self.totals.get(..self.first_kept()).unwrap_or_default();
        below.iter().fold(self.folded, |folded, total| folded.wrapping_add(*total))
    }

    /// Iterates over the octaves that percentiles use, with total and counts.
    fn kept(&self) -> impl DoubleEndedIterator<Item = (i32, u64, &[u32; BUCKETS_PER_OCTAVE])> {
        let octaves = self.octaves.iter().zip(&self.totals).zip(&self.counts);
        octaves.skip(self.first_kept()).map(|((octave, total), counts)| (*octave, *total, counts))
    }

    /// Returns the number of values in the octaves that percentiles use.
    pub(super) fn kept_total(&self) -> u64 {
        let below = self.totals.get(..self.first_kept()).unwrap_or_default();
        below.iter().fold(self.total, |kept, total| kept.wrapping_sub(*total))
    }

    /// Returns the bucket middle at `rank` in ascending order, and the number of its values from
    /// that rank on.
    pub(super) fn at_from_below(&self, mut rank: u64) -> Option<(f64, u64)> {
        let first = self.first_kept();
        let totals = self.totals.get(first..)?;
        let mut position = first;
        for total in totals {
            if rank < *total {
                break;
            }
            rank -= total;
            position += 1;
        }
        let (octave, counts) = self.octaves.get(position).zip(self.counts.get(position))?;
        let mut bucket = 0;
        for some in counts.chunks(STEP) {
            let total = sum(some);
            if rank >= total {
                rank -= total;
                bucket += STEP;
                continue;
            }
            for count in some {
                let count = u64::from(*count);
                if rank < count {
                    return Some((bucket_middle(*octave, bucket), count - rank));
                }
                rank -= count;
                bucket += 1;
            }
        }
        None
    }

    /// Returns the bucket middle at `rank` in descending order, and the number of its values from
    /// that rank on.
    pub(super) fn at_from_above(&self, mut rank: u64) -> Option<(f64, u64)> {
        for (octave, total, counts) in self.kept().rev() {
            if rank >= total {
                rank -= total;
                continue;
            }
            for (bucket, count) in counts.iter().enumerate().rev() {
                let count = u64::from(*count);
                if rank < count {
                    return Some((bucket_middle(octave, bucket), count - rank));
                }
                rank -= count;
            }
        }
        None
    }

    /// Returns the same counts without support for removal.
    pub(super) fn to_half(&self) -> HalfHistogram {
        HalfHistogram::of(self.folded(), self.kept().map(|(octave, _, counts)| (octave, *counts)))
    }
}

fn sum(counts: &[u32]) -> u64 {
    counts.iter().map(|count| u64::from(*count)).sum()
}

fn count_nonzero(counts: &[u32; BUCKETS_PER_OCTAVE]) -> usize {
    counts.iter().filter(|count| **count > 0).count()
}
