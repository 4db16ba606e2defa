//! Opening of slots for keys that are new in a slice.

use super::WindowStage;
use crate::keys::Keys;
use crate::plan::Limit;

impl WindowStage {
    /// Opens a slot for `key` in the slice at `start`, for an event that arrived under `watermark`.
    #[cold]
    pub(super) fn open(
        &mut self,
        start: i64,
        key: u32,
        watermark: i64,
        keys: &mut Keys,
    ) -> Result<u32, Limit> {
        if let Some(limit) = self.table.limit(key, keys) {
            return Err(limit);
        }
        let slot = self.table.take_slot(key, keys);
        self.accumulators.reset(slot);
        self.emitter.changes.reset(slot);
        self.invalidate_slice(start);
        if self.table.insert(start, key, slot, keys) {
            self.progress.passed(watermark, &self.plan);
            self.progress.reschedule(watermark, &self.table, &self.plan);
        }
        Ok(slot)
    }

    /// Finds or opens the slots of many events at once, as far as none of them needs more work; see
    /// [`SliceTable::insert_many`](super::slice_table::SliceTable::insert_many). Returns the number
    /// of events with a slot.
    #[inline(never)]
    pub(super) fn open_many(
        &mut self,
        start: i64,
        timestamps: &[i64],
        ids: &[u32],
        run: &mut [u32],
        keys: &mut Keys,
    ) -> usize {
        let Self { table, plan, progress, combiner, accumulators, emitter, .. } = self;
        let is_plain = |start| !progress.is_late(start) && !combiner.may_contain(start);
        let reset = |slot| {
            accumulators.reset(slot);
            emitter.changes.reset(slot);
        };
        table.insert_many(start, (timestamps, ids, run), &plan.grid, is_plain, reset, keys)
    }
}
