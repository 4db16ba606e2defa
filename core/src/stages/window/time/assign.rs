//! Assignment: finds the slot of each event's key in the event's slice.

use super::combine::Slices;
use super::slice::Slice;
use super::slot_lookup::{SliceSlots, SlotLookup};
use super::{NONE, WindowStage};
use crate::data::frame::Events;
use crate::data::reject::RejectReason;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;
use crate::plan::Limit;
use crate::stages::window::windows::Windows;

/// The reason why a run of events ends.
pub(super) enum AssignStop {
    /// The next event arrives under a watermark at which a window fires.
    Advance(i64),
    /// The next event is dropped.
    Drop(RejectReason),
    /// The next event needs more room than this limit leaves.
    Limit(Limit),
    /// The events so far must be applied first, because their values count toward the byte limit.
    ApplyFirst,
    /// The next event falls into the window in this slot, which has no room for its values.
    Full(u32),
    /// The next event has its slot, and at least one of its windows has fired already.
    Revise,
    /// There is no next event.
    End,
}

impl WindowStage {
    /// Writes the slot of each event from `from` on into `run`, until a window fires or an event is
    /// dropped.
    ///
    /// Returns the index of the event before which it stopped, and the reason.
    pub(super) fn assign(
        &mut self,
        events: &Events<'_>,
        from: usize,
        run: &mut [u32],
        keys: &mut Keys,
    ) -> (usize, AssignStop) {
        let mut at = from;
        let mut next_due = self.progress.next_due();
        let mut first_due = self.first_due(events, at);
        let mut run_end = self.run_end(at);
        let first = events.timestamps.get(at);
        let mut start = first.map_or(0, |timestamp| self.plan.grid.slice_of(*timestamp));
        loop {
            let next = events.timestamps.get(at).zip(events.keys.get(at));
            let Some((&timestamp, &key)) = next else {
                return (at, AssignStop::End);
            };
            let watermark = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
            if at >= first_due {
                return (at, AssignStop::Advance(watermark));
            }
            if at >= run_end {
                return (at, AssignStop::ApplyFirst);
            }
            let fast_end = first_due.min(run_end);
            start = self.plan.grid.slice_near(timestamp, start);
            if self.combiner.may_contain(start) && !self.has_expired(start, watermark) {
                self.invalidate_slice(start);
            }
            let known = match self.table.slice(start) {
                Some(slice) if !self.progress.is_late(start) && !self.values_exceed_limit() => {
                    let assigned = self.slot_lookup(start, slice).assign(
                        events.timestamps.get(at..fast_end).unwrap_or_default(),
                        events.keys.get(at..fast_end).unwrap_or_default(),
                        run.get_mut(at..).unwrap_or_default(),
                    );
                    let opened = self.open_many(
                        start,
                        events.timestamps.get(at + assigned..fast_end).unwrap_or_default(),
                        events.keys.get(at + assigned..fast_end).unwrap_or_default(),
                        run.get_mut(at + assigned..).unwrap_or_default(),
                        keys,
                    );
                    if assigned + opened > 0 {
                        at += assigned + opened;
                        continue;
                    }
                    self.table.slot(start, key)
                }
                None if self.plan.grid.has_gaps() && !self.plan.grid.covers(start) => {
                    // No window covers its time: it is counted and gets no slot.
                    self.stats.unassigned += 1;
                    if let Some(entry) = run.get_mut(at) {
                        *entry = NONE;
                    }
                    at += 1;
                    continue;
                }
                _ if self.has_expired(start, watermark) => {
                    return (at, AssignStop::Drop(RejectReason::Late));
                }
                found => found.map_or(NONE, |slice| slice.slot(key)),
            };
            let slot = match known {
                NONE if at > from && self.tracks_value_bytes() => {
                    return (at, AssignStop::ApplyFirst);
                }
                NONE => match self.open(start, key, watermark, keys) {
                    Ok(slot) => {
                        run_end = self.run_end(at);
                        slot
                    }
                    Err(limit) => return (at, AssignStop::Limit(limit)),
                },
                slot if self.is_full(events, at, slot) => return (at, AssignStop::Full(slot)),
                slot => slot,
            };
            if self.progress.next_due() != next_due {
                next_due = self.progress.next_due();
                first_due = self.first_due(events, at);
            }
            if let Some(entry) = run.get_mut(at) {
                *entry = slot;
            }
            if self.plan.emission.revises && self.has_fired(start, watermark) {
                return (at, AssignStop::Revise);
            }
            at += 1;
        }
    }

    /// Returns the index of the first event from `from` on whose watermark makes something due.
    /// Watermarks never decrease.
    fn first_due(&self, events: &Events<'_>, from: usize) -> usize {
        let rest = events.watermarks.get(from..).unwrap_or_default();
        from + rest.partition_point(|watermark| *watermark < self.progress.next_due())
    }

    /// Invalidates the combinations that contain the slice at `start`, which is about to change.
    pub(super) fn invalidate_slice(&mut self, start: i64) {
        let Self { plan, table, accumulators, combiner, emitter, .. } = self;
        let mut slices = Slices { grid: plan.grid, table, accumulators };
        combiner.slice_changes(start, emitter.slots(), &mut slices);
    }

    /// Returns true if at `watermark` the last window that covers the slice at `start` has expired.
    fn has_expired(&self, start: i64, watermark: i64) -> bool {
        let grid = &self.plan.grid;
        grid.expires_at(grid.last_window(start)) <= watermark
    }

    /// Returns true if at `watermark` the first window that covers the slice at `start` has fired.
    fn has_fired(&self, start: i64, watermark: i64) -> bool {
        let grid = &self.plan.grid;
        grid.fires_at(grid.first_window(start)) <= watermark
    }

    /// Returns the fast path for `slice`, which starts at `start`, and for one adjacent slice: the
    /// one before, or else the one after, where out-of-order events fall.
    ///
    /// Changes to the adjacent slice go unnoticed on this path. So it is never a slice that the
    /// tree contains or that belongs to a fired window.
    fn slot_lookup<'a>(&'a self, start: i64, slice: &'a Slice) -> SlotLookup<'a> {
        let size_us = self.plan.grid.slice_us;
        let adjacent = [start.saturating_sub(size_us), start.saturating_add(size_us)]
            .into_iter()
            .filter(|start| !self.progress.is_late(*start) && !self.combiner.may_contain(*start))
            .find_map(|start| Some(SliceSlots { start, slots: self.table.slice(start)?.dense() }));
        SlotLookup::new(
            size_us.unsigned_abs(),
            SliceSlots { start, slots: slice.dense() },
            adjacent,
        )
    }
}
