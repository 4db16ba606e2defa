//! The changes of windows since their last row, for windows that emit early rows.
//!
//! A window that starts at `start` emits early rows at `start + n * every`, for the keys that have
//! changed since the early row before. So it suffices to know when each slot last changed: the
//! changed keys of a window are those with a slot that changed at `due - every` or later. Nothing is
//! stored for each window that covers a slot.

use std::collections::{BTreeMap, BTreeSet};

use super::slice_table::SliceTable;
use crate::event_time::watermark::NO_WATERMARK;
use crate::plan::{Early, Grid};

/// When slots and slices last changed, and the early rows that are due.
#[derive(Default)]
pub(super) struct Changes {
    /// The next early rows of each changed window: the watermark at which they are due, then the
    /// window.
    due: BTreeSet<(i64, i64)>,
    /// The early rows that were taken last, as in `due`.
    taken: Option<(i64, i64)>,
    /// Incremented whenever early rows are taken.
    pass: u64,
    slots: Vec<Change>,
    /// The last change of any slot, by slice start.
    slices: BTreeMap<i64, Change>,
    /// The changed keys of each window in a snapshot of an earlier version, until they are
    /// transferred to slots.
    restored: BTreeMap<i64, BTreeSet<u32>>,
}

/// The last change of a slot or of a slice.
#[derive(Debug, Clone, Copy)]
struct Change {
    /// The pass in which it was marked; it need not be marked twice in a pass, as no early row was
    /// due in between.
    pass: u64,
    /// The watermark under which it changed.
    at: i64,
}

/// No change: the first early row of a window has all keys, whenever they changed.
const NO_CHANGE: Change = Change { pass: 0, at: NO_WATERMARK };

/// The early rows of windows that cover a slice.
#[derive(Clone, Copy)]
pub(super) struct EarlyWindows<'a> {
    pub(super) grid: &'a Grid,
    pub(super) early: Early,
    /// The watermark that the windows have reached.
    pub(super) watermark: i64,
}

impl EarlyWindows<'_> {
    /// Returns the windows that cover the slice at `slice` and have an early row ahead: the
    /// watermark at which it is due, and the window.
    fn covering(self, slice: i64) -> impl Iterator<Item = (i64, i64)> {
        let Self { grid, early, watermark } = self;
        let first = grid.first_window(slice).max(grid.first_open(watermark));
        let due = move |start| Some((early.due(grid, start, watermark)?, start));
        grid.windows(first, slice).filter_map(due)
    }
}

impl Early {
    /// Returns the watermark after `watermark` at which the next early row of the window at `start`
    /// is due, if that is before it fires.
    pub(super) fn due(&self, grid: &Grid, start: i64, watermark: i64) -> Option<i64> {
        let since = if watermark < start { 0 } else { watermark.saturating_sub(start) };
        let nth = since / self.every_us + 1;
        let due = start.saturating_add(nth.saturating_mul(self.every_us));
        (due < grid.fires_at(start)).then_some(due)
    }

    /// Returns the watermark from which on changes are in the early row of the window at `start`
    /// that is due at `due`.
    fn since(&self, start: i64, due: i64) -> i64 {
        let since = due.saturating_sub(self.every_us);
        if since <= start { NO_WATERMARK } else { since }
    }
}

impl Changes {
    /// Resets `slot`, which is used for another key or slice from now on.
    pub(super) fn reset(&mut self, slot: u32) {
        if let Some(change) = self.slots.get_mut(slot as usize) {
            *change = NO_CHANGE;
        }
    }

    /// Returns true if `slot` is already marked as changed in this pass.
    pub(super) fn is_marked(&self, slot: u32) -> bool {
        self.slots.get(slot as usize).is_some_and(|change| change.pass == self.pass + 1)
    }

    /// Marks `slot`, in the slice at `slice`, as changed, and schedules the early rows of `windows`.
    #[cold]
    pub(super) fn mark(&mut self, slot: u32, slice: i64, windows: EarlyWindows<'_>) {
        let change = Change { pass: self.pass + 1, at: windows.watermark };
        self.set(slot, change);
        let before = self.slices.insert(slice, change);
        if before.is_none_or(|before| before.pass != change.pass) {
            self.due.extend(windows.covering(slice));
        }
    }

    fn set(&mut self, slot: u32, change: Change) {
        let index = slot as usize;
        if self.slots.len() <= index {
            self.slots.resize(index + 1, NO_CHANGE);
        }
        if let Some(entry) = self.slots.get_mut(index) {
            *entry = change;
        }
    }

    fn changed_at(&self, slot: u32) -> i64 {
        self.slots.get(slot as usize).map_or(NO_CHANGE.at, |change| change.at)
    }

    /// Returns the first early rows that are due: the watermark, then the window.
    pub(super) fn first_due(&self) -> Option<(i64, i64)> {
        self.due.first().copied()
    }

