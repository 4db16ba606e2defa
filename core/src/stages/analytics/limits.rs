//! Limits of keys and bytes: drops the event, stops the call, or evicts the least recently used
//! key.

use super::{AnalyticsStage, Context};
use crate::data::frame::Events;
use crate::keys::Keys;
use crate::plan::Limit;
use crate::spec::LimitPolicy;
use crate::stages::memory_budget::key_bytes;

impl AnalyticsStage {
    /// Returns true if bytes are limited and values change them.
    pub(super) fn tracks_value_bytes(&self) -> bool {
        self.lifetimes.budget.is_some() && self.fields.iter().any(|field| field.keeps_values())
    }

    /// Updates the budget for the states of `keys` after events were added.
    pub(super) fn update_bytes(&mut self, keys: &[u32]) {
        if !self.tracks_value_bytes() {
            return;
        }
        for key in keys {
            let bytes = self.variable_bytes(*key);
            let is_alive = self.lifetimes.is_alive(*key);
            if let Some(budget) = self.lifetimes.budget.as_mut().filter(|_| is_alive) {
                budget.set_variable_bytes(*key, bytes);
            }
        }
    }

    /// Returns the bytes of the values that the states of `key` keep.
    fn variable_bytes(&self, key: u32) -> u64 {
        self.fields.iter().map(|field| field.variable_bytes(key)).sum()
    }

    /// Returns the bytes of all states.
    pub(super) fn state_bytes(&self, keys: &Keys) -> u64 {
        if let Some(budget) = &self.lifetimes.budget {
            return budget.bytes();
        }
        let of_fields: u64 = self.fields.iter().map(|field| field.bytes()).sum();
        let of = |key: u32| key_bytes(key, keys) + of_fields + self.variable_bytes(key);
        self.lifetimes.keys().map(of).sum()
    }

    /// Applies the policy of `limit` to the event at `cursor`. Returns false if the call must stop
    /// before it.
    #[cold]
    pub(super) fn apply_limit(
        &mut self,
        limit: Limit,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
    ) -> bool {
        let policy = self.plan.caps.policy(limit);
        let oldest = self.lifetimes.oldest().filter(|key| self.lifetimes.is_alive(*key));
        if let (LimitPolicy::Evict, Some(oldest)) = (policy, oldest) {
            self.lifetimes.expire(oldest, context.keys);
            self.reset(oldest, context.keys);
            self.stats.count_evicted_key();
            self.stats.count_evicted(limit, 0, 0);
            return true;
        }
        context.apply_limit_to_next((limit, policy), self.index, events, cursor, &mut self.stats)
    }
}
