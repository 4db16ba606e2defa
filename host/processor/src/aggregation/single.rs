//! Aggregators of one aggregation each.

use super::composite::CompositeAggregator;
use super::{Aggregator, composite};
use crate::engine::SpecError;
use crate::engine::spec::Aggregation;
use crate::engine::statistics::StatisticsError;
use crate::result::AggregationResult;

macro_rules! aggregator {
    ($($(#[$doc:meta])* $type:ident, $add:ident, $name:literal, $expected:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// ```
        #[doc = concat!("use processor::aggregation::", stringify!($type), ";")]
        ///
        #[doc = concat!("let mut aggregator = ", stringify!($type), "::new();")]
        /// for value in [3.0, 5.0, 1.0] {
        ///     aggregator.update(value);
        /// }
        #[doc = concat!("assert_eq!(aggregator.result(), Some(", $expected, "));")]
        /// ```
        #[derive(Debug, Clone)]
        pub struct $type(CompositeAggregator);

        impl $type {
            /// Creates an aggregator without values.
            #[must_use]
            pub fn new() -> Self {
                let mut aggregator = CompositeAggregator::new();
                aggregator.$add($name);
                Self(aggregator)
            }
        }

        impl Default for $type {
            fn default() -> Self {
                Self::new()
            }
        }

        methods!($type);
    )*};
}

macro_rules! methods {
    ($type:ident) => {
        impl $type {
            /// Adds a value. Skips NaN and the infinities.
            #[inline]
            pub fn update(&mut self, value: f64) {
                self.0.update(value);
            }

            /// Returns the result; `None` if it is undefined, as the mean of no values is.
            #[must_use]
            pub fn result(&self) -> Option<f64> {
                self.0.results().values.first().copied().flatten()
            }
        }

        impl Aggregator for $type {
            fn update(&mut self, value: f64) {
                self.0.update(value);
            }

            fn merge(&mut self, later: &Self) {
                self.0.merge(&later.0);
            }

            fn results(&self) -> AggregationResult {
                self.0.results()
            }

            fn operations(&self) -> Option<Result<Vec<Aggregation>, SpecError>> {
                self.0.operations()
            }
        }
    };
}

aggregator! {
    /// Counts values: the output `count`.
    CountAggregator, add_count, "count", "3.0";
    /// Adds values up, with compensation: the output `sum`.
    SumAggregator, add_sum, "sum", "9.0";
    /// Computes the mean: the output `avg`.
    AverageAggregator, add_avg, "avg", "3.0";
    /// Finds the minimum: the output `min`.
    MinAggregator, add_min, "min", "1.0";
    /// Finds the maximum: the output `max`.
    MaxAggregator, add_max, "max", "5.0";
    /// Computes the variance of a sample (n − 1): the output `variance`.
    VarianceAggregator, add_variance, "variance", "4.0";
    /// Computes the standard deviation of a sample (n − 1): the output `stddev`.
    StandardDeviationAggregator, add_stddev, "stddev", "2.0";
    /// Keeps the earliest value: the output `first`. By hand, that is the value of the first call.
    FirstAggregator, add_first, "first", "3.0";
    /// Keeps the latest value: the output `last`. By hand, that is the value of the last call.
    LastAggregator, add_last, "last", "1.0";
}

/// Computes a percentile, exactly up to 512 values and within 1 % beyond: the output `p95` for 95.
///
/// ```
/// use processor::aggregation::PercentileAggregator;
///
/// let mut p90 = PercentileAggregator::new(90);
/// for value in [10.0, 20.0, 30.0] {
///     p90.update(value);
/// }
/// assert_eq!(p90.result(), Some(28.0));
/// assert!(PercentileAggregator::try_new(101.0).is_err());
/// ```
#[derive(Debug, Clone)]
pub struct PercentileAggregator(CompositeAggregator);

impl PercentileAggregator {
    /// Creates an aggregator of a percentile from 0 to 100, with at most six decimals. For another
    /// number, the result is `None`, and a processor reports `invalid_pipeline`.
    #[must_use]
    pub fn new(percent: impl Into<f64>) -> Self {
        let percent = percent.into();
        let mut aggregator = CompositeAggregator::new();
        aggregator.add_percentile(format!("p{percent}"), percent);
        Self(aggregator)
    }

    /// Does the same with an error for another number.
    ///
    /// # Errors
    /// [`StatisticsError::Percentile`] for a number outside 0 to 100 or with more than six
    /// decimals.
    pub fn try_new(percent: f64) -> Result<Self, StatisticsError> {
        composite::percentile(percent).ok_or(StatisticsError::Percentile(percent))?;
        Ok(Self::new(percent))
    }
}

methods!(PercentileAggregator);
