//! Statistics of a series of numbers, one value at a time: for use by themselves, and what the stages are made of.
//!
//! Results depend on the values and their order alone, to the last bit, on every machine. Values that are not finite are
//! skipped. What is undefined, or too large for a number, is `None`.
//! ```
//! use stream_processor_core::statistics::{OnlineVariance, SlidingWindowStats, ZScoreAnomalyDetector};
//!
//! let mut variance = OnlineVariance::new();
//! let mut last_three = SlidingWindowStats::new(3)?;
//! let mut detector = ZScoreAnomalyDetector::new(3.0);
//! for value in [10.0, 12.0, 11.0, 13.0] {
//!     variance.update(value);
//!     last_three.update(value);
//!     assert!(!detector.check(value));
//! }
//! assert!(detector.check(40.0));
//! assert_eq!(variance.mean(), Some(11.5));
//! assert_eq!(last_three.median(), Some(12.0));
//! # Ok::<(), stream_processor_core::statistics::StatisticsError>(())
//! ```

mod anomaly;
mod ema;
mod last;
mod order;
mod parts;
pub(crate) mod rank;
mod rate;
mod sliding;
mod two_blocks;
mod variance;

pub use anomaly::{RobustZScore, Score, ZScoreAnomalyDetector};
pub use ema::{ExponentialMovingAverage, TimeAwareMovingAverage};
pub use rate::RateCalculator;
pub use sliding::SlidingWindowStats;
pub use variance::OnlineVariance;

pub(crate) use anomaly::{LEAST_WARMUP, Reference, Rule};
pub(crate) use ema::{elapsed, step, time_gain};
pub(crate) use last::{Kept, LastMoments, LastOrdered, LastValues};
pub(crate) use parts::{Extremes, Part, Sum};
pub(crate) use variance::GREATEST_SQUARED;

/// An option that means nothing, or a question that has no answer yet.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StatisticsError {
    /// The weight of a new value.
    #[error("alpha is {0}: it must be above 0 and at most 1")]
    Alpha(f64),
    /// The span of a moving average.
    #[error("the span is {0}: it must be at least 1")]
    Span(f64),
    /// The half-life of a moving average.
    #[error("the half-life is {0}: it must be above 0")]
    HalfLife(f64),
    /// The length of a window.
    #[error("a window must hold at least 1")]
    EmptyWindow,
    /// A percentile.
    #[error("{0} is no percentile: it must be from 0 to 100")]
    Percentile(f64),
    /// No values have come so far.
    #[error("there are no values so far")]
    NoValues,
}

/// `value`, unless it is undefined or too large.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

// By way of a signed number: processors convert those in one step.
#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
#[inline(always)]
pub(crate) fn number(count: u64) -> f64 {
    count.min(i64::MAX.unsigned_abs()).cast_signed() as f64
}
