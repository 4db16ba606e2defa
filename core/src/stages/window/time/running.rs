//! The running window: values of sliding windows that are updated by adding new slices and
//! subtracting old ones.

use core::ops::Range;
use std::collections::BTreeSet;

use super::NONE;
use super::combine::Slices;
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

    /// Subtracts the slice at `start`, which is about to change. `emitting` are the slots of a
    /// window in emission: they get copies of the values that they share with the running window.
    pub(super) fn slice_changes(&mut self, start: i64, emitting: &[u32], slices: &mut Slices<'_>) {
        let index = slices.grid.index_of(start);
        if self.contains(index) {
            self.excluded.insert(index);
            slices.accumulators.materialize(emitting);
            if let Some(slice) = slices.table.slice(start) {
                let (keys, slots) = slice.by_key();
                slices.accumulators.leave(&keys, &slots);
            }
        }
    }

    /// Takes out the slice at `start`, which is being removed and has these `slots`.
    pub(super) fn slice_removed(&mut self, start: i64, slots: &[u32], slices: &mut Slices<'_>) {
        let index = slices.grid.index_of(start);
        if self.contains(index) {
            self.excluded.insert(index);
            for slot in slots {
                slices.accumulators.defer_leave(slices.table.key_in(*slot), *slot);
            }
        }
    }

    /// Moves to the slices `range`, given by number; `slots` are those of the keys of the window.
    pub(super) fn advance(&mut self, range: Range<i64>, slots: &[u32], slices: &mut Slices<'_>) {
        let Self { range: before, excluded } = core::mem::take(self);
        let continues = before.start <= range.start && range.start < before.end;
        let mut new = range.clone();
        if continues {
            new.start = before.end;
            slices.accumulators.apply_deferred_leaves();
            slices.change(before.start..range.start, &excluded, Change::Subtract);
            for index in excluded.range(range.start..) {
                slices.change(*index..*index + 1, &BTreeSet::new(), Change::Add);
            }
        } else {
            slices.accumulators.forget_all();
        }
        slices.change(new, &BTreeSet::new(), Change::Add);
        let keys: Vec<u32> = slices.table.keys_in(slots).collect();
        for key in &keys {
            if slices.accumulators.needs_recount(*key) {
                slices.recount(*key, &range);
            }
        }
        slices.accumulators.alias(&keys, slots);
        *self = Self { range, excluded: BTreeSet::new() };
    }
}

/// A change of the running values by slices.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    Add,
    Subtract,
}

impl Slices<'_> {
    /// Adds the slices of `range`, given by number, to the running values, or subtracts them,
    /// except those in `except`.
    fn change(&mut self, range: Range<i64>, except: &BTreeSet<i64>, change: Change) {
        if range.start >= range.end {
            return;
        }
        let range = self.grid.start_of(range.start)..self.grid.start_of(range.end);
        for (start, slice) in self.table.range(range) {
            if except.contains(&self.grid.index_of(start)) {
                continue;
            }
            let (keys, slots) = slice.by_key();
            match change {
                Change::Add => self.accumulators.enter(&keys, &slots),
                Change::Subtract => self.accumulators.leave(&keys, &slots),
            }
        }
    }

    /// Recounts the values of `key` from the slices `range`.
    #[cold]
    fn recount(&mut self, key: u32, range: &Range<i64>) {
        let range = self.grid.start_of(range.start)..self.grid.start_of(range.end);
        let in_slices = self.table.range(range).map(|(_, slice)| slice.slot(key));
        let slots: Vec<u32> = in_slices.filter(|slot| *slot != NONE).collect();
        self.accumulators.recount(key, &slots);
    }
}
