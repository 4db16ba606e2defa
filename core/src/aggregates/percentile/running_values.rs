//! The values of one key in a sliding window, updated incrementally: entering values are added,
//! leaving ones removed.
//!
//! Counts are whole numbers, so the state equals the one built from the remaining values, in any
//! order.

use super::histogram::Histogram;
use super::pairs::{self, MAX_DISTINCT};
use super::value_range::ValueRange;
use super::value_set::ValueSet;
use super::{ALWAYS_EXACT, percentile_by_rank};
use crate::spec::Percentile;

/// Number of different values up to which all are kept. It is above [`MAX_DISTINCT`], the bound for
/// exact percentiles, so that values near that bound seldom change the form.
const MAX_PAIRS: usize = ALWAYS_EXACT;

/// The values of one key.
#[derive(Clone, Default)]
pub(super) struct RunningValues {
    count: u64,
    /// All values as ascending pairs, unless `histogram` counts them.
    pairs: Vec<(f64, u64)>,
    histogram: Option<Box<RunningHistogram>>,
}

/// A histogram that values leave again. It also tells if there are certainly more than
/// [`MAX_DISTINCT`] different values, so that percentiles must be approximate.
#[derive(Clone)]
struct RunningHistogram {
    histogram: Histogram,
    /// Number of added sets that are histograms themselves: each alone has too many different
    /// values to be exact.
    histogram_sets: u64,
    /// Number of different values beyond [`MAX_DISTINCT`] that there are at least. Each removal
    /// reduces it by one.
    min_distinct_excess: u64,
    /// True if values were removed that the histogram cannot remove exactly.
    is_inexact: bool,
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
                self.histogram().add_set(histogram);
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
                self.histogram().remove_set(histogram);
            }
        }
    }

    fn add_value(&mut self, value: f64, times: u64) {
        self.count = self.count.wrapping_add(times);
        match &mut self.histogram {
            Some(running) => running.histogram.add(value, times),
            None => {
                pairs::add(&mut self.pairs, value, times);
                if self.pairs.len() > MAX_PAIRS {
                    self.histogram();
                }
            }
        }
    }

    fn remove_value(&mut self, value: f64, times: u64) {
        self.count = self.count.wrapping_sub(times);
        match &mut self.histogram {
            Some(running) => running.remove(value, times),
            None => pairs::remove(&mut self.pairs, value, times),
        }
    }

    /// Returns the histogram, converting the pairs to it on the first call.
    fn histogram(&mut self) -> &mut RunningHistogram {
        let pairs = &mut self.pairs;
        self.histogram
            .get_or_insert_with(|| Box::new(RunningHistogram::of(&core::mem::take(pairs))))
    }

    /// Returns true if the histogram may be wrong, or it is no longer certain that percentiles must
    /// be approximate. Then the caller must rebuild the state from all values.
    pub(super) fn needs_recount(&self) -> bool {
        self.histogram.as_ref().is_some_and(|running| running.needs_recount())
    }

    /// Creates the state of all values of `sets`.
    pub(super) fn from_sets<'a>(sets: impl Iterator<Item = &'a ValueSet> + Clone) -> Self {
        let mut all: Vec<(f64, u64)> = Vec::new();
        for set in sets.clone() {
            match set {
                ValueSet::Values(values) => all.extend(values.iter().map(|value| (*value, 1))),
                ValueSet::Pairs(pairs) => all.extend_from_slice(pairs),
                ValueSet::Histogram(_) => {}
            }
        }
        let mut running = Self { count: pairs::count(&all), ..Self::default() };
        running.pairs = pairs::from_unsorted(&all);
        if running.pairs.len() > MAX_PAIRS {
            running.histogram();
        }
        sets.filter(|set| matches!(set, ValueSet::Histogram(_))).for_each(|set| running.add(set));
        running
    }

    /// Writes the result of each of `asked`, in ascending order, to `results`; all values are
    /// within `range`. Returns the number of values below the octaves that percentiles use.
    pub(super) fn percentiles(
        &mut self,
        asked: &[Percentile],
        range: ValueRange,
        results: &mut [f64],
    ) -> u64 {
        let count = self.count;
        let write = |results: &mut [f64], at: &dyn Fn(u64) -> (f64, u64)| {
            for (percentile, result) in asked.iter().zip(results) {
                *result = percentile_by_rank(*percentile, count, range, at);
            }
        };
        let converted;
        let histogram = match &mut self.histogram {
            Some(running) => {
                running.histogram.set_range(range);
                &running.histogram
            }
            None if count <= ALWAYS_EXACT as u64 || self.pairs.len() <= MAX_DISTINCT => {
                write(results, &|rank| pairs::at(&self.pairs, rank, count));
                return 0;
            }
            None => {
                converted = Histogram::from_pairs(&self.pairs);
                &converted
            }
        };
        write(results, &|rank| histogram.at(rank));
        histogram.folded()
    }

    /// Returns the same values as a [`ValueSet`]; all values are within `range`.
    pub(super) fn to_set(&self, range: ValueRange) -> ValueSet {
        if let Some(running) = &self.histogram {
            let mut histogram = running.histogram.clone();
            histogram.set_range(range);
            return ValueSet::Histogram(Box::new(histogram));
        }
        if self.count <= ALWAYS_EXACT as u64 {
            let times = |times| usize::try_from(times).unwrap_or(0);
            let values =
                self.pairs.iter().flat_map(|(value, n)| core::iter::repeat_n(*value, times(*n)));
            return ValueSet::Values(values.take(ALWAYS_EXACT).collect());
        }
        if self.pairs.len() <= MAX_DISTINCT {
            return ValueSet::Pairs(self.pairs.clone());
        }
        ValueSet::Histogram(Box::new(Histogram::from_pairs(&self.pairs)))
    }
}

impl RunningHistogram {
    /// Creates a histogram of ascending `pairs`.
    fn of(pairs: &[(f64, u64)]) -> Self {
        Self {
            histogram: Histogram::from_pairs(pairs),
            histogram_sets: 0,
            min_distinct_excess: distinct_excess(pairs.len()),
            is_inexact: false,
        }
    }

    fn remove(&mut self, value: f64, times: u64) {
        self.is_inexact |= !self.histogram.can_remove();
        self.histogram.remove(value, times);
        if self.min_distinct_excess == 1 {
            // Values in different buckets are different.
            self.min_distinct_excess = distinct_excess(self.histogram.nonzero_buckets());
        } else {
            self.min_distinct_excess = self.min_distinct_excess.saturating_sub(1);
        }
    }

    fn add_set(&mut self, histogram: &Histogram) {
        self.histogram_sets += 1;
        self.histogram.merge(histogram);
    }

    fn remove_set(&mut self, histogram: &Histogram) {
        self.is_inexact |= !self.histogram.can_remove();
        self.histogram_sets = self.histogram_sets.saturating_sub(1);
        self.histogram.subtract(histogram);
        // The number of different values of the removed set is unknown.
        self.min_distinct_excess = 0;
    }

    fn needs_recount(&self) -> bool {
        let is_certain = self.histogram_sets > 0
            || (self.min_distinct_excess > 0 && self.histogram.count() > ALWAYS_EXACT as u64);
        self.is_inexact || !is_certain
    }
}

/// Returns by how much `distinct` exceeds [`MAX_DISTINCT`].
fn distinct_excess(distinct: usize) -> u64 {
    distinct.saturating_sub(MAX_DISTINCT) as u64
}
