//! Mean and variance of all values so far.

use super::finite;

/// The greatest number whose square is finite: the square root of `f64::MAX`.
const SQRT_MAX: f64 = 1.340_780_792_994_259_6e154;
/// Maximum count after a merge: [`number`] converts it correctly.
const MAX_COUNT: u64 = i64::MAX.unsigned_abs();

/// Mean, variance and standard deviation, updated value by value (Welford 1962, Knuth 4.2.2).
///
/// Two of them can be merged (Chan, Golub and LeVeque 1979). The relative error of a variance of n
/// values is at most about n · mean / deviation · 2^-53, and usually far less.
/// ```
/// use stream_processor_core::statistics::OnlineVariance;
///
/// let mut variance = OnlineVariance::new();
/// for value in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0] {
///     variance.update(value);
/// }
/// assert_eq!(variance.mean(), Some(5.0));
/// assert_eq!(variance.variance(), Some(32.0 / 7.0)); // of a sample
/// assert_eq!(variance.population_variance(), Some(4.0));
/// assert_eq!(variance.std_dev(), Some((32.0_f64 / 7.0).sqrt()));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OnlineVariance {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    /// Sum of squared distances from the mean.
    pub(crate) m2: f64,
}

impl OnlineVariance {
    /// Creates the statistics of no values.
    #[must_use]
    pub const fn new() -> Self {
        Self { count: 0, mean: 0.0, m2: 0.0 }
    }

    /// Takes the next value.
    #[inline]
    pub fn update(&mut self, value: f64) {
        if value.is_finite() {
            self.add(value);
        }
    }

    #[inline(always)]
    pub(crate) fn add(&mut self, value: f64) {
        // Wraps, because a snapshot may contain any count.
        self.count = self.count.wrapping_add(1);
        let distance = value - self.mean;
        self.mean += distance / number(self.count);
        self.m2 += distance * (value - self.mean);
    }

    /// Merges `other`, whose values count as the later ones.
    /// ```
    /// use stream_processor_core::statistics::OnlineVariance;
    ///
    /// let of = |values: &[f64]| values.iter().copied().collect::<OnlineVariance>();
    /// let mut variance = of(&[1.0, 2.0]);
    /// variance.merge(&of(&[3.0, 6.0]));
    /// assert_eq!(variance, of(&[1.0, 2.0, 3.0, 6.0]));
    /// ```
    #[inline]
    pub fn merge(&mut self, other: &Self) {
        if self.count == 0 || other.count == 0 {
            if self.count == 0 {
                *self = *other;
            }
            return;
        }
        let distance = other.mean - self.mean;
        if distance.abs() > SQRT_MAX {
            self.merge_far(other);
            return;
        }
        let count = self.merged_count(other);
        let share = number(other.count) / number(count);
        self.mean += distance * share;
        self.m2 = (self.m2 + other.m2) + distance * distance * (number(self.count) * share);
        self.count = count;
    }

    /// Merges if the square of the distance of the means overflows.
    ///
    /// The sum of squared distances does not overflow if one part is a single value: it is then
    /// added as [`OnlineVariance::update`] adds it.
    #[cold]
    fn merge_far(&mut self, other: &Self) {
        let (own, others) = (number(self.count), number(other.count));
        let distance = other.mean - self.mean;
        let count = self.merged_count(other);
        let mean = self.mean + distance * (others / number(count));
        let between = match other.count <= self.count {
            true => (other.mean - mean) * others,
            false => (mean - self.mean) * own,
        };
        self.m2 = (self.m2 + other.m2) + (distance * between).abs();
        self.mean = mean;
        self.count = count;
    }

    #[inline(always)]
    fn merged_count(&self, other: &Self) -> u64 {
        self.count.wrapping_add(other.count).min(MAX_COUNT)
    }

    /// Returns the variance of a sample or of the whole `population`; NaN if it is undefined or not
    /// finite.
    #[inline]
    pub(crate) fn variance_of(&self, population: bool) -> f64 {
        let divisor = if population { self.count } else { self.count.saturating_sub(1) };
        if divisor == 0 {
            return f64::NAN;
        }
        let variance = self.m2 / number(divisor);
        if variance.is_finite() { variance } else { f64::NAN }
    }

    /// Returns the number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the mean; `None` without values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        if self.count == 0 { None } else { finite(self.mean) }
    }

    /// Returns the sample variance (n − 1); `None` for fewer than two values.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        finite(self.variance_of(false))
    }

    /// Returns the population variance (n); `None` without values.
    #[must_use]
    pub fn population_variance(&self) -> Option<f64> {
        finite(self.variance_of(true))
    }

    /// Returns the sample standard deviation, the square root of [`OnlineVariance::variance`].
    #[must_use]
    pub fn std_dev(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }

    /// Returns the square root of [`OnlineVariance::population_variance`].
    #[must_use]
    pub fn population_std_dev(&self) -> Option<f64> {
        self.population_variance().map(f64::sqrt)
    }
}

