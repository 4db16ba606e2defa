//! The aggregations `count`, `rate`, `sum`, `avg`, `min`, `max` and `range`.

use super::slots::{Accumulator, BySlot, add_present};
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Operation;
use crate::util::simd::{least, least_of};

pub(super) type SummaryBySlot = BySlot<Summary>;

impl SummaryBySlot {
    /// Returns true if `op` is computed from a summary.
    pub(super) fn supports(op: Operation) -> bool {
        use Operation::{Avg, Count, Max, Min, Range, Rate, Sum};
        matches!(op, Count | Rate | Sum | Avg | Min | Max | Range)
    }

    pub(super) fn add(&mut self, slots: &[u32], values: &[f64]) {
        add_present(&mut self.0, slots, values, Summary::add);
    }
}

impl<A: Accumulator> BySlot<A> {
    /// Appends the result of `op` for each of `slots`; `summary_of` selects the summary in an
    /// accumulator. Returns false, and appends nothing, if `op` has no batch path.
    pub(super) fn append_summaries<'a>(
        &self,
        op: Operation,
        summary_of: impl Fn(&A) -> &Summary,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) -> bool {
        // One loop for each operation: a match inside the loop takes longer than the operation
        // itself.
        match op {
            Operation::Count => self
                .append_results(slots, numbers, |state| summary_of(state).result(Operation::Count)),
            Operation::Sum => self
                .append_results(slots, numbers, |state| summary_of(state).result(Operation::Sum)),
            Operation::Avg => self
                .append_results(slots, numbers, |state| summary_of(state).result(Operation::Avg)),
            Operation::Min => self
                .append_results(slots, numbers, |state| summary_of(state).result(Operation::Min)),
            Operation::Max => self
                .append_results(slots, numbers, |state| summary_of(state).result(Operation::Max)),
            _ => return false,
        }
        true
    }
}

/// Count, compensated sum, minimum and maximum of the values that are not missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Summary {
    count: u64,
    sum: f64,
    /// The rounding error of `sum` (Neumaier 1974, by Knuth's branch-free two-sum).
    compensation: f64,
    /// The minimum, and the maximum negated: one SIMD minimum updates both without a branch.
    min_and_neg_max: [f64; 2],
}

impl Summary {
    #[inline(always)]
    pub(super) fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let shifted = sum - self.sum;
        self.compensation += (self.sum - (sum - shifted)) + (value - shifted);
        self.sum = sum;
        self.count = self.count.wrapping_add(1);
        self.min_and_neg_max = least_of(self.min_and_neg_max, value);
    }

    #[inline(always)]
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    fn min(&self) -> f64 {
        let [min, _] = self.min_and_neg_max;
        min
    }

    fn max(&self) -> f64 {
        let [_, negated] = self.min_and_neg_max;
        -negated
    }

    /// Returns the compensated sum.
    fn total(&self) -> f64 {
        self.sum + self.compensation
    }

    /// Returns the result of `op`; NaN if it is undefined or not finite.
    #[inline(always)]
    pub(super) fn result(&self, op: Operation) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
        let count = self.count as f64;
        if matches!(op, Operation::Count | Operation::Rate) {
            return count;
        }
        if self.count == 0 {
            return f64::NAN;
        }
        let result = match op {
            Operation::Sum => self.total(),
            Operation::Avg => self.total() / count,
            Operation::Min => self.min(),
            Operation::Max => self.max(),
            Operation::Range => self.max() - self.min(),
            _ => f64::NAN,
        };
        if result.is_finite() { result } else { f64::NAN }
    }
}

impl Accumulator for Summary {
    const EMPTY: Self =
        Self { count: 0, sum: 0.0, compensation: 0.0, min_and_neg_max: [f64::INFINITY; 2] };

    #[inline(always)]
    fn merge(&mut self, later: &Self) {
        let sum = self.sum + later.sum;
        let shifted = sum - self.sum;
        let lost = (self.sum - (sum - shifted)) + (later.sum - shifted);
        self.compensation = (self.compensation + later.compensation) + lost;
        self.sum = sum;
        self.count = self.count.wrapping_add(later.count);
        self.min_and_neg_max = least(self.min_and_neg_max, later.min_and_neg_max);
    }

    fn save(states: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>) {
        writer.u64s(states.clone().map(|summary| summary.count));
        writer.f64s(states.clone().map(|summary| summary.sum));
        writer.f64s(states.clone().map(|summary| summary.compensation));
        writer.f64s(states.clone().map(|summary| summary.min()));
        writer.f64s(states.map(|summary| summary.max()));
    }

    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        let (counts, sums) = (reader.u64s(count)?, reader.f64s(count)?);
        let compensations = reader.f64s(count)?;
        let extremes = reader.f64s(count)?.zip(reader.f64s(count)?);
        let sums = counts.zip(sums).zip(compensations);
        let summaries = sums.zip(extremes).map(|(((count, sum), compensation), (min, max))| Self {
            count,
            sum,
            compensation,
            min_and_neg_max: [min, -max],
        });
        Ok(summaries.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(values: &[f64]) -> Summary {
        let mut summary = Summary::EMPTY;
        values.iter().for_each(|value| summary.add(*value));
        summary
    }

    #[test]
    fn sums_are_compensated() {
        assert_eq!(summary(&[1.0, 1e100, 1.0, -1e100]).result(Operation::Sum), 2.0);
        assert_eq!(summary(&[0.1; 10]).result(Operation::Sum), 1.0);
    }

    #[test]
    fn results_that_are_not_finite_are_null() {
        assert!(summary(&[1e308, 1e308]).result(Operation::Sum).is_nan());
        assert!(summary(&[]).result(Operation::Min).is_nan());
        assert_eq!(summary(&[]).result(Operation::Count), 0.0);
        assert_eq!(summary(&[1e308, 1e308]).result(Operation::Max), 1e308);
        assert_eq!(summary(&[3.0, -1.5, 2.0]).result(Operation::Range), 4.5);
        assert!(summary(&[-1e308, 1e308]).result(Operation::Range).is_nan());
    }

    #[test]
    fn merged_sums_are_compensated() {
        let mut left = summary(&[1.0, 1e100]);
        left.merge(&summary(&[1.0, -1e100]));
        assert_eq!(left.result(Operation::Sum), 2.0);
        assert_eq!((left.count, left.min(), left.max()), (4, -1e100, 1e100));
    }

    #[test]
    fn merging_an_empty_state_changes_no_bit() {
        for values in [&[0.1, 0.2, -0.0][..], &[-0.0], &[1e308, 1e308], &[5e-324, 1e16, -1.5], &[]]
        {
            let bits = |of: &Summary| {
                let total = if of.total().is_nan() { f64::NAN } else { of.total() };
                (of.count, [total, of.min(), of.max()].map(f64::to_bits))
            };
            let (whole, mut left, mut right) = (summary(values), summary(values), Summary::EMPTY);
            left.merge(&Summary::EMPTY);
            right.merge(&whole);
            assert_eq!((bits(&left), bits(&right)), (bits(&whole), bits(&whole)));
            if whole.total().is_finite() {
                assert_eq!(left.compensation.to_bits(), whole.compensation.to_bits());
                assert_eq!(right.compensation.to_bits(), whole.compensation.to_bits());
            }
        }
    }
}
