//! The values of one key in a sliding window, updated incrementally: entering values are added,
//! leaving ones removed.
//!
//! Counts are whole numbers, so the state equals the one built from the remaining values, in any
//! order.

use super::half_histogram::{bucket_middle_of, octave_of};
use super::histogram::Histogram;
use super::pairs::MAX_DISTINCT;
use super::removable_histogram::RemovableHistogram;
use super::value_range::ValueRange;
use super::value_set::ValueSet;
use super::{ALWAYS_EXACT, MAX_OCTAVES};
use crate::spec::Percentile;
use crate::statistics::rank::RankPosition;

/// Number of different values up to which all are kept. It is above [`MAX_DISTINCT`], the bound for
/// exact percentiles, so that values near that bound seldom change the form.
const MAX_PAIRS: usize = 1024;
/// Number of counts that are summed at once in the search for a rank.
const STEP: usize = 16;

/// The values of one key.
#[derive(Clone, Default)]
pub(super) struct RunningValues {
    count: u64,
    /// All values, unless `removable` holds them.
    pairs: SortedCounts,
    removable: Option<Box<RemovableHistogram>>,
}

/// The different values in ascending order, and the count of each.
#[derive(Clone, Default)]
struct SortedCounts {
    values: Vec<f64>,
    times: Vec<u64>,
}

impl RunningValues {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds the values of `set`.
    pub(super) fn add(&mut self, set: &ValueSet) {
        match set {
            ValueSet::Values(values) => values.iter().for_each(|value| self.add_value(*value, 1)),
            ValueSet::Pairs(pairs) => {
                pairs.iter().for_each(|(value, times)| self.add_value(*value, *times));
            }
            ValueSet::Histogram(histogram) => {
                self.count = self.count.wrapping_add(histogram.count());
                self.removable().add_histogram(histogram);
            }
        }
    }

    /// Removes the values of `set`, which were added before.
    pub(super) fn remove(&mut self, set: &ValueSet) {
        match set {
            ValueSet::Values(values) => {
                values.iter().for_each(|value| self.remove_value(*value, 1))
            }
            ValueSet::Pairs(pairs) => {
                pairs.iter().for_each(|(value, times)| self.remove_value(*value, *times));
            }
            ValueSet::Histogram(histogram) => {
                self.count = self.count.wrapping_sub(histogram.count());
                self.removable().remove_histogram(histogram);
            }
        }
    }

    fn add_value(&mut self, value: f64, times: u64) {
        self.count = self.count.wrapping_add(times);
        match &mut self.removable {
            Some(removable) => removable.add(value, times),
            None => {
                self.pairs.add(value, times);
                if self.pairs.values.len() > MAX_PAIRS {
                    self.removable();
                }
            }
        }
    }

    fn remove_value(&mut self, value: f64, times: u64) {
        self.count = self.count.wrapping_sub(times);
        match &mut self.removable {
            Some(removable) => removable.remove(value, times),
            None => self.pairs.remove(value, times),
        }
    }

    /// Returns the histogram, converting the pairs to it on the first call.
    fn removable(&mut self) -> &mut RemovableHistogram {
        let pairs = &mut self.pairs;
        self.removable.get_or_insert_with(|| {
            let pairs = core::mem::take(pairs);
            Box::new(RemovableHistogram::of(&pairs.values, &pairs.times))
        })
    }

    /// Returns true if it is no longer certain that percentiles must be approximate. Then the
    /// caller must rebuild the state from all values.
    pub(super) fn needs_recount(&self) -> bool {
        self.removable.as_ref().is_some_and(|removable| {
            let few = self.count <= ALWAYS_EXACT as u64;
            !removable.has_histogram_parts() && (few || !removable.has_many_distinct())
        })
    }

