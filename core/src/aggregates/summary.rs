//! The aggregations `count`, `rate`, `sum`, `avg`, `min`, `max` and `range`.

use super::add::add_present;
use super::column::State;
use super::registry::{Definition, Input, RollingSupport, Unit};
use super::slots::{Accumulator, BySlot, FieldAccumulator};
use crate::data::frame::Order;
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Operation;
use crate::statistics::{Aggregate, Extremes, Sum, TrackedStatistics};
use crate::util::simd::{least, least_of};

pub(super) const COUNT: Definition = Definition {
    input: Input::ValuesOrEvents,
    rolling: RollingSupport::Tracks(TrackedStatistics::NONE),
    ..Definition::new("count", State::Summary)
};
pub(super) const RATE: Definition = Definition {
    input: Input::ValuesOrEvents,
    unit: Unit::PerSecond,
    ..Definition::new("rate", State::Summary)
};
pub(super) const SUM: Definition = Definition {
    rolling: RollingSupport::Tracks(TrackedStatistics::SUMS),
    ..Definition::new("sum", State::Summary)
};
pub(super) const AVG: Definition = Definition {
    rolling: RollingSupport::Tracks(TrackedStatistics::SUMS),
    ..Definition::new("avg", State::Summary)
};
pub(super) const MIN: Definition = Definition {
    rolling: RollingSupport::Tracks(TrackedStatistics::EXTREMES),
    ..Definition::new("min", State::Summary)
};
pub(super) const MAX: Definition = Definition {
    rolling: RollingSupport::Tracks(TrackedStatistics::EXTREMES),
    ..Definition::new("max", State::Summary)
};
pub(super) const RANGE: Definition = Definition {
    rolling: RollingSupport::Tracks(TrackedStatistics::EXTREMES),
    ..Definition::new("range", State::Summary)
};

/// The values that the aggregations of this file are computed from, in windows and in `rolling`.
pub(crate) trait SummaryValues {
    /// Returns the number of values.
    fn count(&self) -> u64;

    /// Returns the compensated sum.
    fn sum(&self) -> f64;

    /// Returns the minimum and the maximum.
    fn extremes(&self) -> Extremes;
}

/// Returns the result of `op` over at least one value; not finite if it is too large. A rate is still
/// a count.
#[inline(always)]
pub(crate) fn result_of_values(op: Operation, values: &impl SummaryValues) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
    let count = || values.count() as f64;
    match op {
        Operation::Count | Operation::Rate => count(),
        Operation::Sum => values.sum(),
        Operation::Avg => values.sum() / count(),
        Operation::Min => values.extremes().min,
        Operation::Max => values.extremes().max,
        Operation::Range => {
            let Extremes { min, max } = values.extremes();
            max - min
        }
        _ => f64::NAN,
    }
}

/// Returns the result of `op`; NaN if it is undefined or not finite.
#[inline(always)]
fn result(op: Operation, summary: &Summary) -> f64 {
    if summary.count == 0 && !matches!(op, Operation::Count | Operation::Rate) {
        return f64::NAN;
    }
    let result = result_of_values(op, summary);
    if result.is_finite() { result } else { f64::NAN }
}

/// Count, compensated sum, minimum and maximum of the values that are not missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Summary {
    count: u64,
    sum: Sum,
    /// The minimum, and the maximum negated: one SIMD minimum updates both without a branch.
    min_and_neg_max: [f64; 2],
}

impl Summary {
    #[inline(always)]
    pub(super) fn add(&mut self, value: f64) {
        self.sum.add(value);
        self.count = self.count.wrapping_add(1);
        self.min_and_neg_max = least_of(self.min_and_neg_max, value);
    }
}

impl SummaryValues for Summary {
    #[inline(always)]
    fn count(&self) -> u64 {
        self.count
    }

    #[inline(always)]
    fn sum(&self) -> f64 {
        self.sum.total()
    }

    #[inline(always)]
    fn extremes(&self) -> Extremes {
        let [min, negated] = self.min_and_neg_max;
        Extremes { min, max: -negated }
    }
}

impl Accumulator for Summary {
    const EMPTY: Self = Self { count: 0, sum: Sum::EMPTY, min_and_neg_max: [f64::INFINITY; 2] };

    #[inline(always)]
    fn merge(&mut self, later: &Self) {
        self.sum.merge(&later.sum);
        self.count = self.count.wrapping_add(later.count);
        self.min_and_neg_max = least(self.min_and_neg_max, later.min_and_neg_max);
    }

