//! Snapshots of window stages: a common section, then the window in emission, then one section for
//! each slice start and each window with emitted rows.

use core::iter::repeat;

use super::changes::EarlyWindows;
use super::emitted_rows::KeyRows;
use super::fire::{Firing, Trigger};
use super::slice::Slice;
use super::{Keys, NONE, SnapshotError, WindowStage};
use crate::snapshot::{Codec, StateReader, StateWriter};
use crate::stages::window::partial::empty_accumulators;
use crate::stages::window::windows::Windows;
use crate::time::{MAX_TIME, MIN_TIME};

/// The kind of a section.
const COMMON: u32 = 0;
const FIRING: u32 = 1;
const OPEN: u32 = 2;
/// A slice, followed by the emitted rows of the window that starts with it. In earlier versions,
/// slices of windows with early rows were written so too.
const OPEN_WITH_ROWS: u32 = 3;
/// A slice with its changes, followed by the emitted rows of the window that starts with it.
const OPEN_WITH_CHANGES: u32 = 4;

/// The position of the window in emission: before all slices.
const BEFORE: i64 = i64::MIN;

/// The trigger of a window in emission, if it may have several.
const ON_TIME: u32 = 0;
const EARLY: u32 = 1;

impl WindowStage {
    /// Writes the section of the first slice that starts at `from` or later, or the common section
    /// for `None`.
    #[inline]
    pub(super) fn save_section(
        &mut self,
        from: Option<i64>,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<i64>, SnapshotError> {
        let Some(from) = from else {
            writer.section.u32(COMMON);
            self.common(writer)?;
            let first = self.first_start(BEFORE);
            return Ok(if self.emitter.is_interrupted() { Some(BEFORE) } else { first });
        };
        if from == BEFORE
            && let Some(mut firing) = self.emitter.resume()
        {
            writer.section.u32(FIRING);
            self.firing_fields(&mut firing, writer)?;
            self.emitter.interrupt(firing);
            return Ok(self.first_start(BEFORE));
        }
        let mut slots = self.table.slice(from).map_or(&[][..], Slice::slots).to_vec();
        crate::util::sort::descending_by(&mut slots, |slot| {
            writer.position(self.table.key_in(slot))
        });
        slots.reverse();
        let kind = self.kind_of_slices();
        writer.section.u32(kind);
        let mut emitted: Vec<KeyRows> = self.emitter.emitted.rows_of_window(from).collect();
        crate::util::sort::by(&mut emitted, |a, b| {
            writer.position(a.key).cmp(&writer.position(b.key))
        });
        self.slice(kind, from, slots, emitted, writer)?;
        Ok(self.first_start(from.saturating_add(1)))
    }

    /// Returns the first start at `from` or later of a slice or of a window with emitted rows.
    #[inline]
    fn first_start(&self, from: i64) -> Option<i64> {
        let slice = self.table.first_from(from);
        let emitted = self.emitter.emitted.first_window_from(from);
        slice.into_iter().chain(emitted).min()
    }

    /// Reads a section of a snapshot.
    #[inline]
    pub(super) fn load_section(
        &mut self,
        reader: &mut StateReader<'_>,
    ) -> Result<(), SnapshotError> {
        match reader.kind()? {
            COMMON => {
                self.common(reader)?;
                self.fired_by(self.progress.input_watermark());
            }
            FIRING if self.emitter.is_interrupted() || self.first_start(BEFORE).is_some() => {
                return Err(SnapshotError::Damaged("the window in emission is out of order"));
            }
            FIRING => {
                let trigger = Trigger::OnTime;
                let mut firing = Firing { start: 0, slots: Vec::new(), trigger };
                self.firing_fields(&mut firing, reader)?;
                let watermark = firing.watermark(&self.plan.grid);
                self.fired_by(watermark);
                self.progress.due_at(watermark);
                self.emitter.interrupt(firing);
            }
            kind if self.has_sections_of(kind) => {
                self.slice(kind, 0, Vec::new(), Vec::new(), reader)?;
                if !self.emitter.is_interrupted() {
                    let watermark = self.progress.input_watermark();
                    self.progress.reschedule(watermark, &self.table, &self.plan);
                }
            }
            _ => {
                return Err(SnapshotError::Damaged(
                    "a section of a window stage has an unknown kind",
                ));
            }
        }
        Ok(())
    }

    /// Sets the windows that have fired to those that are due at `watermark`.
    #[inline]
    fn fired_by(&mut self, watermark: i64) {
        self.progress.fired_before(self.plan.grid.first_open(watermark), &self.plan);
    }

    /// Returns the kind of the sections of slices.
    #[inline]
    fn kind_of_slices(&self) -> u32 {
        match (self.plan.emission.early, self.plan.emission.revises) {
            (Some(_), _) => OPEN_WITH_CHANGES,
            (None, true) => OPEN_WITH_ROWS,
            (None, false) => OPEN,
        }
    }

    /// Returns true if slices may be read from sections of this kind.
    fn has_sections_of(&self, kind: u32) -> bool {
        kind == self.kind_of_slices()
            || (kind == OPEN_WITH_ROWS && self.plan.emission.early.is_some())
    }

    /// Returns true if event times can reach a window, or a slice, that starts at `start`.
    #[inline]
    pub(super) fn can_start(&self, start: i64, is_slice: bool) -> bool {
        let grid = &self.plan.grid;
        let first = grid.slice_of(MIN_TIME);
        let first = first.min(grid.first_window(first));
        (first..=MAX_TIME).contains(&start) && (!is_slice || grid.slice_of(start) == start)
    }

    #[inline]
    fn common(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        codec.number(self.progress.input_watermark_mut())?;
        let stats = &mut self.stats;
        codec.counters([
            &mut stats.events,
            &mut stats.rows,
            &mut stats.late_dropped,
            &mut stats.key_limit,
            &mut stats.window_limit,
        ])?;
        if self.accumulators.keeps_values() {
            codec.counters([&mut stats.value_limit, &mut stats.folded_values])?;
        }
        stats.limit_fields(&self.plan.caps, codec)?;
        self.table.fields(codec)?;
        if self.plan.grid.has_gaps() {
            codec.counters([&mut stats.unassigned])?;
        }
        if self.plan.emission.revises {
            self.late_event_fields(codec)?;
        }
        let is_limited = |stage: &Self| stage.stats.revision_limit > 0;
        codec.optional(
            self,
            |stage| is_limited(stage) || !stage.staging.is_empty(),
            |stage, codec| {
                let empty = empty_accumulators(&stage.accumulators);
                stage.staging.fields(&empty, false, codec)?;
                codec.optional(stage, is_limited, |stage, codec| {
                    codec.counters([&mut stage.stats.revision_limit])
                })
            },
        )
    }

    #[inline]
    fn late_event_fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        let mut is_present = self.emitter.late_event().is_some();
        codec.number(&mut is_present)?;
        if !is_present {
            return Ok(());
        }
        let mut late = self.emitter.late_event().unwrap_or_default();
        codec.key(&mut late.key)?;
        codec.number(&mut late.ordinal)?;
        codec.numbers([&mut late.slice, &mut late.watermark, &mut late.next])?;
        if codec.reads() && late.next < self.plan.grid.first_window(late.slice) {
            return Err(SnapshotError::Damaged(
                "a late event is in none of the windows that remain for it",
            ));
        }
        self.emitter.late_event_arrived(late);
        Ok(())
    }

