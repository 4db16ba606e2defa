//! Events for windows that have fired: each makes them fire again, at once and for its key alone.

use super::blocks::Blocks;
use super::fire::{Cause, Firing};
use super::{Context, WindowStage};
use crate::data::frame::{Events, Frame};
use crate::event_time::watermark::NO_WATERMARK;
use crate::plan::Grid;

/// An event whose windows fire again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Revising {
    /// The slice that it is in.
    pub(super) slice: i64,
    pub(super) key: u32,
    /// The watermark that it met.
    pub(super) watermark: i64,
    pub(super) ordinal: u64,
    /// The window that is next.
    pub(super) next: i64,
}

impl Revising {
    /// The windows that are left: those that cover the slice and have fired.
    fn windows(self, grid: &Grid) -> impl Iterator<Item = i64> + use<> {
        let grid = *grid;
        grid.windows(self.next, self.slice)
            .take_while(move |window| grid.fires_at(*window) <= self.watermark)
    }
}

impl WindowStage {
    /// Notes that the event at `at`, which is in its slot, came after windows of its had fired.
    #[cold]
    pub(super) fn note_late(&mut self, events: &Events<'_>, at: usize) {
        let next = events.timestamps.get(at).zip(events.keys.get(at));
        let Some((timestamp, key)) = next else { return };
        let watermark = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
        let grid = &self.plan.grid;
        let slice = grid.slice_of(*timestamp);
        self.revising = Some(Revising {
            slice,
            key: *key,
            watermark,
            ordinal: events.ordinals.at(at),
            next: grid.first_window(slice).max(grid.first_kept(watermark)),
        });
    }

    /// Fires the windows of a late event again; false: `out` is full, and this is to be called again.
    pub(super) fn revise(&mut self, context: &mut Context<'_>, out: &mut Frame) -> bool {
        let Some(late) = self.revising else { return true };
        let grid = self.plan.grid;
        let mut blocks = Blocks::default();
        for window in late.windows(&grid) {
            if out.room() == 0 {
                self.revising = Some(Revising { next: window, ..late });
                return false;
            }
            let slots = self.combine_key(window, late.key, &mut blocks, context.keys);
            let cause = Cause::Late { watermark: late.watermark, ordinal: late.ordinal };
            self.emit(Firing { start: window, slots, cause }, out);
        }
        self.revising = None;
        true
    }

    /// Marks the windows that a part of `slice` changes, which is in `slot` now, where early rows are due of them.
    pub(super) fn mark_changed(&mut self, slot: u32, key: u32, slice: i64, watermark: i64) {
        let Some(early) = self.plan.emission.early else { return };
        let grid = self.plan.grid;
        if !self.panes.is_marked(slot) {
            let first = grid.first_window(slice).max(grid.first_open(watermark));
            let due = |window| early.due(&grid, window, watermark);
            self.panes.mark(slot, key, grid.windows(first, slice), due);
        }
    }

    /// Marks the windows that the events of `range` change, where early rows are due of them.
    pub(super) fn note_changes(&mut self, events: &Events<'_>, range: core::ops::Range<usize>) {
        let Some(early) = self.plan.emission.early else { return };
        let grid = self.plan.grid;
        let slots = self.run.get(range.clone()).unwrap_or_default();
        for (at, slot) in range.zip(slots) {
            if *slot == super::NONE || self.panes.is_marked(*slot) {
                continue;
            }
            let next = events.timestamps.get(at).zip(events.keys.get(at));
            let Some((timestamp, key)) = next else { return };
            let watermark = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
            let slice = grid.slice_of(*timestamp);
            let first = grid.first_window(slice).max(grid.first_open(watermark));
            let due = |window| early.due(&grid, window, watermark);
            self.panes.mark(*slot, *key, grid.windows(first, slice), due);
        }
    }
}
