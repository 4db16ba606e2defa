//! Accounting of the state bytes of open windows.

use core::ops::Range;

use super::{Keys, NONE, WindowStage};
use crate::stages::memory_budget::key_bytes;

/// Bytes counted for a slice of one key in addition to its accumulators: its entries in the tables.
pub(super) const WINDOW_BYTES: u64 = 48;

impl WindowStage {
    /// Returns true if the byte limit leaves room for one more slice of `key`, which has `open` of
    /// them.
    pub(super) fn has_room(&self, key: u32, open: u32, keys: &Keys) -> bool {
        let Some(budget) = &self.budget else { return true };
        let of_key = if open == 0 { key_bytes(key, keys) } else { 0 };
        let window = WINDOW_BYTES + self.accumulators.slot_bytes();
        budget.bytes().saturating_add(of_key + window) <= self.plan.caps.max_bytes
    }

    /// Returns true if added values change the bytes counted.
    pub(super) fn tracks_value_bytes(&self) -> bool {
        self.budget.is_some() && self.accumulators.have_variable_bytes()
    }

    /// Updates the bytes counted for the slots of `run` after their events were added.
    pub(super) fn measure(&mut self, run: Range<usize>) {
        if !self.tracks_value_bytes() {
            return;
        }
        let slots = self.run.get(run).unwrap_or_default().to_vec();
        slots.into_iter().filter(|slot| *slot != NONE).for_each(|slot| self.measure_slot(slot));
    }

    /// Updates the bytes counted for `slot`.
    pub(super) fn measure_slot(&mut self, slot: u32) {
        if let Some(budget) = &mut self.budget {
            budget.set_variable_bytes(slot, self.accumulators.variable_bytes(slot));
        }
    }

    /// Returns the bytes of all open windows.
    pub(super) fn state_bytes(&self, keys: &Keys) -> u64 {
        if let Some(budget) = &self.budget {
            return budget.bytes();
        }
        let window = WINDOW_BYTES + self.accumulators.slot_bytes();
        let open = (0..).zip(&self.open_by_key).filter(|(_, open)| **open > 0);
        let of_keys: u64 = open.map(|(key, _)| key_bytes(key, keys)).sum();
        let slots = || self.slices.values().flat_map(|slice| slice.slots());
        let variable_bytes = |slot: &u32| self.accumulators.variable_bytes(*slot);
        let variable_bytes: u64 = if self.accumulators.have_variable_bytes() {
            slots().map(variable_bytes).sum()
        } else {
            0
        };
        let windows = self.slices.values().map(|slice| slice.slots().len() as u64).sum::<u64>();
        of_keys + windows * window + variable_bytes
    }
}
