//! Eviction: makes room for a session at a limit, and counts bytes.

use super::assign::Gap;
use super::table::{SESSION_BYTES, SessionStatus};
use super::{Keys, SessionStage};
use crate::aggregates::Accumulators;
use crate::data::stats::StageStats;
use crate::plan::{Caps, Limit};
use crate::stages::keyed::limits::Limited;
use crate::stages::keyed::state::KeyedState;
use crate::stages::window::staging::Staging;
use crate::stages::window::windows::{Run, WindowParts, Windows};

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

impl Windows for SessionStage {
    const WINDOW_BYTES: u64 = SESSION_BYTES;

    fn parts(&mut self) -> WindowParts<'_> {
        WindowParts {
            keyed: &mut self.table.keyed,
            accumulators: &mut self.accumulators,
            staging: &mut self.staging,
        }
    }

    fn keyed(&self) -> &KeyedState {
        &self.table.keyed
    }

    fn staging(&self) -> &Staging {
        &self.staging
    }

    fn accumulators(&self) -> &Accumulators {
        &self.accumulators
    }

    fn fields(&self) -> &[usize] {
        &self.plan.aggregates.fields
    }

    fn run(&self) -> &Run {
        &self.run
    }

    fn key_in(&self, slot: u32) -> u32 {
        self.table.info(slot).key
    }
}