    #[inline]
    fn firing_fields(
        &mut self,
        firing: &mut Firing,
        codec: &mut dyn Codec,
    ) -> Result<(), SnapshotError> {
        firing.slots.reverse();
        self.slots(&mut firing.start, &mut firing.slots, false, codec)?;
        firing.slots.reverse();
        if !self.plan.emission.revises {
            return Ok(());
        }
        let mut trigger = if let Trigger::Early(_) = firing.trigger { EARLY } else { ON_TIME };
        let mut watermark = firing.watermark(&self.plan.grid);
        codec.number(&mut trigger)?;
        codec.number(&mut watermark)?;
        if codec.reads() {
            firing.trigger = match trigger {
                ON_TIME => Trigger::OnTime,
                EARLY => Trigger::Early(watermark),
                _ => {
                    return Err(SnapshotError::Damaged(
                        "the trigger of a window in emission is unknown",
                    ));
                }
            };
        }
        Ok(())
    }

    /// Writes the slice at `start`, whose keys are in `slots`, and the rows `emitted` of the window
    /// that starts with it, or reads both.
    #[inline]
    fn slice(
        &mut self,
        kind: u32,
        mut start: i64,
        mut slots: Vec<u32>,
        emitted: Vec<KeyRows>,
        codec: &mut dyn Codec,
    ) -> Result<(), SnapshotError> {
        self.slots(&mut start, &mut slots, true, codec)?;
        if let Some(keys) = codec.keys() {
            if self.first_start(start).is_some() {
                return Err(SnapshotError::Damaged("slices or windows are out of order"));
            }
            slots.iter().try_for_each(|slot| self.restore(start, *slot, keys))?;
        }
        if kind == OPEN_WITH_CHANGES {
            self.change_fields(start, &slots, codec)?;
        }
        if kind != OPEN {
            self.emitted_fields(kind, start, emitted, codec)?;
        }
        if codec.reads() && kind == OPEN_WITH_ROWS {
            self.restore_changes(start, &slots);
        }
        if codec.reads() && self.first_start(start).is_none() {
            return Err(SnapshotError::Damaged("a section of a window stage is empty"));
        }
        Ok(())
    }

