//! Windows on a grid as partial state: their slices are taken out here and added there.

use super::revise::Revising;
use super::staging::{Entry, Part, Turning, Unplaced, read_part};
use super::{Context, NONE, Slice, WindowStage};
use crate::data::frame::Frame;
use crate::error::SnapshotError;
use crate::keys::Keys;
use crate::plan::Limit;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::LimitPolicy;
use crate::stages::parts::{COUNTERS, Origin, Parts, add_counters};

impl Parts for WindowStage {
    fn count_events(&mut self) {
        self.accumulators.count_events();
    }

    fn part_keys(&self, name: &mut dyn FnMut(u32)) {
        for slot in self.slices.values().flat_map(Slice::slots) {
            name(self.slot_keys.get(*slot as usize).copied().unwrap_or(NONE));
        }
    }

    fn write_parts(&self, positions: &[u32], writer: &mut SectionWriter<'_>) {
        writer.length(self.slices.len());
        for (start, slice) in &self.slices {
            let mut slots = slice.slots().to_vec();
            slots.sort_unstable_by_key(|slot| self.position(*slot, positions));
            self.save_slots(*start, &slots, positions, writer);
        }
    }

    fn clear_parts(&mut self, keys: &mut Keys) {
        for slot in self.slices.values().flat_map(Slice::slots) {
            keys.release(self.slot_keys.get(*slot as usize).copied().unwrap_or(NONE));
        }
        let mut empty = Self::new(self.index, self.plan.clone());
        empty.count_events();
        empty.met = self.met;
        empty.stats = core::mem::take(&mut self.stats);
        *self = empty;
    }

    fn take_parts(
        &mut self,
        origin: Origin<'_>,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<u64, SnapshotError> {
        let empty = self.empty_part();
        let mut parts: Vec<(i64, Part)> = Vec::new();
        let mut taken = 0_u64;
        for _ in 0..reader.length()? {
            let start = reader.i64()?;
            let ascends = parts.last().is_none_or(|(before, _)| *before < start);
            if !ascends || !self.can_start(start, true) || !self.plan.grid.covers(start) {
                return Err(SnapshotError::Damaged("a part of a time that no window covers"));
            }
            let ordinal = origin.ordinal.saturating_add(taken);
            let mut part = read_part(ordinal, reader, ids, &empty, false)?;
            part.values.forget_places();
            taken = taken.saturating_add(part.keys.len() as u64);
            parts.push((start, part));
        }
        for (start, part) in parts {
            part.keys.iter().for_each(|key| keys.retain(*key));
            self.staging.push((start, origin.source.into(), origin.sequence), part);
        }
        Ok(taken)
    }

    fn add_counters(&mut self, counters: [u64; COUNTERS]) {
        add_counters(&mut self.stats, counters);
    }
}

impl WindowStage {
    /// What parts are read into.
    pub(super) fn empty_part(&self) -> super::Accumulators {
        let mut empty = self.accumulators.empty(0);
        empty.count_events();
        empty
    }

    /// The watermark at which parts of the first slice that has some are needed.
    pub(super) fn parts_due(&self) -> Option<i64> {
        let slice = self.staging.first()?;
        let at_once = self.plan.emission.early.is_some()
            || self.staging.waiting() > self.plan.caps.max_keys as usize;
        let grid = &self.plan.grid;
        Some(if at_once { i64::MIN } else { grid.fires_at(grid.first_window(slice)) })
    }

    /// Adds the parts that are needed at `watermark`; false: `out` is full, and this is to be called again. They are judged
    /// by the watermark before that.
    pub(super) fn add_parts(
        &mut self,
        watermark: i64,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let watermark = watermark.max(self.met);
        loop {
            if !self.revise(context, out) {
                return false;
            }
            if self.parts_due().is_none_or(|due| due > watermark) {
                return true;
            }
            let Some((place, mut part)) = self.staging.take_first() else { return true };
            let from = part.done;
            let goes_on = self.add_next(place.0, &mut part, context);
            self.staging.put_back(place, part, from);
            if !goes_on {
                return false;
            }
        }
    }

    /// Adds what `part` holds of its next key; false: it found no room, and that is to be said.
    fn add_next(&mut self, slice: i64, part: &mut Part, context: &mut Context<'_>) -> bool {
        let Some(entry) = part.next() else { return true };
        part.done += 1;
        let key = entry.key;
        let (grid, met) = (self.plan.grid, self.met);
        let known = self.slices.get(&slice).map_or(NONE, |slice| slice.slot(key));
        let slot = match known {
            _ if grid.gone_at(grid.last_window(slice)) <= met => Err(Unplaced::Late),
            NONE => self.open_part(slice, key, context.keys).map_err(Unplaced::Limit),
            slot => Ok(slot),
        };
        let goes_on = match slot {
            Ok(slot) => {
                self.add_entry(slice, slot, entry, part);
                true
            }
            Err(why) => {
                let window_end = Some(grid.end_of(grid.last_window(slice)));
                let (stage, caps, stats) = (self.index, &self.plan.caps, &mut self.stats);
                Turning { stage, caps, stats, met, window_end }.drop(entry, why, context)
            }
        };
        context.keys.release(key);
        goes_on
    }

    /// Adds `entry` of `part` to `slot`, which is its key's in the slice at `slice`.
    fn add_entry(&mut self, slice: i64, slot: u32, entry: Entry, part: &Part) {
        let Entry { key, ordinal, .. } = entry;
        let (grid, met) = (self.plan.grid, self.met);
        if let Some(evictions) = &mut self.evictions {
            evictions.lru.touch(key);
        }
        self.touch_slice(slice);
        self.accumulators.merge(&[slot], &part.values.pick(&[entry.place]));
        if self.measures_values() {
            self.measure_slot(slot);
        }
        if self.plan.emission.revises && grid.fires_at(grid.first_window(slice)) <= met {
            let next = grid.first_window(slice).max(grid.first_kept(met));
            self.revising = Some(Revising { slice, key, watermark: met, ordinal, next });
        }
        self.mark_changed(slot, key, slice, met);
    }

    /// Opens the slice at `slice` for `key`, where others may have to make room.
    fn open_part(&mut self, slice: i64, key: u32, keys: &mut Keys) -> Result<u32, Limit> {
        loop {
            match self.open(slice, key, self.met, keys) {
                Err(limit)
                    if self.plan.caps.policy(limit) == LimitPolicy::Evict
                        && self.make_room(limit, slice, key, keys) => {}
                opened => return opened,
            }
        }
    }
}
