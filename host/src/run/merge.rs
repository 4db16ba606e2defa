//! Merges the rows of all shards into the defined order of rows, batch by batch.
//!
//! Each shard sends its rows of a batch in order, then `BatchDone`. [`Merger`] holds one chunk of
//! rows for each shard and repeatedly takes the least head:
//!
//! ```text
//! shard 0:  [r r r] [r r] done  --+
//! shard 1:  [r] done            --+--> merged chunk of up to 4,096 rows --> emit
//! shard 2:  done                --+
//! ```

use std::sync::mpsc::Receiver;

use stream_processor_core::{Dropped, OutputSchema, Rows};

use super::row_chunk::RowChunk;
use crate::error::Error;

/// Maximum number of merged rows for one call of `emit`.
const MERGED_ROWS: usize = 4096;

/// Bytes of keys after which a merged chunk is emitted. The last key may exceed it.
const MERGED_KEY_BYTES: usize = 1 << 20;

/// A message from a shard: for each batch any number of `Rows`, then `BatchDone`.
pub(super) enum ShardOutput {
    /// Rows of the batch.
    Rows(RowChunk),
    /// The shard has processed the whole batch, with the events that it dropped.
    BatchDone(Vec<Dropped>),
}

/// The reason why a merge stops before the end of a batch.
pub(super) enum MergeStop {
    /// A shard ended early; its own result gives the reason.
    ShardEnded,
    /// `emit` failed.
    Failed(Error),
}

/// Merges the rows of several shards into one stream.
pub(super) struct Merger {
    shards: Vec<ShardRows>,
    merged: RowChunk,
    /// The time columns that are part of the order of rows.
    order: Vec<usize>,
}

/// The current chunk of one shard, and the next row in it.
struct ShardRows {
    receiver: Receiver<ShardOutput>,
    chunk: RowChunk,
    next: usize,
    batch_done: bool,
}

impl Merger {
    pub(super) fn new(receivers: Vec<Receiver<ShardOutput>>, schema: &OutputSchema) -> Self {
        let shard = |receiver| {
            let chunk = RowChunk::new(schema);
            ShardRows { receiver, chunk, next: 0, batch_done: false }
        };
        Self {
            shards: receivers.into_iter().map(shard).collect(),
            merged: RowChunk::new(schema),
            order: schema.order.clone(),
        }
    }

    /// Passes all rows of one batch to `emit`, in order. Returns the dropped events in the order of
    /// the stream.
    pub(super) fn merge_batch(
        &mut self,
        mut emit: impl FnMut(&Rows<'_>) -> Result<(), Error>,
    ) -> Result<Vec<Dropped>, MergeStop> {
        let mut dropped = Vec::new();
        for shard in &mut self.shards {
            shard.batch_done = false;
        }
        loop {
            for shard in &mut self.shards {
                shard.refill(&mut dropped)?;
            }
            if self.shards.iter().all(ShardRows::is_exhausted) {
                break;
            }
            match self.shards.as_mut_slice() {
                // The rows of a single shard are in order already.
                [shard] => shard.emit_all(&mut emit)?,
                _ => self.emit_merged(&mut emit)?,
            }
        }
        dropped.sort_unstable_by_key(|dropped| dropped.ordinal);
        Ok(dropped)
    }

    /// Merges and emits rows until the chunk of a shard is exhausted or the merged chunk is full.
    fn emit_merged(
        &mut self,
        emit: &mut impl FnMut(&Rows<'_>) -> Result<(), Error>,
    ) -> Result<(), MergeStop> {
        let Self { shards, merged, order } = self;
        merged.clear();
        while merged.len() < MERGED_ROWS && merged.key_len_bytes() < MERGED_KEY_BYTES {
            let heads = shards.iter_mut().filter(|shard| !shard.is_exhausted());
            let least = heads.min_by(|a, b| a.chunk.compare(a.next, &b.chunk, b.next, order));
            let Some(least) = least else { break };
            merged.push(&least.chunk, least.next);
            least.next += 1;
            if least.is_exhausted() && !least.batch_done {
                break;
            }
        }
        emit(&merged.rows()).map_err(MergeStop::Failed)
    }
}

impl ShardRows {
    /// Returns whether every row of the current chunk was taken.
    fn is_exhausted(&self) -> bool {
        self.next >= self.chunk.len()
    }

    /// Emits all rows of the current chunk.
    fn emit_all(
        &mut self,
        emit: &mut impl FnMut(&Rows<'_>) -> Result<(), Error>,
    ) -> Result<(), MergeStop> {
        self.next = self.chunk.len();
        emit(&self.chunk.rows()).map_err(MergeStop::Failed)
    }

    /// Receives until the current chunk has a row left, or the batch is done.
    fn refill(&mut self, dropped: &mut Vec<Dropped>) -> Result<(), MergeStop> {
        while self.is_exhausted() && !self.batch_done {
            match self.receiver.recv() {
                Ok(ShardOutput::Rows(chunk)) => {
                    self.chunk = chunk;
                    self.next = 0;
                }
                Ok(ShardOutput::BatchDone(of_shard)) => {
                    dropped.extend(of_shard);
                    self.batch_done = true;
                }
                Err(_) => return Err(MergeStop::ShardEnded),
            }
        }
        Ok(())
    }
}
