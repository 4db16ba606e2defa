//! Limits: makes room for a window, and counts the bytes of values.

use core::ops::Range;

use super::{NONE, WindowStage};
use crate::aggregates::Accumulators;
use crate::data::stats::StageStats;
use crate::keys::Keys;
use crate::plan::{Caps, Limit};
use crate::spec::LimitPolicy;
use crate::stages::keyed::limits::Limited;
use crate::stages::keyed::state::KeyedState;
use crate::stages::window::staging::Staging;
use crate::stages::window::windows::{Run, WindowParts, Windows};

/// Bytes counted for a slice of one key in addition to its accumulators: its entries in the tables.
pub(super) const WINDOW_BYTES: u64 = 48;

impl Limited for WindowStage {
    fn index(&self) -> u32 {
        self.index
    }

    fn caps(&self) -> &Caps {
        &self.plan.caps
    }

    fn counters(&mut self) -> &mut StageStats {
        &mut self.stats
    }

    fn window_end(&self, time: i64) -> Option<i64> {
        let grid = &self.plan.grid;
        Some(grid.end_of(grid.last_window(grid.slice_of(time))))
    }

    fn set_input_watermark(&mut self, watermark: i64) {
        self.progress.event_arrived(watermark);
    }

    /// Evicts the first slice of `key` if it starts before that of `time`, or the least recently
    /// used key.
    #[cold]
    fn make_room(&mut self, limit: Limit, key: u32, time: i64, keys: &mut Keys) -> bool {
        match limit {
            Limit::Windows => self.evict_first_window(self.plan.grid.slice_of(time), key, keys),
            Limit::Keys | Limit::Bytes => self.evict_oldest_key(limit, keys),
        }
    }
}

impl Windows for WindowStage {
    const WINDOW_BYTES: u64 = WINDOW_BYTES;

    fn parts(&mut self) -> WindowParts<'_> {
        WindowParts {
            keyed: self.table.keyed_mut(),
            accumulators: &mut self.accumulators,
            staging: &mut self.staging,
        }
    }

    fn keyed(&self) -> &KeyedState {
        self.table.keyed()
    }

    fn staging(&self) -> &Staging {
        &self.staging
    }

    fn accumulators(&self) -> &Accumulators {
        &self.accumulators
    }

    fn fields(&self) -> &[usize] {
        &self.plan.fields
    }

    fn run(&self) -> &Run {
        &self.run
    }

    fn key_in(&self, slot: u32) -> u32 {
        self.table.key_in(slot)
    }
}

impl WindowStage {
    /// Marks `keys`, the events of `run`, as recently used; events without a slot do not count.
    pub(super) fn touch_keys(&mut self, keys: &[u32], run: Range<usize>) {
        let keyed = self.table.keyed_mut();
        if !keyed.orders_keys() {
            return;
        }
        let slots = self.run.slots(run);
        for (key, _) in keys.iter().zip(slots).filter(|(_, slot)| **slot != NONE) {
            keyed.touch(*key);
        }
    }

    /// Evicts the first slice of `key` if it starts before `start`.
    fn evict_first_window(&mut self, start: i64, key: u32, keys: &mut Keys) -> bool {
        let Some(first) = self.table.slices_of(key, i64::MIN..start).next() else { return false };
        self.invalidate_slice(first);
        let events = self.evict_slice(first, key, keys);
        self.stats.count_evicted(Limit::Windows, 1, events);
        true
    }

    /// Evicts the least recently used key from all slices.
    fn evict_oldest_key(&mut self, limit: Limit, keys: &mut Keys) -> bool {
        let Some(key) = self.table.keyed().oldest() else { return false };
        let slices: Vec<i64> = self.table.slices_of(key, i64::MIN..i64::MAX).collect();
        self.table.keyed_mut().forget_use(key);
        self.forget_rows(key, &slices);
        self.count_emitted();
        let windows = slices.len() as u64;
        let mut events: u64 = 0;
        for start in slices {
            events = events.saturating_add(self.evict_slice(start, key, keys));
        }
        self.accumulators.materialize(self.emitter.slots());
        self.accumulators.forget_key(key);
        self.stats.count_evicted_key();
        self.stats.count_evicted(limit, windows, events);
        true
    }

    /// Forgets the rows emitted of `key`, whose slices are `slices`.
    fn forget_rows(&mut self, key: u32, slices: &[i64]) {
        let Self { plan, emitter, .. } = self;
        if plan.caps.policy(Limit::Windows) == LimitPolicy::Evict {
            // Windows of slices that were evicted alone may have rows of the key, too.
            emitter.emitted.remove_key(key, i64::MIN, i64::MAX);
            return;
        }
        let mut next = i64::MIN;
        for slice in slices {
            let last = plan.grid.last_window(*slice);
            emitter.emitted.remove_key(key, next.max(plan.grid.first_window(*slice)), last);
            next = last.saturating_add(1);
        }
    }

    /// Updates the bytes counted for emitted rows.
    pub(super) fn count_emitted(&mut self) {
        self.table.keyed_mut().set_other_bytes(self.emitter.emitted.bytes());
    }

    /// Removes `key` from the slice at `start`. Returns the number of its events that are lost:
    /// those of which some window has not emitted a row.
    fn evict_slice(&mut self, start: i64, key: u32, keys: &mut Keys) -> u64 {
        let Some(slot) = self.table.remove_key(start, key, keys) else { return 0 };
        let is_lost = self.plan.grid.last_window(start) >= self.progress.open_from();
        let events = if is_lost { self.accumulators.events_in(slot) } else { 0 };
        self.combiner.mark_dirty(start);
        self.accumulators.release(&[slot]);
        events
    }

    /// Returns the bytes of all open windows and of the partial state that is not merged yet.
    pub(super) fn state_bytes(&self, keys: &Keys) -> u64 {
        let of_windows = self.table.keyed().bytes(keys, || {
            if !self.accumulators.have_variable_bytes() {
                return 0;
            }
            let slots = self.table.slices().flat_map(|(_, slice)| slice.slots());
            slots.map(|slot| self.accumulators.variable_bytes(*slot)).sum()
        });
        of_windows + self.staging.bytes()
    }
}
