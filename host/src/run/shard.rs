//! A shard of a run: a thread that owns one engine and processes its part of each batch.

use std::sync::mpsc::{Receiver, Sender, SyncSender};

use stream_processor_core::{
    Batch, Column, Dropped, Identity, KeyColumn, KeyDefinitions, Progress, Stats,
};

use super::merge::ShardOutput;
use super::row_chunk::RowChunk;
use super::tick_timer::TickTimer;
use crate::error::Error;
use crate::module::worker::Worker;

/// Maximum number of rows for one poll of the engine.
const POLL_ROWS: u32 = 4096;

/// Maximum number of dropped events for one call of the engine.
const POLL_DROPS: u32 = 4096;

/// One shard's part of a batch: columns of events, and definitions of the keys they use.
#[derive(Debug, Default)]
pub(super) struct ShardBatch {
    pub(super) timestamps: Vec<i64>,
    pub(super) ordinals: Vec<u64>,
    /// The stream's watermark before each event. Empty for a single shard, whose engine computes
    /// the watermark itself.
    pub(super) watermarks: Vec<i64>,
    pub(super) columns: Vec<Vec<f64>>,
    pub(super) identities: Vec<Vec<Identity>>,
    /// Empty if the pipeline has no key.
    pub(super) key_ids: Vec<u32>,
    pub(super) new_keys: NewKeys,
    /// Empty if the pipeline names no partition.
    pub(super) partitions: Vec<u32>,
    pub(super) new_partitions: NewKeys,
    /// The time of day, if the pipeline depends on it.
    pub(super) now: Option<i64>,
    /// The stream's watermark after the whole batch, if there are several shards.
    pub(super) advance_to: Option<i64>,
    /// True if the stream ends with this batch.
    pub(super) is_last: bool,
}

/// Keys, or partitions, that the batch uses for the first time.
#[derive(Debug, Default)]
pub(super) struct NewKeys {
    /// True if the engine must forget all earlier ids.
    pub(super) reset: bool,
    pub(super) ids: Vec<u32>,
    pub(super) offsets: Vec<u32>,
    pub(super) bytes: Vec<u8>,
}

/// A shard: its engine and its channels.
pub(super) struct Shard {
    pub(super) worker: Box<dyn Worker>,
    pub(super) receive: Receiver<ShardBatch>,
    pub(super) send: SyncSender<ShardOutput>,
    /// Returns processed batches to the parser.
    pub(super) recycled: Sender<ShardBatch>,
    pub(super) report_drops: bool,
    /// The timer of the next tick, if the pipeline depends on the time of day.
    pub(super) tick_timer: Option<TickTimer>,
    /// Dropped events of the current batch.
    pub(super) dropped: Vec<Dropped>,
}

/// The result of a shard that ended without a failure.
pub(super) struct ShardResult {
    pub(super) stats: Stats,
    /// The limit with the policy `refuse` that ended the shard. Rows made before are written.
    pub(super) limit_reached: Option<Error>,
}

/// The reason why a shard stops before the end of the stream.
enum ShardStop {
    /// The writer no longer receives.
    WriterEnded,
    Failed(Error),
}

impl From<Error> for ShardStop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Shard {
    /// Processes batches until the parser's channel closes or the writer ends. Returns the counters
    /// of the engine.
    pub(super) fn run(mut self) -> Result<ShardResult, Error> {
        let mut limit_reached = None;
        while let Ok(batch) = self.receive.recv() {
            match self.process(&batch) {
                // If the parser has ended, the batch is dropped.
                Ok(()) => drop(self.recycled.send(batch)),
                Err(ShardStop::WriterEnded) => break,
                Err(ShardStop::Failed(error)) if error.is_limit() => {
                    limit_reached = Some(error);
                    if let Err(ShardStop::Failed(error)) = self.end_batch() {
                        return Err(error);
                    }
                    break;
                }
                Err(ShardStop::Failed(error)) => return Err(error),
            }
        }
        Ok(ShardResult { stats: self.worker.stats()?, limit_reached })
    }

