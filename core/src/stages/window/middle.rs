//! The larger blocks of a window in one, kept while windows move on by less than these blocks are long.
//!
//! Only what comes out the same in any order is taken from it: the rest is combined from left to right each time.

use std::borrow::Cow;

use super::blocks::{Block, Blocks, Slices, Span};

/// The larger blocks of the last window, combined.
pub(super) struct Middle {
    spans: Vec<Span>,
    block: Block,
}

impl Middle {
    /// That of a window of `spans`: `known`, if it still is.
    pub(super) fn of(
        known: Option<Self>,
        spans: &[Span],
        blocks: &mut Blocks,
        slices: &Slices<'_>,
    ) -> Self {
        // Shorter blocks than 1/64 of the window are few events, and would let it change often.
        let least = slices.grid.slices_per_window().checked_ilog2().unwrap_or(0).saturating_sub(6);
        let spans: Vec<Span> =
            spans.iter().copied().filter(|span| span.level() >= least.max(1)).collect();
        if let Some(known) = known.filter(|known| known.spans == spans) {
            return known;
        }
        let mut block = Block { keys: Vec::new(), values: slices.empty() };
        // The greatest first: others are added to it.
        let mut by_level = spans.clone();
        by_level.sort_by_key(|span| core::cmp::Reverse(span.level()));
        for span in by_level {
            block = match blocks.get(span, slices) {
                first if block.keys.is_empty() => Cow::into_owned(first),
                next => block.combined_with(&next),
            };
        }
        Self { spans, block }
    }

    pub(super) fn block(&self) -> &Block {
        &self.block
    }

    /// Whether the block `span` is in it.
    pub(super) fn has(&self, span: Span) -> bool {
        self.spans.contains(&span)
    }

    /// Whether slice `index` is in it.
    pub(super) fn covers(&self, index: i64) -> bool {
        self.spans.iter().any(|span| span.covers(index))
    }
}
