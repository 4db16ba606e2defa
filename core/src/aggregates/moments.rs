//! The aggregations `variance` and `stddev`.

use super::slots::{Accumulator, BySlot, add_present};
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Operation;
use crate::statistics::{OnlineVariance, SQRT_MAX};

/// Count, mean and sum of squared distances from the mean, updated in the order of arrival (Welford
/// 1962, Knuth 4.2.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    count: u64,
    mean: f64,
    m2: f64,
}

impl Moments {
    #[inline(always)]
    pub(super) fn add(&mut self, value: f64) {
        self.count = self.count.wrapping_add(1);
        let distance = value - self.mean;
        self.mean += distance / number(self.count);
        self.m2 += distance * (value - self.mean);
    }

    /// Merges two parts if the square of the distance of their means overflows.
    #[cold]
    fn merge_far(&mut self, later: &Self) {
        let of = |part: &Self| OnlineVariance { count: part.count, mean: part.mean, m2: part.m2 };
        let mut merged = of(self);
        merged.merge(&of(later));
        *self = Self { count: merged.count, mean: merged.mean, m2: merged.m2 };
    }

    /// Returns the variance; NaN if it is undefined or not finite.
    #[inline]
    fn variance(&self, population: bool) -> f64 {
        let divisor = if population { self.count } else { self.count.saturating_sub(1) };
        if divisor == 0 {
            return f64::NAN;
        }
        let variance = self.m2 / number(divisor);
        if variance.is_finite() { variance } else { f64::NAN }
    }

    /// Returns the result of `op`; NaN if it is undefined or not finite.
    pub(super) fn result(&self, op: Operation, population: bool) -> f64 {
        let variance = self.variance(population);
        if op == Operation::Stddev { variance.sqrt() } else { variance }
    }
}

#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
fn number(count: u64) -> f64 {
    // A signed integer converts in one instruction, an unsigned one takes a branch or several
    // instructions.
    count.cast_signed() as f64
}

impl Accumulator for Moments {
    const EMPTY: Self = Self { count: 0, mean: 0.0, m2: 0.0 };

    /// Merges by the formula of Chan, Golub and LeVeque (1979).
    #[inline]
    fn merge(&mut self, later: &Self) {
        if self.count == 0 || later.count == 0 {
            *self = if self.count == 0 { *later } else { *self };
            return;
        }
        let distance = later.mean - self.mean;
        if distance.abs() > SQRT_MAX {
            self.merge_far(later);
            return;
        }
        let count = self.count.saturating_add(later.count);
        let share = number(later.count) / number(count);
        self.m2 = (self.m2 + later.m2) + distance * distance * (number(self.count) * share);
        self.mean += distance * share;
        self.count = count;
    }

    fn save(states: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>) {
        writer.u64s(states.clone().map(|moment| moment.count));
        writer.f64s(states.clone().map(|moment| moment.mean));
        writer.f64s(states.map(|moment| moment.m2));
    }

    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        let (counts, means) = (reader.u64s(count)?, reader.f64s(count)?);
        let moments = counts.zip(means).zip(reader.f64s(count)?);
        Ok(moments.map(|((count, mean), m2)| Self { count, mean, m2 }).collect())
    }
}

pub(super) type MomentsBySlot = BySlot<Moments>;

impl MomentsBySlot {
    /// Returns true if `op` is computed from moments.
    pub(super) fn supports(op: Operation) -> bool {
        matches!(op, Operation::Variance | Operation::Stddev)
    }

    pub(super) fn add(&mut self, slots: &[u32], values: &[f64]) {
        add_present(&mut self.0, slots, values, Moments::add);
    }
}

impl<A: Accumulator> BySlot<A> {
    /// Appends the result of `op` for each of `slots`; `moments_of` selects the moments in an
    /// accumulator.
    pub(super) fn append_moments<'a>(
        &self,
        op: Operation,
        population: bool,
        moments_of: impl Fn(&A) -> &Moments,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) {
        let variance = |state: &A| moments_of(state).variance(population);
        match op {
            Operation::Stddev => {
                self.append_results(slots, numbers, |state| variance(state).sqrt())
            }
            _ => self.append_results(slots, numbers, variance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(values: &[f64]) -> Moments {
        let mut moment = Moments::EMPTY;
        values.iter().for_each(|value| moment.add(*value));
        moment
    }

    fn variance(values: &[f64], population: bool) -> f64 {
        moment(values).variance(population)
    }

    #[test]
    fn sample_variance_divides_by_n_minus_1() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(variance(&values, true), 4.0);
        assert_eq!(variance(&values, false), 32.0 / 7.0);
    }

    #[test]
    fn too_few_values_have_no_variance() {
        assert!(variance(&[], true).is_nan());
        assert!(variance(&[], false).is_nan());
        assert!(variance(&[3.0], false).is_nan());
        assert_eq!(variance(&[3.0], true), 0.0);
    }

    #[test]
    fn variance_is_exact_for_few_values_with_a_mean_of_1e8_deviations() {
        let values = [4.0, 7.0, 13.0, 16.0].map(|value| value + 1e9);
        assert_eq!(variance(&values, false), 30.0);
        assert_eq!(variance(&[0.1; 1000], false), 0.0);
    }

    #[test]
    fn overflowing_variance_is_null() {
        assert!(variance(&[1e308, -1e308], false).is_nan());
        assert!(variance(&[1e200, -1e200, 1.0], true).is_nan());
    }

    #[test]
    fn merged_variance_is_exact_for_distant_means() {
        let mut merged = moment(&[1e154]);
        merged.merge(&moment(&[-5e153]));
        assert_eq!(
            (merged.variance(false), variance(&[1e154, -5e153], false)),
            (1.125e308, 1.125e308)
        );
        merged.merge(&moment(&[1e154]));
        assert!(merged.variance(true).is_finite());
        merged.merge(&moment(&[-1.7e308]));
        assert!(merged.variance(true).is_nan());
    }

    #[test]
    fn merged_variance_equals_that_of_all_values() {
        let values: Vec<f64> = (0..1000_u32).map(|at| 1e6 + f64::from(at * 7919 % 1013)).collect();
        let whole = moment(&values);
        for cut in [0, 1, 13, 500, 999, 1000] {
            let (left, right) = values.split_at(cut);
            let mut merged = moment(left);
            merged.merge(&moment(right));
            assert_eq!(merged.count, whole.count);
            // Bound: about n roundings of relative size 2^-53, times the ratio of mean to
            // deviation.
            assert!((merged.m2 / whole.m2 - 1.0).abs() < 1e-12, "{cut}");
            assert!((merged.mean / whole.mean - 1.0).abs() < 1e-15, "{cut}");
        }
    }

    #[test]
    fn merging_an_empty_state_changes_no_bit() {
        for values in [&[0.1, 0.2, -0.0][..], &[-0.0], &[1e308, -1e308], &[]] {
            let bits = |of: &Moments| (of.count, of.mean.to_bits(), of.m2.to_bits());
            let (whole, mut left, mut right) = (moment(values), moment(values), Moments::EMPTY);
            left.merge(&Moments::EMPTY);
            right.merge(&whole);
            assert_eq!((bits(&left), bits(&right)), (bits(&whole), bits(&whole)));
        }
    }
}
