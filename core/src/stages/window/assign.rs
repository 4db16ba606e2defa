//! From an event to the slot of its slice.

use super::follow::{Follow, Track};
use super::{NONE, Slice, WindowStage};
use crate::data::frame::Events;
use crate::data::reject::RejectReason;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;
use crate::plan::Limit;

/// Why a run of events ends.
pub(super) enum Stop {
    /// The next event meets a watermark at which a window fires.
    Advance(i64),
    /// The next event is dropped.
    Drop(RejectReason),
    /// The next event needs more than this limit leaves.
    Limit(Limit),
    /// Before the next event is taken, those before it have to be added.
    Settle,
    /// The next event is in its slot, and windows of its have fired.
    Late,
    /// There is no next event.
    End,
}

impl WindowStage {
    /// Writes the slot of each event from `from` on into `run`, as far as nothing fires and none is dropped.
    ///
    /// Returns the event before which it stopped, and why.
    pub(super) fn assign(
        &mut self,
        events: &Events<'_>,
        from: usize,
        run: &mut [u32],
        keys: &mut Keys,
    ) -> (usize, Stop) {
        let mut at = from;
        let mut next_stop = self.next_stop;
        let mut fires_before = self.first_firing(events, at);
        let first = events.timestamps.get(at);
        let mut start = first.map_or(0, |timestamp| self.plan.grid.slice_of(*timestamp));
        loop {
            let next = events.timestamps.get(at).zip(events.keys.get(at));
            let Some((&timestamp, &key)) = next else {
                return (at, Stop::End);
            };
            let watermark = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
            if at >= fires_before {
                return (at, Stop::Advance(watermark));
            }
            start = self.plan.grid.slice_near(timestamp, start);
            if self.blocks.reach(start) && !self.is_over(start, watermark) {
                self.touch_slice(start);
            }
            let known = match self.slices.get(&start) {
                Some(slice) if start >= self.late_before => {
                    let followed = self.track(start, slice).follow(
                        events.timestamps.get(at..fires_before).unwrap_or_default(),
                        events.keys.get(at..fires_before).unwrap_or_default(),
                        run.get_mut(at..).unwrap_or_default(),
                    );
                    let more = self.open_more(
                        start,
                        events.timestamps.get(at + followed..fires_before).unwrap_or_default(),
                        events.keys.get(at + followed..fires_before).unwrap_or_default(),
                        run.get_mut(at + followed..).unwrap_or_default(),
                        keys,
                    );
                    if followed + more > 0 {
                        at += followed + more;
                        continue;
                    }
                    self.slices.get(&start).map_or(NONE, |slice| slice.slot(key))
                }
                None if self.plan.grid.has_gaps() && !self.plan.grid.covers(start) => {
                    // It goes on without a slot, and so into no window.
                    self.stats.unassigned += 1;
                    if let Some(entry) = run.get_mut(at) {
                        *entry = NONE;
                    }
                    at += 1;
                    continue;
                }
                _ if self.is_over(start, watermark) => {
                    return (at, Stop::Drop(RejectReason::Late));
                }
                found => found.map_or(NONE, |slice| slice.slot(key)),
            };
            let slot = match known {
                NONE if at > from && self.measures_values() => return (at, Stop::Settle),
                NONE => match self.open(start, key, watermark, keys) {
                    Ok(slot) => slot,
                    Err(limit) => return (at, Stop::Limit(limit)),
                },
                slot => slot,
            };
            if self.next_stop != next_stop {
                next_stop = self.next_stop;
                fires_before = self.first_firing(events, at);
            }
            if let Some(entry) = run.get_mut(at) {
                *entry = slot;
            }
            if self.plan.emission.revises && self.has_fired(start, watermark) {
                return (at, Stop::Late);
            }
            at += 1;
        }
    }

    /// The first event from `from` on that meets a watermark at which something fires: watermarks never go back.
    fn first_firing(&self, events: &Events<'_>, from: usize) -> usize {
        let rest = events.watermarks.get(from..).unwrap_or_default();
        from + rest.partition_point(|watermark| *watermark < self.next_stop)
    }

    /// Whether the last window that covers the slice at `start` is gone, or would be.
    fn is_over(&self, start: i64, watermark: i64) -> bool {
        let grid = &self.plan.grid;
        grid.gone_at(grid.last_window(start)) <= watermark
    }

    /// Whether the first window that covers the slice at `start` has fired, or would have.
    fn has_fired(&self, start: i64, watermark: i64) -> bool {
        let grid = &self.plan.grid;
        grid.fires_at(grid.first_window(start)) <= watermark
    }

    /// How to follow events from `slice`, which starts at `start`, on; beside it the slice before, or else the one
    /// after: where disorder takes the events that leave it. Nobody would notice that a slice beside it changes, so
    /// it is none that is part of a block, or of a window that would have to fire again.
    fn track<'a>(&'a self, start: i64, slice: &'a Slice) -> Follow<'a> {
        let size_us = self.plan.grid.slice_us;
        let beside = [start.saturating_sub(size_us), start.saturating_add(size_us)]
            .into_iter()
            .filter(|start| *start >= self.late_before && !self.blocks.reach(*start))
            .find_map(|start| Some(Track { start, slots: self.slices.get(&start)?.dense() }));
        Follow::new(size_us.unsigned_abs(), Track { start, slots: slice.dense() }, beside)
    }
}
