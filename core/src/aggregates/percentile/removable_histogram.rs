//! A histogram of both signs with removal, and a lower bound for the number of different values.

use super::histogram::Histogram;
use super::pairs::MAX_DISTINCT;
use super::removable_half_histogram::RemovableHalfHistogram;
use super::value_range::ValueRange;

/// A histogram that supports removal. It also tells if there are certainly more than
/// [`MAX_DISTINCT`] different values, so that percentiles must be approximate.
#[derive(Clone, Default)]
pub(super) struct RemovableHistogram {
    zeros: u64,
    negative: RemovableHalfHistogram,
    positive: RemovableHalfHistogram,
    /// Number of merged parts that are histograms themselves: each alone has too many different
    /// values to be exact.
    histogram_parts: u64,
    /// Number of removals before the number of different values can fall to [`MAX_DISTINCT`].
    removals_before_recount: u64,
    distinct: Option<Box<DistinctLowerBound>>,
}

impl RemovableHistogram {
    /// Creates a histogram of different `values`, each with its count in `times`.
    pub(super) fn of(values: &[f64], times: &[u64]) -> Self {
        let mut histogram = Self::default();
        let pairs = || values.iter().zip(times);
        pairs().for_each(|(value, times)| histogram.add(*value, *times));
        if values.len() > MAX_DISTINCT && !histogram.has_many_nonzero_buckets() {
            let mut distinct = Box::new(DistinctLowerBound { cells: [0; CELLS], occupied: 0 });
            pairs().for_each(|(value, times)| distinct.add(*value, *times));
            histogram.distinct = Some(distinct);
        }
        histogram.removals_before_recount = values.len().saturating_sub(MAX_DISTINCT + 1) as u64;
        histogram
    }

    pub(super) fn add(&mut self, value: f64, times: u64) {
        if value > 0.0 {
            self.positive.add(value.to_bits(), times);
        } else if value < 0.0 {
            self.negative.add((-value).to_bits(), times);
        } else {
            self.zeros = self.zeros.wrapping_add(times);
        }
        if let Some(distinct) = &mut self.distinct {
            distinct.add(value, times);
        }
    }

    pub(super) fn remove(&mut self, value: f64, times: u64) {
        if value > 0.0 {
            self.positive.remove(value.to_bits(), times);
        } else if value < 0.0 {
            self.negative.remove((-value).to_bits(), times);
        } else {
            self.zeros = self.zeros.wrapping_sub(times);
        }
        if let Some(distinct) = &mut self.distinct {
            distinct.remove(value, times);
        }
        self.removals_before_recount = self.removals_before_recount.saturating_sub(1);
    }

    pub(super) fn add_histogram(&mut self, histogram: &Histogram) {
        self.histogram_parts += 1;
        self.zeros = self.zeros.wrapping_add(histogram.zeros());
        let (negative, positive) = histogram.halves();
        if let Some(negative) = negative {
            self.negative.add_half(negative);
        }
        self.positive.add_half(positive);
    }

    pub(super) fn remove_histogram(&mut self, histogram: &Histogram) {
        self.histogram_parts = self.histogram_parts.saturating_sub(1);
        self.zeros = self.zeros.wrapping_sub(histogram.zeros());
        let (negative, positive) = histogram.halves();
        if let Some(negative) = negative {
            self.negative.remove_half(negative);
        }
        self.positive.remove_half(positive);
        // The number of different values of the removed part is unknown.
        self.removals_before_recount = 0;
    }

    /// Returns true if a merged part is a histogram itself.
    pub(super) fn has_histogram_parts(&self) -> bool {
        self.histogram_parts > 0
    }

    /// Returns true if there are certainly more than [`MAX_DISTINCT`] different values.
    pub(super) fn has_many_distinct(&self) -> bool {
        self.removals_before_recount > 0
            || self.has_many_nonzero_buckets()
            || self.distinct.as_ref().is_some_and(|distinct| distinct.occupied > MAX_DISTINCT)
    }

    /// Returns true if the buckets alone prove that there are many different values.
    fn has_many_nonzero_buckets(&self) -> bool {
        self.negative.nonzero_buckets() + self.positive.nonzero_buckets() > MAX_DISTINCT
    }

    /// Returns the number of values below the octaves that percentiles use.
    pub(super) fn folded(&self) -> u64 {
        self.negative.folded().wrapping_add(self.positive.folded())
    }

    /// Returns the estimate at `rank`, and the number of values from that rank on with the same
    /// estimate.
    pub(super) fn at(&self, mut rank: u64) -> Option<(f64, u64)> {
        let below = self.negative.kept_total();
        if rank < below {
            let (magnitude, remaining) = self.negative.at_from_above(rank)?;
            return Some((-magnitude, remaining));
        }
        rank -= below;
        let near_zero = self.folded().wrapping_add(self.zeros);
        if rank < near_zero {
            return Some((0.0, near_zero - rank));
        }
        self.positive.at_from_below(rank - near_zero)
    }

    /// Returns the same counts without support for removal: `count` values in all, within `range`.
    pub(super) fn to_histogram(&self, count: u64, range: ValueRange) -> Histogram {
        Histogram::from_halves(
            (count, self.zeros),
            range,
            self.negative.to_half(),
            self.positive.to_half(),
        )
    }
}

/// Number of cells of a [`DistinctLowerBound`].
const CELLS: usize = 1024;

/// Counts of values by hash: there are at least as many different values as occupied cells.
#[derive(Clone)]
struct DistinctLowerBound {
    cells: [u32; CELLS],
    occupied: usize,
}

impl DistinctLowerBound {
    fn add(&mut self, value: f64, times: u64) {
        self.change(value, |count| count.wrapping_add(low_bits(times)));
    }

    fn remove(&mut self, value: f64, times: u64) {
        self.change(value, |count| count.wrapping_sub(low_bits(times)));
    }

    fn change(&mut self, value: f64, to: impl Fn(u32) -> u32) {
        let spread = value.to_bits().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let position = usize::try_from(spread).unwrap_or(0) % CELLS;
        let Some(count) = self.cells.get_mut(position) else { return };
        let before = *count > 0;
        *count = to(*count);
        self.occupied =
            (self.occupied + usize::from(*count > 0)).saturating_sub(usize::from(before));
    }
}

/// Returns `times` modulo 2^32.
pub(super) fn low_bits(times: u64) -> u32 {
    u32::try_from(times & u64::from(u32::MAX)).unwrap_or(0)
}
