//! The progress of event time through the windows: which of them have fired, and what is due next.

use super::slice_table::SliceTable;
use crate::event_time::watermark::NO_WATERMARK;
use crate::plan::{Grid, WindowPlan};

/// The progress of the watermark over the windows of a stage.
pub(super) struct Progress {
    /// Windows that start before this have fired.
    open_from: i64,
    /// Slices that start before this belong to windows that have fired and may fire again.
    late_before: i64,
    /// The watermark at which something is due before the next event is taken.
    next_due: i64,
    /// The watermark under which the last event arrived.
    input_watermark: i64,
}

impl Progress {
    /// Returns the progress before the first event.
    pub(super) fn new() -> Self {
        Self {
            open_from: i64::MIN,
            late_before: i64::MIN,
            next_due: i64::MAX,
            input_watermark: NO_WATERMARK,
        }
    }

    /// Returns the start of the first window that has not fired.
    pub(super) fn open_from(&self) -> i64 {
        self.open_from
    }

    /// Returns true if the slice at `start` belongs to a window that has fired and may fire again.
    #[inline]
    pub(super) fn is_late(&self, start: i64) -> bool {
        start < self.late_before
    }

    /// Returns the watermark at which something is due before the next event is taken.
    #[inline]
    pub(super) fn next_due(&self) -> i64 {
        self.next_due
    }

    /// Returns the watermark under which the last event arrived.
    pub(super) fn input_watermark(&self) -> i64 {
        self.input_watermark
    }

    /// Returns the watermark under which the last event arrived, to be written or read.
    pub(super) fn input_watermark_mut(&mut self) -> &mut i64 {
        &mut self.input_watermark
    }

    /// Records that an event arrived under `watermark`.
    pub(super) fn event_arrived(&mut self, watermark: i64) {
        self.input_watermark = watermark;
    }

    /// Records that the watermark has reached `watermark`, after everything due was done.
    pub(super) fn watermark_reached(&mut self, watermark: i64) {
        self.input_watermark = self.input_watermark.max(watermark);
    }

    /// Records that all windows before `window` have fired.
    pub(super) fn fired_before(&mut self, window: i64, plan: &WindowPlan) {
        self.open_from = window;
        if plan.emission.revises {
            self.late_before = plan.grid.end_before(window);
        }
    }

    /// Records that all windows that end by `watermark` have fired, or were empty.
    pub(super) fn passed(&mut self, watermark: i64, plan: &WindowPlan) {
        self.fired_before(self.open_from.max(plan.grid.first_open(watermark)), plan);
    }

    /// Sets the watermark at which something is due: that of a window being emitted.
    pub(super) fn due_at(&mut self, watermark: i64) {
        self.next_due = watermark;
    }

    /// Finds the watermark after `watermark` at which something is due.
    pub(super) fn reschedule(&mut self, watermark: i64, table: &SliceTable, plan: &WindowPlan) {
        self.next_due = self.next_due_after(watermark, table, plan);
    }

    /// Returns the start of the earliest window with events that has not fired.
    pub(super) fn next_window(&self, table: &SliceTable, grid: &Grid) -> Option<i64> {
        let slice = table.first_from(grid.window_start(self.open_from))?;
        Some(self.open_from.max(grid.first_window(slice)))
    }

    /// Returns the watermark after `watermark` at which something fires or expires.
    fn next_due_after(&self, watermark: i64, table: &SliceTable, plan: &WindowPlan) -> i64 {
        let grid = &plan.grid;
        let fires = self.next_window(table, grid).map_or(i64::MAX, |window| grid.fires_at(window));
        let Some(slice) = table.first_from(i64::MIN) else { return fires };
        if !plan.emission.revises {
            return fires;
        }
        let next = fires.min(grid.expires_at(grid.last_window(slice)));
        match plan.emission.early {
            Some(early) => next.min(grid.multiple_from(watermark.saturating_add(1), early.step_us)),
            None => next,
        }
    }
}
