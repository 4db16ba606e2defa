//! Snapshot sections of `normalize`: first the common part, then series in parts ordered by key,
//! then pending rows.

use super::advance::SeriesWork;
use super::fill::Point;
use super::grid::Grid;
use super::layout::RowRun;
use super::series::FieldSeries;
use super::{Keys, NONE, NormalizeStage, SnapshotError};
use crate::plan::FieldPlan;
use crate::snapshot::{Codec, StateReader, StateWriter};

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

const INVALID_PENDING: SnapshotError =
    SnapshotError::Damaged("pending rows are empty, or of no series with an interval");

/// The fields of a [`Point`].
#[derive(Default)]
struct PointRow {
    time: i64,
    value: f64,
    flags: u32,
}

/// The fields of a [`RowRun`].
#[derive(Default)]
struct PendingRow {
    watermark: i64,
    rank: u64,
    key: u32,
    from: i64,
    count: u64,
}

impl NormalizeStage {
    /// Writes the section that begins at cursor `from`, or the common section for `None`. Returns
    /// the cursor of the next section.
    #[inline]
    pub(super) fn save_section(
        &mut self,
        from: Option<i64>,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<i64>, SnapshotError> {
        let live = self.series.iter().zip(0..).filter(|(series, _)| series.key != NONE);
        let keys = live.map(|(series, series_id)| (series.key, series_id));
        let Some(from) = from else {
            let first = writer.first_position(keys.map(|(key, _)| key));
            writer.section.u32(COMMON);
            self.common(writer)?;
            return Ok(first.or(self.first_pending()));
        };
        if let Some(first) = from.checked_sub(PENDING_FROM).and_then(|at| usize::try_from(at).ok())
        {
            writer.section.u32(PENDING);
            let next = self.save_pending(first, writer)?.and_then(|next| i64::try_from(next).ok());
            return Ok(next.map(|next| PENDING_FROM.saturating_add(next)));
        }
        let (page, next) = writer.page(keys, from, KEYS_PER_PART);
        writer.section.u32(SERIES);
        writer.section.length(page.len());
        for (_, series_id) in page {
            let mut key = self.series.get(series_id as usize).map_or(NONE, |series| series.key);
            writer.key(&mut key)?;
            self.series_fields(series_id, writer)?;
        }
        Ok(next.or(self.first_pending()))
    }

    /// Returns the cursor of the first section of pending rows, if rows are pending.
    #[inline]
    fn first_pending(&self) -> Option<i64> {
        (self.emitted < self.pending.len()).then_some(PENDING_FROM)
    }

    #[inline]
    fn common(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        let stats = &mut self.stats;
        codec.counters([
            &mut stats.events,
            &mut stats.rows,
            &mut stats.late_dropped,
            &mut stats.key_limit,
            &mut stats.filled,
            &mut stats.outliers,
            &mut stats.fill_limit,
            &mut stats.buffer_limit,
        ])?;
        codec.numbers([&mut self.advanced, &mut self.output_watermark])?;
        stats.limit_fields(&self.plan.caps, codec)?;
        self.lru.as_mut().map_or(Ok(()), |lru| lru.fields(codec))
    }

    /// Writes pending rows from the `first` on. Returns the index of the first row of the next
    /// section.
    #[inline]
    fn save_pending(
        &self,
        first: usize,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<usize>, SnapshotError> {
        let left = self.pending.get(self.emitted..).unwrap_or_default();
        let end = left.len().min(first.saturating_add(KEYS_PER_PART as usize));
        let page = left.get(first..end).unwrap_or_default().iter();
        let row = |run: &RowRun| PendingRow {
            watermark: run.firing.0,
            rank: run.firing.1,
            key: run.key,
            from: run.from,
            count: run.count as u64,
        };
        pending_fields(&mut page.map(row).collect(), writer)?;
        Ok((end < left.len()).then_some(end))
    }

    /// Reads one section.
    #[inline]
    pub(super) fn load_section(
        &mut self,
        reader: &mut StateReader<'_>,
    ) -> Result<(), SnapshotError> {
        match reader.kind()? {
            COMMON => self.common(reader),
            SERIES => {
                for _ in 0..reader.section.length()? {
                    let mut key = NONE;
                    reader.key(&mut key)?;
                    if self.series_of(key).is_some() {
                        return Err(SnapshotError::Damaged("a key has two series"));
                    }
                    let series_id = reader.keys().map_or(NONE, |keys| self.open_series(key, keys));
                    self.series_fields(series_id, reader)?;
                    if let Some(keys) = reader.keys() {
                        self.resume(series_id, keys);
                    }
                }
                Ok(())
            }
            PENDING => self.load_pending(reader),
            _ => Err(SnapshotError::Damaged("a section of a normalize stage has an unknown kind")),
        }
    }

    /// Returns the series of `key`.
    #[inline]
    pub(super) fn series_of(&self, key: u32) -> Option<u32> {
        self.series_of_key.get(key as usize).copied().filter(|series_id| *series_id != NONE)
    }

    #[inline]
    fn load_pending(&mut self, reader: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        let mut rows = Vec::new();
        pending_fields(&mut rows, reader)?;
        for PendingRow { watermark, rank, key, from, count } in rows {
            let series_id = self.series_of(key).ok_or(INVALID_PENDING)?;
            let series = self.series.get(series_id as usize).ok_or(INVALID_PENDING)?;
            let interval = series.grid.ok_or(INVALID_PENDING)?.interval;
            let count = usize::try_from(count).map_err(|_| INVALID_PENDING)?;
            if count == 0 {
                return Err(INVALID_PENDING);
            }
            let firing = (watermark, rank);
            self.pending.push(RowRun { firing, series: series_id, key, from, interval, count });
        }
        if self.touched.is_empty() {
            // The snapshot does not list which series had changed, so all of them are checked.
            self.touched.extend((0..).take(self.series.len()));
        }
        Ok(())
    }

    /// Writes a series, or reads it into the empty series `series_id`.
    #[inline]
    fn series_fields(
        &mut self,
        series_id: u32,
        codec: &mut dyn Codec,
    ) -> Result<(), SnapshotError> {
        let field_range = self.field_range(series_id);
        let Self { plan, series, field_series, without_interval, .. } = self;
        let Some(series) = series.get_mut(series_id as usize) else { return Ok(()) };
        let mut interval = series.grid.map_or(0, |grid| grid.interval);
        codec.number(&mut interval)?;
        if interval < 0 || plan.interval_us.is_some_and(|known| known != interval) {
            return Err(SnapshotError::Damaged(
                "the interval of a series is negative, or not the one of the pipeline",
            ));
        }
        if series.grid.is_none() && interval > 0 {
            series.grid = Some(Grid::new(interval, plan.offset_us, plan.align, plan.basis));
            *without_interval = without_interval.saturating_sub(1);
        }
        codec.number(&mut series.in_run)?;
        codec.numbers([&mut series.last_closed, &mut series.next_row, &mut series.ready_until])?;
        let mut slots = series.slots.iter().copied().collect::<Vec<i64>>();
        codec.list(&mut slots)?;
        if codec.reads() {
            if series.grid.is_some() && !slots.is_sorted_by(|a, b| a < b) {
                return Err(SnapshotError::Damaged("grid points are out of order"));
            }
            series.slots = slots.into_iter().collect();
        }
        let field_series = field_series.get_mut(field_range).unwrap_or_default();
        let mut fields = plan.fields.iter().zip(field_series);
        fields.try_for_each(|(field, state)| field_series_fields(field, state, codec))
    }

    /// Schedules the series `series_id`, which was read.
    #[inline]
    fn resume(&mut self, series_id: u32, keys: &Keys) {
        let field_range = self.field_range(series_id);
        let Self { plan, series, field_series, schedule, stats, .. } = self;
        let Some(series) = series.get_mut(series_id as usize) else { return };
        let field_series = field_series.get_mut(field_range).unwrap_or_default();
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
    }
}

#[inline]
fn pending_fields(rows: &mut Vec<PendingRow>, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
    let mut columns = codec.rows(rows)?;
    columns.number(|row| &mut row.watermark)?;
    columns.number(|row| &mut row.rank)?;
    columns.key(|row| &mut row.key)?;
    columns.number(|row| &mut row.from)?;
    columns.number(|row| &mut row.count)
}

#[inline]
fn field_series_fields(
    field: &FieldPlan,
    state: &mut FieldSeries,
    codec: &mut dyn Codec,
) -> Result<(), SnapshotError> {
    let mut samples: Vec<_> = state.buffer.samples.iter().copied().collect();
    let mut columns = codec.rows(&mut samples)?;
    columns.number(|sample| &mut sample.slot)?;
    columns.number(|sample| &mut sample.time)?;
    columns.number(|sample| &mut sample.value)?;
    codec.number(&mut state.ended)?;
    let mut points: Vec<PointRow> = state.known.iter().map(PointRow::of).collect();
    let mut columns = codec.rows(&mut points)?;
    columns.number(|point| &mut point.time)?;
    columns.number(|point| &mut point.value)?;
    columns.number(|point| &mut point.flags)?;
    let mut recent = state.recent.values.iter().copied().collect::<Vec<f64>>();
    codec.list(&mut recent)?;
    if !codec.reads() {
        return Ok(());
    }
    if points.iter().any(|point| point.flags & !(JOINED | OUTLIER) != 0) {
        return Err(SnapshotError::Damaged("a known point has unknown flags"));
    }
    if !points.is_sorted_by(|a, b| a.time < b.time) {
        return Err(SnapshotError::Damaged("known points are out of order"));
    }
    if recent.len() > field.outliers.map_or(0, |rule| rule.window as usize) {
        return Err(SnapshotError::Damaged("a series has more values than its outlier window"));
    }
    state.buffer.samples = samples.into_iter().collect();
    state.known = points.into_iter().map(PointRow::point).collect();
    state.recent.values = recent.into_iter().collect();
    Ok(())
}

impl PointRow {
    #[inline]
    fn of(point: &Point) -> Self {
        let flags =
            (if point.joined { JOINED } else { 0 }) | (if point.outlier { OUTLIER } else { 0 });
        Self { time: point.time, value: point.value, flags }
    }

    #[inline]
    fn point(self) -> Point {
        let Self { time, value, flags } = self;
        Point { time, value, joined: flags & JOINED != 0, outlier: flags & OUTLIER != 0 }
    }
}
