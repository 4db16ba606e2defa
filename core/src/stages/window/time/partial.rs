//! Partial state of windows on a grid: their slices are exported, and merged into those of another
//! engine.

use super::revise::LateEvent;
use super::{Context, NONE, WindowStage};
use crate::data::frame::Frame;
use crate::keys::Keys;
use crate::stages::keyed::limits::Limited;
use crate::stages::window::partial::{
    DropCause, MergeableWindows, NotAdded, Placement, merge_staged,
};
use crate::stages::window::staging::StagedKey;
use crate::stages::window::windows::Windows;

impl MergeableWindows for WindowStage {
    const HAVE_STARTS: bool = true;
    const HAVE_ENDS: bool = false;

    fn emptied(&self) -> Self {
        let mut empty = Self::new(self.index, self.plan.clone());
        empty.progress.event_arrived(self.progress.input_watermark());
        empty
    }

    fn for_each_window(&self, visit: &mut dyn FnMut(i64, u32)) {
        for (start, slice) in self.table.slices() {
            slice.slots().iter().for_each(|slot| visit(start, *slot));
        }
    }

    fn end_of(&self, _: u32) -> i64 {
        0
    }

    fn can_have(&self, start: i64, _: i64) -> bool {
        self.can_start(start, true) && self.plan.grid.covers(start)
    }

    fn emit_due(&mut self, context: &mut Context<'_>, out: &mut Frame) -> bool {
        self.revise(context, out)
    }

    fn place(
        &mut self,
        slice: i64,
        entry: StagedKey,
        context: &mut Context<'_>,
        _: &mut Frame,
    ) -> Placement {
        let (grid, watermark) = (self.plan.grid, self.progress.input_watermark());
        let StagedKey { key, .. } = entry;
        let open = |stage: &mut Self, keys: &mut Keys| stage.open(slice, key, watermark, keys);
        let slot = match self.table.slot(slice, key) {
            _ if grid.expires_at(grid.last_window(slice)) <= watermark => Err(NotAdded::Late),
            NONE => self.open_or_evict(key, slice, context.keys, open).map_err(NotAdded::Limit),
            slot => Ok(slot),
        };
        match slot {
            Ok(slot) => {
                self.invalidate_slice(slice);
                Placement::In(slot)
            }
            Err(why) => {
                let window_end = Some(grid.end_of(grid.last_window(slice)));
                Placement::Dropped(DropCause { why, watermark, window_end })
            }
        }
    }

    fn merged(&mut self, slice: i64, entry: StagedKey, slot: u32) {
        let StagedKey { key, ordinal, .. } = entry;
        let (grid, watermark) = (self.plan.grid, self.progress.input_watermark());
        self.table.keyed_mut().touch(key);
        self.measure_slot(slot);
        if self.plan.emission.revises && grid.fires_at(grid.first_window(slice)) <= watermark {
            let next = grid.first_window(slice).max(grid.first_kept(watermark));
            let late = LateEvent { slice, key, watermark, ordinal, next };
            self.emitter.late_event_arrived(late);
        }
        self.mark_changed(slot, slice, watermark);
    }
}

impl WindowStage {
    /// Returns the watermark at which the partials of the first staged slice must be merged.
    pub(super) fn partials_due(&self) -> Option<i64> {
        let slice = self.staging.first()?;
        let at_once = self.plan.emission.early.is_some() || self.staging_is_full();
        let grid = &self.plan.grid;
        Some(if at_once { i64::MIN } else { grid.fires_at(grid.first_window(slice)) })
    }

    /// Merges the partials that are due at `watermark`, judged by the previous watermark. Returns
    /// false if `out` is full; the next call continues.
    pub(super) fn add_partials(
        &mut self,
        watermark: i64,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let watermark = watermark.max(self.progress.input_watermark());
        let is_due = |stage: &Self| stage.partials_due().is_some_and(|due| due <= watermark);
        merge_staged(self, is_due, context, out)
    }
}
