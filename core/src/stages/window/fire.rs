//! Firing: when the watermark has come far enough, the keys of a window come out as rows in the order of their bytes.

use super::blocks::Blocks;
use super::{Context, Slice, WindowStage};
use crate::data::frame::{Frame, FrameColumn};
use crate::keys::Keys;
use crate::plan::Grid;

/// Rows that are made column by column: what is kept of their keys stays in the cache.
const ROWS_AT_ONCE: usize = 512;

/// A window that is being emitted.
pub(super) struct Firing {
    pub(super) start: i64,
    /// What is left of its slots, the next one last.
    pub(super) slots: Vec<u32>,
    pub(super) cause: Cause,
}

/// Why a window gives rows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cause {
    /// It is its time.
    Due,
    /// It has changed, and at this watermark it says so.
    Early(i64),
    /// This event came after it had fired.
    Late { watermark: i64, ordinal: u64 },
}

/// The keys that early rows were made of last, and their blocks: while no event comes, the next window may need them too.
#[derive(Default)]
struct Changed {
    /// Ids in ascending order.
    keys: Vec<u32>,
    blocks: Blocks,
}

impl Firing {
    /// The watermark that its rows waited for.
    pub(super) fn watermark(&self, grid: &Grid) -> i64 {
        match self.cause {
            Cause::Due => grid.fires_at(self.start),
            Cause::Early(watermark) | Cause::Late { watermark, .. } => watermark,
        }
    }

    /// What comes after the watermark in the order of rows.
    fn rank(&self) -> u64 {
        match self.cause {
            Cause::Due | Cause::Early(_) => 0,
            Cause::Late { ordinal, .. } => ordinal.saturating_add(1),
        }
    }
}

impl WindowStage {
    /// Fires all that is due at `watermark`; false: `out` is full, and this is to be called again.
    pub(super) fn advance(
        &mut self,
        watermark: i64,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        if self.next_stop <= watermark {
            let mut changed = Changed::default();
            while let Some(firing) = self.next_firing(watermark, &mut changed, context.keys) {
                if let Some(rest) = self.emit(firing, out) {
                    self.firing = Some(rest);
                    if out.room() == 0 {
                        return false;
                    }
                }
            }
        }
        let grid = self.plan.grid;
        self.set_open_from(self.open_from.max(grid.first_open(watermark)));
        if self.next_stop <= watermark {
            if self.plan.emission.revises {
                self.panes.forget(&grid, watermark);
                let kept = grid.first_kept(watermark);
                self.forget_until(kept.saturating_sub(1), context.keys);
            }
            self.next_stop = self.next_stop(watermark);
        }
        true
    }

    /// What comes out next at `watermark`, on time or early; `None`: nothing more is due.
    fn next_firing(
        &mut self,
        watermark: i64,
        changed: &mut Changed,
        keys: &mut Keys,
    ) -> Option<Firing> {
        if let Some(firing) = self.firing.take() {
            return Some(firing);
        }
        let next = self.next_window().map(|start| (self.plan.grid.fires_at(start), start));
        let next = next.filter(|(fires_at, _)| *fires_at <= watermark);
        let early = self.panes.first_due().filter(|(due, _)| *due <= watermark);
        match (next, early) {
            (next, Some(early)) if next.is_none_or(|next| early < next) => {
                Some(self.begin_early(early, changed, keys))
            }
            (Some((_, start)), _) => Some(self.begin(start, keys)),
            (None, _) => None,
        }
    }

    /// Takes the window that starts at `start` out, to be emitted.
    fn begin(&mut self, start: i64, keys: &mut Keys) -> Firing {
        let grid = self.plan.grid;
        let mut slots = if self.plan.emission.revises {
            self.combine_whole(start, keys)
        } else if grid.slices_per_window() == 1 {
            let slots = self.slices.remove(&start).map(Slice::into_slots).unwrap_or_default();
            for slot in &slots {
                self.count_closed(*slot);
            }
            slots
        } else {
            let slots = self.combine_whole(start, keys);
            self.forget_until(start, keys);
            slots
        };
        self.set_open_from(start.saturating_add(grid.slide_us));
        self.sort(&mut slots, keys);
        Firing { start, slots, cause: Cause::Due }
    }

