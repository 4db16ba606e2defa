//! Snapshots of sessions: a common section, then the sessions in the order of their keys and times.

use super::fire::RowTrigger;
use super::table::{Bounds, SessionInfo, SessionStatus};
use super::{Keys, NONE, SessionStage, SnapshotError};
use crate::snapshot::{Codec, StateReader, StateWriter};
use crate::stages::window::partial::empty_accumulators;
use crate::stages::window::windows::Windows;
use crate::time::{MAX_TIME, MIN_TIME};

/// The kind of a section.
const COMMON: u32 = 0;
const SESSIONS: u32 = 1;

/// Number of keys whose sessions share a section.
const KEYS_PER_PART: u32 = 65_536;

const STATUSES: [SessionStatus; 4] =
    [SessionStatus::Open, SessionStatus::Fired, SessionStatus::Retracted, SessionStatus::Late];

/// The fields of a session, apart from its values.
#[derive(Default)]
struct SessionRow {
    key: u32,
    start: i64,
    end: i64,
    /// An index in [`STATUSES`].
    status: u32,
    revision: u32,
}

impl SessionStage {
    /// Writes the sessions of the keys from position `from` on, or the common section for `None`.
    #[inline]
    pub(super) fn save_section(
        &mut self,
        from: Option<i64>,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<i64>, SnapshotError> {
        let all = self.table.slots().map(|slot| (self.table.info(slot).key, slot));
        let Some(from) = from else {
            let first = writer.first_position(all.map(|(key, _)| key));
            writer.section.u32(COMMON);
            self.common(writer)?;
            return Ok(first);
        };
        let (mut page, next) = writer.page(all, from, KEYS_PER_PART);
        let order = |(position, slot): &(u32, u32)| (*position, self.table.bounds(*slot).start);
        crate::util::sort::by(&mut page, |a, b| order(a).cmp(&order(b)));
        writer.section.u32(SESSIONS);
        self.sessions(page.into_iter().map(|(_, slot)| slot).collect(), writer)?;
        Ok(next)
    }

    /// Reads a section of a snapshot.
    #[inline]
    pub(super) fn load_section(
        &mut self,
        reader: &mut StateReader<'_>,
    ) -> Result<(), SnapshotError> {
        match reader.kind()? {
            COMMON => self.common(reader),
            SESSIONS => self.sessions(Vec::new(), reader),
            _ => Err(SnapshotError::Damaged("a section of a session stage has an unknown kind")),
        }
    }

    #[inline]
    fn common(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        codec.number(&mut self.input_watermark)?;
        let stats = &mut self.stats;
        codec.counters([
            &mut stats.events,
            &mut stats.rows,
            &mut stats.late_dropped,
            &mut stats.key_limit,
            &mut stats.window_limit,
            &mut stats.value_limit,
            &mut stats.folded_values,
        ])?;
        stats.limit_fields(&self.plan.caps, codec)?;
        self.table.keyed.fields(codec)?;
        let none = RowTrigger { watermark: 0, rank: 0 };
        let mut trigger = self.late.map_or(none, |(_, trigger)| trigger);
        codec.number(&mut trigger.watermark)?;
        codec.number(&mut trigger.rank)?;
        if codec.reads() {
            if trigger.rank == 0 && trigger.watermark != 0 {
                return Err(SnapshotError::Damaged("a late row has a watermark, but no event"));
            }
            self.late = (trigger.rank > 0).then_some((NONE, trigger));
        }
        codec.optional(
            self,
            |stage| !stage.staging.is_empty(),
            |stage, codec| {
                let empty = empty_accumulators(&stage.accumulators);
                stage.staging.fields(&empty, true, codec)
            },
        )
    }

    /// Writes the sessions in `slots`, or reads sessions into new slots.
    #[inline]
    fn sessions(
        &mut self,
        mut slots: Vec<u32>,
        codec: &mut dyn Codec,
    ) -> Result<(), SnapshotError> {
        let mut rows: Vec<SessionRow> = slots.iter().map(|slot| self.row(*slot)).collect();
        let mut columns = codec.rows(&mut rows)?;
        columns.grouped_key(|row| &mut row.key)?;
        columns.number(|row| &mut row.start)?;
        columns.number(|row| &mut row.end)?;
        if self.plan.kept_us > 0 {
            columns.number(|row| &mut row.status)?;
            columns.number(|row| &mut row.revision)?;
        }
        if let Some(keys) = codec.keys() {
            if !rows.is_sorted_by(|a, b| a.key != b.key || a.start < b.start) {
                return Err(SnapshotError::Damaged("the sessions of a key are out of order"));
            }
            let restored = rows.iter().map(|row| self.restore(row, keys));
            slots = restored.collect::<Result<_, _>>()?;
        }
        self.accumulators.fields(&slots, codec)?;
        if codec.reads() {
            slots.into_iter().for_each(|slot| self.measure_slot(slot));
        }
        Ok(())
    }

    #[inline]
    fn row(&self, slot: u32) -> SessionRow {
        let SessionInfo { key, status, revision } = self.table.info(slot);
        let Bounds { start, end } = self.table.bounds(slot);
        SessionRow { key, start, end, status: status as u32, revision }
    }

    /// Adds a session that was read to the table, and returns its slot.
    #[inline]
    fn restore(&mut self, row: &SessionRow, keys: &mut Keys) -> Result<u32, SnapshotError> {
        let SessionRow { key, start, end, status, revision } = *row;
        let status = STATUSES.get(status as usize).copied();
        let status = status.ok_or(SnapshotError::Damaged("a session has an unknown status"))?;
        let bounds = Bounds { start, end };
        let times = MIN_TIME..=MAX_TIME;
        let last = end.saturating_sub(self.plan.gap_us);
        if !times.contains(&start) || !times.contains(&last) || last < start {
            return Err(SnapshotError::Damaged("a session has bounds that no events can give"));
        }
        if !self.table.neighbours(key, bounds).slots().is_empty() {
            return Err(SnapshotError::Damaged("a session touches another one of its key"));
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
                let late = late.ok_or(SnapshotError::Damaged(
                    "a session waits for a late row, but has no late event",
                ))?;
                late.0 = slot;
            }
        }
        if status != SessionStatus::Open {
            self.table.clear_latest(slot);
        }
        Ok(slot)
    }
}
