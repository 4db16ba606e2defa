//! Count, compensated sum and extremes.

use super::put;
use crate::error::SnapshotError;
use crate::lanes::least;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Operation;

/// The summary of each slot.
#[derive(Clone, Default)]
pub(super) struct Summaries(Vec<Summary>);

impl Summaries {
    /// Whether it gives the result of `op`.
    pub(super) fn serve(op: Operation) -> bool {
        use Operation::{Avg, Count, Max, Min, Range, Sum};
        matches!(op, Count | Sum | Avg | Min | Max | Range)
    }

    pub(super) fn reset(&mut self, slot: usize) {
        put(&mut self.0, slot, Summary::EMPTY);
    }

    /// As many empty slots.
    pub(super) fn empty(&self, slots: usize) -> Self {
        Self(vec![Summary::EMPTY; slots])
    }

    /// Copies of `slots`, at slots from 0 on.
    pub(super) fn pick(&self, slots: &[u32]) -> Self {
        let of = |slot: &u32| self.0.get(*slot as usize).copied().unwrap_or(Summary::EMPTY);
        Self(slots.iter().map(of).collect())
    }

    /// Adds the slots of `later`, from 0 on, to `slots`, as if their values came after those there.
    pub(super) fn merge(&mut self, slots: &[u32], later: &Self) {
        merge_all(&mut self.0, slots, &later.0);
    }

    pub(super) fn add(&mut self, slots: &[u32], values: &[f64]) {
        add_all(&mut self.0, slots, values);
    }

    pub(super) fn result(&self, slot: usize, op: Operation) -> f64 {
        self.0.get(slot).map_or(f64::NAN, |summary| summary.result(op))
    }

    pub(super) fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        let picked =
            || slots.iter().map(|slot| self.0.get(*slot as usize).unwrap_or(&Summary::EMPTY));
        writer.u64s(picked().map(|summary| summary.count));
        writer.f64s(picked().map(|summary| summary.sum));
        writer.f64s(picked().map(|summary| summary.compensation));
        writer.f64s(picked().map(|summary| summary.min()));
        writer.f64s(picked().map(|summary| summary.max()));
    }

    pub(super) fn load(
        &mut self,
        slots: &[u32],
        reader: &mut SectionReader<'_>,
    ) -> Result<(), SnapshotError> {
        let counts = reader.u64s(slots.len())?;
        let sums = reader.f64s(slots.len())?;
        let compensations = reader.f64s(slots.len())?;
        let minima = reader.f64s(slots.len())?;
        let maxima = reader.f64s(slots.len())?;
        let rest = sums.zip(compensations).zip(minima.zip(maxima));
        for ((slot, count), ((sum, compensation), (min, max))) in slots.iter().zip(counts).zip(rest)
        {
            let summary = Summary { count, sum, compensation, ends: [min, -max] };
            put(&mut self.0, *slot as usize, summary);
        }
        Ok(())
    }
}

/// Count, compensated sum and extremes of the values that are not missing.
#[derive(Debug, Clone, Copy)]
struct Summary {
    count: u64,
    sum: f64,
    /// What rounding has taken from `sum` (Neumaier 1974, by Knuth's branch-free two-sum).
    compensation: f64,
    /// The least value and the greatest, negated: one instruction finds both, without a branch to guess wrong.
    ends: [f64; 2],
}

impl Summary {
    const EMPTY: Self = Self { count: 0, sum: 0.0, compensation: 0.0, ends: [f64::INFINITY; 2] };

    #[inline(always)]
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let shifted = sum - self.sum;
        self.compensation += (self.sum - (sum - shifted)) + (value - shifted);
        self.sum = sum;
        self.count += 1;
        self.ends = least(self.ends, [value, -value]);
    }

    fn min(&self) -> f64 {
        let [min, _] = self.ends;
        min
    }

    fn max(&self) -> f64 {
        let [_, negated] = self.ends;
        -negated
    }

    /// Adds what `later` holds, as if its values came after those here. [`Summary::EMPTY`] on either side changes nothing.
    #[inline(always)]
    fn merge(&mut self, later: &Self) {
        let sum = self.sum + later.sum;
        let shifted = sum - self.sum;
        let lost = (self.sum - (sum - shifted)) + (later.sum - shifted);
        self.compensation = (self.compensation + later.compensation) + lost;
        self.sum = sum;
        self.count += later.count;
        self.ends = least(self.ends, later.ends);
    }

    fn total(&self) -> f64 {
        self.sum + self.compensation
    }

    /// The result of `op`; NaN where it is undefined or not finite.
    fn result(&self, op: Operation) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
        let count = self.count as f64;
        if op == Operation::Count {
            return count;
        }
        if self.count == 0 {
            return f64::NAN;
        }
        let result = match op {
            Operation::Count => count,
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

/// The hot loop: adds each value that is not missing to the summary in its slot, eight at once, for the loop itself costs
/// as much as an addition does.
// Its own function: wasmtime's compiler keeps a loop's variables in registers only in small ones.
#[inline(never)]
fn add_all(summaries: &mut [Summary], slots: &[u32], values: &[f64]) {
    let mut add = |slot: &u32, value: &f64| {
        if value.is_nan() {
            return;
        }
        if let Some(summary) = summaries.get_mut(*slot as usize) {
            summary.add(*value);
        }
    };
    let (slots, slots_rest) = slots.as_chunks::<8>();
    let (values, values_rest) = values.as_chunks::<8>();
    for (slots, values) in slots.iter().zip(values) {
        for (slot, value) in slots.iter().zip(values) {
            add(slot, value);
        }
    }
    for (slot, value) in slots_rest.iter().zip(values_rest) {
        add(slot, value);
    }
}

/// Adds each of `later` to the summary in its slot.
#[inline(never)]
fn merge_all(summaries: &mut [Summary], slots: &[u32], later: &[Summary]) {
    for (slot, later) in slots.iter().zip(later) {
        if let Some(summary) = summaries.get_mut(*slot as usize) {
            summary.merge(later);
        }
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
    fn sums_keep_what_rounding_takes() {
        assert_eq!(summary(&[1.0, 1e100, 1.0, -1e100]).result(Operation::Sum), 2.0);
        assert_eq!(summary(&[0.1; 10]).result(Operation::Sum), 1.0);
    }

    #[test]
    fn results_without_a_finite_value_are_null() {
        assert!(summary(&[1e308, 1e308]).result(Operation::Sum).is_nan());
        assert!(summary(&[]).result(Operation::Min).is_nan());
        assert_eq!(summary(&[]).result(Operation::Count), 0.0);
        assert_eq!(summary(&[1e308, 1e308]).result(Operation::Max), 1e308);
        assert_eq!(summary(&[3.0, -1.5, 2.0]).result(Operation::Range), 4.5);
        assert!(summary(&[-1e308, 1e308]).result(Operation::Range).is_nan());
    }

    #[test]
    fn merging_keeps_what_rounding_takes() {
        let mut left = summary(&[1.0, 1e100]);
        left.merge(&summary(&[1.0, -1e100]));
        assert_eq!(left.result(Operation::Sum), 2.0);
        assert_eq!((left.count, left.min(), left.max()), (4, -1e100, 1e100));
    }

    #[test]
    fn merging_with_nothing_changes_no_bit() {
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
