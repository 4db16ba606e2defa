//! What windows take with them from one to the next: they add the slices that they come to and take away those that they
//! leave behind.

use core::ops::Range;
use std::collections::BTreeSet;

use super::{NONE, WindowStage};
use crate::plan::Grid;

/// So many windows that an event is in make it pay: where they are fewer, more comes and goes than stays.
const MANY_WINDOWS: i64 = 16;

/// Whether windows on `grid` are to take along what they can.
pub(super) fn pays(grid: &Grid) -> bool {
    grid.slices_per_window() / (grid.slide_us / grid.slice_us).max(1) >= MANY_WINDOWS
}

/// The slices that the last window holds.
#[derive(Default)]
pub(super) struct Held {
    /// By number.
    range: Range<i64>,
    /// Those of them that it does not, for they have changed since.
    out: BTreeSet<i64>,
}

impl Held {
    fn has(&self, index: i64) -> bool {
        self.range.contains(&index) && !self.out.contains(&index)
    }
}

impl WindowStage {
    /// Whether windows take anything with them.
    pub(super) fn slides(&self) -> bool {
        pays(&self.plan.grid) && self.accumulators.have_sketches()
    }

    /// Takes note that the slice at `start` is about to change.
    pub(super) fn touch_slice(&mut self, start: i64) {
        if !self.blocks.reach(start) {
            return;
        }
        self.blocks.touch(start);
        let index = self.plan.grid.index_of(start);
        if self.held.has(index) {
            self.held.out.insert(index);
            self.keep_firing();
            if let Some(slice) = self.slices.get(&start) {
                let (keys, slots) = slice.by_key();
                self.accumulators.leave(&keys, &slots);
            }
        }
    }

    /// Keeps what is left of a window that is being emitted as it is: what it shares is about to change.
    pub(super) fn keep_firing(&mut self) {
        if let Some(firing) = &self.firing {
            self.accumulators.unshare(&firing.slots);
        }
    }

    /// Takes note that the slice at `start`, whose slots are given, goes.
    pub(super) fn leave_behind(&mut self, start: i64, slots: &[u32]) {
        let index = self.plan.grid.index_of(start);
        if self.held.has(index) {
            self.held.out.insert(index);
            for slot in slots {
                let key = self.slot_keys.get(*slot as usize).copied().unwrap_or(NONE);
                self.accumulators.leave_later(key, *slot);
            }
        }
    }

    /// Moves on to the window with the slices `range`, by number, whose keys have `slots`.
    pub(super) fn slide_to(&mut self, range: Range<i64>, slots: &[u32]) {
        let held = core::mem::take(&mut self.held);
        let goes_on = held.range.start <= range.start && range.start < held.range.end;
        let mut new = range.clone();
        if goes_on {
            new.start = held.range.end;
            self.accumulators.settle();
            self.change_slices(held.range.start..range.start, &held.out, false);
            for index in held.out.range(range.start..) {
                self.change_slices(*index..*index + 1, &BTreeSet::new(), true);
            }
        } else {
            self.accumulators.forget_all();
        }
        self.change_slices(new, &BTreeSet::new(), true);
        let keys: Vec<u32> = self.slot_keys_of(slots).collect();
        for key in &keys {
            if self.accumulators.is_unsure(*key) {
                self.recount(*key, &range);
            }
        }
        self.accumulators.share(&keys, slots);
        self.held = Held { range, out: BTreeSet::new() };
    }

    /// Adds the slices of `range`, by number, or takes them away, but for those in `but`.
    fn change_slices(&mut self, range: Range<i64>, but: &BTreeSet<i64>, enter: bool) {
        let grid = self.plan.grid;
        if range.start >= range.end {
            return;
        }
        for (start, slice) in
            self.slices.range(grid.start_of(range.start)..grid.start_of(range.end))
        {
            if but.contains(&grid.index_of(*start)) {
                continue;
            }
            let (keys, slots) = slice.by_key();
            if enter {
                self.accumulators.enter(&keys, &slots);
            } else {
                self.accumulators.leave(&keys, &slots);
            }
        }
    }

    /// Counts all of `key` in the slices `range` anew.
    #[cold]
    fn recount(&mut self, key: u32, range: &Range<i64>) {
        let grid = self.plan.grid;
        let slices = self.slices.range(grid.start_of(range.start)..grid.start_of(range.end));
        let slots: Vec<u32> =
            slices.map(|(_, slice)| slice.slot(key)).filter(|slot| *slot != NONE).collect();
        self.accumulators.recount(key, &slots);
    }
}
