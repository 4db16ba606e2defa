//! One shard at work: a thread with an engine of its own.

use std::sync::mpsc::{Receiver, Sender, SyncSender};

use stream_processor_core::{
    Batch, Column, Dropped, Identity, KeyColumn, KeyDefinitions, Progress,
};

use super::alarm::Alarm;
use super::chunk::Chunk;
use super::merge::FromShard;
use crate::counters::Counters;
use crate::error::Error;
use crate::runtime::Worker;

/// Rows that leave an engine at once.
const POLL_ROWS: u32 = 4096;

/// Dropped events that leave an engine at once.
const POLL_DROPS: u32 = 4096;

/// The part of a batch that belongs to one shard, and the keys that it needs.
#[derive(Debug, Default)]
pub(super) struct ShardBatch {
    pub(super) timestamps: Vec<i64>,
    pub(super) ordinals: Vec<u64>,
    /// The stream's watermark before each event; empty where the shard has the whole stream and judges by itself.
    pub(super) watermarks: Vec<i64>,
    pub(super) columns: Vec<Vec<f64>>,
    pub(super) identities: Vec<Vec<Identity>>,
    /// Empty where the pipeline has no key.
    pub(super) key_ids: Vec<u32>,
    pub(super) new_keys: NewKeys,
    /// Empty where the pipeline names no partition.
    pub(super) partitions: Vec<u32>,
    pub(super) new_partitions: NewKeys,
    /// The time of day, where the pipeline goes by it.
    pub(super) now: Option<i64>,
    /// The stream's watermark after the whole batch, for a shard that has not all of it.
    pub(super) advance_to: Option<i64>,
    /// Whether the stream ends with this batch.
    pub(super) is_last: bool,
}

/// Keys, or partitions, that an engine must know before the batch.
#[derive(Debug, Default)]
pub(super) struct NewKeys {
    pub(super) reset: bool,
    pub(super) ids: Vec<u32>,
    pub(super) offsets: Vec<u32>,
    pub(super) bytes: Vec<u8>,
}

/// A shard and its connections.
pub(super) struct Shard {
    pub(super) worker: Box<dyn Worker>,
    pub(super) receive: Receiver<ShardBatch>,
    pub(super) send: SyncSender<FromShard>,
    /// Where batches go that are used up.
    pub(super) used: Sender<ShardBatch>,
    pub(super) report_drops: bool,
    /// Whom it tells when the next tick is due, where the pipeline goes by the time of day.
    pub(super) alarm: Option<Alarm>,
    /// Events of the batch that were dropped.
    pub(super) dropped: Vec<Dropped>,
}

/// What a shard has done when it ends.
pub(super) struct Worked {
    pub(super) counters: Counters,
    /// The limit that has ended it before its time; what came before is written.
    pub(super) stopped: Option<Error>,
}

/// Why a shard stops before its time.
enum Stop {
    /// The far end is gone, so nobody wants the rows.
    Unwanted,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Shard {
    /// Works until the parser or the far end is gone, and returns what the engine has counted.
    pub(super) fn run(mut self) -> Result<Worked, Error> {
        let mut stopped = None;
        while let Ok(batch) = self.receive.recv() {
            match self.batch(&batch) {
                // The parser may be gone; then the batch is just dropped.
                Ok(()) => drop(self.used.send(batch)),
                Err(Stop::Unwanted) => break,
                Err(Stop::Failed(error)) if error.is_limit() => {
                    stopped = Some(error);
                    if let Err(Stop::Failed(error)) = self.end_batch() {
                        return Err(error);
                    }
                    break;
                }
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        Ok(Worked { counters: self.worker.counters()?, stopped })
    }

    fn batch(&mut self, batch: &ShardBatch) -> Result<(), Stop> {
        if let Some(keys) = batch.new_keys.definitions() {
            self.worker.define_keys(&keys)?;
        }
        if let Some(partitions) = batch.new_partitions.definitions() {
            self.worker.define_partitions(&partitions)?;
        }
        if let Some(now) = batch.now {
            while self.worker.tick(now)? == Progress::Full {
                self.poll()?;
            }
        }
        let mut taken = 0;
        let mut full = false;
        while taken < batch.timestamps.len() {
            let pushed = batch.with_rest(taken, |rest| self.worker.push(rest))?;
            taken += pushed.consumed;
            full = pushed.full;
            if full {
                self.poll()?;
                self.collect_dropped()?;
            }
        }
        let resume = full.then_some(i64::MIN);
        if let Some(watermark) = batch.advance_to.or(resume) {
            while self.worker.advance(watermark)? == Progress::Full {
                self.poll()?;
            }
        }
        while batch.is_last && self.worker.finish()? == Progress::Full {
            self.poll()?;
        }
        if let Some(alarm) = &self.alarm {
            alarm.set(self.worker.next_deadline()?);
        }
        self.end_batch()
    }

    /// Sends on what the batch has made.
    fn end_batch(&mut self) -> Result<(), Stop> {
        self.poll()?;
        self.collect_dropped()?;
        let dropped = std::mem::take(&mut self.dropped);
        self.send.send(FromShard::Done(dropped)).map_err(|_| Stop::Unwanted)
    }

    /// Sends on all rows that wait.
    fn poll(&mut self) -> Result<(), Stop> {
        while let Some(rows) = self.worker.poll(POLL_ROWS)? {
            let chunk = FromShard::Rows(Chunk::copy_of(&rows));
            self.send.send(chunk).map_err(|_| Stop::Unwanted)?;
        }
        Ok(())
    }

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
    /// Empties the batch, keeping its memory.
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

    /// Shows `see` the batch without its first `taken` events.
    fn with_rest<T>(&self, taken: usize, see: impl FnOnce(&Batch<'_>) -> T) -> T {
        let columns: Vec<Column<'_>> =
            self.columns.iter().map(|column| Column::F64(rest(column, taken))).collect();
        let identities: Vec<&[Identity]> =
            self.identities.iter().map(|way| rest(way, taken)).collect();
        see(&Batch {
            timestamps: rest(&self.timestamps, taken),
            keys: match self.key_ids.as_slice() {
                [] => KeyColumn::Unkeyed,
                ids => KeyColumn::Ids(rest(ids, taken)),
            },
            columns: &columns,
            identities: &identities,
            ordinals: Some(rest(&self.ordinals, taken)),
            watermarks: match self.watermarks.as_slice() {
                [] => None,
                watermarks => Some(rest(watermarks, taken)),
            },
            partitions: match self.partitions.as_slice() {
                [] => None,
                partitions => Some(rest(partitions, taken)),
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

    /// Adds one key.
    pub(super) fn push(&mut self, id: u32, key: &[u8]) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        self.ids.push(id);
        self.bytes.extend_from_slice(key);
        self.offsets.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    /// What the engine is to be told; `None`: nothing.
    fn definitions(&self) -> Option<KeyDefinitions<'_>> {
        if self.ids.is_empty() && !self.reset {
            return None;
        }
        let offsets: &[u32] = if self.offsets.is_empty() { &[0] } else { &self.offsets };
        Some(KeyDefinitions { reset: self.reset, ids: &self.ids, offsets, bytes: &self.bytes })
    }
}

fn rest<T>(column: &[T], taken: usize) -> &[T] {
    column.get(taken..).unwrap_or_default()
}
