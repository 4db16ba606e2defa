//! Windows, aggregations, normalization and deduplication of event streams: the async Rust API of
//! stream-processor, over the engine in [`engine`].

pub use stream_processor_core as engine;
