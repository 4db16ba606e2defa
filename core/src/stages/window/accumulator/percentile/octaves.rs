//! The magnitudes of one sign that come and go, counted in buckets.

use super::MAX_OCTAVES;
use super::counted::low_bits;
use super::side::{BUCKETS, Side, middle, split};

/// Buckets that are added up at once on the way to a rank.
const STEP: usize = 8;

/// As in [`Side`], but all octaves are kept, for one that is taken away may make room for another below.
#[derive(Clone, Default)]
pub(super) struct Octaves {
    /// Which octaves have values, ascending.
    names: Vec<i32>,
    /// How many values each has.
    totals: Vec<u64>,
    /// How many each of its buckets has, modulo 2^32.
    counts: Vec<[u32; BUCKETS]>,
    /// How many all have.
    total: u64,
    /// Buckets that have values.
    filled: usize,
    /// Values that were counted only, as too small.
    folded: u64,
}

impl Octaves {
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    #[inline]
    pub(super) fn add(&mut self, magnitude: u64, times: u64) {
        let (octave, bucket) = split(magnitude);
        let place = self.place_for(octave);
        self.count(place, bucket, times);
    }

    #[inline]
    pub(super) fn remove(&mut self, magnitude: u64, times: u64) {
        let (octave, bucket) = split(magnitude);
        let Ok(place) = self.place(octave) else { return };
        self.count(place, bucket, times.wrapping_neg());
        if self.totals.get(place) == Some(&0) {
            self.close(place);
        }
    }

    /// Counts `times` more in a bucket of the octave at `place`; all counts wrap, so a negated number counts less.
    #[inline]
    fn count(&mut self, place: usize, bucket: usize, times: u64) {
        self.total = self.total.wrapping_add(times);
        let (Some(total), Some(counts)) = (self.totals.get_mut(place), self.counts.get_mut(place))
        else {
            return;
        };
        *total = total.wrapping_add(times);
        if let Some(count) = counts.get_mut(bucket) {
            self.filled += usize::from(*count == 0);
            *count = count.wrapping_add(low_bits(times));
            self.filled -= usize::from(*count == 0);
        }
    }

    /// Adds what `side` has counted.
    pub(super) fn add_side(&mut self, side: &Side) {
        self.folded = self.folded.wrapping_add(side.folded());
        for (octave, more) in side.octaves() {
            let place = self.place_for(octave);
            self.change(place, more, u64::wrapping_add, u32::wrapping_add);
        }
    }

    /// Takes away what `side` has counted.
    pub(super) fn remove_side(&mut self, side: &Side) {
        self.folded = self.folded.wrapping_sub(side.folded());
        for (octave, less) in side.octaves() {
            let Ok(place) = self.place(octave) else { continue };
            self.change(place, less, u64::wrapping_sub, u32::wrapping_sub);
            if self.totals.get(place) == Some(&0) {
                self.close(place);
            }
        }
    }

    fn change(
        &mut self,
        place: usize,
        by: &[u32; BUCKETS],
        of_total: impl Fn(u64, u64) -> u64,
        of_count: impl Fn(u32, u32) -> u32,
    ) {
        let (Some(total), Some(counts)) = (self.totals.get_mut(place), self.counts.get_mut(place))
        else {
            return;
        };
        let changed = sum(by);
        *total = of_total(*total, changed);
        self.total = of_total(self.total, changed);
        self.filled -= filled(counts);
        for (count, by) in counts.iter_mut().zip(by) {
            *count = of_count(*count, *by);
        }
        self.filled += filled(counts);
    }

    #[inline]
    fn place(&self, octave: i32) -> Result<usize, usize> {
        // Mostly there are no gaps.
        let first = self.names.first().copied().unwrap_or(octave);
        let guess = usize::try_from(octave.wrapping_sub(first)).unwrap_or(usize::MAX);
        match self.names.get(guess) {
            Some(name) if *name == octave => Ok(guess),
            _ => self.names.binary_search(&octave),
        }
    }

    fn place_for(&mut self, octave: i32) -> usize {
        self.place(octave).unwrap_or_else(|place| {
            self.names.insert(place, octave);
            self.totals.insert(place, 0);
            self.counts.insert(place, [0; BUCKETS]);
            place
        })
    }

    /// Lets go of an octave without values.
    #[cold]
    fn close(&mut self, place: usize) {
        self.filled -= self.counts.get(place).map_or(0, filled);
        self.names.remove(place);
        self.totals.remove(place);
        self.counts.remove(place);
    }

    /// Where the octaves that percentiles are taken from begin.
    fn first_kept(&self) -> usize {
        self.names.len().saturating_sub(MAX_OCTAVES)
    }

    /// Values of lower octaves.
    pub(super) fn folded(&self) -> u64 {
        let below = self.totals.get(..self.first_kept()).unwrap_or_default();
        below.iter().fold(self.folded, |folded, total| folded.wrapping_add(*total))
    }

    fn kept(&self) -> impl DoubleEndedIterator<Item = (i32, u64, &[u32; BUCKETS])> {
        let octaves = self.names.iter().zip(&self.totals).zip(&self.counts);
        octaves.skip(self.first_kept()).map(|((name, total), counts)| (*name, *total, counts))
    }

    /// How many values those have.
    pub(super) fn kept_total(&self) -> u64 {
        let below = self.totals.get(..self.first_kept()).unwrap_or_default();
        below.iter().fold(self.total, |kept, total| kept.wrapping_sub(*total))
    }

    /// What stands for the magnitude at `rank`, the least first, and how many from there on it stands for.
    pub(super) fn at_from_below(&self, mut rank: u64) -> Option<(f64, u64)> {
        let first = self.first_kept();
        let totals = self.totals.get(first..)?;
        let mut place = first;
        for total in totals {
            if rank < *total {
                break;
            }
            rank -= total;
            place += 1;
        }
        let (name, counts) = self.names.get(place).zip(self.counts.get(place))?;
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
                    return Some((middle(*name, bucket), count - rank));
                }
                rank -= count;
                bucket += 1;
            }
        }
        None
    }

    /// The same, the greatest first.
    pub(super) fn at_from_above(&self, mut rank: u64) -> Option<(f64, u64)> {
        for (octave, total, counts) in self.kept().rev() {
            if rank >= total {
                rank -= total;
                continue;
            }
            for (bucket, count) in counts.iter().enumerate().rev() {
                let count = u64::from(*count);
                if rank < count {
                    return Some((middle(octave, bucket), count - rank));
                }
                rank -= count;
            }
        }
        None
    }

    /// The same counts as they are kept where values only come.
    pub(super) fn to_side(&self) -> Side {
        Side::of(self.folded(), self.kept().map(|(octave, _, counts)| (octave, *counts)))
    }
}

fn sum(counts: &[u32]) -> u64 {
    counts.iter().map(|count| u64::from(*count)).sum()
}

fn filled(counts: &[u32; BUCKETS]) -> usize {
    counts.iter().filter(|count| **count > 0).count()
}
