//! Firing: when the watermark passes a window's end, its keys come out as rows in the order of their bytes.

use super::{Context, NONE, WindowStage};
use crate::frame::{Frame, FrameColumn};
use crate::keys::Keys;

/// A window that is being emitted.
pub(super) struct Firing {
    pub(super) start: i64,
    /// What is left of its slots, the next one last.
    pub(super) slots: Vec<u32>,
}

impl WindowStage {
    /// Fires every window that `watermark` has passed; false: `out` is full, and this is to be called again.
    pub(super) fn advance(
        &mut self,
        watermark: i64,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        while self.next_fire <= watermark && (self.firing.is_some() || !self.slices.is_empty()) {
            let next = match self.firing.take() {
                Some(firing) => Some(firing),
                None => self.begin(context.keys),
            };
            let Some(firing) = next else { break };
            if let Some(rest) = self.emit(firing, out) {
                self.firing = Some(rest);
                return false;
            }
            self.next_fire = self.next_fire();
        }
        self.open_from = self.open_from.max(self.plan.grid.first_open(watermark));
        true
    }

    /// Takes the next window out, to be emitted.
    fn begin(&mut self, keys: &mut Keys) -> Option<Firing> {
        let grid = self.plan.grid;
        let (start, mut slots) = if grid.slices_per_window() == 1 {
            let (start, slice) = self.slices.pop_first()?;
            let slots = slice.into_slots();
            for slot in &slots {
                self.count_closed(self.slot_keys.get(*slot as usize).copied().unwrap_or(NONE));
            }
            (start, slots)
        } else {
            let start = self.next_window()?;
            (start, self.combine(start, keys))
        };
        self.open_from = start.saturating_add(grid.slide_us);
        self.sort(&mut slots, keys);
        Some(Firing { start, slots })
    }

    /// Puts slots into the descending order of their keys, so that they are taken from the end.
    pub(super) fn sort(&self, slots: &mut [u32], keys: &mut Keys) {
        if slots.len() < 2 {
            return;
        }
        let ranks = keys.ranks();
        let key_of = |slot: u32| self.slot_keys.get(slot as usize).copied().unwrap_or(0);
        let rank_of = |slot: &u32| ranks.get(key_of(*slot) as usize).copied().unwrap_or(0);
        slots.sort_unstable_by_key(|slot| core::cmp::Reverse(rank_of(slot)));
    }

    /// Makes rows of a window as far as `out` has room; returns what is left of it.
    fn emit(&mut self, mut firing: Firing, out: &mut Frame) -> Option<Firing> {
        let taken = firing.slots.len().min(out.room());
        let rows = firing.slots.split_off(firing.slots.len() - taken);
        let end = self.plan.grid.end_of(firing.start);
        let fires_at = self.plan.grid.fires_at(firing.start);
        for slot in rows.iter().rev() {
            let key = self.slot_keys.get(*slot as usize).copied().unwrap_or(0);
            // The row retains the key from here on.
            out.keys.push(key);
            self.free_slots.push(*slot);
        }
        extend(&mut out.timestamps, fires_at, taken);
        extend(&mut out.firing, fires_at, taken);
        extend(&mut out.watermarks, self.met, taken);
        out.ranks.resize(out.ranks.len() + taken, 0);
        out.ordinals.extend(self.stats.rows..self.stats.rows + taken as u64);
        self.stats.rows += taken as u64;
        self.accumulators.seal(&rows, &mut self.stats);
        let bounds = [firing.start, end];
        for (place, column) in out.columns.iter_mut().enumerate() {
            match column {
                FrameColumn::Time(times) => {
                    extend(times, bounds.get(place).copied().unwrap_or(end), taken)
                }
                FrameColumn::Number(numbers) => {
                    let output = place.saturating_sub(bounds.len());
                    numbers.extend(
                        rows.iter().rev().map(|slot| self.accumulators.result(output, *slot)),
                    );
                }
                FrameColumn::Bool(_) => {}
            }
        }
        self.accumulators.release(&rows);
        (!firing.slots.is_empty()).then_some(firing)
    }
}

fn extend(list: &mut Vec<i64>, value: i64, times: usize) {
    list.resize(list.len() + times, value);
}
