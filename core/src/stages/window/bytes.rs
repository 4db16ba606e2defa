//! The bytes of open windows.

use core::ops::Range;

use super::{Keys, NONE, WindowStage};
use crate::stages::memory_budget::key_bytes;

/// A window of one key, beside what it accumulates: its places in the tables.
pub(super) const WINDOW_BYTES: u64 = 48;

impl WindowStage {
    /// Whether there is room for one more window of `key`, which has `open` ones.
    pub(super) fn has_room(&self, key: u32, open: u32, keys: &Keys) -> bool {
        let Some(budget) = &self.budget else { return true };
        let of_key = if open == 0 { key_bytes(key, keys) } else { 0 };
        let window = WINDOW_BYTES + self.accumulators.slot_bytes();
        budget.bytes().saturating_add(of_key + window) <= self.plan.caps.max_bytes
    }

    /// Whether values change how much room there is.
    pub(super) fn measures_values(&self) -> bool {
        self.budget.is_some() && self.accumulators.have_variable_bytes()
    }

    /// Takes note of what the slots of `run` hold, now that events were added.
    pub(super) fn measure(&mut self, run: Range<usize>) {
        if !self.measures_values() {
            return;
        }
        let slots = self.run.get(run).unwrap_or_default().to_vec();
        slots.into_iter().filter(|slot| *slot != NONE).for_each(|slot| self.measure_slot(slot));
    }

    /// Takes note of what `slot` holds.
    pub(super) fn measure_slot(&mut self, slot: u32) {
        if let Some(budget) = &mut self.budget {
            budget.set_variable_bytes(slot, self.accumulators.variable_bytes(slot));
        }
    }

    /// The bytes of all open windows.
    pub(super) fn state_bytes(&self, keys: &Keys) -> u64 {
        if let Some(budget) = &self.budget {
            return budget.bytes();
        }
        let window = WINDOW_BYTES + self.accumulators.slot_bytes();
        let open = (0..).zip(&self.open_by_key).filter(|(_, open)| **open > 0);
        let of_keys: u64 = open.map(|(key, _)| key_bytes(key, keys)).sum();
        let slots = || self.slices.values().flat_map(|slice| slice.slots());
        let extra = |slot: &u32| self.accumulators.variable_bytes(*slot);
        let extra: u64 =
            if self.accumulators.have_variable_bytes() { slots().map(extra).sum() } else { 0 };
        let windows = self.slices.values().map(|slice| slice.slots().len() as u64).sum::<u64>();
        of_keys + windows * window + extra
    }
}
