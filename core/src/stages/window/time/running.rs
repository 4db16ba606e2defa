//! The running window: values of sliding windows that are updated by adding new slices and
//! subtracting old ones.

use core::ops::Range;
use std::collections::BTreeSet;

use super::{NONE, WindowStage};
use crate::plan::Grid;

/// Number of windows per event from which this pays: with fewer, more slices enter and leave than
/// stay.
const MIN_WINDOWS_PER_EVENT: i64 = 16;

/// Returns true if windows on `grid` are updated incrementally.
pub(super) fn use_incremental(grid: &Grid) -> bool {
    grid.slices_per_window() / (grid.slide_us / grid.slice_us).max(1) >= MIN_WINDOWS_PER_EVENT
}

/// The slices that the running values contain.
#[derive(Default)]
pub(super) struct RunningWindow {
    /// By number.
    range: Range<i64>,
    /// Slices of `range` that are no longer contained, because they have changed.
    excluded: BTreeSet<i64>,
}

impl RunningWindow {
    /// Returns true if the running values contain slice `index`.
    fn contains(&self, index: i64) -> bool {
        self.range.contains(&index) && !self.excluded.contains(&index)
    }
}

impl WindowStage {
    /// Returns true if windows of this stage are updated incrementally.
    pub(super) fn is_incremental(&self) -> bool {
        use_incremental(&self.plan.grid) && self.accumulators.have_sketches()
    }

    /// Invalidates the combinations that contain the slice at `start`, which is about to change.
    pub(super) fn invalidate_slice(&mut self, start: i64) {
        if !self.tree.may_contain(start) {
            return;
        }
        self.tree.mark_dirty(start);
        let index = self.plan.grid.index_of(start);
        if self.running.contains(index) {
            self.running.excluded.insert(index);
            self.materialize_firing();
            if let Some(slice) = self.slices.get(&start) {
                let (keys, slots) = slice.by_key();
                self.accumulators.leave(&keys, &slots);
            }
        }
    }

    /// Copies the values that a window in emission shares with the running window, which is about
    /// to change.
    pub(super) fn materialize_firing(&mut self) {
        if let Some(firing) = &self.firing {
            self.accumulators.materialize(&firing.slots);
        }
    }

    /// Takes the slice at `start`, which is being removed and has these `slots`, out of the running
    /// window.
    pub(super) fn retire_slice(&mut self, start: i64, slots: &[u32]) {
        let index = self.plan.grid.index_of(start);
        if self.running.contains(index) {
            self.running.excluded.insert(index);
            for slot in slots {
                let key = self.slot_keys.get(*slot as usize).copied().unwrap_or(NONE);
                self.accumulators.defer_leave(key, *slot);
            }
        }
    }

    /// Moves the running window to the slices `range`, given by number; `slots` are those of the
    /// keys of the window.
    pub(super) fn advance_running(&mut self, range: Range<i64>, slots: &[u32]) {
        let running = core::mem::take(&mut self.running);
        let continues = running.range.start <= range.start && range.start < running.range.end;
        let mut new = range.clone();
        if continues {
            new.start = running.range.end;
            self.accumulators.apply_deferred_leaves();
            self.change_slices(running.range.start..range.start, &running.excluded, false);
            for index in running.excluded.range(range.start..) {
                self.change_slices(*index..*index + 1, &BTreeSet::new(), true);
            }
        } else {
            self.accumulators.forget_all();
        }
        self.change_slices(new, &BTreeSet::new(), true);
        let keys: Vec<u32> = self.slot_keys_of(slots).collect();
        for key in &keys {
            if self.accumulators.needs_recount(*key) {
                self.recount(*key, &range);
            }
        }
        self.accumulators.alias(&keys, slots);
        self.running = RunningWindow { range, excluded: BTreeSet::new() };
    }

    /// Adds the slices of `range`, given by number, or subtracts them, except those in `except`.
    fn change_slices(&mut self, range: Range<i64>, except: &BTreeSet<i64>, enter: bool) {
        let grid = self.plan.grid;
        if range.start >= range.end {
            return;
        }
        for (start, slice) in
            self.slices.range(grid.start_of(range.start)..grid.start_of(range.end))
        {
            if except.contains(&grid.index_of(*start)) {
                continue;
            }
            let (keys, slots) = slice.by_key();
            if enter {
                self.accumulators.enter(&keys, &slots);
            } else {
                self.accumulators.leave(&keys, &slots);
            }
        }
    }

    /// Recounts the values of `key` from the slices `range`.
    #[cold]
    fn recount(&mut self, key: u32, range: &Range<i64>) {
        let grid = self.plan.grid;
        let slices = self.slices.range(grid.start_of(range.start)..grid.start_of(range.end));
        let slots: Vec<u32> =
            slices.map(|(_, slice)| slice.slot(key)).filter(|slot| *slot != NONE).collect();
        self.accumulators.recount(key, &slots);
    }
}
