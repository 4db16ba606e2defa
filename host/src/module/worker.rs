//! The interface of an engine to a shard: the module in wasmtime or the native engine.

use stream_processor_core::{Batch, Dropped, KeyDefinitions, Progress, Pushed, Rows};

use super::counters::Counters;
use crate::error::Error;

/// An engine that holds the state of one shard. Times are microseconds since the epoch.
///
/// If a call returns that the result buffer is full, poll the waiting rows and call it again. See
/// [`stream_processor_core::Engine`].
pub trait Worker: Send {
    /// Defines the keys of ids that later batches use.
    ///
    /// # Errors
    /// A key is malformed, or the engine fails.
    fn define_keys(&mut self, keys: &KeyDefinitions<'_>) -> Result<(), Error>;

    /// Defines the source partitions of ids that later batches use.
    ///
    /// # Errors
    /// A name is malformed, or the engine fails.
    fn define_partitions(&mut self, partitions: &KeyDefinitions<'_>) -> Result<(), Error>;

    /// Sets the time of day to `now`.
    ///
    /// # Errors
    /// The engine fails.
    fn tick(&mut self, now: i64) -> Result<Progress, Error>;

    /// Returns the time of day at which the next tick is needed, or `i64::MAX` if none is.
    ///
    /// # Errors
    /// The engine fails.
    fn next_deadline(&mut self) -> Result<i64, Error>;

    /// Pushes events.
    ///
    /// # Errors
    /// The batch does not fit the pipeline, or the engine fails.
    fn push(&mut self, batch: &Batch<'_>) -> Result<Pushed, Error>;

    /// Advances the watermark to `watermark`.
    ///
    /// # Errors
    /// The engine fails.
    fn advance(&mut self, watermark: i64) -> Result<Progress, Error>;

    /// Ends the stream: every open window fires.
    ///
    /// # Errors
    /// The engine fails.
    fn finish(&mut self) -> Result<Progress, Error>;

    /// Returns the next rows, at most `max_rows`, or `None` if no rows wait.
    ///
    /// # Errors
    /// The engine fails.
    fn poll(&mut self, max_rows: u32) -> Result<Option<Rows<'_>>, Error>;

    /// Returns events that were dropped since the last call, at most `max`, if the engine was
    /// opened with `report_drops`.
    ///
    /// # Errors
    /// The engine fails.
    fn drops(&mut self, max: u32) -> Result<Vec<Dropped>, Error>;

    /// Returns the counters of the engine.
    ///
    /// # Errors
    /// The engine fails.
    fn counters(&mut self) -> Result<Counters, Error>;
}
