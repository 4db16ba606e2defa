//! A priority queue with at most one time per slot.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

/// Stands for "no time".
pub(crate) const NEVER: i64 = i64::MAX;

/// The number of stale entries that is always allowed.
const MIN_STALE: usize = 64;

/// One time per slot, and the earliest of them.
///
/// Changed times leave stale entries in the heap. They are removed at the top, or when they are
/// more than half of the heap.
#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(i64, u32)>>,
    /// The time of each slot.
    times: Vec<i64>,
    /// The number of slots that have a time.
    active: usize,
}

impl Timers {
    /// Sets the time of `slot`.
    pub(crate) fn set(&mut self, slot: u32, time: i64) {
        let time = time.min(NEVER - 1);
        let place = slot as usize;
        if self.times.len() <= place {
            self.times.resize(place + 1, NEVER);
        }
        let Some(known) = self.times.get_mut(place) else { return };
        if *known == time {
            return;
        }
        self.active += usize::from(*known == NEVER);
        *known = time;
        self.heap.push(Reverse((time, slot)));
        self.compact_if_stale();
    }

    /// Removes the time of `slot`.
    pub(crate) fn clear(&mut self, slot: u32) {
        if let Some(time) = self.times.get_mut(slot as usize).filter(|time| **time != NEVER) {
            *time = NEVER;
            self.active -= 1;
            self.compact_if_stale();
        }
    }

    fn compact_if_stale(&mut self) {
        if self.heap.len() > 2 * self.active + MIN_STALE {
            self.compact();
        }
    }

    /// Returns the time of `slot`, if it has one.
    pub(crate) fn get(&self, slot: u32) -> Option<i64> {
        self.times.get(slot as usize).copied().filter(|time| *time != NEVER)
    }

    /// Returns the earliest time and a slot that has it.
    pub(crate) fn first(&mut self) -> Option<(i64, u32)> {
        while let Some(Reverse((time, slot))) = self.heap.peek().copied() {
            if self.get(slot) == Some(time) {
                return Some((time, slot));
            }
            self.heap.pop();
        }
        None
    }

    /// Sets a later time for the slot that [`Timers::first`] returned.
    pub(crate) fn postpone_first(&mut self, time: i64) {
        let time = time.min(NEVER - 1);
        let Some(mut first) = self.heap.peek_mut() else { return };
        first.0.0 = time;
        if let Some(known) = self.times.get_mut(first.0.1 as usize) {
            *known = time;
        }
    }

    /// Removes stale entries, and duplicates left by reused slots.
    #[cold]
    fn compact(&mut self) {
        let entries = core::mem::take(&mut self.heap).into_iter().map(|Reverse(entry)| entry);
        let is_current = |(time, slot): &(i64, u32)| self.get(*slot) == Some(*time);
        let mut entries: Vec<(i64, u32)> = entries.filter(is_current).collect();
        super::sort::timed(&mut entries);
        entries.dedup();
        self.heap = entries.into_iter().map(Reverse).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_is_the_earliest_time_and_stale_entries_stay_bounded() {
        let mut timers = Timers::default();
        for round in 0..10_000_u32 {
            let slot = round % 10;
            timers.set(slot, i64::from(round * 7 % 1000));
            if round % 3 == 0 {
                timers.clear(slot);
            }
            if let (0, Some((time, _))) = (round % 5, timers.first()) {
                timers.postpone_first(time + 100);
            }
            assert!(timers.heap.len() <= 2 * 10 + MIN_STALE);
            let due = (0..10).filter_map(|slot| timers.get(slot)).min();
            assert_eq!(timers.first().map(|(time, _)| time), due);
        }
    }
}
