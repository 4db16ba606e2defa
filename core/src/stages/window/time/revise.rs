//! Revision: a late event makes the windows that have fired fire again, at once and for its key
//! only.

use super::aggregate_tree::AggregateTree;
use super::changes::EarlyWindows;
use super::fire::{Firing, Trigger};
use super::{Context, WindowStage};
use crate::data::frame::{Events, Frame};
use crate::event_time::watermark::NO_WATERMARK;
use crate::plan::Grid;

/// A late event whose windows fire again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LateEvent {
    /// The start of the event's slice.
    pub(super) slice: i64,
    pub(super) key: u32,
    /// The watermark under which the event arrived.
    pub(super) watermark: i64,
    pub(super) ordinal: u64,
    /// The next window to fire.
    pub(super) next: i64,
}

impl LateEvent {
    /// Returns the remaining windows: those that cover the slice and have fired.
    fn windows(self, grid: &Grid) -> impl Iterator<Item = i64> + use<> {
        let grid = *grid;
        grid.windows(self.next, self.slice)
            .take_while(move |window| grid.fires_at(*window) <= self.watermark)
    }
}

impl WindowStage {
    /// Starts the revision for the event at `at`, which is already in its slot.
    #[cold]
    pub(super) fn begin_revision(&mut self, events: &Events<'_>, at: usize) {
        let next = events.timestamps.get(at).zip(events.keys.get(at));
        let Some((timestamp, key)) = next else { return };
        let watermark = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
        let grid = &self.plan.grid;
        let slice = grid.slice_of(*timestamp);
        let next = grid.first_window(slice).max(grid.first_kept(watermark));
        let ordinal = events.ordinals.at(at);
        let late = LateEvent { slice, key: *key, watermark, ordinal, next };
        self.emitter.late_event_arrived(late);
    }

    /// Fires the windows of a late event again. Returns false if `out` is full or the work of the
    /// call is spent; the next call continues.
    pub(super) fn revise(&mut self, context: &mut Context<'_>, out: &mut Frame) -> bool {
        let Some(late) = self.emitter.late_event() else { return true };
        let grid = self.plan.grid;
        let mut tree = AggregateTree::default();
        for window in late.windows(&grid) {
            if out.room() == 0 || context.work.is_spent() && window != late.next {
                self.emitter.late_event_arrived(LateEvent { next: window, ..late });
                return false;
            }
            let (combiner, mut slices) = self.combining();
            let slots =
                combiner.combine_key(window, late.key, &mut tree, &mut slices, context.keys);
            let trigger = Trigger::Late { watermark: late.watermark, ordinal: late.ordinal };
            context.work.spend(1 + self.combiner.take_merged());
            self.emit(Firing { start: window, slots, trigger }, context.work, out);
        }
        self.emitter.late_event_done();
        true
    }

    /// Marks the windows of `slice` as changed, after partial state was merged into `slot`, if they
    /// emit early rows.
    pub(super) fn mark_changed(&mut self, slot: u32, slice: i64, watermark: i64) {
        let Some(early) = self.plan.emission.early else { return };
        let changes = &mut self.emitter.changes;
        if !changes.is_marked(slot) {
            changes.mark(slot, slice, EarlyWindows { grid: &self.plan.grid, early, watermark });
        }
    }

    /// Marks the windows of the events of `range` as changed, if they emit early rows.
    pub(super) fn mark_changes(&mut self, events: &Events<'_>, range: core::ops::Range<usize>) {
        let Some(early) = self.plan.emission.early else { return };
        let Self { plan, run, emitter, .. } = self;
        let grid = &plan.grid;
        for (at, slot) in range.clone().zip(run.slots(range)) {
            if *slot == super::NONE || emitter.changes.is_marked(*slot) {
                continue;
            }
            let Some(timestamp) = events.timestamps.get(at) else { return };
            let watermark = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
            let windows = EarlyWindows { grid, early, watermark };
            emitter.changes.mark(*slot, grid.slice_of(*timestamp), windows);
        }
    }
}
