//! Eviction: makes room for a window at a limit, or applies the limit's policy to the event.

use super::{Context, NONE, Slice, WindowStage};
use crate::data::frame::Events;
use crate::keys::Keys;
use crate::plan::Limit;
use crate::spec::LimitPolicy;
use crate::util::lru::LruList;

/// The bookkeeping of stages that may evict keys or windows.
#[derive(Default)]
pub(super) struct EvictionState {
    pub(super) lru: LruList,
    /// The index of each slot in its slice's list of slots.
    positions: Vec<u32>,
}

impl EvictionState {
    /// Records that `slot` is at `position` in its slice.
    pub(super) fn set_position(&mut self, slot: u32, position: usize) {
        let at = slot as usize;
        if self.positions.len() <= at {
            self.positions.resize(at + 1, NONE);
        }
        if let Some(entry) = self.positions.get_mut(at) {
            *entry = u32::try_from(position).unwrap_or(NONE);
        }
    }
}

impl WindowStage {
    /// Marks `keys`, the events of `run`, as recently used; events without a slot do not count.
    pub(super) fn touch_keys(&mut self, keys: &[u32], run: std::ops::Range<usize>) {
        let Some(evictions) = &mut self.evictions else { return };
        let slots = self.run.get(run).unwrap_or_default();
        for (key, _) in keys.iter().zip(slots).filter(|(_, slot)| **slot != NONE) {
            evictions.lru.touch(*key);
        }
    }

    /// Handles `limit` for the event at `cursor`: evicts, drops the event, or refuses it. Returns
    /// false if the call must end.
    #[cold]
    pub(super) fn at_limit(
        &mut self,
        limit: Limit,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
    ) -> bool {
        let at = *cursor;
        let policy = self.plan.caps.policy(limit);
        let event = events.timestamps.get(at).zip(events.keys.get(at));
        let slice = event.map(|(time, key)| (self.plan.grid.slice_of(*time), *key));
        if policy == LimitPolicy::Evict
            && slice.is_some_and(|(start, key)| self.make_room(limit, start, key, context.keys))
        {
            return true;
        }
        let outcome = context.apply_limit(limit, policy, self.index, events.ordinals.at(at));
        if outcome.drops_event() {
            self.drop_event(events, cursor, limit.reason(), context);
        }
        outcome.continues()
    }

    /// Evicts to make room for a window of `key` in the slice at `start`. Returns false if there is
    /// nothing to evict.
    #[cold]
    pub(super) fn make_room(
        &mut self,
        limit: Limit,
        start: i64,
        key: u32,
        keys: &mut Keys,
    ) -> bool {
        match limit {
            Limit::Windows => self.evict_first_window(start, key, keys),
            Limit::Keys | Limit::Bytes => self.evict_oldest_key(limit, keys),
        }
    }

    /// Evicts the first slice of `key` if it starts before `start`.
    fn evict_first_window(&mut self, start: i64, key: u32, keys: &mut Keys) -> bool {
        let mut earlier = self.slices.range(..start);
        let Some((first, _)) = earlier.find(|(_, slice)| slice.slot(key) != NONE) else {
            return false;
        };
        let first = *first;
        self.invalidate_slice(first);
        let events = self.evict_slice(first, key, keys);
        self.stats.count_evicted(Limit::Windows, 1, events);
        true
    }

    /// Evicts the least recently used key from all slices.
    fn evict_oldest_key(&mut self, limit: Limit, keys: &mut Keys) -> bool {
        let Some(evictions) = &mut self.evictions else { return false };
        let Some(key) = evictions.lru.oldest() else { return false };
        evictions.lru.remove(key);
        let has_key = |(start, slice): (&i64, &Slice)| (slice.slot(key) != NONE).then_some(*start);
        let open = self.open_by_key.get(key as usize).copied().unwrap_or(0) as usize;
        let slices: Vec<i64> = self.slices.iter().filter_map(has_key).take(open).collect();
        self.emitted.remove_key(key);
        let windows = slices.len() as u64;
        let mut events: u64 = 0;
        for start in slices {
            events = events.saturating_add(self.evict_slice(start, key, keys));
        }
        self.materialize_firing();
        self.accumulators.forget_key(key);
        self.stats.count_evicted_key();
        self.stats.count_evicted(limit, windows, events);
        true
    }

    /// Removes `key` from the slice at `start`. Returns the number of its events that are lost:
    /// those of which some window has not emitted a row.
    fn evict_slice(&mut self, start: i64, key: u32, keys: &mut Keys) -> u64 {
        let Some(evictions) = &mut self.evictions else { return 0 };
        let Some(slice) = self.slices.get_mut(&start) else { return 0 };
        let Some(slot) = slice.remove(key, &mut evictions.positions) else { return 0 };
        if slice.slots().is_empty() {
            self.slices.remove(&start);
        }
        let is_lost = self.plan.grid.last_window(start) >= self.open_from;
        let events = if is_lost { self.accumulators.events_in(slot) } else { 0 };
        self.tree.mark_dirty(start);
        self.count_closed(slot);
        self.accumulators.release(&[slot]);
        self.free_slots.push(slot);
        keys.release(key);
        events
    }
}
