//! Windows, aggregations, normalization and deduplication of event streams: the async Rust API of
//! stream-processor, over the engine in [`engine`].

pub mod aggregation;
mod builder;
mod config;
mod engines;
mod error;
pub mod normalization;
mod result;
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
