//! Snapshot sections of `normalize`: first the common part, then series in parts ordered by key,
//! then pending rows.

use super::advance::SeriesWork;
use super::buffer::BufferedSample;
use super::fill::Point;
use super::grid::Grid;
use super::layout::RowRun;
use super::series::{FieldSeries, Series};
use super::{Keys, NONE, NormalizeStage, SectionReader, SectionWriter, SnapshotError};
use crate::plan::FieldPlan;
use crate::util::lru::LruList;

/// Key positions in one part.
const KEYS_PER_PART: u32 = 4096;

/// Kinds of part.
const COMMON: u32 = 0;
const SERIES: u32 = 1;
const PENDING: u32 = 2;

/// Cursor values from here on address pending rows; smaller ones are key positions.
const PENDING_FROM: i64 = 1 << 32;

/// Bits of the flags of a point.
const JOINED: u32 = 1;
const OUTLIER: u32 = 2;

const UNKNOWN_KEY: SnapshotError = SnapshotError::Damaged("a series of a key that is not there");

impl NormalizeStage {
    /// Writes the part that begins at cursor `from`, or the common part for `None`. Returns the
    /// cursor of the next part.
    pub(super) fn save_part(
        &self,
        from: Option<i64>,
        positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64> {
        let live_series = self.series.iter().zip(0..).filter(|(series, _)| series.key != NONE);
        let placed = live_series.filter_map(|(series, series_id)| {
            Some((*positions.get(series.key as usize)?, series_id)).filter(|(at, _)| *at != NONE)
        });
        let Some(from) = from else {
            self.save_common(positions, writer);
            let first = placed.map(|(position, _)| i64::from(position)).min();
            return first.or(self.first_pending());
        };
        if let Some(first) = from.checked_sub(PENDING_FROM).and_then(|at| usize::try_from(at).ok())
        {
            let next = self.save_pending(first, positions, writer)?;
            return Some(PENDING_FROM.saturating_add(i64::try_from(next).ok()?));
        }
        let from = u32::try_from(from).unwrap_or(u32::MAX);
        let end = from.saturating_add(KEYS_PER_PART);
        let mut next = None;
        let mut part: Vec<(u32, u32)> = Vec::new();
        for (position, series_id) in placed {
            if position >= end {
                next = Some(next.map_or(position, |next: u32| next.min(position)));
            } else if position >= from {
                part.push((position, series_id));
            }
        }
        crate::util::sort::pairs(&mut part);
        writer.u32(SERIES);
        writer.length(part.len());
        for (position, series_id) in part {
            if let Some(series) = self.series.get(series_id as usize) {
                writer.u32(position);
                save_series(series, writer);
                let field_series =
                    self.field_series.get(self.field_range(series_id)).unwrap_or_default();
                field_series.iter().for_each(|state| save_field_series(state, writer));
            }
        }
        next.map(i64::from).or(self.first_pending())
    }

    /// Returns the cursor of the first part of pending rows, if rows are pending.
    fn first_pending(&self) -> Option<i64> {
        (self.emitted < self.pending.len()).then_some(PENDING_FROM)
    }

    fn save_common(&self, positions: &[u32], writer: &mut SectionWriter<'_>) {
        writer.u32(COMMON);
        let stats = &self.stats;
        for counter in [
            stats.events,
            stats.rows,
            stats.late_dropped,
            stats.key_limit,
            stats.filled,
            stats.outliers,
            stats.fill_limit,
            stats.buffer_limit,
        ] {
            writer.u64(counter);
        }
        writer.i64(self.advanced);
        writer.i64(self.output_watermark);
        stats.save_limits(&self.plan.caps, writer);
        if let Some(lru) = &self.lru {
            lru.save(positions, writer);
        }
    }

    /// Writes pending rows from the `first` on. Returns the index of the first row of the next
    /// part.
    fn save_pending(
        &self,
        first: usize,
        positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<usize> {
        let left = self.pending.get(self.emitted..).unwrap_or_default();
        let end = left.len().min(first.saturating_add(KEYS_PER_PART as usize));
        let part = left.get(first..end).unwrap_or_default();
        writer.u32(PENDING);
        writer.length(part.len());
        writer.i64s(part.iter().map(|row_run| row_run.firing.0));
        writer.u64s(part.iter().map(|row_run| row_run.firing.1));
        let position = |key: u32| positions.get(key as usize).copied().unwrap_or(NONE);
        writer.u32s(part.iter().map(|row_run| position(row_run.key)));
        writer.i64s(part.iter().map(|row_run| row_run.from));
        writer.u64s(part.iter().map(|row_run| row_run.count as u64));
        (end < left.len()).then_some(end)
    }

    /// Reads one part that [`Self::save_part`] wrote.
    pub(super) fn load_part(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        match reader.u32()? {
            COMMON => self.load_common(reader, ids),
            SERIES => {
                let count = reader.length()?;
                for _ in 0..count {
                    let position = reader.u32()? as usize;
                    let key = *ids.get(position).ok_or(UNKNOWN_KEY)?;
                    self.load_series(key, reader, keys)?;
                }
                Ok(())
            }
            PENDING => self.load_pending(reader, ids),
            _ => Err(SnapshotError::Damaged("an unknown part of a normalize stage")),
        }
    }

    fn load_common(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
    ) -> Result<(), SnapshotError> {
        let stats = &mut self.stats;
        for counter in [
            &mut stats.events,
            &mut stats.rows,
            &mut stats.late_dropped,
            &mut stats.key_limit,
            &mut stats.filled,
            &mut stats.outliers,
            &mut stats.fill_limit,
            &mut stats.buffer_limit,
        ] {
            *counter = reader.u64()?;
        }
        self.advanced = reader.i64()?;
        self.output_watermark = reader.i64()?;
        self.stats.load_limits(&self.plan.caps, reader)?;
        if self.lru.is_some() {
            self.lru = Some(LruList::load(reader, ids)?);
        }
        Ok(())
    }

    fn load_pending(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
    ) -> Result<(), SnapshotError> {
        const NO_ROWS: SnapshotError = SnapshotError::Damaged("rows of no series");
        let count = reader.length()?;
        let (at, ranks) = (reader.i64s(count)?, reader.u64s(count)?);
        let positions = reader.u32s(count)?;
        let (from, rows) = (reader.i64s(count)?, reader.u64s(count)?);
        for ((firing, position), (from, rows)) in at.zip(ranks).zip(positions).zip(from.zip(rows)) {
            let key = *ids.get(position as usize).ok_or(NO_ROWS)?;
            let series_id = *self
                .series_of_key
                .get(key as usize)
                .filter(|series_id| **series_id != NONE)
                .ok_or(NO_ROWS)?;
            let series = self.series.get(series_id as usize).ok_or(NO_ROWS)?;
            let interval = series.grid.ok_or(NO_ROWS)?.interval;
            let count = usize::try_from(rows).map_err(|_| NO_ROWS)?;
            if count == 0 {
                return Err(NO_ROWS);
            }
            self.pending.push(RowRun { firing, series: series_id, key, from, interval, count });
        }
        if self.touched.is_empty() {
            // The snapshot does not list which series had changed, so all of them are checked.
            self.touched.extend((0..).take(self.series.len()));
        }
        Ok(())
    }

    fn load_series(
        &mut self,
        key: u32,
        reader: &mut SectionReader<'_>,
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        if self.series_of_key.get(key as usize).is_some_and(|series_id| *series_id != NONE) {
            return Err(SnapshotError::Damaged("two series of one key"));
        }
        let series_id = self.open_series(key, keys);
        let field_range = self.field_range(series_id);
        let Self { plan, series, field_series, schedule, stats, .. } = self;
        let series = series.get_mut(series_id as usize).ok_or(UNKNOWN_KEY)?;
        let interval = reader.i64()?;
        if interval < 0 || plan.interval_us.is_some_and(|known| known != interval) {
            return Err(SnapshotError::Damaged("an interval that is none"));
        }
        if series.grid.is_none() && interval > 0 {
            series.grid = Some(Grid::new(interval, plan.offset_us, plan.align, plan.basis));
            self.without_interval = self.without_interval.saturating_sub(1);
        }
        series.in_run = reader.u32()? != 0;
        for time in [&mut series.last_closed, &mut series.next_row, &mut series.ready_until] {
            *time = reader.i64()?;
        }
        let slots = reader.length()?;
        series.slots = reader.i64s(slots)?.collect();
        if series.grid.is_some() && !series.slots.iter().is_sorted_by(|a, b| a < b) {
            return Err(SnapshotError::Damaged("grid points are out of order"));
        }
        let field_series = field_series.get_mut(field_range).unwrap_or_default();
        for (field, state) in plan.fields.iter().zip(field_series.iter_mut()) {
            load_field_series(field, state, reader)?;
        }
        if !plan.is_last {
            self.watermark_holds.add(series_id, series, plan, field_series);
        }
        if let Some(grid) = series.grid {
            let mut work = SeriesWork { plan, series, field_series, stats };
            work.set_timers(&grid);
            let due = work.series.next_due(work.field_series, &grid);
            schedule.add(series_id, work.series, due);
        }
        self.update_bytes(series_id, keys);
        Ok(())
    }
}

fn save_series(series: &Series, writer: &mut SectionWriter<'_>) {
    writer.i64(series.grid.map_or(0, |grid| grid.interval));
    writer.u32(u32::from(series.in_run));
    writer.i64(series.last_closed);
    writer.i64(series.next_row);
    writer.i64(series.ready_until);
    writer.length(series.slots.len());
    writer.i64s(series.slots.iter().copied());
}

fn save_field_series(state: &FieldSeries, writer: &mut SectionWriter<'_>) {
    let samples = &state.buffer.samples;
    writer.length(samples.len());
    writer.i64s(samples.iter().map(|sample| sample.slot));
    writer.i64s(samples.iter().map(|sample| sample.time));
    writer.f64s(samples.iter().map(|sample| sample.value));
    writer.u32(u32::from(state.ended));
    writer.length(state.known.len());
    writer.i64s(state.known.iter().map(|point| point.time));
    writer.f64s(state.known.iter().map(|point| point.value));
    let bits = |point: &Point| {
        (if point.joined { JOINED } else { 0 }) | (if point.outlier { OUTLIER } else { 0 })
    };
    writer.u32s(state.known.iter().map(bits));
    writer.length(state.recent.values.len());
    writer.f64s(state.recent.values.iter().copied());
}

fn load_field_series(
    field: &FieldPlan,
    state: &mut FieldSeries,
    reader: &mut SectionReader<'_>,
) -> Result<(), SnapshotError> {
    let count = reader.length()?;
    let (slots, times, values) = (reader.i64s(count)?, reader.i64s(count)?, reader.f64s(count)?);
    let samples = slots.zip(times).zip(values);
    state.buffer.samples =
        samples.map(|((slot, time), value)| BufferedSample { slot, time, value }).collect();
    state.ended = reader.u32()? != 0;
    let count = reader.length()?;
    let (times, values, bits) = (reader.i64s(count)?, reader.f64s(count)?, reader.u32s(count)?);
    let points = times.zip(values).zip(bits);
    let point = |((time, value), bits): ((i64, f64), u32)| Point {
        time,
        value,
        joined: bits & JOINED != 0,
        outlier: bits & OUTLIER != 0,
    };
    state.known = points.map(point).collect();
    if !state.known.is_sorted_by(|a, b| a.time < b.time) {
        return Err(SnapshotError::Damaged("known points are out of order"));
    }
    let count = reader.length()?;
    state.recent.values = reader.f64s(count)?.collect();
    let window = field.outliers.map_or(0, |rule| rule.window as usize);
    if count > window {
        return Err(SnapshotError::Damaged("more values than decide about outliers"));
    }
    Ok(())
}
