//! What a shard asks of an engine, be it the module in wasmtime or the native one.

use stream_processor_core::{Batch, Dropped, KeyDefinitions, Progress, Pushed, Rows};

use crate::counters::Counters;
use crate::error::Error;

/// The state of one shard and what can be done with it. Times are microseconds since the epoch.
///
/// Where a call says that it is full, rows wait: poll them and call it again. See [`stream_processor_core::Engine`].
pub trait Worker: Send {
    /// Gives keys to ids that later batches use.
    ///
    /// # Errors
    /// A malformed key, or a failure of the engine.
    fn define_keys(&mut self, keys: &KeyDefinitions<'_>) -> Result<(), Error>;

    /// Gives partitions of the source to ids that later batches use.
    ///
    /// # Errors
    /// A malformed name, or a failure of the engine.
    fn define_partitions(&mut self, partitions: &KeyDefinitions<'_>) -> Result<(), Error>;

    /// Tells the time of day.
    ///
    /// # Errors
    /// A failure of the engine.
    fn tick(&mut self, now: i64) -> Result<Progress, Error>;

    /// The time of day from which a tick has work; the greatest `i64`: none.
    ///
    /// # Errors
    /// A failure of the engine.
    fn next_deadline(&mut self) -> Result<i64, Error>;

    /// Takes events.
    ///
    /// # Errors
    /// A batch that does not fit the pipeline, or a failure of the engine.
    fn push(&mut self, batch: &Batch<'_>) -> Result<Pushed, Error>;

    /// Moves event time to `watermark`.
    ///
    /// # Errors
    /// A failure of the engine.
    fn advance(&mut self, watermark: i64) -> Result<Progress, Error>;

    /// Ends the stream: every open window fires.
    ///
    /// # Errors
    /// A failure of the engine.
    fn finish(&mut self) -> Result<Progress, Error>;

    /// The next rows, at most `max_rows`; `None`: none wait.
    ///
    /// # Errors
    /// A failure of the engine.
    fn poll(&mut self, max_rows: u32) -> Result<Option<Rows<'_>>, Error>;

    /// Events that were dropped since the last call, at most `max`, where the engine was opened to report them.
    ///
    /// # Errors
    /// A failure of the engine.
    fn drops(&mut self, max: u32) -> Result<Vec<Dropped>, Error>;

    /// What the engine has counted.
    ///
    /// # Errors
    /// A failure of the engine.
    fn counters(&mut self) -> Result<Counters, Error>;
}
