//! From an event to the slot of its slice, and opening a slice.

use super::follow::{Follow, Track};
use super::{NONE, Slice, WindowStage};
use crate::frame::Events;
use crate::keys::Keys;
use crate::reject::RejectReason;
use crate::watermark::NO_WATERMARK;

/// Why a run of events ends.
pub(super) enum Stop {
    /// The next event meets a watermark at which a window fires.
    Advance(i64),
    /// The next event is dropped.
    Drop(RejectReason),
    /// The next event has a new key, for which the oldest one has to make room.
    Evict,
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
        loop {
            let next = events.timestamps.get(at).zip(events.keys.get(at));
            let Some((&timestamp, &key)) = next else {
                return (at, Stop::End);
            };
            let watermark = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
            if at >= fires_before {
                return (at, Stop::Advance(watermark));
            }
            let start = self.plan.grid.slice_of(timestamp);
            let known = match self.slices.get(&start) {
                Some(slice) if start >= self.late_before => {
                    self.blocks.touch(start);
                    let followed = self.track(start, slice).follow(
                        events.timestamps.get(at..fires_before).unwrap_or_default(),
                        events.keys.get(at..fires_before).unwrap_or_default(),
                        run.get_mut(at..).unwrap_or_default(),
                    );
                    if followed > 0 {
                        at += followed;
                        continue;
                    }
                    slice.slot(key)
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
                NONE => match self.open(start, key, watermark, keys) {
                    Ok(slot) => slot,
                    Err(RejectReason::KeyLimit) if self.plan.evicts_keys => {
                        return (at, Stop::Evict);
                    }
                    Err(reason) => return (at, Stop::Drop(reason)),
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
                self.blocks.touch(start);
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

    /// Opens the slice at `start` for `key`, whose event meets `watermark`.
    #[cold]
    pub(super) fn open(
        &mut self,
        start: i64,
        key: u32,
        watermark: i64,
        keys: &mut Keys,
    ) -> Result<u32, RejectReason> {
        let place = key as usize;
        if self.open_by_key.len() <= place {
            self.open_by_key.resize(keys.id_bound().max(place + 1), 0);
        }
        let open = self.open_by_key.get(place).copied().unwrap_or(0);
        if open == 0 && self.open_keys >= self.plan.max_keys {
            return Err(RejectReason::KeyLimit);
        }
        if open >= self.plan.max_windows_per_key {
            return Err(RejectReason::WindowLimit);
        }
        let slot = self.take_slot(key, keys);
        self.count_open(key);
        self.accumulators.reset(slot);
        self.panes.reset(slot);
        self.blocks.touch(start);
        let place = self.insert(start, key, slot, keys);
        if place == 0 {
            self.set_open_from(self.open_from.max(self.plan.grid.first_open(watermark)));
            self.next_stop = self.next_stop(watermark);
        }
        Ok(slot)
    }

    /// A slot for `key`, which retains it.
    pub(super) fn take_slot(&mut self, key: u32, keys: &mut Keys) -> u32 {
        keys.retain(key);
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slot_keys.push(NONE);
            u32::try_from(self.slot_keys.len() - 1).unwrap_or(NONE)
        });
        if let Some(entry) = self.slot_keys.get_mut(slot as usize) {
            *entry = key;
        }
        slot
    }

    /// Counts one more slice of `key`.
    pub(super) fn count_open(&mut self, key: u32) {
        if let Some(open) = self.open_by_key.get_mut(key as usize) {
            self.open_keys += u32::from(*open == 0);
            *open += 1;
        }
    }

    /// Counts one slice of `key` less.
    pub(super) fn count_closed(&mut self, key: u32) {
        if let Some(open) = self.open_by_key.get_mut(key as usize) {
            *open = open.saturating_sub(1);
            self.open_keys -= u32::from(*open == 0);
            if let (0, Some(evictions)) = (*open, &mut self.evictions) {
                evictions.recency.remove(key);
            }
        }
    }

    /// Gives `slot` to `key` in the slice at `start`. Returns its place there.
    pub(super) fn insert(&mut self, start: i64, key: u32, slot: u32, keys: &Keys) -> usize {
        if !self.slices.contains_key(&start) {
            // It is likely to get as many keys as the one before.
            let before = self.slices.range(..start).next_back();
            let like = before.filter(|(_, slice)| slice.has_many(keys.id_bound()));
            let slice = like.map_or_else(Slice::default, |_| Slice::with_many(keys.id_bound()));
            self.slices.insert(start, slice);
        }
        let slice = self.slices.entry(start).or_default();
        let place = slice.slots().len();
        slice.insert(key, slot, keys.id_bound());
        if let Some(evictions) = &mut self.evictions {
            evictions.put(slot, place);
        }
        place
    }
}