    #[inline]
    fn save(states: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>) {
        writer.counts(states.clone().map(|summary| summary.count));
        writer.f64s(states.clone().map(|summary| summary.sum.sum));
        writer.f64s(states.clone().map(|summary| summary.sum.compensation));
        writer.f64s(states.clone().map(|summary| summary.extremes().min));
        writer.f64s(states.map(|summary| summary.extremes().max));
    }

    #[inline]
    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        let (counts, sums) = (reader.counts(count)?, reader.f64s(count)?);
        let compensations = reader.f64s(count)?;
        let extremes = reader.f64s(count)?.zip(reader.f64s(count)?);
        let sums = counts.zip(sums).zip(compensations);
        let summaries = sums.zip(extremes).map(|(((count, sum), compensation), (min, max))| Self {
            count,
            sum: Sum { sum, compensation },
            min_and_neg_max: [min, -max],
        });
        Ok(summaries.collect())
    }
}

impl FieldAccumulator for Summary {
    const STATES: &[State] = &[State::Summary];
    const SLOT_BYTES: u64 = 40;

    fn add(accumulators: &mut [Self], slots: &[u32], values: &[f64], _: Order<'_>) {
        add_present(accumulators, slots, values, Self::add);
    }

    fn result(&self, output: &WindowOutput) -> f64 {
        result(output.op, self)
    }

    #[inline(always)]
    fn results<'a>(
        column: &BySlot<Self>,
        output: &WindowOutput,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) {
        append_results(column, output.op, |summary| summary, slots, numbers);
    }
}

/// Appends the result of `op` for each of `slots`; `summary_of` selects the summary in an
/// accumulator.
// A separate function: only few instructions are left in its callers, which sessions run for each
// row.
#[inline(never)]
pub(super) fn append_results<'a, A: Accumulator>(
    column: &BySlot<A>,
    op: Operation,
    summary_of: impl Fn(&A) -> &Summary,
    slots: impl Iterator<Item = &'a u32>,
    numbers: &mut Vec<f64>,
) {
    use Operation::{Avg, Count, Max, Min, Sum};
    let of = |state: &A, op| result(op, summary_of(state));
    // One loop for each frequent operation: a match inside the loop takes longer than the operation
    // itself.
    match op {
        Count => column.append_results(slots, numbers, |state| of(state, Count)),
        Sum => column.append_results(slots, numbers, |state| of(state, Sum)),
        Avg => column.append_results(slots, numbers, |state| of(state, Avg)),
        Min => column.append_results(slots, numbers, |state| of(state, Min)),
        Max => column.append_results(slots, numbers, |state| of(state, Max)),
        _ => column.append_results(slots, numbers, |state| of(state, op)),
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

    fn result_of(op: Operation, values: &[f64]) -> f64 {
        result(op, &summary(values))
    }

    #[test]
    fn sums_are_compensated() {
        assert_eq!(result_of(Operation::Sum, &[1.0, 1e100, 1.0, -1e100]), 2.0);
        assert_eq!(result_of(Operation::Sum, &[0.1; 10]), 1.0);
    }

    #[test]
    fn results_that_are_not_finite_are_null() {
        assert!(result_of(Operation::Sum, &[1e308, 1e308]).is_nan());
        assert!(result_of(Operation::Min, &[]).is_nan());
        assert_eq!(result_of(Operation::Count, &[]), 0.0);
        assert_eq!(result_of(Operation::Max, &[1e308, 1e308]), 1e308);
        assert_eq!(result_of(Operation::Range, &[3.0, -1.5, 2.0]), 4.5);
        assert!(result_of(Operation::Range, &[-1e308, 1e308]).is_nan());
    }

    #[test]
    fn merged_summaries_equal_that_of_all_values() {
        let mut left = summary(&[1.0, 1e100]);
        left.merge(&summary(&[1.0, -1e100]));
        assert_eq!(result(Operation::Sum, &left), 2.0);
        let Extremes { min, max } = left.extremes();
        assert_eq!((left.count, min, max), (4, -1e100, 1e100));
    }

    #[test]
    fn merging_an_empty_state_changes_no_bit() {
        for values in [&[0.1, 0.2, -0.0][..], &[-0.0], &[1e308, 1e308], &[5e-324, 1e16, -1.5], &[]]
        {
            let bits = |of: &Summary| {
                let total = if of.sum().is_nan() { f64::NAN } else { of.sum() };
                let Extremes { min, max } = of.extremes();
                (of.count, [total, min, max].map(f64::to_bits))
            };
            let (whole, mut left, mut right) = (summary(values), summary(values), Summary::EMPTY);
            left.merge(&Summary::EMPTY);
            right.merge(&whole);
            assert_eq!((bits(&left), bits(&right)), (bits(&whole), bits(&whole)));
        }
    }
}