/// Converts a count to a float.
// A signed integer converts in one instruction, an unsigned one takes a branch or several
// instructions.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
fn number(count: u64) -> f64 {
    count.cast_signed() as f64
}

impl Extend<f64> for OnlineVariance {
    fn extend<T: IntoIterator<Item = f64>>(&mut self, values: T) {
        values.into_iter().for_each(|value| self.update(value));
    }
}

impl FromIterator<f64> for OnlineVariance {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        let mut variance = Self::new();
        variance.extend(values);
        variance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> OnlineVariance {
        values.iter().copied().collect()
    }

    #[test]
    fn too_few_values_have_no_variance() {
        assert_eq!((of(&[]).mean(), of(&[]).variance()), (None, None));
        assert_eq!(of(&[]).population_std_dev(), None);
        assert_eq!((of(&[3.0]).mean(), of(&[3.0]).std_dev()), (Some(3.0), None));
        assert_eq!(of(&[3.0]).population_variance(), Some(0.0));
    }

    #[test]
    fn variance_is_exact_for_few_values_with_a_mean_of_1e8_deviations() {
        assert_eq!(of(&[4.0, 7.0, 13.0, 16.0].map(|value| value + 1e9)).variance(), Some(30.0));
        assert_eq!(of(&[0.1; 1000]).variance(), Some(0.0));
    }

    #[test]
    fn values_that_are_not_finite_are_skipped_and_overflow_is_none() {
        assert_eq!(of(&[1.0, f64::NAN, 3.0, f64::INFINITY]), of(&[1.0, 3.0]));
        assert_eq!(of(&[1e308, -1e308]).variance(), None);
    }

    fn merged(left: &[f64], right: &[f64]) -> OnlineVariance {
        let mut merged = of(left);
        merged.merge(&of(right));
        merged
    }

    #[test]
    fn sqrt_max_is_the_greatest_number_with_a_finite_square() {
        assert!((SQRT_MAX * SQRT_MAX).is_finite());
        assert!((SQRT_MAX.next_up() * SQRT_MAX.next_up()).is_infinite());
    }

    #[test]
    fn merged_variance_overflows_only_if_the_variance_does() {
        assert_eq!(merged(&[1e154], &[-5e153]).variance(), Some(1.125e308));
        assert_eq!(merged(&[-5e153], &[1e154]).variance(), Some(1.125e308));
        for (left, right) in [(&[0.0, 0.0][..], &[1.5e154][..]), (&[1.5e154], &[0.0, 0.0, 0.0])] {
            let all: Vec<f64> = [left, right].concat();
            let (found, due) =
                (merged(left, right).variance().unwrap(), of(&all).variance().unwrap());
            assert!((found / due - 1.0).abs() < 1e-15, "{found} {due}");
        }
        for (left, right) in [(1e154, -1e154), (1e308, -1e308), (-1e308, 1e308)] {
            assert_eq!(merged(&[left], &[right]).variance(), None);
            assert_eq!(merged(&[left, left], &[right, right]).variance(), None);
        }
    }

    #[test]
    fn merging_an_empty_part_changes_no_bit() {
        for values in [&[0.1, 0.2, -0.0][..], &[-0.0], &[1e308, -1e308], &[]] {
            let bits = |of: &OnlineVariance| (of.count, of.mean.to_bits(), of.m2.to_bits());
            let (whole, none) = (of(values), of(&[]));
            let (mut left, mut right) = (whole, none);
            left.merge(&none);
            right.merge(&whole);
            assert_eq!((bits(&left), bits(&right)), (bits(&whole), bits(&whole)));
        }
    }

    #[test]
    fn count_saturates_when_a_part_is_merged_with_itself() {
        let mut variance = of(&[1.0, 3.0]);
        for _ in 0..80 {
            variance.merge(&variance.clone());
        }
        assert_eq!(variance.count(), i64::MAX.unsigned_abs());
        assert_eq!(variance.mean(), Some(2.0));
        assert!(variance.variance().unwrap() > 0.0);
    }

    #[test]
    fn merging_any_two_parts_is_close_to_sequential_updates() {
        let values: Vec<f64> = (0..200).map(|at| 1e6 + f64::from(at * at % 37) / 7.0).collect();
        let whole = of(&values);
        for cut in 0..=values.len() {
            let (left, right) = values.split_at(cut);
            let mut merged = of(left);
            merged.merge(&of(right));
            assert_eq!(merged.count(), whole.count());
            // Bound: n ulps times the condition number, which is about 6e5 here.
            assert!((merged.mean - whole.mean).abs() <= 1e-9);
            assert!((merged.m2 / whole.m2 - 1.0).abs() <= 1e-8, "{cut}: {merged:?} {whole:?}");
        }
    }
}
