//! The usual course of a series: places that are over one after another, all of one run. Their rows go straight to the output.

use super::NormalizeStage;
use super::advance::{Bound, Work};
use super::cells::keeps_all;
use super::emit::MOST_ROWS;
use super::fill::{Entries, Point, Rows, SPARE, Stretch};
use super::grid::Grid;
use super::series::{Lane, NEVER, Series};
use super::steps::{MAX_SPAN, Steps};
use crate::data::frame::{Frame, FrameColumn};
use crate::keys::Keys;
use crate::plan::{FieldPlan, NormalizePlan};
use crate::spec::Fill;
use crate::util::sort::halves;

/// How often there may be fewer than [`FEW`] places in a row before the rest is left to [`NormalizeStage::follow`].
const PATIENCE: usize = 4;
const FEW: usize = 16;

/// Whether a stage with `plan` can go this way at all.
pub(super) fn is_possible(plan: &NormalizePlan) -> bool {
    match plan.fields.as_slice() {
        [field] => field.outliers.is_none() && field.rule.fill != Fill::Polynomial,
        _ => false,
    }
}

impl NormalizeStage {
    /// Follows the schedule within `bound` as long as one series is due alone and there is room for its rows. The rest is
    /// for [`NormalizeStage::follow`].
    pub(super) fn follow_steady(&mut self, bound: Bound, keys: &mut Keys, out: &mut Frame) {
        let mut patience = PATIENCE;
        while self.is_steady && self.pending.is_empty() {
            let Some((of, until)) = self.schedule.take_alone(bound.watermark, &mut self.series)
            else {
                return;
            };
            let closed = self.close_steady(of, until, keys, out);
            patience -= usize::from(closed < FEW);
            // What interrupted it is one step of the other way.
            let steps = usize::from(patience > 0 && out.room() > 0);
            if steps > 0 && !self.plan.is_last {
                self.pass_on(until.min(self.next_due_of(of).saturating_sub(1)));
            }
            self.follow_one(of, Bound { watermark: until, steps, ..bound }, None);
            self.measure(of, keys);
            if !self.emit(keys, out) || steps == 0 {
                return;
            }
        }
    }

    /// Closes places of series `of` that are over at `until` as long as nothing unusual happens; returns how many.
    fn close_steady(&mut self, of: u32, until: i64, keys: &mut Keys, out: &mut Frame) -> usize {
        let hold = self.hold_of_others(of);
        let span = self.span(of);
        let Self { plan, series, lanes, stats, ends, passed, .. } = self;
        let Some(series) = series.get_mut(of as usize) else { return 0 };
        let lanes = lanes.get_mut(span).unwrap_or_default();
        let ([field], [lane], Some(grid)) = (plan.fields.as_slice(), &mut *lanes, series.grid)
        else {
            return 0;
        };
        let Some(steps) = Steps::new(grid.interval) else { return 0 };
        let Some(limit) = limit(field, series, lane, &grid, until, out.room()) else { return 0 };
        let before = lane.known.len();
        let closed = take_points(plan, field, series, lane, limit);
        let points = lane.known.get(before.saturating_sub(1)..).unwrap_or_default();
        let Some((points, last)) = Some(points).zip(points.last().filter(|_| closed > 0)) else {
            return 0;
        };
        let last_due = grid.last_of(last.time);
        let from = series.next;
        let places = series.places.get(..closed).unwrap_or_default();
        count_rows(places, from.wrapping_sub(grid.interval), steps, ends);
        series.places.take(closed);
        series.closed = last.time;
        let stretch = Stretch { points, ends, from, interval: grid.interval, lag: grid.last_of(0) };
        let start = out.len();
        let rows = if field.rule.is_local() {
            write_local(field, &grid, &stretch, out)
        } else {
            let behind = lane.known.partition_point(|point| point.time < from);
            write_others(field, &grid, &stretch, (&lane.known, behind), out)
        };
        complete_rows(&stretch, rows, series.key, out);
        if !plan.is_last {
            *passed = judge_rows(field, &grid, hold, *passed, start, out);
        }
        series.next = grid.at(from, rows);
        if series.expiry <= last_due {
            series.expiry = NEVER;
        }
        if lane.timer <= last_due {
            lane.timer = NEVER;
        }
        series.settle(plan, lanes);
        Work { plan, series, lanes, stats }.arm(&grid);
        self.complete(start, keys, out);
        closed
    }