    /// Writes the keys and values of `slots`, which belong to the slice or window at `start`, or
    /// reads them into new slots.
    #[inline]
    fn slots(
        &mut self,
        start: &mut i64,
        slots: &mut Vec<u32>,
        is_slice: bool,
        codec: &mut dyn Codec,
    ) -> Result<(), SnapshotError> {
        codec.number(start)?;
        let mut keys_in_slots: Vec<u32> = self.table.keys_in(slots).collect();
        codec.rows(&mut keys_in_slots)?.ascending_key(|key| key)?;
        if let Some(keys) = codec.keys() {
            if !self.can_start(*start, is_slice && !keys_in_slots.is_empty()) {
                return Err(SnapshotError::Damaged(
                    "the start of a slice or window is not on the grid",
                ));
            }
            *slots = keys_in_slots.into_iter().map(|key| self.table.take_slot(key, keys)).collect();
        }
        self.accumulators.fields(slots, codec)
    }

    /// Adds a slot that was read to the slice at `start`.
    #[inline]
    fn restore(&mut self, start: i64, slot: u32, keys: &mut Keys) -> Result<(), SnapshotError> {
        let key = self.table.key_in(slot);
        if self.table.slot(start, key) != NONE {
            return Err(SnapshotError::Damaged("a key has the same window twice"));
        }
        self.table.insert(start, key, slot, keys);
        self.measure_slot(slot);
        Ok(())
    }

    /// Writes or reads when `slots`, of the slice at `start`, have changed.
    fn change_fields(
        &mut self,
        start: i64,
        slots: &[u32],
        codec: &mut dyn Codec,
    ) -> Result<(), SnapshotError> {
        let watermark = self.progress.input_watermark();
        let Self { plan, emitter, .. } = self;
        let Some(early) = plan.emission.early else { return Ok(()) };
        let windows = EarlyWindows { grid: &plan.grid, early, watermark };
        let mut taken = emitter.changes.taken_after(watermark);
        codec.numbers([&mut taken.0, &mut taken.1])?;
        if codec.reads() {
            emitter.changes.set_taken(taken);
        }
        let mut changed_at = match codec.reads() {
            true => Vec::new(),
            false => emitter.changes.of_slots(slots, start, windows),
        };
        codec.list(&mut changed_at)?;
        if codec.reads() {
            emitter.changes.restore(slots, &changed_at, start, windows);
            if emitter.changes.of_slots(slots, start, windows) != changed_at {
                return Err(SnapshotError::Damaged("the changes of a slice are inconsistent"));
            }
        }
        Ok(())
    }

    /// Restores when `slots`, of the slice at `start`, have changed, from the changed keys of
    /// windows.
    fn restore_changes(&mut self, start: i64, slots: &[u32]) {
        let watermark = self.progress.input_watermark();
        let Self { plan, emitter, table, .. } = self;
        let Some(early) = plan.emission.early else { return };
        let windows = EarlyWindows { grid: &plan.grid, early, watermark };
        let keys: Vec<u32> = table.keys_in(slots).collect();
        emitter.changes.restore_from_keys(slots, &keys, start, windows);
    }

    /// Writes or reads the emitted rows of the window at `start`. Sections of slices without changes
    /// also say which keys have changed in the window.
    #[inline]
    fn emitted_fields(
        &mut self,
        kind: u32,
        start: i64,
        mut emitted: Vec<KeyRows>,
        codec: &mut dyn Codec,
    ) -> Result<(), SnapshotError> {
        let mut changed = vec![false; emitted.len()];
        let mut columns = codec.rows(&mut emitted)?;
        columns.ascending_key(|key_rows| &mut key_rows.key)?;
        columns.number(|key_rows| &mut key_rows.rows)?;
        if kind == OPEN_WITH_ROWS {
            changed.resize(emitted.len(), false);
            codec.numbers(&mut changed)?;
        }
        if !codec.reads() {
            return Ok(());
        }
        for (key_rows, changed) in emitted.into_iter().zip(changed.into_iter().chain(repeat(false)))
        {
            if changed {
                self.emitter.changes.restore_changed_key(start, key_rows.key);
            }
            // Only early rows are emitted later than their change.
            let may_change = self.plan.emission.early.is_some();
            let is_valid = match key_rows.rows {
                0 => changed && may_change,
                _ => self.emitter.emitted.insert(start, key_rows) && (may_change || !changed),
            };
            if !is_valid {
                return Err(SnapshotError::Damaged(
                    "the emitted rows of a key and window are none, or listed twice",
                ));
            }
        }
        self.count_emitted();
        Ok(())
    }
}
