//! Windows, aggregations and normalization of event streams: the async Rust API of stream-processor,
//! over the engine in [`engine`].
//!
//! # Guide
//!
//! A [`StreamProcessor`] takes events, each with a key, a time and a value, and gives one result for
//! each key and window:
//! ```
//! use chrono::{DateTime, Duration, Utc};
//! use processor::{StreamProcessorBuilder, aggregation::CompositeAggregator};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> anyhow::Result<()> {
//! // The windows, and the aggregator of each key.
//! let mut processor = StreamProcessorBuilder::new()
//!     .with_max_out_of_orderness(Duration::seconds(5))
//!     .build_tumbling(Duration::minutes(1), |_key: &str| {
//!         let mut aggregator = CompositeAggregator::new();
//!         aggregator.add_count("requests").add_p95("p95");
//!         aggregator
//!     });
//! processor.check()?;
//!
//! // A task reads the results.
//! let mut results = processor.results().unwrap();
//! let reader = tokio::spawn(async move {
//!     let mut lines = Vec::new();
//!     while let Some(result) = results.next().await {
//!         lines.push(format!("{} {}: {:?}", result.window, result.key, result.results));
//!     }
//!     lines
//! });
//!
//! // Events come in; the last call fires the open windows.
//! let noon: DateTime<Utc> = "2024-05-01T12:00:00Z".parse()?;
//! processor.process_event("api", noon, 31.0).await?;
//! processor.process_event("api", noon + Duration::seconds(9), 45.0).await?;
//! processor.finish().await?;
//! assert_eq!(
//!     reader.await?,
//!     [r#"[2024-05-01T12:00:00Z, 2024-05-01T12:01:00Z) api: {"requests": 2.0, "p95": 44.3}"#]
//! );
//! # Ok(()) }
//! ```
//!
//! | to | see |
//! |---|---|
//! | choose windows and their options | [`StreamProcessorBuilder`], [`StreamProcessorConfig`] |
//! | send events, read results, continue after a crash | [`StreamProcessor`], [`WindowResults`] |
//! | compute other things than the built-in ones | [`aggregation::Aggregator`] |
//! | follow a series of values | [`aggregation::statistics`] |
//! | turn irregular samples into regular ones | [`normalization`] |
//! | compute watermarks elsewhere | [`watermark`] |
//! | run the pipeline in the program or in JavaScript | [`StreamProcessor::spec`] |
//! | process columns without async | [`engine`] |
//!
//! Every error has a stable [`Error::code`]. Nothing panics on input, and nothing is dropped without
//! a count in [`ProcessorStats`].

pub mod aggregation;
mod builder;
mod config;
pub mod deduplication;
mod engines;
mod error;
pub mod normalization;
mod result;
pub mod state;
mod stats;
mod stream_processor;
mod time;
pub mod watermark;

pub use builder::StreamProcessorBuilder;
pub use config::StreamProcessorConfig;
pub use error::Error;
pub use result::{AggregationResult, Window, WindowResult};
pub use stats::ProcessorStats;
pub use stream_processor::{StreamProcessor, WindowResults};
pub use stream_processor_core as engine;

/// Runs the examples of the documents as documentation tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../STREAM_PROCESSOR.md")]
    struct StreamProcessor;

    #[doc = include_str!("normalization/README.md")]
    struct Normalization;
}
