//! Partial state of sessions: they are exported, and merged with the sessions they touch in another
//! engine.

use super::assign::Gap;
use super::fire::RowTrigger;
use super::table::Bounds;
use super::{Context, Keys, SessionStage};
use crate::data::frame::Frame;
use crate::stages::keyed::limits::Limited;
use crate::stages::window::partial::{
    DropCause, MergeableWindows, NotAdded, Placement, merge_staged,
};
use crate::stages::window::staging::StagedKey;
use crate::stages::window::windows::Windows;
use crate::time::{MAX_TIME, MIN_TIME};

impl MergeableWindows for SessionStage {
    const HAVE_STARTS: bool = true;
    const HAVE_ENDS: bool = true;

    fn emptied(&self) -> Self {
        let input_watermark = self.input_watermark;
        Self { input_watermark, ..Self::new(self.index, self.plan.clone()) }
    }

    fn for_each_window(&self, visit: &mut dyn FnMut(i64, u32)) {
        self.table.slots().for_each(|slot| visit(self.table.bounds(slot).start, slot));
    }

    fn end_of(&self, slot: u32) -> i64 {
        self.table.bounds(slot).end
    }

    fn can_have(&self, start: i64, end: i64) -> bool {
        let gap = Gap::new(self.plan.gap_us);
        let ends = gap.end_after(start)..=gap.end_after(MAX_TIME);
        (MIN_TIME..=MAX_TIME).contains(&start) && ends.contains(&end)
    }

    fn emit_due(&mut self, context: &mut Context<'_>, out: &mut Frame) -> bool {
        self.revise(context.keys, out) && self.emit(context, out)
    }

    fn place(
        &mut self,
        start: i64,
        entry: StagedKey,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> Placement {
        let (key, bounds) = (entry.key, Bounds { start, end: entry.end });
        let touched = self.table.overlapping(key, bounds);
        let trigger = self.trigger_of(entry);
        while let Some(slot) = self.first_to_retract(&touched, bounds) {
            if !self.retract(slot, trigger, context.keys, out) {
                return Placement::OutputFull;
            }
        }
        let why = match touched.split_first() {
            None if self.plan.expires_at(bounds.end) <= self.input_watermark => NotAdded::Late,
            None => {
                let open = |stage: &mut Self, keys: &mut Keys| stage.open(key, bounds, keys);
                match self.open_or_evict(key, start, context.keys, open) {
                    Ok(slot) => return Placement::In(slot),
                    Err(limit) => NotAdded::Limit(limit),
                }
            }
            Some((first, later)) => {
                self.unite(&touched, bounds);
                later.iter().for_each(|slot| self.merge_sessions(*first, *slot, context.keys));
                return Placement::In(*first);
            }
        };
        let (watermark, window_end) = (self.input_watermark, Some(bounds.end));
        Placement::Dropped(DropCause { why, watermark, window_end })
    }

    fn merged(&mut self, _: i64, entry: StagedKey, slot: u32) {
        self.measure_slot(slot);
        self.table.keyed.touch(entry.key);
        if self.plan.kept_us > 0 && self.fires_at(slot) <= self.input_watermark {
            self.make_late(slot, self.trigger_of(entry));
        } else {
            self.schedule(slot);
        }
    }
}

impl SessionStage {
    /// Returns the trigger of rows that the state `entry` of a key changes.
    fn trigger_of(&self, entry: StagedKey) -> RowTrigger {
        RowTrigger { watermark: self.input_watermark, rank: entry.ordinal.saturating_add(1) }
    }

    /// Returns the watermark at which the first staged session fires if nothing merges with it.
    pub(super) fn next_staged_fire(&self) -> Option<i64> {
        self.staging.first_end().map(|end| self.plan.fires_at(end))
    }

    /// Returns true if the first partial must be merged before `watermark`: from then on, sessions
    /// that it may touch fire or expire.
    fn needs_partial(&self, watermark: i64) -> bool {
        let at_once = self.staging_is_full();
        let is_near = |start: i64| at_once || start.saturating_sub(1) <= watermark;
        self.staging.first().is_some_and(is_near)
    }

    /// Merges the partials that are due at `watermark`, judged by the previous watermark. Returns
    /// false if `out` is full; the next call continues.
    pub(super) fn add_partials(
        &mut self,
        watermark: i64,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let watermark = watermark.max(self.input_watermark);
        merge_staged(self, |stage| stage.needs_partial(watermark), context, out)
    }
}
