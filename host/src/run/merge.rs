//! Brings the rows of all shards back into the one defined order, batch by batch.

use std::sync::mpsc::Receiver;

use stream_processor_core::{Dropped, OutputSchema, Rows};

use super::chunk::Chunk;
use crate::error::Error;

/// Merged rows that are handed on at once.
const MERGED_ROWS: usize = 4096;

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
        Self { shards: receivers.into_iter().map(shard).collect(), merged: Chunk::new(schema) }
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
            let waiting = self.shards.iter().filter(|shard| shard.next < shard.chunk.len()).count();
            match waiting {
                0 => break,
                1 if self.shards.len() == 1 => self.hand_on_whole(&mut emit)?,
                _ => self.merge(&mut emit)?,
            }
        }
        dropped.sort_unstable_by_key(|dropped| dropped.ordinal);
        Ok(dropped)
    }

    /// One shard alone: its rows are in order already.
    fn hand_on_whole(
        &mut self,
        emit: &mut impl FnMut(&Rows<'_>) -> Result<(), Error>,
    ) -> Result<(), Stop> {
        for shard in &mut self.shards {
            emit(&shard.chunk.rows()).map_err(Stop::Failed)?;
            shard.next = shard.chunk.len();
        }
        Ok(())
    }

    /// Merges until a shard's chunk is used up.
    fn merge(
        &mut self,
        emit: &mut impl FnMut(&Rows<'_>) -> Result<(), Error>,
    ) -> Result<(), Stop> {
        let Self { shards, merged } = self;
        merged.clear();
        while merged.len() < MERGED_ROWS {
            let heads = shards.iter_mut().filter(|shard| shard.next < shard.chunk.len());
            let Some(least) = heads.min_by(|a, b| a.chunk.compare(a.next, &b.chunk, b.next)) else {
                break;
            };
            merged.push(&least.chunk, least.next);
            least.next += 1;
            if least.next == least.chunk.len() && !least.done {
                break;
            }
        }
        emit(&merged.rows()).map_err(Stop::Failed)
    }
}

impl Shard {
    /// Waits until there is a row to compare, or the batch is done.
    fn refill(&mut self, dropped: &mut Vec<Dropped>) -> Result<(), Stop> {
        while self.next >= self.chunk.len() && !self.done {
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
