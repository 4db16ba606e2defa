//! Eviction: makes room for a session at a limit, and counts bytes.

use core::ops::Range;

use super::assign::Gap;
use super::table::SessionStatus;
use super::{Keys, NONE, SessionStage};
use crate::data::stats::StageStats;
use crate::plan::{Caps, Limit};
use crate::stages::keyed::limits::Limited;

impl Limited for SessionStage {
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
        Some(Gap::new(self.plan.gap_us).end_after(time))
    }

    fn set_input_watermark(&mut self, watermark: i64) {
        self.input_watermark = watermark;
    }

    /// Evicts the first session of `key` if it starts before `time`, or all sessions of the least
    /// recently used key.
    #[cold]
    fn make_room(&mut self, limit: Limit, key: u32, time: i64, keys: &mut Keys) -> bool {
        let slots = match limit {
            Limit::Windows => self.table.first_before(key, time).into_iter().collect(),
            Limit::Keys | Limit::Bytes => {
                let oldest = self.table.keyed.oldest();
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
}

impl SessionStage {
    /// Returns true if added values change the bytes counted.
    pub(super) fn tracks_value_bytes(&self) -> bool {
        self.table.keyed.limits_bytes() && self.accumulators.have_variable_bytes()
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
        self.table.keyed.measure(slot, || self.accumulators.variable_bytes(slot));
    }
}
