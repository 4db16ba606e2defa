//! Normalization: irregular samples become values at regular times.
//!
//! ```
//! use processor::normalization::{FillStrategy, NormalizationConfig, TimeSeriesNormalizer};
//! use chrono::{DateTime, Duration, Utc};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> anyhow::Result<()> {
//! let config = NormalizationConfig::builder()
//!     .interval(Duration::seconds(1))
//!     .fill_strategy(FillStrategy::Linear)
//!     .build()?;
//! let mut normalizer = TimeSeriesNormalizer::new(config);
//! let start = DateTime::<Utc>::UNIX_EPOCH;
//! for (ms, value) in [(0, 10.0), (1_000, 12.0), (4_000, 18.0)] {
//!     normalizer.process_event(start + Duration::milliseconds(ms), value).await?;
//! }
//! let values: Vec<_> = normalizer.normalize().await?.iter().map(|point| point.value).collect();
//! assert_eq!(values, [Some(10.0), Some(12.0), Some(14.0), Some(16.0), Some(18.0)]);
//! # Ok(()) }
//! ```
//!
//! The README of this folder explains alignment, the strategies and what each costs.

mod config;
mod normalizer;

pub use config::{
    AlignmentStrategy, FillStrategy, NormalizationConfig, NormalizationConfigBuilder,
};
pub use normalizer::{NormalizedPoint, TimeSeriesNormalizer};