    /// Creates the state of all values of `sets`.
    pub(super) fn from_sets<'a>(sets: impl Iterator<Item = &'a ValueSet> + Clone) -> Self {
        let of_values = |set: &'a ValueSet| match set {
            ValueSet::Values(values) => values.as_slice(),
            _ => &[],
        };
        let mut values: Vec<f64> = sets.clone().flat_map(of_values).copied().collect();
        crate::util::sort::floats(&mut values);
        let mut running = Self { count: values.len() as u64, ..Self::default() };
        for run in values.chunk_by(|a, b| a.total_cmp(b).is_eq()) {
            running.pairs.values.extend(run.first());
            running.pairs.times.push(run.len() as u64);
        }
        sets.filter(|set| !matches!(set, ValueSet::Values(_))).for_each(|set| running.add(set));
        if running.pairs.values.len() > MAX_PAIRS {
            running.removable();
        }
        running
    }

    /// Writes the result of each of `asked`, in ascending order, to `results`; all values are
    /// within `range`.
    pub(super) fn percentiles(&self, asked: &[Percentile], range: ValueRange, results: &mut [f64]) {
        match &self.removable {
            Some(removable) => {
                self.write_percentiles(asked, range, results, |rank| match removable.at(rank) {
                    Some((value, remaining)) => (range.clamp(value), remaining),
                    None => (range.max(), 1),
                })
            }
            None if self.is_exact() => {
                let range = self.pairs.range();
                self.write_percentiles(asked, range, results, |rank| {
                    self.pairs.at(rank, self.count)
                });
            }
            None if self.pairs.may_fold() => {
                let histogram = self.pairs.to_histogram();
                self.write_percentiles(asked, histogram.range(), results, |rank| {
                    histogram.at(rank)
                });
            }
            None => {
                let range = self.pairs.range();
                self.write_percentiles(asked, range, results, |rank| {
                    let (value, remaining) = self.pairs.at(rank, self.count);
                    (range.clamp(bucket_middle_of(value)), remaining)
                });
            }
        }
    }

    /// Writes the results by `at`, which returns the value at a rank and the number of equal values
    /// from there on.
    fn write_percentiles(
        &self,
        asked: &[Percentile],
        range: ValueRange,
        results: &mut [f64],
        at: impl Fn(u64) -> (f64, u64),
    ) {
        for (percentile, result) in asked.iter().zip(results) {
            let position = RankPosition::of(*percentile, self.count);
            if let Some(extreme) = position.extreme(self.count) {
                *result = range.at(extreme);
                continue;
            }
            let (low, remaining) = at(position.rank);
            *result = if position.is_fractional() && remaining <= 1 {
                position.interpolate(low, at(position.rank.saturating_add(1)).0)
            } else {
                low
            };
        }
    }

    /// Returns true if percentiles are exact.
    fn is_exact(&self) -> bool {
        let few = self.count <= ALWAYS_EXACT as u64 || self.pairs.values.len() <= MAX_DISTINCT;
        self.removable.is_none() && few
    }

    /// Returns the number of values below the octaves that percentiles use.
    pub(super) fn folded(&self) -> u64 {
        match &self.removable {
            Some(removable) => removable.folded(),
            None if !self.is_exact() && self.pairs.may_fold() => self.pairs.to_histogram().folded(),
            None => 0,
        }
    }

    /// Returns the same values as a [`ValueSet`]; all values are within `range`.
    pub(super) fn to_set(&self, range: ValueRange) -> ValueSet {
        if let Some(removable) = &self.removable {
            return ValueSet::Histogram(Box::new(removable.to_histogram(self.count, range)));
        }
        let pairs = self.pairs.values.iter().copied().zip(self.pairs.times.iter().copied());
        if self.count <= ALWAYS_EXACT as u64 {
            let times = |times| usize::try_from(times).unwrap_or(0);
            let values = pairs.flat_map(|(value, n)| core::iter::repeat_n(value, times(n)));
            return ValueSet::Values(values.take(ALWAYS_EXACT).collect());
        }
        if self.pairs.values.len() <= MAX_DISTINCT {
            return ValueSet::Pairs(pairs.collect());
        }
        ValueSet::Histogram(Box::new(self.pairs.to_histogram()))
    }
}

impl SortedCounts {
    fn position(&self, value: f64) -> Result<usize, usize> {
        self.values.binary_search_by(|known| known.total_cmp(&value))
    }

    fn add(&mut self, value: f64, more: u64) {
        match self.position(value) {
            Ok(position) => {
                if let Some(times) = self.times.get_mut(position) {
                    *times = times.wrapping_add(more);
                }
            }
            Err(position) => {
                self.values.insert(position, value);
                self.times.insert(position, more);
            }
        }
    }

    fn remove(&mut self, value: f64, less: u64) {
        let Ok(position) = self.position(value) else { return };
        let Some(times) = self.times.get_mut(position) else { return };
        *times = times.wrapping_sub(less);
        if *times == 0 {
            self.values.remove(position);
            self.times.remove(position);
        }
    }

    /// Returns the value at `rank` of all `count`, and the number of equal values from that rank
    /// on.
    fn at(&self, mut rank: u64, count: u64) -> (f64, u64) {
        if count == self.values.len() as u64 {
            let value = usize::try_from(rank).ok().and_then(|rank| self.values.get(rank));
            return (value.copied().unwrap_or(f64::NAN), 1);
        }
        for (values, times) in self.values.chunks(STEP).zip(self.times.chunks(STEP)) {
            let total = times.iter().fold(0_u64, |total, times| total.wrapping_add(*times));
            if rank >= total {
                rank -= total;
                continue;
            }
            for (value, times) in values.iter().zip(times) {
                if rank < *times {
                    return (*value, *times - rank);
                }
                rank -= times;
            }
        }
        (f64::NAN, 1)
    }

    fn range(&self) -> ValueRange {
        self.values.first().zip(self.values.last()).map_or(ValueRange::NONE, |(min, max)| {
            let (min, max) = (*min, *max);
            ValueRange::of(min, max)
        })
    }

    /// Returns true if one sign may have more octaves than percentiles use.
    fn may_fold(&self) -> bool {
        let zero = self.values.partition_point(|value| *value < 0.0);
        let (negative, others) = self.values.split_at(zero);
        let positive = others.partition_point(|value| *value <= 0.0);
        let positive = others.get(positive..).unwrap_or_default();
        let too_far = |low: Option<&f64>, high: Option<&f64>| {
            low.zip(high).is_some_and(|(low, high)| {
                octave_of(*high) - octave_of(*low) >= MAX_OCTAVES.try_into().unwrap_or(0)
            })
        };
        too_far(negative.last(), negative.first()) || too_far(positive.first(), positive.last())
    }

    fn to_histogram(&self) -> Histogram {
        let mut histogram = Histogram::new();
        for (value, times) in self.values.iter().zip(&self.times) {
            histogram.add(*value, *times);
        }
        histogram
    }
}
