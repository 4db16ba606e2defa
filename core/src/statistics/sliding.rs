//! Statistics of the last N values.

use super::last::{LastValues, TrackedStatistics};
use super::{OnlineVariance, StatisticsError, finite};

/// Statistics of the last `size` values: mean, variance, extremes and any percentile.
///
/// An update takes logarithmic time on average. Results are merged from the values in the window,
/// and never subtracted, so rounding errors do not accumulate.
/// ```
/// use stream_processor_core::statistics::SlidingWindowStats;
///
/// let mut stats = SlidingWindowStats::new(3)?;
/// for value in [1e16, 1.0, 2.0, 6.0] {
///     stats.update(value);
/// }
/// assert_eq!(stats.mean(), Some(3.0));
/// assert_eq!(stats.variance(), Some(7.0));
/// assert_eq!((stats.min(), stats.max()), (Some(1.0), Some(6.0)));
/// assert_eq!(stats.median(), Some(2.0));
/// assert_eq!(stats.percentile(75.0)?, 4.0);
/// # Ok::<(), stream_processor_core::statistics::StatisticsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SlidingWindowStats {
    last: LastValues,
}

impl SlidingWindowStats {
    /// Creates a window of the last `size` values.
    ///
    /// # Errors
    /// [`StatisticsError::EmptyWindow`] if `size` is 0.
    pub fn new(size: usize) -> Result<Self, StatisticsError> {
        if size == 0 {
            return Err(StatisticsError::EmptyWindow);
        }
        let tracked = TrackedStatistics { sums: true, moments: true, extremes: true, order: true };
        Ok(Self { last: LastValues::new(size, tracked) })
    }

    /// Takes the next value, and drops the oldest one if the window is full.
    pub fn update(&mut self, value: f64) {
        if value.is_finite() {
            self.last.push(value);
        }
    }

    /// Returns the number of values in the window.
    #[must_use]
    pub fn len(&self) -> usize {
        self.last.len()
    }

    /// Returns true if there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the maximum number of values.
    #[must_use]
    pub fn size(&self) -> usize {
        self.last.size()
    }

    /// Returns the compensated sum (Neumaier 1974); `None` without values.
    #[must_use]
    pub fn sum(&self) -> Option<f64> {
        finite(self.last.sum())
    }

    /// Returns the mean: the compensated sum divided by the number of values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        finite(self.last.mean())
    }

    /// Mean and variance of the values, to be asked or merged.
    #[must_use]
    pub fn moments(&self) -> OnlineVariance {
        self.last.moments()
    }

    /// Returns the sample variance (n − 1); `None` for fewer than two values.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        self.moments().variance()
    }

    /// Returns the sample standard deviation.
    #[must_use]
    pub fn std_dev(&self) -> Option<f64> {
        self.moments().std_dev()
    }

    /// Returns the minimum.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        finite(self.last.extremes().min)
    }

    /// Returns the maximum.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        finite(self.last.extremes().max)
    }

    /// Returns the median; `None` without values.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        self.last.percentile(50.0)
    }

    /// Returns the percentile `percent`, linear between the two neighbouring ranks, as in numpy.
    ///
    /// # Errors
    /// [`StatisticsError::Percentile`] unless `percent` is from 0 to 100;
    /// [`StatisticsError::NoValues`] without values.
    pub fn percentile(&self, percent: f64) -> Result<f64, StatisticsError> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(StatisticsError::Percentile(percent));
        }
        self.last.percentile(percent).ok_or(StatisticsError::NoValues)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn results_without_values_are_none() {
        assert!(SlidingWindowStats::new(0).is_err());
        let stats = SlidingWindowStats::new(5).unwrap();
        assert!(stats.is_empty());
        assert_eq!((stats.sum(), stats.mean(), stats.variance()), (None, None, None));
        assert_eq!((stats.min(), stats.max(), stats.median()), (None, None, None));
        assert_eq!(stats.percentile(50.0), Err(StatisticsError::NoValues));
        assert_eq!(stats.percentile(101.0), Err(StatisticsError::Percentile(101.0)));
        assert!(stats.percentile(f64::NAN).is_err());
    }

    #[test]
    fn window_of_size_1_holds_the_last_value() {
        let mut stats = SlidingWindowStats::new(1).unwrap();
        for value in [3.0, f64::NAN, -4.0] {
            stats.update(value);
        }
        assert_eq!((stats.len(), stats.size()), (1, 1));
        assert_eq!((stats.mean(), stats.median(), stats.std_dev()), (Some(-4.0), Some(-4.0), None));
    }

    #[test]
    fn removed_values_leave_no_rounding_error() {
        let mut stats = SlidingWindowStats::new(4).unwrap();
        for value in [f64::MAX, f64::MAX, -f64::MAX, 1e16, 0.1, 0.1, 0.1, 0.1] {
            stats.update(value);
        }
        assert_eq!((stats.mean(), stats.variance()), (Some(0.1), Some(0.0)));
        for value in [1e15, 0.1, 0.3, 0.5, 0.7] {
            stats.update(value);
        }
        assert!((stats.mean().unwrap() - 0.4).abs() < 1e-16);
        assert!((stats.variance().unwrap() - 0.2 / 3.0).abs() < 1e-16);
    }

    proptest! {
        #[test]
        fn statistics_equal_those_of_the_last_values(
            size in 1_usize..40,
            values in prop::collection::vec(prop_oneof![-1e3..1e3, Just(0.0), Just(-0.0), -1e9..1e9], 1..120),
        ) {
            let mut stats = SlidingWindowStats::new(size).unwrap();
            for end in 1..=values.len() {
                stats.update(values[end - 1]);
                let window = &values[end.saturating_sub(size)..end];
                let n = window.len() as f64;
                let mean = window.iter().sum::<f64>() / n;
                let greatest = window.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
                prop_assert!((stats.mean().unwrap() - mean).abs() <= 1e-14 * greatest);
                let squares = window.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
                match stats.variance() {
                    None => prop_assert_eq!(window.len(), 1),
                    Some(found) => {
                        let due = squares / (n - 1.0);
                        let condition = (1.0 + mean * mean / due.max(f64::MIN_POSITIVE)).sqrt();
                        prop_assert!((found - due).abs() <= n * 4.0 * f64::EPSILON * condition * due + 1e-300);
                    }
                }
                let mut sorted: Vec<f64> = window.iter().map(|value| value + 0.0).collect();
                sorted.sort_by(f64::total_cmp);
                prop_assert_eq!(stats.min().unwrap(), sorted[0]);
                prop_assert_eq!(stats.max().unwrap(), sorted[sorted.len() - 1]);
                prop_assert_eq!(stats.percentile(0.0).unwrap(), sorted[0]);
                let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
                let median = stats.median().unwrap();
                prop_assert!((median - (low + high) / 2.0).abs() <= 1e-15 * greatest);
                let place = 0.95 * (n - 1.0);
                let low = sorted[place.floor() as usize];
                let high = sorted[place.ceil() as usize];
                let due = low + (high - low) * place.fract();
                prop_assert!((stats.percentile(95.0).unwrap() - due).abs() <= 1e-12 * greatest);
            }
        }
    }
}
