//! Normalization in snapshots: what is common first, then the series in parts, in the order of their keys.

use super::cells::Cell;
use super::emit::Firing;
use super::fill::Point;
use super::grid::Grid;
use super::series::{Lane, Series};
use super::{Belated, Keys, NONE, NormalizeStage, SectionReader, SectionWriter, SnapshotError};
use crate::plan::FieldPlan;

/// Places of keys that go into one part.
const PART: u32 = 4096;

/// What a part holds.
const COMMON: u32 = 0;
const SERIES: u32 = 1;

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
            self.save_common(writer);
            return placed.map(|(position, _)| i64::from(position)).min();
        };
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
        part.sort_unstable();
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
        next.map(i64::from)
    }

    fn save_common(&self, writer: &mut SectionWriter<'_>) {
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
        writer.u32(u32::from(self.firing.is_some()));
        if let Some(firing) = &self.firing {
            writer.i64(firing.at);
            writer.u64(firing.rank);
        }
        writer.u32(u32::from(self.belated.is_some()));
        if let Some(Belated { at, rank }) = self.belated {
            writer.i64(at);
            writer.u32(u32::from(rank.is_some()));
            writer.u64(rank.unwrap_or(0));
        }
    }

    pub(super) fn load_part(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        match reader.u32()? {
            COMMON => self.load_common(reader),
            SERIES => {
                let count = reader.length()?;
                for _ in 0..count {
                    let position = reader.u32()? as usize;
                    let key = *ids.get(position).ok_or(UNKNOWN_KEY)?;
                    self.load_series(key, reader, keys)?;
                }
                Ok(())
            }
            _ => Err(SnapshotError::Damaged("an unknown part of a normalize stage")),
        }
    }

    fn load_common(&mut self, reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
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
        if reader.u32()? != 0 {
            let (at, rank) = (reader.i64()?, reader.u64()?);
            self.firing = Some(Firing { at, rank, runs: Vec::new(), sorted: false });
        }
        if reader.u32()? != 0 {
            let at = reader.i64()?;
            let (ranked, rank) = (reader.u32()? != 0, reader.u64()?);
            self.belated = Some(Belated { at, rank: ranked.then_some(rank) });
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
        let Self { plan, series, lanes, schedule, .. } = self;
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
        if let Some(grid) = series.grid {
            if !series.places.iter().is_sorted_by(|a, b| a < b) {
                return Err(SnapshotError::Damaged("grid points are out of order"));
            }
            for place in &series.places {
                schedule.add(grid.last_of(*place), of);
            }
        }
        let lanes = lanes.get_mut(span).unwrap_or_default();
        for (field, lane) in plan.fields.iter().zip(lanes.iter_mut()) {
            load_lane(field, lane, reader)?;
        }
        if series.has_rows() {
            let firing = self.firing.as_mut();
            let firing = firing.ok_or(SnapshotError::Damaged("rows that wait for nothing"))?;
            series.firing = true;
            firing.runs.push(of);
        } else if !plan.is_last {
            self.holds.add(of, series, plan, lanes);
        }
        self.arm(of);
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