    /// Takes out what has changed in the window at `start`, of which early rows are due at `watermark`.
    fn begin_early(
        &mut self,
        (watermark, start): (i64, i64),
        changed: &mut Changed,
        keys: &mut Keys,
    ) -> Firing {
        let now = self.panes.take_due();
        if changed.keys != now {
            *changed = Changed { keys: now, blocks: Blocks::default() };
        }
        let Changed { keys: only, blocks } = changed;
        let mut slots = self.combine(start, Some(only), blocks, keys);
        self.sort(&mut slots, keys);
        Firing { start, slots, cause: Cause::Early(watermark) }
    }

    /// Puts slots into the descending order of their keys, so that they are taken from the end.
    pub(super) fn sort(&self, slots: &mut [u32], keys: &mut Keys) {
        if slots.len() < 2 {
            return;
        }
        let ranks = keys.ranks();
        let bound = ranks.len();
        let key_of = |slot: u32| self.slot_keys.get(slot as usize).copied().unwrap_or(0);
        let rank_of = |slot: u32| ranks.get(key_of(slot) as usize).copied().unwrap_or(0);
        crate::util::sort::descending_by_place(slots, rank_of, bound);
    }

    /// Makes rows of a window, some at once, as far as `out` has room; returns what is left of it.
    pub(super) fn emit(&mut self, mut firing: Firing, out: &mut Frame) -> Option<Firing> {
        let taken = firing.slots.len().min(out.room()).min(ROWS_AT_ONCE);
        let rows = firing.slots.split_off(firing.slots.len() - taken);
        let grid = self.plan.grid;
        let first = out.keys.len();
        for slot in rows.iter().rev() {
            let key = self.slot_keys.get(*slot as usize).copied().unwrap_or(0);
            // The row retains the key from here on.
            out.keys.push(key);
            self.free_slots.push(*slot);
        }
        extend(&mut out.timestamps, grid.last_us(firing.start), taken);
        let fires_at = firing.watermark(&grid);
        extend(&mut out.firing, fires_at, taken);
        // The next stage judges the row under the watermark just below the one that fires it.
        extend(&mut out.watermarks, self.passed_on(fires_at.saturating_sub(1)), taken);
        extend(&mut out.ranks, firing.rank(), taken);
        out.ordinals.extend(self.stats.rows..self.stats.rows + taken as u64);
        self.stats.rows += taken as u64;
        self.accumulators.seal(&rows, &mut self.stats);
        let bounds = [grid.window_start(firing.start), grid.end_of(firing.start)];
        let length = bounds[1].saturating_sub(bounds[0]);
        for (place, column) in out.columns.iter_mut().enumerate() {
            match column {
                FrameColumn::Time(times) => {
                    extend(times, bounds.get(place).copied().unwrap_or(bounds[1]), taken)
                }
                FrameColumn::Number(numbers) => {
                    let output = place.saturating_sub(bounds.len());
                    if output < self.plan.outputs.len() {
                        if !self.accumulators.results(output, rows.iter().rev(), numbers) {
                            let result =
                                |slot: &u32| self.accumulators.result(output, *slot, length);
                            numbers.extend(rows.iter().rev().map(result));
                        }
                    } else {
                        let keys = out.keys.get(first..).unwrap_or_default();
                        let kept = !matches!(firing.cause, Cause::Due) || grid.keeps_fired();
                        self.panes.number(firing.start, keys, kept, numbers);
                    }
                }
                FrameColumn::Bool(bools) => {
                    extend(bools, u8::from(matches!(firing.cause, Cause::Early(_))), taken);
                }
            }
        }
        self.accumulators.release(&rows);
        (!firing.slots.is_empty()).then_some(firing)
    }
}

fn extend<T: Clone>(list: &mut Vec<T>, value: T, times: usize) {
    list.resize(list.len() + times, value);
}
