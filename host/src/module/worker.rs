//! The interface of an engine to a shard: the module in wasmtime or the native engine.

use stream_processor_core::{
    Batch, Dropped, KeyDefinitions, Merged, Progress, Pushed, Rows, Stats,
};

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
    fn stats(&mut self) -> Result<Stats, Error>;

    /// Returns a snapshot of the whole state. Any engine of the same pipeline can restore it: a
    /// snapshot of the module restores into a native engine, and the reverse.
    ///
    /// # Errors
    /// The state is larger than `limits.max_snapshot_bytes`, or the engine fails.
    fn snapshot(&mut self) -> Result<Vec<u8>, Error>;

    /// Replaces the state by a snapshot.
    ///
    /// # Errors
    /// The snapshot is damaged or of another pipeline, and the state is unchanged; or the engine
    /// fails.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), Error>;

    /// Removes the state of the windows and returns it as partial state. `source` identifies this
    /// engine among all that send partial state.
    ///
    /// # Errors
    /// The engine was not opened with `emits_partials`, the state is larger than
    /// `limits.max_snapshot_bytes`, or the engine fails.
    fn partial(&mut self, source: &str) -> Result<Vec<u8>, Error>;

    /// Merges the partial state that [`Worker::partial`] of another engine returned. If the result
    /// buffer is full, poll the waiting rows and call it again with the same bytes.
    ///
    /// # Errors
    /// The bytes are not partial state of this pipeline or are out of order, and the state is
    /// unchanged; or the engine fails.
    fn merge(&mut self, partial: &[u8]) -> Result<Merged, Error>;
}