    /// Returns the watermark at which series `of` has something to do next.
    fn next_due_of(&self, of: u32) -> i64 {
        let lanes = self.lanes.get(self.span(of)).unwrap_or_default();
        let series = self.series.get(of as usize);
        let due = series.and_then(|series| Some(series.next_due(lanes, &series.grid?)));
        due.unwrap_or(NEVER)
    }

    /// Returns how far series other than `of` hold back the watermark of the next stage.
    fn hold_of_others(&mut self, of: u32) -> i64 {
        let Self { plan, series, lanes, holds, .. } = self;
        let hold = if plan.is_last { None } else { holds.lowest_but(of, series, plan, lanes) };
        hold.unwrap_or(i64::MAX)
    }
}

/// Writes the watermarks that the next stage judges the rows of `out` from `start` on by, each that just below the watermark
/// that the row has waited for. `passed` is the one before them, `hold` what other series hold it back to. Returns the last.
fn judge_rows(
    field: &FieldPlan,
    grid: &Grid,
    hold: i64,
    mut passed: i64,
    start: usize,
    out: &mut Frame,
) -> i64 {
    let waits = field.rule.fill != Fill::None;
    let times = out.timestamps.get(start..).unwrap_or_default();
    let mut times = times.iter();
    for instant in out.firing.get(start..).unwrap_or_default().chunk_by(|a, b| a == b) {
        let due = instant.first().copied().unwrap_or_default();
        let first = times.clone().next().copied().unwrap_or_default();
        // A series with values still to come holds the watermark before its next row.
        let own = if waits { first.saturating_sub(1) } else { i64::MAX };
        passed = passed.max(grid.before_open(due.saturating_sub(1)).min(own).min(hold));
        out.watermarks.resize(out.watermarks.len() + instant.len(), passed);
        times = times.as_slice().get(instant.len()..).unwrap_or_default().iter();
    }
    passed
}

/// The last place that can be closed, by the watermark `until` and as far as there is room for all rows up to it; `None` where
/// the series is in an unusual state.
fn limit(
    field: &FieldPlan,
    series: &Series,
    lane: &Lane,
    grid: &Grid,
    until: i64,
    room: usize,
) -> Option<i64> {
    let last = lane.known.last().filter(|_| series.goes_on && !lane.ended)?;
    let Series { next, .. } = *series;
    let interval = grid.interval;
    let before = next.checked_sub(interval)?;
    if field.rule.is_local() && !(before..next).contains(&last.time) {
        return None;
    }
    let rows = i64::try_from(room.min(MOST_ROWS)).unwrap_or(0);
    let limits = [
        until.saturating_sub(grid.last_of(0)),
        before.saturating_add(interval.saturating_mul(rows.saturating_add(1))).saturating_sub(1),
        before.saturating_add(MAX_SPAN - 1),
        i64::MAX.saturating_sub(interval).saturating_sub(interval),
    ];
    limits.into_iter().min()
}

