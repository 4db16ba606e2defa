//! Rows of count windows: when a window is full, and at the end of input.

use super::{CountStage, CountWindow, NONE};
use crate::data::frame::{Frame, FrameColumn};
use crate::data::schema::ColumnRole;
use crate::event_time::watermark::END_OF_TIME;
use crate::keys::Keys;
use crate::stages::Context;
use crate::stages::work::take_last;
use crate::time::NULL_TIME;

/// A window whose row is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct DueRow {
    pub(super) slot: u32,
    /// The watermark under which its last event arrived, and the rank of that event, as in
    /// [`Frame`].
    pub(super) firing: i64,
    pub(super) rank: u64,
    /// The watermark by which the next stage judges the row.
    pub(super) output_watermark: i64,
}

impl CountStage {
    /// Emits rows of the windows that the run has filled.
    pub(super) fn emit_full(&mut self, out: &mut Frame) {
        let rows = core::mem::take(&mut self.full);
        if !rows.is_empty() {
            self.write(&rows, out);
        }
        self.full = rows;
        self.full.clear();
    }

    /// Emits rows of the windows still open at the end of input. Returns false if `out` is full or
    /// the work of the call is spent before all are emitted.
    pub(super) fn emit_open(&mut self, context: &mut Context<'_>, out: &mut Frame) -> bool {
        if self.due.is_empty() {
            self.due = self.open_slots().collect();
            self.sort_due(context.keys);
        }
        let mut taken = self.due.len().min(out.room());
        if self.accumulators.have_variable_bytes() {
            let last = self.due.get(self.due.len() - taken..).unwrap_or_default();
            taken = take_last(last, context.work, |slot| self.accumulators.work_of(slot));
        }
        let left = self.due.len() - taken;
        let (firing, output_watermark) = (END_OF_TIME, self.output_watermark);
        let row = |slot: u32| DueRow { slot, firing, rank: 0, output_watermark };
        let rows: Vec<DueRow> = self.due.drain(left..).rev().map(row).collect();
        for row in &rows {
            self.close(row.slot);
        }
        if !rows.is_empty() {
            self.write(&rows, out);
        }
        left == 0
    }

    /// Sorts the due windows in descending order of their rows, so that they can be taken from the
    /// end.
    fn sort_due(&mut self, keys: &mut Keys) {
        if self.due.len() < 2 {
            return;
        }
        let (windows, has_bounds) = (&self.windows, self.plan.count.is_some());
        let key_of = |slot: &u32| windows.get(*slot).map_or(NONE, |window| window.key);
        let due = &self.due;
        let ranks = keys.ranks_of(due.len(), || due.iter().map(key_of).collect());
        crate::util::sort::descending_by_times(&mut self.due, |slot| {
            let Some(window) = windows.get(slot) else { return (0, 0, NONE) };
            let rank = ranks.get(window.key as usize).copied().unwrap_or(NONE);
            let (first, last) = if has_bounds { (window.first, window.last) } else { (0, 0) };
            (last, first, rank)
        });
    }

    /// Writes `rows` and frees their slots. The rows take over the references to the keys.
    fn write(&mut self, rows: &[DueRow], out: &mut Frame) {
        let slots: Vec<u32> = rows.iter().map(|row| row.slot).collect();
        self.accumulators.seal(&slots, &mut self.stats);
        let has_bounds = self.plan.count.is_some();
        let bound = |time: i64| if has_bounds { time } else { NULL_TIME };
        let windows = || slots.iter().map(|slot| self.window(*slot));
        out.keys.extend(windows().map(|window| window.key));
        out.timestamps.extend(windows().map(|window| window.last));
        out.firing.extend(rows.iter().map(|row| row.firing));
        out.ranks.extend(rows.iter().map(|row| row.rank));
        out.watermarks.extend(rows.iter().map(|row| row.output_watermark));
        out.ordinals.extend(self.stats.rows..self.stats.rows + rows.len() as u64);
        for (role, column) in self.plan.aggregates.layout.roles().zip(&mut out.columns) {
            match (role, column) {
                (ColumnRole::WindowStart, FrameColumn::Time(times)) => {
                    times.extend(windows().map(|window| bound(window.first)));
                }
                (ColumnRole::WindowEnd, FrameColumn::Time(times)) => {
                    times.extend(windows().map(|window| bound(window.last.saturating_add(1))));
                }
                (ColumnRole::Aggregation(output), FrameColumn::Number(numbers)) => {
                    numbers.extend(slots.iter().zip(windows()).map(|(slot, window)| {
                        let length = window.last.saturating_sub(window.first).saturating_add(1);
                        self.accumulators.result(output, *slot, length)
                    }));
                }
                _ => {}
            }
        }
        self.stats.rows += rows.len() as u64;
        self.accumulators.release(&slots);
        slots.into_iter().for_each(|slot| self.free_slot(slot));
    }

    /// Frees `slot`, whose values are released.
    pub(super) fn free_slot(&mut self, slot: u32) {
        if let Some(window) = self.windows.get_mut(slot) {
            *window = CountWindow { key: NONE, ..*window };
        }
        self.windows.free(slot);
    }
}
