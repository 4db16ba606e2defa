//! Brings the rows of all shards back into the one defined order, batch by batch.

use std::sync::mpsc::Receiver;

use stream_processor_core::{Dropped, OutputSchema, Rows};

use super::chunk::Chunk;
use crate::error::Error;

/// Merged rows that are handed on at once.
const MERGED_ROWS: usize = 4096;

/// Bytes of keys that are handed on at once, with one key more.
const MERGED_KEY_BYTES: usize = 1 << 20;

/// What a shard sends: for each batch any number of `Rows`, then `Done`.
pub(super) enum FromShard {
    /// Rows that the batch has made.
    Rows(Chunk),
    /// The shard has taken all of the batch and has moved to the stream's watermark.
    Done(Vec<Dropped>),
}

/// What stops a merge.
pub(super) enum Stop {
    /// A shard is gone; it will say why itself.
    ShardGone,
    /// The rows cannot be handed on.
    Failed(Error),
}

/// The rows of several shards on their way into one stream.
pub(super) struct Merger {
    shards: Vec<Shard>,
    merged: Chunk,
    /// The columns of times that order rows.
    order: Vec<usize>,
}

struct Shard {
    receiver: Receiver<FromShard>,
    chunk: Chunk,
    next: usize,
    done: bool,
}

impl Merger {
    pub(super) fn new(receivers: Vec<Receiver<FromShard>>, schema: &OutputSchema) -> Self {
        let shard = |receiver| Shard { receiver, chunk: Chunk::new(schema), next: 0, done: false };
        Self {
            shards: receivers.into_iter().map(shard).collect(),
            merged: Chunk::new(schema),
            order: schema.order.clone(),
        }
    }

    /// Hands all rows of one batch to `emit` and returns the events that were dropped, in the order of the stream.
    pub(super) fn batch(
        &mut self,
        mut emit: impl FnMut(&Rows<'_>) -> Result<(), Error>,
    ) -> Result<Vec<Dropped>, Stop> {
        let mut dropped = Vec::new();
        for shard in &mut self.shards {
            shard.done = false;
        }
        loop {
            for shard in &mut self.shards {
                shard.refill(&mut dropped)?;
            }
            if self.shards.iter().all(Shard::is_used_up) {
                break;
            }
            match self.shards.as_mut_slice() {
                // One shard alone: its rows are in order already.
                [shard] => shard.hand_on(&mut emit)?,
                _ => self.merge(&mut emit)?,
            }
        }
        dropped.sort_unstable_by_key(|dropped| dropped.ordinal);
        Ok(dropped)
    }

    /// Merges until a shard's chunk is used up.
    fn merge(&mut self, emit: &mut impl FnMut(&Rows<'_>) -> Result<(), Error>) -> Result<(), Stop> {
        let Self { shards, merged, order } = self;
        merged.clear();
        while merged.len() < MERGED_ROWS && merged.key_len_bytes() < MERGED_KEY_BYTES {
            let heads = shards.iter_mut().filter(|shard| !shard.is_used_up());
            let least = heads.min_by(|a, b| a.chunk.compare(a.next, &b.chunk, b.next, order));
            let Some(least) = least else { break };
            merged.push(&least.chunk, least.next);
            least.next += 1;
            if least.is_used_up() && !least.done {
                break;
            }
        }
        emit(&merged.rows()).map_err(Stop::Failed)
    }
}

impl Shard {
    fn is_used_up(&self) -> bool {
        self.next >= self.chunk.len()
    }

    /// Hands on all rows as they are.
    fn hand_on(
        &mut self,
        emit: &mut impl FnMut(&Rows<'_>) -> Result<(), Error>,
    ) -> Result<(), Stop> {
        self.next = self.chunk.len();
        emit(&self.chunk.rows()).map_err(Stop::Failed)
    }

    /// Waits until there is a row to compare, or the batch is done.
    fn refill(&mut self, dropped: &mut Vec<Dropped>) -> Result<(), Stop> {
        while self.is_used_up() && !self.done {
            match self.receiver.recv() {
                Ok(FromShard::Rows(chunk)) => {
                    self.chunk = chunk;
                    self.next = 0;
                }
                Ok(FromShard::Done(of_shard)) => {
                    dropped.extend(of_shard);
                    self.done = true;
                }
                Err(_) => return Err(Stop::ShardGone),
            }
        }
        Ok(())
    }
}
