//! Variance and standard deviation.

use super::put;
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Operation;

/// Mean and squared distances from it, updated value by value in the order of arrival (Welford 1962, Knuth 4.2.2).
///
/// Two of them would be merged by Chan, Golub and LeVeque 1979: with d the difference of the means, the squared
/// distances are `m2 + other.m2 + d * d * n * other.n / (n + other.n)`.
#[derive(Debug, Clone, Copy)]
struct Moment {
    count: u64,
    mean: f64,
    m2: f64,
}

impl Moment {
    const EMPTY: Self = Self { count: 0, mean: 0.0, m2: 0.0 };

    #[inline(always)]
    fn add(&mut self, value: f64) {
        self.count += 1;
        let distance = value - self.mean;
        self.mean += distance / number(self.count);
        self.m2 += distance * (value - self.mean);
    }

    /// NaN where it is undefined or not finite.
    fn variance(&self, population: bool) -> f64 {
        let divisor = if population { self.count } else { self.count.saturating_sub(1) };
        if divisor == 0 {
            return f64::NAN;
        }
        let variance = self.m2 / number(divisor);
        if variance.is_finite() { variance } else { f64::NAN }
    }
}

#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
fn number(count: u64) -> f64 {
    count as f64
}

/// The moment of each slot.
#[derive(Clone, Default)]
pub(super) struct Moments(Vec<Moment>);

impl Moments {
    /// Whether it gives the result of `op`.
    pub(super) fn serve(op: Operation) -> bool {
        matches!(op, Operation::Variance | Operation::Stddev)
    }

    pub(super) fn reset(&mut self, slot: usize) {
        put(&mut self.0, slot, Moment::EMPTY);
    }

    pub(super) fn add(&mut self, slots: &[u32], values: &[f64]) {
        add_all(&mut self.0, slots, values);
    }

    pub(super) fn result(&self, slot: usize, op: Operation, population: bool) -> f64 {
        let Some(moment) = self.0.get(slot) else { return f64::NAN };
        let variance = moment.variance(population);
        if op == Operation::Stddev { variance.sqrt() } else { variance }
    }

    pub(super) fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        let picked =
            || slots.iter().map(|slot| self.0.get(*slot as usize).unwrap_or(&Moment::EMPTY));
        writer.u64s(picked().map(|moment| moment.count));
        writer.f64s(picked().map(|moment| moment.mean));
        writer.f64s(picked().map(|moment| moment.m2));
    }

    pub(super) fn load(
        &mut self,
        slots: &[u32],
        reader: &mut SectionReader<'_>,
    ) -> Result<(), SnapshotError> {
        let counts = reader.u64s(slots.len())?;
        let means = reader.f64s(slots.len())?;
        let squares = reader.f64s(slots.len())?;
        for ((slot, count), (mean, m2)) in slots.iter().zip(counts).zip(means.zip(squares)) {
            put(&mut self.0, *slot as usize, Moment { count, mean, m2 });
        }
        Ok(())
    }
}

/// The hot loop: adds each value that is not missing to the moment in its slot.
// Its own function: wasmtime's compiler keeps a loop's variables in registers only in small ones.
#[inline(never)]
fn add_all(moments: &mut [Moment], slots: &[u32], values: &[f64]) {
    for (slot, value) in slots.iter().zip(values) {
        if value.is_nan() {
            continue;
        }
        if let Some(moment) = moments.get_mut(*slot as usize) {
            moment.add(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variance(values: &[f64], population: bool) -> f64 {
        let mut moment = Moment::EMPTY;
        values.iter().for_each(|value| moment.add(*value));
        moment.variance(population)
    }

    #[test]
    fn a_sample_is_divided_by_one_less() {
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
    fn a_great_mean_takes_nothing_from_it() {
        let values = [4.0, 7.0, 13.0, 16.0].map(|value| value + 1e9);
        assert_eq!(variance(&values, false), 30.0);
        assert_eq!(variance(&[0.1; 1000], false), 0.0);
    }

    #[test]
    fn what_is_too_large_is_null() {
        assert!(variance(&[1e308, -1e308], false).is_nan());
        assert!(variance(&[1e200, -1e200, 1.0], true).is_nan());
    }
}
