//! Eviction: makes room for a session at a limit, or applies the limit's policy to the event.

use core::ops::Range;

use super::table::SessionStatus;
use super::{Context, Keys, NONE, SessionStage};
use crate::data::frame::Events;
use crate::plan::Limit;
use crate::spec::LimitPolicy;

impl SessionStage {
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
        let event = events.keys.get(at).zip(events.timestamps.get(at));
        if policy == LimitPolicy::Evict
            && event.is_some_and(|(key, time)| self.make_room(limit, *key, *time, context.keys))
        {
            return true;
        }
        let outcome = context.apply_limit(limit, policy, self.index, events.ordinals.at(at));
        if outcome.drops_event() {
            self.drop_event(events, at, limit.reason(), context);
            *cursor += 1;
        }
        outcome.continues()
    }

    /// Evicts to make room for a session of `key` that starts at `time`. Returns false if there is
    /// nothing to evict.
    #[cold]
    pub(super) fn make_room(&mut self, limit: Limit, key: u32, time: i64, keys: &mut Keys) -> bool {
        let slots = match limit {
            Limit::Windows => self.table.first_before(key, time).into_iter().collect(),
            Limit::Keys | Limit::Bytes => {
                let oldest = self.table.lru.as_ref().and_then(|lru| lru.oldest());
                oldest.map(|oldest| self.table.of_key(oldest)).unwrap_or_default()
            }
        };
        if slots.is_empty() {
            return false;
        }
        if limit != Limit::Windows {
            self.stats.count_evicted_key();
        }
        // Events of fired sessions are in a row already and do not count as lost.
        let waits = |slot: &&u32| self.table.info(**slot).status == SessionStatus::Open;
        let events = slots
            .iter()
            .filter(waits)
            .map(|slot| self.accumulators.events_in(*slot))
            .fold(0, u64::saturating_add);
        self.stats.count_evicted(limit, slots.len() as u64, events);
        self.accumulators.release(&slots);
        for slot in slots {
            let key = self.table.info(slot).key;
            self.table.remove(slot);
            keys.release(key);
        }
        true
    }

    /// Returns true if added values change the bytes counted.
    pub(super) fn tracks_value_bytes(&self) -> bool {
        self.table.budget.is_some() && self.accumulators.have_variable_bytes()
    }

    /// Updates the bytes counted for the slots of `run` after their events were added.
    pub(super) fn measure(&mut self, run: Range<usize>) {
        if !self.tracks_value_bytes() {
            return;
        }
        let slots = self.run.get(run).unwrap_or_default().to_vec();
        slots.into_iter().for_each(|slot| self.measure_slot(slot));
    }

    /// Updates the bytes counted for `slot`, unless its session is about to be merged into another.
    pub(super) fn measure_slot(&mut self, slot: u32) {
        if self.table.info(slot).key == NONE {
            return;
        }
        if let Some(budget) = &mut self.table.budget {
            budget.set_variable_bytes(slot, self.accumulators.variable_bytes(slot));
        }
    }
}