/// Makes what waits at places up to `limit` known points, as long as each is joined to the one before; returns how many. The
/// places are left.
fn take_points(
    plan: &NormalizePlan,
    field: &FieldPlan,
    series: &Series,
    lane: &mut Lane,
    limit: i64,
) -> usize {
    let reach = series.reach(plan, field);
    let Some(last) = lane.known.last().map(|last| last.time) else { return 0 };
    let most = series.places.partition_point(|place| *place <= limit);
    let places = series.places.get(..most).unwrap_or_default();
    let joined = |time, value| Point { time, value, joined: true, outlier: false };
    if keeps_all(field.reduce) {
        let (mut closed, mut last) = (0, last);
        for place in places {
            if place - last > reach {
                break;
            }
            let Some(value) = lane.cells.take(field.reduce, *place) else { break };
            lane.known.push(joined(*place, value));
            (closed, last) = (closed + 1, *place);
        }
        closed
    } else {
        let (mut closed, mut last) = (0, last);
        for (place, cell) in places.iter().zip(lane.cells.list.iter()) {
            if cell.place != *place || place - last > reach {
                break;
            }
            (closed, last) = (closed + 1, *place);
        }
        let cells = lane.cells.list.get(..closed).unwrap_or_default();
        lane.known.extend(cells.iter().map(|cell| joined(cell.place, cell.value)));
        lane.cells.list.take(closed);
        closed
    }
}

/// Counts the rows up to each of `places`, which are at most [`MOST_ROWS`]; `before` is one interval before the first row.
#[inline(never)]
fn count_rows(places: &[i64], before: i64, steps: Steps, ends: &mut Vec<u32>) {
    ends.clear();
    let rows = |place: &i64| steps.whole(place.wrapping_sub(before).cast_unsigned());
    ends.extend(places.iter().map(|place| halves(rows(place)).1));
}

/// Writes the rows of fills that look at two points only; returns how many.
fn write_local(field: &FieldPlan, grid: &Grid, stretch: &Stretch<'_>, out: &mut Frame) -> usize {
    let rows = stretch.ends.last().map_or(0, |end| *end as usize);
    let start = out.timestamps.len();
    let [FrameColumn::Number(values), FrameColumn::Bool(filled), ..] = out.columns.as_mut_slice()
    else {
        return 0;
    };
    let mut entries = Rows {
        values: more(values, rows + SPARE, f64::NAN),
        filled: more(filled, rows + SPARE, 0),
        firing: more(&mut out.firing, rows + SPARE, 0),
    };
    field.rule.write_steady(grid.is_aligned(), stretch, &mut entries);
    values.truncate(start + rows);
    filled.truncate(start + rows);
    out.firing.truncate(start + rows);
    rows
}

/// Writes the rows that are certain of fills that look at one more point, where `behind` of the `known` ones are before all
/// rows; returns how many.
fn write_others(
    field: &FieldPlan,
    grid: &Grid,
    stretch: &Stretch<'_>,
    (known, behind): (&[Point], usize),
    out: &mut Frame,
) -> usize {
    let most = stretch.ends.last().map_or(0, |end| *end as usize);
    let start = out.timestamps.len();
    let rows = stretch.settle(more(&mut out.firing, most + SPARE, 0));
    out.firing.truncate(start + rows);
    let [FrameColumn::Number(values), FrameColumn::Bool(filled), ..] = out.columns.as_mut_slice()
    else {
        return 0;
    };
    let mut entries = Entries {
        values: more(values, rows, f64::NAN),
        filled: more(filled, rows, 0),
        outliers: &mut [],
    };
    field.rule.write(grid, known, behind, stretch.from, &mut entries);
    rows
}

/// Writes what does not depend on points.
fn complete_rows(stretch: &Stretch<'_>, rows: usize, key: u32, out: &mut Frame) {
    let end = out.timestamps.len() + rows;
    let times = more(&mut out.timestamps, rows, 0);
    super::emit::write_times(times, stretch.from, stretch.interval);
    out.keys.resize(end, key);
    out.ranks.resize(end, 0);
}

/// Appends `count` entries and returns them.
fn more<T: Copy>(list: &mut Vec<T>, count: usize, entry: T) -> &mut [T] {
    let before = list.len();
    list.resize(before + count, entry);
    list.get_mut(before..).unwrap_or_default()
}
