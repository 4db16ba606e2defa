//! Statistics of a series of numbers, one value at a time. They are a public API and the building
//! blocks of the stages.
//!
//! Results depend only on the values and their order, to the last bit, on every machine. Values
//! that are not finite are skipped. A result that is undefined or too large is `None`.
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

// Where to find what:
// - all values so far: `variance` (Welford), `sum` (Neumaier), `ema` (moving averages), `rate`
//   (events per second);
// - the last N values: `sliding` (the public type) on `last` (the ring buffer), which maintains
//   `aggregate`s over `two_block_aggregate` and an `ordered_multiset`;
// - `anomaly`: z-scores against either, by the trait `Baseline`;
// - `rank`: positions and interpolation of percentiles, also used by the window stage.
mod aggregate;
mod anomaly;
mod ema;
mod last;
mod ordered_multiset;
pub(crate) mod rank;
mod rate;
mod sliding;
mod sum;
mod two_block_aggregate;
mod variance;

pub use anomaly::{RobustZScore, Score, ZScoreAnomalyDetector};
pub use ema::{ExponentialMovingAverage, TimeAwareMovingAverage};
pub use rate::RateCalculator;
pub use sliding::SlidingWindowStats;
pub use variance::OnlineVariance;

pub(crate) use aggregate::{Aggregate, Extremes};
pub(crate) use anomaly::{Baseline, MIN_WARMUP, ZScoreRule};
pub(crate) use ema::{elapsed, step, time_gain};
pub(crate) use last::{LastMedian, LastMoments, LastValues, TrackedStatistics};
pub(crate) use sum::Sum;

/// An option out of its range, or a result that is not defined yet.
/// ```
/// use stream_processor_core::statistics::RobustZScore;
/// assert!(RobustZScore::new(3.0, 0).is_err()); // a window of no values
/// ```
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StatisticsError {
    /// The weight of a new value is out of its range.
    #[error("alpha is {0}: it must be above 0 and at most 1")]
    Alpha(f64),
    /// The span of a moving average is out of its range.
    #[error("the span is {0}: it must be at least 1")]
    Span(f64),
    /// The half-life of a moving average is out of its range.
    #[error("the half-life is {0}: it must be above 0")]
    HalfLife(f64),
    /// The length of a window is 0.
    #[error("a window must hold at least 1")]
    EmptyWindow,
    /// A percentile is not from 0 to 100.
    #[error("{0} is no percentile: it must be from 0 to 100")]
    Percentile(f64),
    /// There are no values yet.
    #[error("there are no values so far")]
    NoValues,
}

/// Returns `value`, or `None` if it is not finite.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Converts a count to a float.
// A signed integer converts in one instruction.
#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
#[inline(always)]
pub(crate) fn number(count: u64) -> f64 {
    count.min(i64::MAX.unsigned_abs()).cast_signed() as f64
}