    /// Takes the changed keys of the window that is due first, in the order of their ids.
    pub(super) fn take_first_due(
        &mut self,
        grid: &Grid,
        early: Early,
        table: &SliceTable,
    ) -> Vec<u32> {
        self.pass += 1;
        let Some((due, window)) = self.due.pop_first() else { return Vec::new() };
        let since = early.since(window, due);
        let mut changed = Vec::new();
        let slices = self.slices.range(grid.window_start(window)..grid.end_of(window));
        for (start, _) in slices.filter(|(_, change)| change.at >= since) {
            let slots = table.slice(*start).map_or(&[][..], |slice| slice.slots());
            let slots = slots.iter().filter(|slot| self.changed_at(**slot) >= since);
            changed.extend(slots.map(|slot| table.key_in(*slot)));
        }
        crate::util::sort::descending_by(&mut changed, |key| key);
        changed.dedup();
        changed.reverse();
        if !changed.is_empty() {
            self.taken = Some((due, window));
        }
        changed
    }

    /// Removes the slices before the one at `first`.
    pub(super) fn remove_before(&mut self, first: i64) {
        while let Some(slice) = self.slices.first_entry().filter(|slice| *slice.key() < first) {
            slice.remove();
        }
        self.restored.clear();
    }

    /// Returns the early rows that were taken last, if they were due after `watermark`.
    pub(super) fn taken_after(&self, watermark: i64) -> (i64, i64) {
        let taken = self.taken.filter(|(due, _)| *due > watermark);
        taken.unwrap_or((NO_WATERMARK, NO_WATERMARK))
    }

    /// Sets the early rows that were taken last.
    pub(super) fn set_taken(&mut self, taken: (i64, i64)) {
        self.taken = Some(taken).filter(|(due, _)| *due != NO_WATERMARK);
    }

    /// Returns the windows that cover the slice at `slice` and have an early row ahead after those
    /// that were taken: the window, the watermark at which the row is due, and the one from which on
    /// changes are in it.
    fn ahead(
        &self,
        slice: i64,
        windows: EarlyWindows<'_>,
    ) -> impl Iterator<Item = (i64, i64, i64)> {
        let EarlyWindows { grid, early, watermark } = windows;
        let (grid, (due, last)) = (*grid, self.taken_after(watermark));
        let first = grid.first_window(slice).max(grid.first_open(watermark));
        grid.windows(first, slice).filter_map(move |start| {
            // Of several windows that are due at once, the earliest is taken first.
            let taken = if start <= last { due } else { due.saturating_sub(1) };
            let due = early.due(&grid, start, watermark.max(taken))?;
            Some((start, due, early.since(start, due)))
        })
    }

    /// Returns the watermarks at which `slots`, of the slice at `slice`, last changed, as far as
    /// early rows depend on it. So equal state gives equal numbers.
    pub(super) fn of_slots(
        &self,
        slots: &[u32],
        slice: i64,
        windows: EarlyWindows<'_>,
    ) -> Vec<i64> {
        let mut marks: Vec<i64> = self.ahead(slice, windows).map(|(.., since)| since).collect();
        crate::util::sort::integers(&mut marks);
        let of_slot = |slot: &u32| {
            let before = marks.partition_point(|since| *since <= self.changed_at(*slot));
            before.checked_sub(1).and_then(|last| marks.get(last)).copied().unwrap_or(NO_WATERMARK)
        };
        slots.iter().map(of_slot).collect()
    }

    /// Restores the numbers of [`Changes::of_slots`].
    pub(super) fn restore(
        &mut self,
        slots: &[u32],
        changed_at: &[i64],
        slice: i64,
        windows: EarlyWindows<'_>,
    ) {
        let Some(latest) = changed_at.iter().max().copied() else { return };
        for (slot, at) in slots.iter().zip(changed_at) {
            self.set(*slot, Change { at: *at, ..NO_CHANGE });
        }
        self.slices.insert(slice, Change { at: latest, ..NO_CHANGE });
        let ahead: Vec<_> = self.ahead(slice, windows).collect();
        let due = ahead.into_iter().filter(|(.., since)| latest >= *since);
        self.due.extend(due.map(|(start, due, _)| (due, start)));
    }

    /// Stores that `key` has changed in the window at `start`, as snapshots of earlier versions say.
    pub(super) fn restore_changed_key(&mut self, start: i64, key: u32) {
        self.restored.entry(start).or_default().insert(key);
    }

    /// Restores the changes of the slice at `slice`, whose slots belong to `keys`, from the changed
    /// keys of the windows that cover it: a slot changed as late as no unchanged window forbids.
    pub(super) fn restore_from_keys(
        &mut self,
        slots: &[u32],
        keys: &[u32],
        slice: i64,
        windows: EarlyWindows<'_>,
    ) {
        let ahead: Vec<_> = self.ahead(slice, windows).collect();
        let is_changed = |start: &i64, key: &u32| {
            self.restored.get(start).is_some_and(|changed| changed.contains(key))
        };
        let of_key = |key: &u32| {
            let unchanged = ahead.iter().filter(|(start, ..)| !is_changed(start, key));
            let before = unchanged.map(|(.., since)| since.saturating_sub(1)).min();
            before.unwrap_or(windows.watermark).min(windows.watermark)
        };
        let changed_at: Vec<i64> = keys.iter().map(of_key).collect();
        self.restore(slots, &changed_at, slice, windows);
    }
}
