//! The last N events, put together anew from two blocks at every step: nothing is ever taken out, so nothing drifts.
//!
//! The stream is cut into blocks of N. The last N events are the end of the block before and the beginning of this one. What
//! the beginning holds grows event by event; what each end of the block before holds is computed once, from the back, when
//! the block is complete (van Herk 1992, Gil and Werman 1993). So an event costs two additions and one merge on
//! average, and the result depends on the last N events and on where the blocks begin alone.

use super::parts::Part;

/// The last N of what a [`Part`] takes, and what they hold.
#[derive(Debug, Clone)]
pub(crate) struct TwoBlocks<P: Part> {
    /// What the block before holds from each place on.
    ends: Vec<P>,
    /// What this block holds.
    beginning: P,
}

impl<P: Part> TwoBlocks<P> {
    pub(crate) const fn new() -> Self {
        Self { ends: Vec::new(), beginning: P::EMPTY }
    }

    /// Begins a block after the one of `items`.
    pub(crate) fn turn(&mut self, items: &[P::Item]) {
        self.ends.resize(items.len(), P::EMPTY);
        let mut end = P::EMPTY;
        for (place, item) in self.ends.iter_mut().zip(items).rev() {
            end.add(*item);
            *place = end;
        }
        self.beginning = P::EMPTY;
    }

    #[inline]
    pub(crate) fn add(&mut self, item: P::Item) {
        self.beginning.add(item);
    }

    /// What the last N hold, of which `beginning` are in this block.
    #[inline]
    pub(crate) fn get(&self, beginning: usize) -> P {
        match self.ends.get(beginning) {
            Some(end) => {
                let mut all = *end;
                all.merge(&self.beginning);
                all
            }
            None => self.beginning,
        }
    }
}
