//! Snapshots of window stages: a common section, then the window in emission, then one section for
//! each slice start and each window with emitted rows.

use super::emitted_rows::KeyRows;
use super::fire::{Firing, Trigger};
use super::revise::LateEvent;
use super::{Keys, NONE, SectionReader, SectionWriter, Slice, SnapshotError, WindowStage};
use crate::time::{MAX_TIME, MIN_TIME};
use crate::util::lru::LruList;

/// The kind of a section.
const COMMON: u32 = 0;
const FIRING: u32 = 1;
const OPEN: u32 = 2;
/// A slice, followed by the emitted rows of the window that starts with it.
const OPEN_WITH_ROWS: u32 = 3;

/// The position of the window in emission: before all slices.
const BEFORE: i64 = i64::MIN;

/// The trigger of a window in emission, if it may have several.
const ON_TIME: u32 = 0;
const EARLY: u32 = 1;

impl WindowStage {
    /// Writes the section of the first slice that starts at `from` or later, or the common section
    /// for `None`.
    pub(super) fn save_section(
        &self,
        from: Option<i64>,
        positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64> {
        let Some(from) = from else {
            self.save_common(positions, writer);
            return if self.firing.is_some() { Some(BEFORE) } else { self.first_start(BEFORE) };
        };
        if let (BEFORE, Some(firing)) = (from, &self.firing) {
            writer.u32(FIRING);
            let slots: Vec<u32> = firing.slots.iter().rev().copied().collect();
            self.save_slots(firing.start, &slots, positions, writer);
            self.save_trigger(firing, writer);
            return self.first_start(BEFORE);
        }
        let mut slots = self.slices.get(&from).map_or(&[][..], Slice::slots).to_vec();
        crate::util::sort::descending_by(&mut slots, |slot| self.position(slot, positions));
        slots.reverse();
        writer.u32(if self.plan.emission.revises { OPEN_WITH_ROWS } else { OPEN });
        self.save_slots(from, &slots, positions, writer);
        if self.plan.emission.revises {
            self.save_emitted(from, positions, writer);
        }
        self.first_start(from.saturating_add(1))
    }

    /// Returns the first start at `from` or later of a slice or of a window with emitted rows.
    fn first_start(&self, from: i64) -> Option<i64> {
        let slice = self.slices.range(from..).next().map(|(start, _)| *start);
        let emitted = self.emitted.first_window_from(from);
        slice.into_iter().chain(emitted).min()
    }

    /// Reads a section of a snapshot.
    pub(super) fn load_section(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        let kind = reader.u32()?;
        if kind == COMMON {
            return self.load_common(reader, ids, keys);
        }
        let start = reader.i64()?;
        let count = reader.length()?;
        if !self.can_start(start, kind != FIRING && count > 0) {
            return Err(SnapshotError::Damaged("a window that starts where none does"));
        }
        let key_positions: Vec<u32> = reader.u32s(count)?.collect();
        let mut slots = Vec::with_capacity(count);
        self.open_by_key.resize(keys.id_bound(), 0);
        for position in key_positions {
            slots.push((self.take_slot(key_at(position, ids)?, keys), position));
        }
        let only_slots: Vec<u32> = slots.iter().map(|(slot, _)| *slot).collect();
        self.accumulators.load(&only_slots, reader)?;
        if kind == FIRING {
            let slots = only_slots.into_iter().rev().collect();
            let firing = Firing { start, slots, trigger: self.load_trigger(reader)? };
            let watermark = firing.watermark(&self.plan.grid);
            self.set_open_from(self.plan.grid.first_open(watermark));
            self.next_due = watermark;
            self.firing = Some(firing);
            return Ok(());
        }
        if kind != if self.plan.emission.revises { OPEN_WITH_ROWS } else { OPEN } {
            return Err(SnapshotError::Damaged("an unknown part of a window stage"));
        }
        for (slot, position) in slots {
            let key = key_at(position, ids)?;
            if self.slices.get(&start).is_some_and(|slice| slice.slot(key) != NONE) {
                return Err(SnapshotError::Damaged("two windows of one key at one time"));
            }
            self.count_open(key, keys);
            self.insert(start, key, slot, keys);
            self.measure_slot(slot);
        }
        if self.plan.emission.revises {
            self.load_emitted(start, reader, ids)?;
        }
        if self.firing.is_none() {
            self.next_due = self.next_due_after(self.input_watermark);
        }
        Ok(())
    }

    /// Returns true if event times can reach a window, or a slice, that starts at `start`.
    pub(super) fn can_start(&self, start: i64, is_slice: bool) -> bool {
        let grid = &self.plan.grid;
        let first = grid.slice_of(MIN_TIME);
        let first = first.min(grid.first_window(first));
        (first..=MAX_TIME).contains(&start) && (!is_slice || grid.slice_of(start) == start)
    }

    fn save_common(&self, positions: &[u32], writer: &mut SectionWriter<'_>) {
        writer.u32(COMMON);
        writer.i64(self.input_watermark);
        writer.u64s(self.counters().into_iter());
        if self.accumulators.keeps_values() {
            writer.u64s([self.stats.value_limit, self.stats.folded_values].into_iter());
        }
        self.stats.save_limits(&self.plan.caps, writer);
        if let Some(evictions) = &self.evictions {
            evictions.lru.save(positions, writer);
        }
        if self.plan.grid.has_gaps() {
            writer.u64(self.stats.unassigned);
        }
        if self.plan.emission.revises {
            writer.u32(u32::from(self.late_event.is_some()));
            if let Some(late) = &self.late_event {
                writer.u32(positions.get(late.key as usize).copied().unwrap_or(NONE));
                writer.u64(late.ordinal);
                for time in [late.slice, late.watermark, late.next] {
                    writer.i64(time);
                }
            }
        }
        if !self.staging.is_empty() {
            self.staging.save(positions, writer);
        }
    }

    fn load_late_event(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
    ) -> Result<(), SnapshotError> {
        if reader.u32()? == 0 {
            return Ok(());
        }
        let key = key_at(reader.u32()?, ids)?;
        let ordinal = reader.u64()?;
        let (slice, watermark, next) = (reader.i64()?, reader.i64()?, reader.i64()?);
        if next < self.plan.grid.first_window(slice) {
            return Err(SnapshotError::Damaged("a window of an event that is not in it"));
        }
        self.late_event = Some(LateEvent { slice, key, watermark, ordinal, next });
        Ok(())
    }

    fn save_trigger(&self, firing: &Firing, writer: &mut SectionWriter<'_>) {
        if self.plan.emission.revises {
            writer.u32(if let Trigger::Early(_) = firing.trigger { EARLY } else { ON_TIME });
            writer.i64(firing.watermark(&self.plan.grid));
        }
    }

    fn load_trigger(&self, reader: &mut SectionReader<'_>) -> Result<Trigger, SnapshotError> {
        if !self.plan.emission.revises {
            return Ok(Trigger::OnTime);
        }
        let (trigger, watermark) = (reader.u32()?, reader.i64()?);
        match trigger {
            ON_TIME => Ok(Trigger::OnTime),
            EARLY => Ok(Trigger::Early(watermark)),
            _ => Err(SnapshotError::Damaged("a window fires for no reason")),
        }
    }

    fn save_emitted(&self, start: i64, positions: &[u32], writer: &mut SectionWriter<'_>) {
        let position =
            |key_rows: &KeyRows| positions.get(key_rows.key as usize).copied().unwrap_or(NONE);
        let mut emitted: Vec<KeyRows> = self.emitted.rows_of_window(start).collect();
        emitted.sort_unstable_by_key(position);
        writer.length(emitted.len());
        writer.u32s(emitted.iter().map(position));
        writer.u32s(emitted.iter().map(|key_rows| key_rows.rows));
        writer.u32s(emitted.iter().map(|key_rows| u32::from(key_rows.changed)));
    }

    fn load_emitted(
        &mut self,
        start: i64,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
    ) -> Result<(), SnapshotError> {
        let early = self.plan.emission.early;
        let due = early.and_then(|early| early.due(&self.plan.grid, start, self.input_watermark));
        let count = reader.length()?;
        let keys: Vec<u32> = reader.u32s(count)?.collect();
        let rows: Vec<u32> = reader.u32s(count)?.collect();
        let changed: Vec<u32> = reader.u32s(count)?.collect();
        for ((position, rows), changed) in keys.into_iter().zip(rows).zip(changed) {
            let key_rows = KeyRows { key: key_at(position, ids)?, rows, changed: changed != 0 };
            if !self.emitted.insert(start, due, key_rows) {
                return Err(SnapshotError::Damaged("a key has a window twice"));
            }
        }
        Ok(())
    }

    fn counters(&self) -> [u64; 5] {
        let stats = &self.stats;
        [stats.events, stats.rows, stats.late_dropped, stats.key_limit, stats.window_limit]
    }

    fn load_common(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        self.input_watermark = reader.i64()?;
        let stats = &mut self.stats;
        for counter in [
            &mut stats.events,
            &mut stats.rows,
            &mut stats.late_dropped,
            &mut stats.key_limit,
            &mut stats.window_limit,
        ] {
            *counter = reader.u64()?;
        }
        if self.accumulators.keeps_values() {
            stats.value_limit = reader.u64()?;
            stats.folded_values = reader.u64()?;
        }
        stats.load_limits(&self.plan.caps, reader)?;
        if let Some(evictions) = &mut self.evictions {
            evictions.lru = LruList::load(reader, ids)?;
        }
        if self.plan.grid.has_gaps() {
            stats.unassigned = reader.u64()?;
        }
        if self.plan.emission.revises {
            self.load_late_event(reader, ids)?;
        }
        if !reader.is_at_end() {
            let empty = self.empty_accumulators();
            self.staging.load(reader, ids, keys, &empty, false)?;
        }
        self.set_open_from(self.plan.grid.first_open(self.input_watermark));
        Ok(())
    }

    /// Writes the keys and values of `slots`, which belong to the slice or window at `start`.
    pub(super) fn save_slots(
        &self,
        start: i64,
        slots: &[u32],
        positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) {
        writer.i64(start);
        writer.length(slots.len());
        writer.u32s(slots.iter().map(|slot| self.position(*slot, positions)));
        self.accumulators.save(slots, writer);
    }

    /// Returns the position of a slot's key in the snapshot.
    pub(super) fn position(&self, slot: u32, positions: &[u32]) -> u32 {
        let key = self.slot_keys.get(slot as usize).copied().unwrap_or(NONE);
        positions.get(key as usize).copied().unwrap_or(NONE)
    }
}

/// Returns the key at `position` of a snapshot.
fn key_at(position: u32, ids: &[u32]) -> Result<u32, SnapshotError> {
    let key = ids.get(position as usize).copied();
    key.ok_or(SnapshotError::Damaged("a window of a key that is not there"))
}