    /// Processes a batch: definitions, the time of day, events, the watermark, the end of the
    /// stream. Sends its rows and dropped events to the writer.
    fn process(&mut self, batch: &ShardBatch) -> Result<(), ShardStop> {
        if let Some(keys) = batch.new_keys.definitions() {
            self.worker.define_keys(&keys)?;
        }
        if let Some(partitions) = batch.new_partitions.definitions() {
            self.worker.define_partitions(&partitions)?;
        }
        if let Some(now) = batch.now {
            while self.worker.tick(now)? == Progress::Full {
                self.send_rows()?;
            }
        }
        let mut consumed = 0;
        let mut full = false;
        while consumed < batch.timestamps.len() {
            let pushed = batch.with_view_from(consumed, |view| self.worker.push(view))?;
            consumed += pushed.consumed;
            full = pushed.full;
            if full {
                self.send_rows()?;
                self.collect_dropped()?;
            }
        }
        // A push that filled the result buffer may have stopped while windows fired. Advancing to
        // the smallest watermark resumes that firing and changes nothing else.
        let resume = full.then_some(i64::MIN);
        if let Some(watermark) = batch.advance_to.or(resume) {
            while self.worker.advance(watermark)? == Progress::Full {
                self.send_rows()?;
            }
        }
        while batch.is_last && self.worker.finish()? == Progress::Full {
            self.send_rows()?;
        }
        if let Some(timer) = &self.tick_timer {
            timer.schedule(self.worker.next_deadline()?);
        }
        self.end_batch()
    }

    /// Sends the remaining rows and the dropped events of the batch.
    fn end_batch(&mut self) -> Result<(), ShardStop> {
        self.send_rows()?;
        self.collect_dropped()?;
        let dropped = std::mem::take(&mut self.dropped);
        self.send.send(ShardOutput::BatchDone(dropped)).map_err(|_| ShardStop::WriterEnded)
    }

    /// Polls all rows that wait in the engine and sends them to the writer.
    fn send_rows(&mut self) -> Result<(), ShardStop> {
        while let Some(rows) = self.worker.poll(POLL_ROWS)? {
            let chunk = ShardOutput::Rows(RowChunk::copy_of(&rows));
            self.send.send(chunk).map_err(|_| ShardStop::WriterEnded)?;
        }
        Ok(())
    }

    /// Moves the engine's dropped events to `dropped`, if an output needs them.
    fn collect_dropped(&mut self) -> Result<(), Error> {
        while self.report_drops {
            let more = self.worker.drops(POLL_DROPS)?;
            if more.is_empty() {
                break;
            }
            self.dropped.extend(more);
        }
        Ok(())
    }
}

impl ShardBatch {
    /// Empties the batch and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.timestamps.clear();
        self.ordinals.clear();
        self.watermarks.clear();
        self.columns.iter_mut().for_each(Vec::clear);
        self.identities.iter_mut().for_each(Vec::clear);
        self.key_ids.clear();
        self.new_keys.clear();
        self.partitions.clear();
        self.new_partitions.clear();
        self.now = None;
        self.advance_to = None;
        self.is_last = false;
    }

    /// Calls `use_view` with the batch from event `start` on.
    fn with_view_from<T>(&self, start: usize, use_view: impl FnOnce(&Batch<'_>) -> T) -> T {
        let columns: Vec<Column<'_>> =
            self.columns.iter().map(|column| Column::F64(from(column, start))).collect();
        let identities: Vec<&[Identity]> =
            self.identities.iter().map(|identities| from(identities, start)).collect();
        use_view(&Batch {
            timestamps: from(&self.timestamps, start),
            keys: match self.key_ids.as_slice() {
                [] => KeyColumn::Unkeyed,
                ids => KeyColumn::Ids(from(ids, start)),
            },
            columns: &columns,
            identities: &identities,
            ordinals: Some(from(&self.ordinals, start)),
            watermarks: match self.watermarks.as_slice() {
                [] => None,
                watermarks => Some(from(watermarks, start)),
            },
            partitions: match self.partitions.as_slice() {
                [] => None,
                partitions => Some(from(partitions, start)),
            },
        })
    }
}

impl NewKeys {
    fn clear(&mut self) {
        self.reset = false;
        self.ids.clear();
        self.offsets.clear();
        self.bytes.clear();
    }

    /// Adds a key and its id.
    pub(super) fn push(&mut self, id: u32, key: &[u8]) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        self.ids.push(id);
        self.bytes.extend_from_slice(key);
        self.offsets.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    /// Returns the definitions for the engine, or `None` if there are none.
    fn definitions(&self) -> Option<KeyDefinitions<'_>> {
        if self.ids.is_empty() && !self.reset {
            return None;
        }
        let offsets: &[u32] = if self.offsets.is_empty() { &[0] } else { &self.offsets };
        Some(KeyDefinitions { reset: self.reset, ids: &self.ids, offsets, bytes: &self.bytes })
    }
}

/// Returns the values of a column from event `start` on.
fn from<T>(column: &[T], start: usize) -> &[T] {
    column.get(start..).unwrap_or_default()
}
