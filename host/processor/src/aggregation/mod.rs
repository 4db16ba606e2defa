//! Aggregators: what a window computes from its values.
//!
//! [`CompositeAggregator`] combines several aggregations; the others compute one each. All of them
//! are the accumulators of the engine: by hand and in a window they give the same bits. A type of
//! your own that implements [`Aggregator`] works in every kind of window.
//!
//! [`statistics`] has statistics of a series of values: variance, moving averages, anomalies.

mod composite;
mod single;

pub use composite::CompositeAggregator;
pub use single::{
    AverageAggregator, CountAggregator, FirstAggregator, LastAggregator, MaxAggregator,
    MinAggregator, PercentileAggregator, StandardDeviationAggregator, SumAggregator,
    VarianceAggregator,
};

use crate::engine::SpecError;
use crate::engine::spec::Aggregation;
use crate::result::AggregationResult;

/// Statistics of a series of numbers, one value at a time.
///
/// ```
/// use processor::aggregation::statistics::OnlineVariance;
///
/// let mut variance = OnlineVariance::new();
/// for value in [2.0, 4.0, 6.0] {
///     variance.update(value);
/// }
/// assert_eq!(variance.std_dev(), Some(2.0));
/// ```
pub mod statistics {
    pub use stream_processor_core::statistics::*;
}

/// Computes outputs from the values of a window.
///
/// A processor keeps one aggregator for each key in each slice, window or session. It merges them
/// where windows slide, sessions meet or late events correct a window.
/// ```
/// use processor::{AggregationResult, StreamProcessorBuilder, aggregation::Aggregator};
/// use chrono::Duration;
///
/// #[derive(Clone, Default)]
/// struct RootMeanSquare { squares: f64, count: u32 }
///
/// impl Aggregator for RootMeanSquare {
///     fn update(&mut self, value: f64) {
///         self.squares += value * value;
///         self.count += 1;
///     }
///     fn merge(&mut self, later: &Self) {
///         self.squares += later.squares;
///         self.count += later.count;
///     }
///     fn results(&self) -> AggregationResult {
///         let mean = (self.count > 0).then(|| self.squares / f64::from(self.count));
///         AggregationResult::new([("rms", mean.map(f64::sqrt))])
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> anyhow::Result<()> {
/// let mut processor = StreamProcessorBuilder::new()
///     .build_tumbling(Duration::minutes(1), |_key: &str| RootMeanSquare::default());
/// let mut results = processor.results().unwrap();
/// for value in [3.0, 4.0, 5.0] {
///     processor.process_event("pump", "2024-05-01T12:00:00Z".parse()?, value).await?;
/// }
/// processor.finish().await?;
/// let result = results.next().await.unwrap();
/// assert_eq!(result.results.get("rms"), Some((50.0_f64 / 3.0).sqrt()));
/// # Ok(()) }
/// ```
pub trait Aggregator: Clone + Send + Sync + 'static {
    /// Adds a value, which is finite.
    fn update(&mut self, value: f64);

    /// Merges `later`, as if its values came after those here.
    fn merge(&mut self, later: &Self);

    /// Returns the outputs. Their names and order must not depend on the values.
    fn results(&self) -> AggregationResult;

    /// Returns the aggregations of the engine that do the same; `None` for a type of your own.
    ///
    /// # Errors
    /// Returns an error for an aggregation that cannot be, such as a percentile of 101.
    #[doc(hidden)]
    fn operations(&self) -> Option<Result<Vec<Aggregation>, SpecError>> {
        None
    }
}
