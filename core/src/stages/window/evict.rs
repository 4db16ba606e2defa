//! What happens where a window would be one too many: the event is dropped, or ends the call, or what is oldest makes room.

use super::{Context, NONE, Slice, WindowStage};
use crate::data::frame::Events;
use crate::keys::Keys;
use crate::plan::Limit;
use crate::spec::LimitPolicy;
use crate::util::lru::LruList;

/// What is kept of keys where they may be evicted.
#[derive(Default)]
pub(super) struct Evictions {
    pub(super) lru: LruList,
    /// Where each slot stands in its slice.
    places: Vec<u32>,
}

impl Evictions {
    /// Takes note that `slot` stands at `place` in its slice.
    pub(super) fn put(&mut self, slot: u32, place: usize) {
        let at = slot as usize;
        if self.places.len() <= at {
            self.places.resize(at + 1, NONE);
        }
        if let Some(entry) = self.places.get_mut(at) {
            *entry = u32::try_from(place).unwrap_or(NONE);
        }
    }
}

impl WindowStage {
    /// Takes note of events of `keys` that are in the slots of `run`.
    pub(super) fn touch(&mut self, keys: &[u32], run: std::ops::Range<usize>) {
        let Some(evictions) = &mut self.evictions else { return };
        let slots = self.run.get(run).unwrap_or_default();
        for (key, _) in keys.iter().zip(slots).filter(|(_, slot)| **slot != NONE) {
            evictions.lru.touch(*key);
        }
    }

    /// Does what is to be done at `limit` about the event at `cursor`; false: the call ends before it.
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
            self.drop_next(events, cursor, limit.reason(), context);
        }
        outcome.continues()
    }

    /// Lets go of what is oldest, to make room for a window of `key` in the slice at `start`; false: there is nothing.
    #[cold]
    pub(super) fn make_room(
        &mut self,
        limit: Limit,
        start: i64,
        key: u32,
        keys: &mut Keys,
    ) -> bool {
        match limit {
            Limit::Windows => self.evict_first(start, key, keys),
            Limit::Keys | Limit::Bytes => self.evict_oldest(limit, keys),
        }
    }

    /// Takes the first slice of `key` out, if it is before the one at `start`.
    fn evict_first(&mut self, start: i64, key: u32, keys: &mut Keys) -> bool {
        let mut earlier = self.slices.range(..start);
        let Some((first, _)) = earlier.find(|(_, slice)| slice.slot(key) != NONE) else {
            return false;
        };
        let first = *first;
        self.touch_slice(first);
        let events = self.evict_slice(first, key, keys);
        self.stats.count_evicted(Limit::Windows, 1, events);
        true
    }

    /// Takes the oldest key out of all slices.
    fn evict_oldest(&mut self, limit: Limit, keys: &mut Keys) -> bool {
        let Some(evictions) = &mut self.evictions else { return false };
        let Some(key) = evictions.lru.oldest() else { return false };
        evictions.lru.remove(key);
        let has_key = |(start, slice): (&i64, &Slice)| (slice.slot(key) != NONE).then_some(*start);
        let open = self.open_by_key.get(key as usize).copied().unwrap_or(0) as usize;
        let slices: Vec<i64> = self.slices.iter().filter_map(has_key).take(open).collect();
        self.panes.forget_key(key);
        let windows = slices.len() as u64;
        let mut events: u64 = 0;
        for start in slices {
            events = events.saturating_add(self.evict_slice(start, key, keys));
        }
        self.keep_firing();
        self.accumulators.forget_key(key);
        self.stats.count_evicted_key();
        self.stats.count_evicted(limit, windows, events);
        true
    }

    /// Takes `key` out of the slice at `start`. Returns its events, if they were not in a row of each of their windows.
    fn evict_slice(&mut self, start: i64, key: u32, keys: &mut Keys) -> u64 {
        let Some(evictions) = &mut self.evictions else { return 0 };
        let Some(slice) = self.slices.get_mut(&start) else { return 0 };
        let Some(slot) = slice.remove(key, &mut evictions.places) else { return 0 };
        if slice.slots().is_empty() {
            self.slices.remove(&start);
        }
        let is_lost = self.plan.grid.last_window(start) >= self.open_from;
        let events = if is_lost { self.accumulators.events_in(slot) } else { 0 };
        self.blocks.touch(start);
        self.count_closed(slot);
        self.accumulators.release(&[slot]);
        self.free_slots.push(slot);
        keys.release(key);
        events
    }
}
