//! An aggregate of the last N events, merged from two blocks of the stream at each step, without
//! subtraction.
//!
//! The stream is cut into blocks of N. The last N events are a suffix of the previous block and a
//! prefix of the current one:
//!
//! ```text
//! previous block  a b c d e f     suffixes[2] = aggregate of c d e f
//! current block   g h             prefix      = aggregate of g h
//! last 6 events       c d e f g h = suffixes[2] merged with prefix
//! ```
//!
//! The prefix grows with each event. The suffixes are computed once, from the last to the first,
//! when a block is complete (van Herk 1992, Gil and Werman 1993). An event costs two insertions and
//! one merge on average. The result depends only on the last N events and on the block boundaries.

use super::aggregate::Aggregate;

/// An aggregate of the last N events.
#[derive(Debug, Clone)]
pub(crate) struct TwoBlockAggregate<P: Aggregate> {
    /// Aggregates of the suffixes of the previous block, by their first index.
    suffixes: Vec<P>,
    /// Aggregate of the current block so far.
    prefix: P,
}

impl<P: Aggregate> TwoBlockAggregate<P> {
    pub(crate) const fn new() -> Self {
        Self { suffixes: Vec::new(), prefix: P::EMPTY }
    }

    /// Starts a new block after the one of `items`.
    pub(crate) fn start_block(&mut self, items: &[P::Item]) {
        self.suffixes.resize(items.len(), P::EMPTY);
        let mut suffix = P::EMPTY;
        for (entry, item) in self.suffixes.iter_mut().zip(items).rev() {
            suffix.add(*item);
            *entry = suffix;
        }
        self.prefix = P::EMPTY;
    }

    /// Adds one event to the current block.
    #[inline]
    pub(crate) fn add(&mut self, item: P::Item) {
        self.prefix.add(item);
    }

    /// Returns the aggregate of the last N events, of which `prefix` are in the current block.
    #[inline]
    pub(crate) fn get(&self, prefix: usize) -> P {
        match self.suffixes.get(prefix) {
            Some(suffix) => {
                let mut all = *suffix;
                all.merge(&self.prefix);
                all
            }
            None => self.prefix,
        }
    }
}
