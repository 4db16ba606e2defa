//! Snapshots of sessions: a common section, then the sessions in the order of their keys and times.

use super::fire::RowTrigger;
use super::table::{Bounds, SessionStatus};
use super::{Keys, NONE, SectionReader, SectionWriter, SessionStage, SnapshotError};
use crate::util::lru::LruList;

/// The kind of a section.
const COMMON: u32 = 0;
const SESSIONS: u32 = 1;

/// Number of keys whose sessions share a section.
const KEYS_PER_PART: u32 = 65_536;

const STATUSES: [SessionStatus; 4] =
    [SessionStatus::Open, SessionStatus::Fired, SessionStatus::Retracted, SessionStatus::Late];

impl SessionStage {
    /// Writes the sessions of the keys from position `from` on, or the common section for `None`.
    pub(super) fn save_section(
        &self,
        from: Option<i64>,
        positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64> {
        let position = |slot: u32| {
            let key = self.table.info(slot).key;
            positions.get(key as usize).copied().unwrap_or(NONE)
        };
        let all = self.table.slots().map(|slot| (position(slot), slot));
        let Some(from) = from else {
            self.save_common(positions, writer);
            return all.map(|(position, _)| i64::from(position)).min();
        };
        let from = u32::try_from(from).unwrap_or(NONE);
        let end = from.saturating_add(KEYS_PER_PART);
        let (mut part, mut next) = (Vec::new(), None);
        for (position, slot) in all.filter(|(position, _)| *position >= from) {
            if position < end {
                part.push((position, self.table.bounds(slot).start, slot));
            } else {
                next = Some(next.map_or(position, |next: u32| next.min(position)));
            }
        }
        part.sort_unstable();
        self.save_sessions(&part, writer);
        next.map(i64::from)
    }

    fn save_common(&self, positions: &[u32], writer: &mut SectionWriter<'_>) {
        writer.u32(COMMON);
        writer.i64(self.input_watermark);
        let stats = &self.stats;
        let counters =
            [stats.events, stats.rows, stats.late_dropped, stats.key_limit, stats.window_limit];
        writer.u64s(counters.into_iter().chain([stats.value_limit, stats.folded_values]));
        stats.save_limits(&self.plan.caps, writer);
        if let Some(lru) = &self.table.lru {
            lru.save(positions, writer);
        }
        let trigger =
            self.late.map_or(RowTrigger { watermark: 0, rank: 0 }, |(_, trigger)| trigger);
        writer.i64(trigger.watermark);
        writer.u64(trigger.rank);
        if !self.staging.is_empty() {
            self.staging.save(positions, writer);
        }
    }

    /// Writes sessions, each given as the position of its key, its start and its slot.
    fn save_sessions(&self, sessions: &[(u32, i64, u32)], writer: &mut SectionWriter<'_>) {
        let slots: Vec<u32> = sessions.iter().map(|(_, _, slot)| *slot).collect();
        let info = || slots.iter().map(|slot| self.table.info(*slot));
        writer.u32(SESSIONS);
        writer.length(sessions.len());
        writer.u32s(sessions.iter().map(|(position, _, _)| *position));
        writer.i64s(sessions.iter().map(|(_, start, _)| *start));
        writer.i64s(slots.iter().map(|slot| self.table.bounds(*slot).end));
        if self.plan.kept_us > 0 {
            writer.u32s(info().map(|info| info.status as u32));
            writer.u32s(info().map(|info| info.revision));
        }
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
            SESSIONS => self.load_sessions(reader, ids, keys),
            _ => Err(SnapshotError::Damaged("an unknown part of a session stage")),
        }
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
            &mut stats.value_limit,
            &mut stats.folded_values,
        ] {
            *counter = reader.u64()?;
        }
        stats.load_limits(&self.plan.caps, reader)?;
        if self.table.lru.is_some() {
            self.table.lru = Some(LruList::load(reader, ids)?);
        }
        let trigger = RowTrigger { watermark: reader.i64()?, rank: reader.u64()? };
        self.late = (trigger.rank > 0).then_some((NONE, trigger));
        if !reader.is_at_end() {
            let empty = self.empty_accumulators();
            self.staging.load(reader, ids, keys, &empty, true)?;
        }
        Ok(())
    }

    fn load_sessions(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        let count = reader.length()?;
        let positions: Vec<u32> = reader.u32s(count)?.collect();
        let starts: Vec<i64> = reader.i64s(count)?.collect();
        let ends: Vec<i64> = reader.i64s(count)?.collect();
        let mut status = vec![(0, 0); count];
        if self.plan.kept_us > 0 {
            let numbers: Vec<u32> = reader.u32s(count)?.collect();
            status = numbers.into_iter().zip(reader.u32s(count)?).collect();
        }
        let mut slots = Vec::with_capacity(count);
        let sessions = positions.iter().zip(starts.iter().zip(&ends)).zip(status);
        for ((position, (start, end)), (status, revision)) in sessions {
            let key = ids.get(*position as usize).copied();
            let key = key.ok_or(SnapshotError::Damaged("a session of a key that is not there"))?;
            let status = STATUSES.get(status as usize).copied();
            let status = status.ok_or(SnapshotError::Damaged("a session of an unknown status"))?;
            let bounds = Bounds { start: *start, end: *end };
            slots.push(self.load_session(key, bounds, (status, revision), keys)?);
        }
        self.accumulators.load(&slots, reader)?;
        slots.into_iter().for_each(|slot| self.measure_slot(slot));
        Ok(())
    }

    /// Adds a session of a snapshot to the table, and returns its slot.
    fn load_session(
        &mut self,
        key: u32,
        bounds: Bounds,
        (status, revision): (SessionStatus, u32),
        keys: &mut Keys,
    ) -> Result<u32, SnapshotError> {
        let neighbours = self.table.neighbours(key, bounds.start, bounds.end);
        if bounds.end < bounds.start || neighbours.left != NONE || neighbours.right != NONE {
            return Err(SnapshotError::Damaged("two sessions of one key at one time"));
        }
        keys.retain(key);
        let slot = self.table.insert(key, bounds, keys);
        self.accumulators.reset(slot);
        self.table.set_status(slot, status, revision);
        match status {
            SessionStatus::Open | SessionStatus::Fired => {
                self.table.timers.set(slot, self.due_at(slot))
            }
            SessionStatus::Retracted => {}
            SessionStatus::Late => {
                let late = self.late.as_mut().filter(|(slot, _)| *slot == NONE);
                let late = late.ok_or(SnapshotError::Damaged("a late session without a cause"))?;
                late.0 = slot;
            }
        }
        if status != SessionStatus::Open {
            self.table.clear_latest(slot);
        }
        Ok(slot)
    }
}
