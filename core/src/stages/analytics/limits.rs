//! Limits of keys and bytes, and the bytes of all states.

use super::AnalyticsStage;
use crate::data::stats::StageStats;
use crate::keys::Keys;
use crate::plan::{Caps, Limit};
use crate::stages::keyed::limits::Limited;

impl Limited for AnalyticsStage {
    fn index(&self) -> u32 {
        self.index
    }

    fn caps(&self) -> &Caps {
        &self.plan.caps
    }

    fn counters(&mut self) -> &mut StageStats {
        &mut self.stats
    }

    /// Evicts the state of the least recently used key.
    fn make_room(&mut self, limit: Limit, _: u32, _: i64, keys: &mut Keys) -> bool {
        let oldest = self.lifetimes.state.oldest().filter(|key| self.lifetimes.is_alive(*key));
        let Some(oldest) = oldest else { return false };
        self.lifetimes.expire(oldest, keys);
        self.reset(oldest, keys);
        self.stats.count_evicted_key();
        self.stats.count_evicted(limit, 0, 0);
        true
    }
}

impl AnalyticsStage {
    /// Returns true if bytes are limited and values change them.
    pub(super) fn tracks_value_bytes(&self) -> bool {
        self.lifetimes.state.limits_bytes() && self.fields.iter().any(|field| field.keeps_values())
    }

    /// Updates the bytes of the states of `keys` after events were added.
    pub(super) fn update_bytes(&mut self, keys: &[u32]) {
        if !self.tracks_value_bytes() {
            return;
        }
        let Self { lifetimes, fields, .. } = self;
        for key in keys {
            if lifetimes.is_alive(*key) {
                let bytes = || fields.iter().map(|field| field.variable_bytes(*key)).sum();
                lifetimes.state.measure(*key, bytes);
            }
        }
    }

    /// Returns the bytes of all states.
    pub(super) fn state_bytes(&self, keys: &Keys) -> u64 {
        let state = &self.lifetimes.state;
        let of_fields = |key| self.fields.iter().map(move |field| field.variable_bytes(key));
        state.bytes(keys, || state.keys().flat_map(of_fields).sum())
    }
}
