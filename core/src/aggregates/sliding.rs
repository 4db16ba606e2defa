//! Incremental sliding windows: running values by key that follow the window, for sketches only.
//!
//! When the window advances, slices that enter are added and slices that leave are subtracted. This
//! is exact for sketches, because their state is whole counts. All other accumulators are merged
//! from the aggregate tree.
//!
//! Order of calls for a window: `apply_deferred_leaves` (slices of the previous window that were
//! closed), `leave` and `enter` (slices by which the windows differ), `needs_recount` and `recount`
//! (keys whose number of different values is no longer certain), `alias` (the slots of the firing
//! window refer to the running values). Then rows are emitted. `materialize` copies the running
//! values into these slots if a slice changes before all rows are emitted.

use super::Accumulators;
use super::column::Column;
use super::percentile::Sketches;
use super::slots::SlotColumn;

impl Accumulators {
    /// Switches to incremental sliding windows. Call before the first slot exists.
    pub(crate) fn slide(&mut self) {
        self.sketches().for_each(Sketches::track_ranges);
    }

    /// Returns true if some field has a sketch, and so running values.
    pub(crate) fn have_sketches(&self) -> bool {
        self.columns.iter().any(|of| matches!(of.column, Column::Sketch(_)))
    }

    /// Returns copies of `slots`, renumbered from 0, without sketches, which the running values
    /// cover.
    pub(crate) fn copy_without_sketches(&self, slots: &[u32]) -> Self {
        Self {
            outputs: self.outputs.clone(),
            events: self.events.pick(slots),
            columns: self.map_columns(|column| column.pick_without_sketches(slots)),
        }
    }

    fn sketches(&mut self) -> impl Iterator<Item = &mut Sketches> {
        self.columns_mut().filter_map(Column::sketches)
    }

    /// Adds the values of `slots` to the running values of `keys`.
    pub(crate) fn enter(&mut self, keys: &[u32], slots: &[u32]) {
        self.sketches().for_each(|sketch| sketch.enter(keys, slots));
    }

    /// Subtracts the values of `slots` from the running values of `keys`.
    pub(crate) fn leave(&mut self, keys: &[u32], slots: &[u32]) {
        self.sketches().for_each(|sketch| sketch.leave(keys, slots));
    }

    /// Moves the values of `slot` into the list for [`Accumulators::apply_deferred_leaves`], and
    /// leaves the slot empty. They are still part of the current window.
    pub(crate) fn defer_leave(&mut self, key: u32, slot: u32) {
        self.sketches().for_each(|sketch| sketch.defer_leave(key, slot));
    }

    /// Subtracts all deferred values from the running values.
    pub(crate) fn apply_deferred_leaves(&mut self) {
        self.sketches().for_each(Sketches::apply_deferred_leaves);
    }

    /// Removes the running values of `key`.
    pub(crate) fn forget_key(&mut self, key: u32) {
        self.sketches().for_each(|sketch| sketch.forget_key(key));
    }

    /// Removes all running values.
    pub(crate) fn forget_all(&mut self) {
        self.sketches().for_each(Sketches::forget_all);
    }

    /// Returns true if the running values of `key` must be recounted before they are used.
    pub(crate) fn needs_recount(&self, key: u32) -> bool {
        self.columns.iter().any(|of| match &of.column {
            Column::Sketch(sketches) => sketches.needs_recount(key),
            _ => false,
        })
    }

    /// Replaces the running values of `key` by the values of `slots`.
    pub(crate) fn recount(&mut self, key: u32, slots: &[u32]) {
        self.sketches().for_each(|sketch| sketch.recount(key, slots));
    }

    /// Makes `slots` aliases of the running values of `keys`.
    pub(crate) fn alias(&mut self, keys: &[u32], slots: &[u32]) {
        self.sketches().for_each(|sketch| sketch.alias(keys, slots));
    }

    /// Copies the running values into the `slots` that are aliases of them.
    pub(crate) fn materialize(&mut self, slots: &[u32]) {
        self.sketches().for_each(|sketch| sketch.materialize(slots));
    }
}
