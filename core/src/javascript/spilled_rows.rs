//! Rows moved out of the engine's result buffer.

use std::collections::VecDeque;

use crate::wire::{Block, decode_rows, encode_rows};
use crate::{Engine, Error, Rows};

/// Rows moved out of the engine's full result buffer; they precede the rows that are still in it.
#[derive(Debug, Default)]
pub struct SpilledRows {
    blocks: VecDeque<Block>,
    len: usize,
}

impl SpilledRows {
    /// Returns the number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns true if there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Moves all waiting rows out of `engine`.
    pub fn spill(&mut self, engine: &mut Engine) {
        let waiting = engine.waiting_rows();
        if let Some(rows) = engine.poll(waiting) {
            let mut block = Block::default();
            encode_rows(&rows, &mut block);
            self.blocks.push_back(block);
            self.len += waiting;
        }
    }

    /// Calls `take` with the next rows, about `max_rows`: spilled rows first, then those of
    /// `engine`. Returns `None` if there are no rows.
    ///
    /// # Errors
    /// [`Error::MalformedBlock`] if a spilled block is damaged.
    pub fn next<T>(
        &mut self,
        engine: &mut Engine,
        max_rows: usize,
        take: impl FnOnce(&Rows<'_>) -> T,
    ) -> Result<Option<T>, Error> {
        let Some(block) = self.blocks.pop_front() else {
            return Ok(engine.poll(max_rows).map(|rows| take(&rows)));
        };
        let rows = decode_rows(block.as_bytes())?;
        self.len -= rows.len();
        Ok(Some(take(&rows)))
    }
}
