//! Limits of keys and bytes: drops the sample, stops the call, or evicts the least recently used
//! key.

use super::ingest::IngestStop;
use super::{Context, Keys, NONE, NormalizeStage};
use crate::data::frame::Events;
use crate::plan::Limit;
use crate::spec::LimitPolicy;
use crate::stages::keyed::limits::EVICTION_WORK;
use crate::stages::keyed::memory_budget::key_bytes;
use crate::util::lru::LruList;

/// Bytes of a series, and of each of its fields. A field includes the few known points before its
/// next row, because their number does not depend on the stream alone.
const SERIES_BYTES: u64 = 144;
const FIELD_BYTES: u64 = 160;
/// Bytes of an open slot, a buffered sample, a waiting point and a value for outlier detection. A
/// closed slot never takes more than an open one, so passing time never needs room.
const SLOT_BYTES: u64 = 8;
const SAMPLE_BYTES: u64 = 32;
const POINT_BYTES: u64 = 24;
const VALUE_BYTES: u64 = 8;

impl NormalizeStage {
    /// Returns the limit that leaves no room for a series of `key`.
    pub(super) fn limit(&self, key: u32, keys: &Keys) -> Option<Limit> {
        let caps = &self.plan.caps;
        if self.live_series() >= caps.max_keys as usize {
            return Some(Limit::Keys);
        }
        let needed =
            key_bytes(key, keys) + SERIES_BYTES + FIELD_BYTES * self.plan.fields.len() as u64;
        let bytes = self.budget.as_ref()?.bytes().saturating_add(needed);
        (bytes > caps.max_bytes).then_some(Limit::Bytes)
    }

    /// Applies the policy of `limit` to the sample at `cursor`. Returns a reason if the call must
    /// stop.
    #[cold]
    pub(super) fn apply_limit(
        &mut self,
        limit: Limit,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
    ) -> Option<IngestStop> {
        let policy = self.plan.caps.policy(limit);
        if policy == LimitPolicy::Evict && self.evict(limit, context.keys) {
            context.work.spend(EVICTION_WORK);
            return None;
        }
        let ordinal = events.ordinals.at(*cursor);
        let outcome = context.apply_limit(limit, policy, self.index, ordinal);
        if outcome.drops_event() {
            self.drop_event(events, cursor, limit.reason(), None, context);
        }
        (!outcome.continues()).then_some(IngestStop::AtLimit)
    }

    /// Evicts the least recently used series with its buffered samples. Returns false if there is
    /// none.
    fn evict(&mut self, limit: Limit, keys: &mut Keys) -> bool {
        let Some(key) = self.lru.as_ref().and_then(LruList::oldest) else { return false };
        let series_id = self.series_of_key.get(key as usize).copied().unwrap_or(NONE);
        let Some(series) = self.series.get(series_id as usize) else { return false };
        let field_series = self.field_series.get(self.field_range(series_id)).unwrap_or_default();
        let samples =
            field_series.iter().map(|state| state.buffer.samples.len()).max().unwrap_or(0);
        self.without_interval =
            self.without_interval.saturating_sub(u32::from(series.grid.is_none()));
        self.stats.count_evicted_key();
        self.stats.count_evicted(limit, series.slots.len() as u64, samples as u64);
        self.close_series(series_id, keys);
        self.schedule.compact(&self.series, self.live_series());
        true
    }

    /// Records that series `series_id` received a sample of `key`.
    pub(super) fn touch(&mut self, series_id: u32, key: u32, keys: &Keys) {
        if let Some(lru) = &mut self.lru {
            lru.touch(key);
        }
        self.update_bytes(series_id, keys);
    }

    /// Updates the bytes of series `series_id` in the budget.
    pub(super) fn update_bytes(&mut self, series_id: u32, keys: &Keys) {
        if self.budget.is_none() {
            return;
        }
        let bytes = self.series_bytes(series_id, keys);
        if let Some(budget) = &mut self.budget {
            budget.set_variable_bytes(series_id, bytes);
        }
    }

    /// Returns the bytes of all series.
    pub(super) fn state_bytes(&self, keys: &Keys) -> u64 {
        if let Some(budget) = &self.budget {
            return budget.bytes();
        }
        (0..).take(self.series.len()).map(|series_id| self.series_bytes(series_id, keys)).sum()
    }

    fn series_bytes(&self, series_id: u32, keys: &Keys) -> u64 {
        let Some(series) = self.series.get(series_id as usize).filter(|series| series.key != NONE)
        else {
            return 0;
        };
        let field_series =
            self.field_series.get(self.field_range(series_id)).unwrap_or_default().iter();
        let fields = field_series.map(|state| {
            FIELD_BYTES
                + SAMPLE_BYTES * state.buffer.samples.len() as u64
                + POINT_BYTES * state.waiting_points(series.next_row) as u64
                + VALUE_BYTES * state.recent.values.len() as u64
        });
        let slots = SLOT_BYTES * series.slots.len() as u64;
        key_bytes(series.key, keys) + SERIES_BYTES + slots + fields.sum::<u64>()
    }
}
