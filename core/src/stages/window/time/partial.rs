//! Partial state of windows on a grid: their slices are exported, and merged into those of another
//! engine.

use super::revise::LateEvent;
use super::{Context, NONE, Slice, WindowStage};
use crate::data::frame::Frame;
use crate::error::SnapshotError;
use crate::keys::Keys;
use crate::plan::Limit;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::LimitPolicy;
use crate::stages::partial::{COUNTER_COUNT, PartialOrigin, PartialState, add_counters};
use crate::stages::window::staging::{
    DroppedPartial, NotAdded, StagedKey, StagedPartial, read_partial,
};

impl PartialState for WindowStage {
    fn count_events(&mut self) {
        self.accumulators.count_events();
    }

    fn for_each_key(&self, name: &mut dyn FnMut(u32)) {
        for slot in self.slices.values().flat_map(Slice::slots) {
            name(self.slot_keys.get(*slot as usize).copied().unwrap_or(NONE));
        }
    }

    fn write_partial(&self, positions: &[u32], writer: &mut SectionWriter<'_>) {
        writer.length(self.slices.len());
        for (start, slice) in &self.slices {
            let mut slots = slice.slots().to_vec();
            slots.sort_unstable_by_key(|slot| self.position(*slot, positions));
            self.save_slots(*start, &slots, positions, writer);
        }
    }

    fn clear_windows(&mut self, keys: &mut Keys) {
        for slot in self.slices.values().flat_map(Slice::slots) {
            keys.release(self.slot_keys.get(*slot as usize).copied().unwrap_or(NONE));
        }
        let mut empty = Self::new(self.index, self.plan.clone());
        empty.count_events();
        empty.input_watermark = self.input_watermark;
        empty.stats = core::mem::take(&mut self.stats);
        *self = empty;
    }

    fn stage_partial(
        &mut self,
        origin: PartialOrigin<'_>,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<u64, SnapshotError> {
        let empty = self.empty_accumulators();
        let mut partials: Vec<(i64, StagedPartial)> = Vec::new();
        let mut taken = 0_u64;
        for _ in 0..reader.length()? {
            let start = reader.i64()?;
            let ascends = partials.last().is_none_or(|(before, _)| *before < start);
            if !ascends || !self.can_start(start, true) || !self.plan.grid.covers(start) {
                return Err(SnapshotError::Damaged("a part of a time that no window covers"));
            }
            let ordinal = origin.ordinal.saturating_add(taken);
            let mut partial = read_partial(ordinal, reader, ids, &empty, false)?;
            partial.values.forget_ordinals();
            taken = taken.saturating_add(partial.keys.len() as u64);
            partials.push((start, partial));
        }
        for (start, partial) in partials {
            partial.keys.iter().for_each(|key| keys.retain(*key));
            self.staging.push((start, origin.source.into(), origin.sequence), partial);
        }
        Ok(taken)
    }

    fn add_counters(&mut self, counters: [u64; COUNTER_COUNT]) {
        add_counters(&mut self.stats, counters);
    }
}

impl WindowStage {
    /// Returns empty accumulators to read partials into.
    pub(super) fn empty_accumulators(&self) -> super::Accumulators {
        let mut empty = self.accumulators.empty(0);
        empty.count_events();
        empty
    }

    /// Returns the watermark at which the partials of the first staged slice must be merged.
    pub(super) fn partials_due(&self) -> Option<i64> {
        let slice = self.staging.first()?;
        let at_once = self.plan.emission.early.is_some()
            || self.staging.waiting_keys() > self.plan.caps.max_keys as usize;
        let grid = &self.plan.grid;
        Some(if at_once { i64::MIN } else { grid.fires_at(grid.first_window(slice)) })
    }

    /// Merges the partials that are due at `watermark`, judged by the previous watermark. Returns
    /// false if `out` is full; the next call continues.
    pub(super) fn add_partials(
        &mut self,
        watermark: i64,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let watermark = watermark.max(self.input_watermark);
        loop {
            if !self.revise(context, out) {
                return false;
            }
            if self.partials_due().is_none_or(|due| due > watermark) {
                return true;
            }
            let Some((staging_key, mut partial)) = self.staging.take_first() else { return true };
            let from = partial.added;
            let continues = self.add_next(staging_key.0, &mut partial, context);
            self.staging.put_back(staging_key, partial, from);
            if !continues {
                return false;
            }
        }
    }

    /// Merges the next key of `partial`. Returns false if it had no room and the call must end.
    fn add_next(
        &mut self,
        slice: i64,
        partial: &mut StagedPartial,
        context: &mut Context<'_>,
    ) -> bool {
        let Some(entry) = partial.next() else { return true };
        partial.added += 1;
        let key = entry.key;
        let (grid, input_watermark) = (self.plan.grid, self.input_watermark);
        let known = self.slices.get(&slice).map_or(NONE, |slice| slice.slot(key));
        let slot = match known {
            _ if grid.expires_at(grid.last_window(slice)) <= input_watermark => Err(NotAdded::Late),
            NONE => self.open_for_partial(slice, key, context.keys).map_err(NotAdded::Limit),
            slot => Ok(slot),
        };
        let continues = match slot {
            Ok(slot) => {
                self.add_entry(slice, slot, entry, partial);
                true
            }
            Err(why) => {
                let window_end = Some(grid.end_of(grid.last_window(slice)));
                let (stage, caps, stats) = (self.index, &self.plan.caps, &mut self.stats);
                DroppedPartial { stage, caps, stats, watermark: input_watermark, window_end }
                    .report(entry, why, context)
            }
        };
        context.keys.release(key);
        continues
    }

    /// Merges `entry` of `partial` into `slot`, the slot of its key in the slice at `slice`.
    fn add_entry(&mut self, slice: i64, slot: u32, entry: StagedKey, partial: &StagedPartial) {
        let StagedKey { key, ordinal, .. } = entry;
        let (grid, input_watermark) = (self.plan.grid, self.input_watermark);
        if let Some(evictions) = &mut self.evictions {
            evictions.lru.touch(key);
        }
        self.invalidate_slice(slice);
        self.accumulators.merge(&[slot], &partial.values.pick(&[entry.slot]));
        if self.tracks_value_bytes() {
            self.measure_slot(slot);
        }
        if self.plan.emission.revises && grid.fires_at(grid.first_window(slice)) <= input_watermark
        {
            let next = grid.first_window(slice).max(grid.first_kept(input_watermark));
            self.late_event =
                Some(LateEvent { slice, key, watermark: input_watermark, ordinal, next });
        }
        self.mark_changed(slot, key, slice, input_watermark);
    }

    /// Opens a slot for `key` in the slice at `slice`, evicting if the policy says so.
    fn open_for_partial(&mut self, slice: i64, key: u32, keys: &mut Keys) -> Result<u32, Limit> {
        loop {
            match self.open(slice, key, self.input_watermark, keys) {
                Err(limit)
                    if self.plan.caps.policy(limit) == LimitPolicy::Evict
                        && self.make_room(limit, slice, key, keys) => {}
                opened => return opened,
            }
        }
    }
}
