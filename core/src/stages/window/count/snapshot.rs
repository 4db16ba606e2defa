//! Snapshots of count windows: a common section, then the open windows in the order of their keys.

use crate::util::lru::LruList;

use super::{CountStage, CountWindow, Keys, NONE, SectionReader, SectionWriter, SnapshotError};

/// The kind of a section.
const COMMON: u32 = 0;
const WINDOWS: u32 = 1;

/// Marks a snapshot taken while the rows of the end of input were being emitted.
const ENDING: u32 = 1;

/// Number of keys whose windows share a section.
const KEYS_PER_PART: u32 = 65_536;

impl CountStage {
    /// Writes the windows of the keys from position `from` on, or the common section for `None`.
    pub(super) fn save_section(
        &self,
        from: Option<i64>,
        positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64> {
        let position = |slot: u32| {
            let key = self.window(slot).key;
            positions.get(key as usize).copied().unwrap_or(NONE)
        };
        let all = self.open_slots().map(|slot| (position(slot), slot));
        let Some(from) = from else {
            self.save_common(positions, writer);
            return all.map(|(position, _)| i64::from(position)).min();
        };
        let from = u32::try_from(from).unwrap_or(NONE);
        let end = from.saturating_add(KEYS_PER_PART);
        let (mut part, later): (Vec<_>, Vec<_>) = all
            .filter(|(position, _)| *position >= from)
            .partition(|(position, _)| *position < end);
        crate::util::sort::pairs(&mut part);
        self.save_windows(&part, writer);
        later.iter().map(|(position, _)| i64::from(*position)).min()
    }

    fn save_common(&self, positions: &[u32], writer: &mut SectionWriter<'_>) {
        writer.u32(COMMON);
        writer.i64(self.output_watermark);
        let stats = &self.stats;
        let counters = [stats.events, stats.rows, stats.key_limit];
        writer.u64s(counters.into_iter().chain([stats.value_limit, stats.folded_values]));
        stats.save_limits(&self.plan.caps, writer);
        if let Some(lru) = &self.lru {
            lru.save(positions, writer);
        }
        if self.is_ending || !self.staging.is_empty() {
            self.staging.save(positions, writer);
        }
        if self.is_ending {
            writer.u32(ENDING);
        }
    }

    /// Writes windows, each given as the position of its key and its slot.
    fn save_windows(&self, windows: &[(u32, u32)], writer: &mut SectionWriter<'_>) {
        let slots: Vec<u32> = windows.iter().map(|(_, slot)| *slot).collect();
        let all = || slots.iter().map(|slot| self.window(*slot));
        writer.u32(WINDOWS);
        writer.length(windows.len());
        writer.u32s(windows.iter().map(|(position, _)| *position));
        writer.u64s(all().map(|window| window.count));
        writer.i64s(all().map(|window| window.first));
        writer.i64s(all().map(|window| window.last));
        self.accumulators.save(&slots, writer);
    }

    /// Reads a section of a snapshot.
    pub(super) fn load_section(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        match reader.u32()? {
            COMMON => self.load_common(reader, ids, keys),
            WINDOWS => self.load_windows(reader, ids, keys),
            _ => Err(SnapshotError::Damaged("an unknown part of a window stage")),
        }
    }

    fn load_common(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        self.output_watermark = reader.i64()?;
        let stats = &mut self.stats;
        for counter in [
            &mut stats.events,
            &mut stats.rows,
            &mut stats.key_limit,
            &mut stats.value_limit,
            &mut stats.folded_values,
        ] {
            *counter = reader.u64()?;
        }
        stats.load_limits(&self.plan.caps, reader)?;
        if self.lru.is_some() {
            self.lru = Some(LruList::load(reader, ids)?);
        }
        if !reader.is_at_end() {
            let empty = self.empty_accumulators();
            self.staging.load(reader, ids, keys, &empty, true)?;
        }
        if !reader.is_at_end() {
            self.is_ending = reader.u32()? == ENDING;
        }
        Ok(())
    }

    fn load_windows(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        let count = reader.length()?;
        let positions: Vec<u32> = reader.u32s(count)?.collect();
        let counts: Vec<u64> = reader.u64s(count)?.collect();
        let firsts: Vec<i64> = reader.i64s(count)?.collect();
        let lasts = reader.i64s(count)?;
        let mut slots = Vec::with_capacity(count);
        let windows = positions.iter().zip(counts).zip(firsts.into_iter().zip(lasts));
        for ((position, count), (first, last)) in windows {
            let key = ids.get(*position as usize).copied();
            let key = key.ok_or(SnapshotError::Damaged("a window of a key that is not there"))?;
            if self.slots.get(key as usize).is_some_and(|slot| *slot != NONE) {
                return Err(SnapshotError::Damaged("two windows of one key at one time"));
            }
            keys.retain(key);
            slots.push(self.insert(CountWindow { key, count, first, last }, keys));
        }
        self.accumulators.load(&slots, reader)?;
        slots.into_iter().for_each(|slot| self.measure_slot(slot));
        Ok(())
    }
}
