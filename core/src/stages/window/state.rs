//! Window state in snapshots: what is common first, then the window that is being emitted, then one part per open slice.

use super::fire::Firing;
use super::{Keys, NONE, SectionReader, SectionWriter, SnapshotError, WindowStage};

/// What a part holds.
const COMMON: u32 = 0;
const FIRING: u32 = 1;
const OPEN: u32 = 2;

impl WindowStage {
    /// Writes the part of the first slice that starts at `from` or later; what is common for `None`.
    pub(super) fn save_part(
        &self,
        from: Option<i64>,
        positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64> {
        let Some(from) = from else {
            self.save_common(writer);
            return self.first_start(i64::MIN);
        };
        if let Some(firing) = self.firing.as_ref().filter(|firing| firing.start >= from) {
            writer.u32(FIRING);
            let slots: Vec<u32> = firing.slots.iter().rev().copied().collect();
            self.save_slots(firing.start, &slots, positions, writer);
        } else if let Some(slice) = self.slices.get(&from) {
            writer.u32(OPEN);
            let mut slots = slice.slots().to_vec();
            slots.sort_unstable_by_key(|slot| self.position(*slot, positions));
            self.save_slots(from, &slots, positions, writer);
        }
        self.first_start(from.saturating_add(1))
    }

    /// The start of the first slice at `from` or later; a window that is being emitted is before all of them.
    fn first_start(&self, from: i64) -> Option<i64> {
        let firing = self.firing.as_ref().map(|firing| firing.start).filter(|start| *start >= from);
        firing.or_else(|| self.slices.range(from..).next().map(|(start, _)| *start))
    }

    pub(super) fn load_part(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        let kind = reader.u32()?;
        if kind == COMMON {
            return self.load_common(reader);
        }
        let start = reader.i64()?;
        let count = reader.length()?;
        let key_positions: Vec<u32> = reader.u32s(count)?.collect();
        let mut slots = Vec::with_capacity(count);
        self.open_by_key.resize(keys.id_bound(), 0);
        for position in key_positions {
            let key = ids.get(position as usize).copied();
            let key = key.ok_or(SnapshotError::Damaged("a window of a key that is not there"))?;
            slots.push((self.take_slot(key, keys), key));
        }
        let only_slots: Vec<u32> = slots.iter().map(|(slot, _)| *slot).collect();
        self.accumulators.load(&only_slots, reader)?;
        match kind {
            FIRING => {
                self.firing = Some(Firing { start, slots: only_slots.into_iter().rev().collect() });
                self.open_from = start.saturating_add(self.plan.grid.slide_us);
                self.next_fire = self.plan.grid.fires_at(start);
            }
            OPEN => {
                for (slot, key) in slots {
                    if self.slices.get(&start).is_some_and(|slice| slice.slot(key) != NONE) {
                        return Err(SnapshotError::Damaged("two windows of one key at one time"));
                    }
                    self.count_open(key);
                    self.slice(start).insert(key, slot, keys.id_bound());
                }
                if self.firing.is_none() {
                    self.next_fire = self.next_fire();
                }
            }
            _ => return Err(SnapshotError::Damaged("an unknown part of a window stage")),
        }
        Ok(())
    }

    fn save_common(&self, writer: &mut SectionWriter<'_>) {
        writer.u32(COMMON);
        writer.i64(self.met);
        writer.u64s(self.counters().into_iter());
        if self.accumulators.keeps_values() {
            writer.u64s([self.stats.value_limit, self.stats.folded_values].into_iter());
        }
        if self.plan.grid.has_gaps() {
            writer.u64(self.stats.unassigned);
        }
    }

    fn counters(&self) -> [u64; 5] {
        let stats = &self.stats;
        [stats.events, stats.rows, stats.late_dropped, stats.key_limit, stats.window_limit]
    }

    fn load_common(&mut self, reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        self.met = reader.i64()?;
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
        if self.plan.grid.has_gaps() {
            stats.unassigned = reader.u64()?;
        }
        self.open_from = self.plan.grid.first_open(self.met);
        Ok(())
    }

    fn save_slots(
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

    /// The place of a slot's key in the snapshot.
    fn position(&self, slot: u32, positions: &[u32]) -> u32 {
        let key = self.slot_keys.get(slot as usize).copied().unwrap_or(NONE);
        positions.get(key as usize).copied().unwrap_or(NONE)
    }
}
