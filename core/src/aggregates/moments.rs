//! The aggregations `variance` and `stddev`.

use super::add::add_present;
use super::column::State;
use super::registry::{Definition, OwnOption, RollingSupport};
use super::slots::{Accumulator, BySlot, FieldAccumulator};
use crate::data::frame::Order;
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Operation;
use crate::statistics::{OnlineVariance, TrackedStatistics};

pub(super) const VARIANCE: Definition = Definition {
    option: OwnOption::Population,
    rolling: RollingSupport::Tracks(TrackedStatistics::MOMENTS),
    ..Definition::new("variance", State::Moments)
};
pub(super) const STDDEV: Definition = Definition {
    option: OwnOption::Population,
    rolling: RollingSupport::Tracks(TrackedStatistics::MOMENTS),
    ..Definition::new("stddev", State::Moments)
};

/// Returns the result of `op`, in windows and in `rolling`; NaN if it is undefined or not finite.
#[inline(always)]
pub(crate) fn result(op: Operation, population: bool, moments: &OnlineVariance) -> f64 {
    let variance = moments.variance_of(population);
    if op == Operation::Stddev { variance.sqrt() } else { variance }
}

impl Accumulator for OnlineVariance {
    const EMPTY: Self = Self::new();

    #[inline]
    fn merge(&mut self, later: &Self) {
        Self::merge(self, later);
    }

    #[inline]
    fn save(states: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>) {
        writer.counts(states.clone().map(|moments| moments.count));
        writer.f64s(states.clone().map(|moments| moments.mean));
        writer.f64s(states.map(|moments| moments.m2));
    }

    #[inline]
    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        let (counts, means) = (reader.counts(count)?, reader.f64s(count)?);
        let moments = counts.zip(means).zip(reader.f64s(count)?);
        Ok(moments.map(|((count, mean), m2)| Self { count, mean, m2 }).collect())
    }
}

impl FieldAccumulator for OnlineVariance {
    const STATES: &[State] = &[State::Moments];
    const SLOT_BYTES: u64 = 24;

    fn add(accumulators: &mut [Self], slots: &[u32], values: &[f64], _: Order<'_>) {
        add_present(accumulators, slots, values, Self::add);
    }

    fn result(&self, output: &WindowOutput) -> f64 {
        result(output.op, output.population, self)
    }

    #[inline(always)]
    fn results<'a>(
        column: &BySlot<Self>,
        output: &WindowOutput,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) {
        append_results(column, output, |moments| moments, slots, numbers);
    }
}

/// Appends the result of `output` for each of `slots`; `moments_of` selects the moments in an
/// accumulator.
// A separate function: only few instructions are left in its callers, which sessions run for each
// row.
#[inline(never)]
pub(super) fn append_results<'a, A: Accumulator>(
    column: &BySlot<A>,
    output: &WindowOutput,
    moments_of: impl Fn(&A) -> &OnlineVariance,
    slots: impl Iterator<Item = &'a u32>,
    numbers: &mut Vec<f64>,
) {
    let of = |state: &A, op| result(op, output.population, moments_of(state));
    // One loop for each operation, without a branch on it.
    match output.op {
        Operation::Stddev => {
            column.append_results(slots, numbers, |state| of(state, Operation::Stddev))
        }
        _ => column.append_results(slots, numbers, |state| of(state, Operation::Variance)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variance(values: &[f64], population: bool) -> f64 {
        result(Operation::Variance, population, &values.iter().copied().collect())
    }

    #[test]
    fn sample_variance_divides_by_n_minus_1() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(variance(&values, true), 4.0);
        assert_eq!(variance(&values, false), 32.0 / 7.0);
        assert_eq!(result(Operation::Stddev, true, &values.into_iter().collect()), 2.0);
    }

    #[test]
    fn too_few_values_have_no_variance() {
        assert!(variance(&[], true).is_nan());
        assert!(variance(&[], false).is_nan());
        assert!(variance(&[3.0], false).is_nan());
        assert_eq!(variance(&[3.0], true), 0.0);
    }

    #[test]
    fn overflowing_variance_is_null() {
        assert!(variance(&[1e308, -1e308], false).is_nan());
        assert!(variance(&[1e200, -1e200, 1.0], true).is_nan());
    }
}
