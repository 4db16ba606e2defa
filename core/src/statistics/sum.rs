//! Compensated sums.

use super::aggregate::Aggregate;
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};

/// A compensated sum (Neumaier 1974, by Knuth's branch-free two-sum).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sum {
    pub(crate) sum: f64,
    /// The rounding error of `sum`.
    pub(crate) compensation: f64,
}

impl Sum {
    /// Returns the sum; not finite if it overflows.
    #[inline(always)]
    pub(crate) fn total(self) -> f64 {
        self.sum + self.compensation
    }

    /// Adds `value` to `sum` and returns the rounding error.
    #[inline(always)]
    fn add_uncompensated(&mut self, value: f64) -> f64 {
        let sum = self.sum + value;
        let shifted = sum - self.sum;
        let lost = (self.sum - (sum - shifted)) + (value - shifted);
        self.sum = sum;
        lost
    }

    pub(crate) fn save(&self, writer: &mut SectionWriter<'_>) {
        writer.f64s([self.sum, self.compensation].into_iter());
    }

    pub(crate) fn load(reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError> {
        Ok(Self { sum: reader.f64()?, compensation: reader.f64()? })
    }
}

impl Aggregate for Sum {
    type Item = f64;

    const EMPTY: Self = Self { sum: 0.0, compensation: 0.0 };

    #[inline(always)]
    fn add(&mut self, value: f64) {
        let lost = self.add_uncompensated(value);
        self.compensation += lost;
    }

    #[inline(always)]
    fn merge(&mut self, later: &Self) {
        let lost = self.add_uncompensated(later.sum);
        self.compensation = (self.compensation + later.compensation) + lost;
    }
}

/// Adds values in the order of the iterator.
impl FromIterator<f64> for Sum {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        let mut sum = Self::EMPTY;
        values.into_iter().for_each(|value| sum.add(value));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Sum {
        values.iter().copied().collect()
    }

    #[test]
    fn sums_are_compensated() {
        assert_eq!(of(&[1.0, 1e100, 1.0, -1e100]).total(), 2.0);
        assert_eq!(of(&[0.1; 10]).total(), 1.0);
    }

    #[test]
    fn merged_sums_are_compensated() {
        let mut left = of(&[1.0, 1e100]);
        left.merge(&of(&[1.0, -1e100]));
        assert_eq!(left.total(), 2.0);
    }

    #[test]
    fn merging_an_empty_sum_changes_no_bit() {
        for values in [&[0.1, 0.2, -0.0][..], &[-0.0], &[5e-324, 1e16, -1.5], &[]] {
            let bits = |of: &Sum| [of.sum, of.compensation].map(f64::to_bits);
            let (whole, mut left, mut right) = (of(values), of(values), Sum::EMPTY);
            left.merge(&Sum::EMPTY);
            right.merge(&whole);
            assert_eq!((bits(&left), bits(&right)), (bits(&whole), bits(&whole)), "{values:?}");
        }
    }
}
