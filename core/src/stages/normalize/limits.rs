//! What happens where a series would be one too many: the sample is dropped, or ends the call, or the oldest key makes room.

use super::absorb::Stop;
use super::{Context, Keys, NONE, NormalizeStage};
use crate::data::frame::Events;
use crate::plan::Limit;
use crate::spec::LimitPolicy;
use crate::stages::memory_budget::key_bytes;
use crate::util::lru::LruList;

/// A series in the bytes of a stage, and each of its fields, with the few known points behind its rows: how many these are
/// is no matter of the stream alone.
const SERIES_BYTES: u64 = 144;
const FIELD_BYTES: u64 = 160;
/// An open place, a sample that waits, a point that rows wait with, a value that decides about outliers. What a place holds when
/// it is over is not more than what it held before, so time that passes never takes room.
const PLACE_BYTES: u64 = 8;
const SAMPLE_BYTES: u64 = 32;
const POINT_BYTES: u64 = 24;
const VALUE_BYTES: u64 = 8;

impl NormalizeStage {
    /// What leaves no room for a series of `key`.
    pub(super) fn limit(&self, key: u32, keys: &Keys) -> Option<Limit> {
        let caps = &self.plan.caps;
        if self.live() >= caps.max_keys as usize {
            return Some(Limit::Keys);
        }
        let needed =
            key_bytes(key, keys) + SERIES_BYTES + FIELD_BYTES * self.plan.fields.len() as u64;
        let bytes = self.budget.as_ref()?.bytes().saturating_add(needed);
        (bytes > caps.max_bytes).then_some(Limit::Bytes)
    }

    /// Does what is to be done at `limit` about the sample at `cursor`.
    #[cold]
    pub(super) fn at_limit(
        &mut self,
        limit: Limit,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
    ) -> Option<Stop> {
        let policy = self.plan.caps.policy(limit);
        if policy == LimitPolicy::Evict && self.evict(limit, context.keys) {
            return None;
        }
        let ordinal = events.ordinals.at(*cursor);
        let outcome = context.apply_limit(limit, policy, self.index, ordinal);
        if outcome.drops_event() {
            self.drop_next(events, cursor, limit.reason(), None, context);
        }
        (!outcome.continues()).then_some(Stop::Refused)
    }

    /// Lets go of the series of the oldest key, with the samples that wait; false: there is none.
    fn evict(&mut self, limit: Limit, keys: &mut Keys) -> bool {
        let Some(key) = self.lru.as_ref().and_then(LruList::oldest) else { return false };
        let of = self.by_key.get(key as usize).copied().unwrap_or(NONE);
        let Some(series) = self.series.get(of as usize) else { return false };
        let lanes = self.lanes.get(self.span(of)).unwrap_or_default();
        let samples = lanes.iter().map(|lane| lane.cells.list.len()).max().unwrap_or(0);
        self.undecided = self.undecided.saturating_sub(u32::from(series.grid.is_none()));
        self.stats.count_evicted_key();
        self.stats.count_evicted(limit, series.places.len() as u64, samples as u64);
        self.let_go(of, keys);
        self.schedule.tidy(&self.series, self.live());
        true
    }

    /// Takes note that a sample of `key` has come to series `of`.
    pub(super) fn note(&mut self, of: u32, key: u32, keys: &Keys) {
        if let Some(lru) = &mut self.lru {
            lru.touch(key);
        }
        self.measure(of, keys);
    }

    /// Takes note of what series `of` holds.
    pub(super) fn measure(&mut self, of: u32, keys: &Keys) {
        if self.budget.is_none() {
            return;
        }
        let bytes = self.series_bytes(of, keys);
        if let Some(budget) = &mut self.budget {
            budget.set_variable_bytes(of, bytes);
        }
    }

    /// The bytes of all series.
    pub(super) fn state_bytes(&self, keys: &Keys) -> u64 {
        if let Some(budget) = &self.budget {
            return budget.bytes();
        }
        (0..).take(self.series.len()).map(|of| self.series_bytes(of, keys)).sum()
    }

    fn series_bytes(&self, of: u32, keys: &Keys) -> u64 {
        let Some(series) = self.series.get(of as usize).filter(|series| series.key != NONE) else {
            return 0;
        };
        let lanes = self.lanes.get(self.span(of)).unwrap_or_default().iter();
        let fields = lanes.map(|lane| {
            FIELD_BYTES
                + SAMPLE_BYTES * lane.cells.list.len() as u64
                + POINT_BYTES * lane.waiting(series.next) as u64
                + VALUE_BYTES * lane.recent.values.len() as u64
        });
        let places = PLACE_BYTES * series.places.len() as u64;
        key_bytes(series.key, keys) + SERIES_BYTES + places + fields.sum::<u64>()
    }
}
