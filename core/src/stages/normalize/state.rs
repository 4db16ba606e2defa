//! Normalization in snapshots: what is common first, then the series in parts, in the order of their keys.

use super::advance::Work;
use super::cells::Cell;
use super::fill::Point;
use super::grid::Grid;
use super::layout::Piece;
use super::series::{Lane, Series};
use super::{Keys, NONE, NormalizeStage, SectionReader, SectionWriter, SnapshotError};
use crate::plan::FieldPlan;
use crate::util::lru::LruList;

/// Places of keys that go into one part.
const PART: u32 = 4096;

/// What a part holds.
const COMMON: u32 = 0;
const SERIES: u32 = 1;
const PENDING: u32 = 2;

/// Parts of pending rows begin here, behind all positions of keys.
const PENDING_FROM: i64 = 1 << 32;

/// Bits of a point.
const JOINED: u32 = 1;
const OUTLIER: u32 = 2;

const UNKNOWN_KEY: SnapshotError = SnapshotError::Damaged("a series of a key that is not there");

impl NormalizeStage {
    /// Writes the series whose keys' positions begin at `from`; what is common for `None`.
    pub(super) fn save_part(
        &self,
        from: Option<i64>,
        positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64> {
        let live = self.series.iter().zip(0..).filter(|(series, _)| series.key != NONE);
        let placed = live.filter_map(|(series, of)| {
            Some((*positions.get(series.key as usize)?, of)).filter(|(at, _)| *at != NONE)
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
        let end = from.saturating_add(PART);
        let mut next = None;
        let mut part: Vec<(u32, u32)> = Vec::new();
        for (position, of) in placed {
            if position >= end {
                next = Some(next.map_or(position, |next: u32| next.min(position)));
            } else if position >= from {
                part.push((position, of));
            }
        }
        crate::util::sort::pairs(&mut part);
        writer.u32(SERIES);
        writer.length(part.len());
        for (position, of) in part {
            if let Some(series) = self.series.get(of as usize) {
                writer.u32(position);
                save_series(series, writer);
                let lanes = self.lanes.get(self.span(of)).unwrap_or_default();
                lanes.iter().for_each(|lane| save_lane(lane, writer));
            }
        }
        next.map(i64::from).or(self.first_pending())
    }

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
        writer.i64(self.passed);
        stats.save_limits(&self.plan.caps, writer);
        if let Some(lru) = &self.lru {
            lru.save(positions, writer);
        }
    }

    /// Writes the pending rows from the `first`th on; returns the first of the next part.
    fn save_pending(
        &self,
        first: usize,
        positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<usize> {
        let left = self.pending.get(self.emitted..).unwrap_or_default();
        let end = left.len().min(first.saturating_add(PART as usize));
        let part = left.get(first..end).unwrap_or_default();
        writer.u32(PENDING);
        writer.length(part.len());
        writer.i64s(part.iter().map(|piece| piece.firing.0));
        writer.u64s(part.iter().map(|piece| piece.firing.1));
        let position = |key: u32| positions.get(key as usize).copied().unwrap_or(NONE);
        writer.u32s(part.iter().map(|piece| position(piece.key)));
        writer.i64s(part.iter().map(|piece| piece.from));
        writer.u64s(part.iter().map(|piece| piece.count as u64));
        (end < left.len()).then_some(end)
    }

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
        self.passed = reader.i64()?;
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
            let of = *self.by_key.get(key as usize).filter(|of| **of != NONE).ok_or(NO_ROWS)?;
            let series = self.series.get(of as usize).ok_or(NO_ROWS)?;
            let interval = series.grid.ok_or(NO_ROWS)?.interval;
            let count = usize::try_from(rows).map_err(|_| NO_ROWS)?;
            if count == 0 {
                return Err(NO_ROWS);
            }
            self.pending.push(Piece { firing, series: of, key, from, interval, count });
        }
        if self.touched.is_empty() {
            // Any of them may have changed.
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
        if self.by_key.get(key as usize).is_some_and(|of| *of != NONE) {
            return Err(SnapshotError::Damaged("two series of one key"));
        }
        let of = self.begin(key, keys);
        let span = self.span(of);
        let Self { plan, series, lanes, schedule, stats, .. } = self;
        let series = series.get_mut(of as usize).ok_or(UNKNOWN_KEY)?;
        let interval = reader.i64()?;
        if interval < 0 || plan.interval_us.is_some_and(|known| known != interval) {
            return Err(SnapshotError::Damaged("an interval that is none"));
        }
        if series.grid.is_none() && interval > 0 {
            series.grid = Some(Grid::new(interval, plan.offset_us, plan.align, plan.basis));
            self.undecided = self.undecided.saturating_sub(1);
        }
        series.goes_on = reader.u32()? != 0;
        for time in [&mut series.closed, &mut series.next, &mut series.ready] {
            *time = reader.i64()?;
        }
        let places = reader.length()?;
        series.places = reader.i64s(places)?.collect();
        if series.grid.is_some() && !series.places.iter().is_sorted_by(|a, b| a < b) {
            return Err(SnapshotError::Damaged("grid points are out of order"));
        }
        let lanes = lanes.get_mut(span).unwrap_or_default();
        for (field, lane) in plan.fields.iter().zip(lanes.iter_mut()) {
            load_lane(field, lane, reader)?;
        }
        if !plan.is_last {
            self.holds.add(of, series, plan, lanes);
        }
        if let Some(grid) = series.grid {
            let mut work = Work { plan, series, lanes, stats };
            work.arm(&grid);
            let due = work.series.next_due(work.lanes, &grid);
            schedule.add(of, work.series, due);
        }
        self.measure(of, keys);
        Ok(())
    }
}

fn save_series(series: &Series, writer: &mut SectionWriter<'_>) {
    writer.i64(series.grid.map_or(0, |grid| grid.interval));
    writer.u32(u32::from(series.goes_on));
    writer.i64(series.closed);
    writer.i64(series.next);
    writer.i64(series.ready);
    writer.length(series.places.len());
    writer.i64s(series.places.iter().copied());
}

fn save_lane(lane: &Lane, writer: &mut SectionWriter<'_>) {
    let cells = &lane.cells.list;
    writer.length(cells.len());
    writer.i64s(cells.iter().map(|cell| cell.place));
    writer.i64s(cells.iter().map(|cell| cell.time));
    writer.f64s(cells.iter().map(|cell| cell.value));
    writer.u32(u32::from(lane.ended));
    writer.length(lane.known.len());
    writer.i64s(lane.known.iter().map(|point| point.time));
    writer.f64s(lane.known.iter().map(|point| point.value));
    let bits = |point: &Point| {
        (if point.joined { JOINED } else { 0 }) | (if point.outlier { OUTLIER } else { 0 })
    };
    writer.u32s(lane.known.iter().map(bits));
    writer.length(lane.recent.values.len());
    writer.f64s(lane.recent.values.iter().copied());
}

fn load_lane(
    field: &FieldPlan,
    lane: &mut Lane,
    reader: &mut SectionReader<'_>,
) -> Result<(), SnapshotError> {
    let count = reader.length()?;
    let (places, times, values) = (reader.i64s(count)?, reader.i64s(count)?, reader.f64s(count)?);
    let cells = places.zip(times).zip(values);
    lane.cells.list = cells.map(|((place, time), value)| Cell { place, time, value }).collect();
    lane.ended = reader.u32()? != 0;
    let count = reader.length()?;
    let (times, values, bits) = (reader.i64s(count)?, reader.f64s(count)?, reader.u32s(count)?);
    let points = times.zip(values).zip(bits);
    let point = |((time, value), bits): ((i64, f64), u32)| Point {
        time,
        value,
        joined: bits & JOINED != 0,
        outlier: bits & OUTLIER != 0,
    };
    lane.known = points.map(point).collect();
    if !lane.known.is_sorted_by(|a, b| a.time < b.time) {
        return Err(SnapshotError::Damaged("known points are out of order"));
    }
    let count = reader.length()?;
    lane.recent.values = reader.f64s(count)?.collect();
    let window = field.outliers.map_or(0, |rule| rule.window as usize);
    if count > window {
        return Err(SnapshotError::Damaged("more values than decide about outliers"));
    }
    Ok(())
}
