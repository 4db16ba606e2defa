//! The fast path from slots to output: one run of one series, written straight to the frame.
//!
//! It applies while slots of a single series close one after another within one run. Anything else,
//! such as the end of a run, is left to [`NormalizeStage::run_due`].

use super::NormalizeStage;
use super::advance::{AdvanceBound, SeriesWork};
use super::buffer::keeps_all_samples;
use super::emit::{MAX_ROWS_AT_ONCE, columns_of};
use super::fill::{GridEntries, Point, PointRun, RunRows, SPARE};
use super::grid::Grid;
use super::interval_divider::{IntervalDivider, MAX_SPAN};
use super::series::{FieldSeries, NEVER, Series};
use crate::data::frame::Frame;
use crate::keys::Keys;
use crate::plan::{FieldPlan, NormalizePlan};
use crate::util::sort::halves;

/// Turns that may close fewer than [`FEW_SLOTS`] slots before the general path takes over.
const MAX_SHORT_TURNS: usize = 4;
const FEW_SLOTS: usize = 16;

/// Returns true if rows of `plan` can take the fast path at all.
pub(super) fn is_possible(plan: &NormalizePlan) -> bool {
    match plan.fields.as_slice() {
        [field] => field.outliers.is_none() && field.rule.needs_at_most_one_point_after(),
        _ => false,
    }
}

impl NormalizeStage {
    /// Follows the schedule within `bound` while only one series is due and its rows fit in `out`.
    /// Leaves the rest to [`NormalizeStage::run_due`].
    pub(super) fn emit_fast(&mut self, bound: AdvanceBound, keys: &mut Keys, out: &mut Frame) {
        let mut short_turns_left = MAX_SHORT_TURNS;
        while self.can_emit_fast && self.pending.is_empty() {
            let Some((series_id, until)) =
                self.schedule.pop_if_alone(bound.watermark, &mut self.series)
            else {
                return;
            };
            let closed = self.close_fast(series_id, until, keys, out);
            short_turns_left -= usize::from(closed < FEW_SLOTS);
            // The general path resolves in one step whatever stopped the fast path.
            let max_visits = usize::from(short_turns_left > 0 && out.room() > 0);
            if max_visits > 0 && !self.plan.is_last {
                self.raise_output_watermark(
                    until.min(self.next_due_of(series_id).saturating_sub(1)),
                );
            }
            self.run_due_of(
                series_id,
                AdvanceBound { watermark: until, max_visits, ..bound },
                None,
            );
            self.update_bytes(series_id, keys);
            if !self.emit(keys, out) || max_visits == 0 {
                return;
            }
        }
    }

    /// Closes slots of series `series_id` that the watermark `until` has passed, while the run
    /// continues. Returns the number of closed slots.
    fn close_fast(
        &mut self,
        series_id: u32,
        until: i64,
        keys: &mut Keys,
        out: &mut Frame,
    ) -> usize {
        let hold = self.hold_of_others(series_id);
        let field_range = self.field_range(series_id);
        let Self { plan, series, field_series, stats, row_ends, output_watermark, .. } = self;
        let Some(series) = series.get_mut(series_id as usize) else { return 0 };
        let field_series = field_series.get_mut(field_range).unwrap_or_default();
        let ([field], [state], Some(grid)) =
            (plan.fields.as_slice(), &mut *field_series, series.grid)
        else {
            return 0;
        };
        let Some(divider) = IntervalDivider::new(grid.interval) else { return 0 };
        let Some(last_closable_slot) =
            last_closable_slot(field, series, state, &grid, until, out.room())
        else {
            return 0;
        };
        let before = state.known.len();
        let closed = close_slots(plan, field, series, state, last_closable_slot);
        let points = state.known.get(before.saturating_sub(1)..).unwrap_or_default();
        let Some((points, last)) = Some(points).zip(points.last().filter(|_| closed > 0)) else {
            return 0;
        };
        let last_due = grid.last_of(last.time);
        let from = series.next_row;
        let slots = series.slots.front().get(..closed).unwrap_or_default();
        count_rows(slots, from.wrapping_sub(grid.interval), divider, row_ends);
        series.slots.drop_front(closed);
        series.last_closed = last.time;
        let point_run =
            PointRun { points, row_ends, from, interval: grid.interval, lag: grid.last_of(0) };
        let start = out.len();
        let rows = if field.rule.is_local() {
            write_local(field, &grid, &point_run, out)
        } else {
            let points_before = state.known.partition_point(|point| point.time < from);
            write_settled(field, &grid, &point_run, (&state.known, points_before), out)
        };
        write_times_and_keys(&point_run, rows, series.key, out);
        if !plan.is_last {
            *output_watermark = write_watermarks(field, &grid, hold, *output_watermark, start, out);
        }
        series.next_row = grid.at(from, rows);
        if series.expiry <= last_due {
            series.expiry = NEVER;
        }
        if state.timer <= last_due {
            state.timer = NEVER;
        }
        series.update_ready_until(plan, field_series);
        SeriesWork { plan, series, field_series, stats }.set_timers(&grid);
        self.finish_rows(start, keys, out);
        closed
    }

    /// Returns the watermark at which series `series_id` has work next.
    fn next_due_of(&self, series_id: u32) -> i64 {
        let field_series = self.field_series.get(self.field_range(series_id)).unwrap_or_default();
        let series = self.series.get(series_id as usize);
        let due = series.and_then(|series| Some(series.next_due(field_series, &series.grid?)));
        due.unwrap_or(NEVER)
    }

    /// Returns how far series other than `series_id` hold back the watermark of the next stage.
    fn hold_of_others(&mut self, series_id: u32) -> i64 {
        let Self { plan, series, field_series, watermark_holds, .. } = self;
        let hold = if plan.is_last {
            None
        } else {
            watermark_holds.lowest_except(series_id, series, plan, field_series)
        };
        hold.unwrap_or(i64::MAX)
    }
}

/// Writes the watermarks by which the next stage judges the rows of `out` from `start` on.
///
/// Each is just below the watermark that made the row certain, limited by `hold`, the hold of other
/// series. `output_watermark` is the watermark before these rows. Returns the last one written.
fn write_watermarks(
    field: &FieldPlan,
    grid: &Grid,
    hold: i64,
    mut output_watermark: i64,
    start: usize,
    out: &mut Frame,
) -> i64 {
    let may_be_filled = field.rule.fills_gaps();
    let mut row = start;
    for instant in out.firing.get(start..).unwrap_or_default().chunk_by(|a, b| a == b) {
        let due = instant.first().copied().unwrap_or_default();
        let first = out.timestamps.get(row).copied().unwrap_or_default();
        row += instant.len();
        // While values may still come, the series holds the watermark before its next row.
        let own = if may_be_filled { first.saturating_sub(1) } else { i64::MAX };
        output_watermark =
            output_watermark.max(grid.before_open(due.saturating_sub(1)).min(own).min(hold));
        out.watermarks.resize(out.watermarks.len() + instant.len(), output_watermark);
    }
    output_watermark
}

/// Returns the last slot that can close: `until` has passed it, and all rows up to it fit in
/// `room`. Returns `None` if the series needs the general path.
fn last_closable_slot(
    field: &FieldPlan,
    series: &Series,
    state: &FieldSeries,
    grid: &Grid,
    until: i64,
    room: usize,
) -> Option<i64> {
    let last = state.known.last().filter(|_| series.in_run && !state.ended)?;
    let Series { next_row: next, .. } = *series;
    let interval = grid.interval;
    let before = next.checked_sub(interval)?;
    if field.rule.is_local() && !(before..next).contains(&last.time) {
        return None;
    }
    let rows = i64::try_from(room.min(MAX_ROWS_AT_ONCE)).unwrap_or(0);
    let limits = [
        until.saturating_sub(grid.last_of(0)),
        before.saturating_add(interval.saturating_mul(rows.saturating_add(1))).saturating_sub(1),
        before.saturating_add(MAX_SPAN - 1),
        i64::MAX.saturating_sub(interval).saturating_sub(interval),
    ];
    limits.into_iter().min()
}

/// Turns the samples of slots up to `last_closable_slot` into known points while each joins its
/// predecessor. Returns how many; the slots stay in the series.
fn close_slots(
    plan: &NormalizePlan,
    field: &FieldPlan,
    series: &Series,
    state: &mut FieldSeries,
    last_closable_slot: i64,
) -> usize {
    let reach = series.reach(plan, field);
    let Some(last) = state.known.last().map(|last| last.time) else { return 0 };
    let slots = series.slots.front();
    let most = slots.partition_point(|slot| *slot <= last_closable_slot);
    let slots = slots.get(..most).unwrap_or_default();
    let joined = |time, value| Point { time, value, joined: true, outlier: false };
    if keeps_all_samples(field.reduce) {
        let (mut closed, mut last) = (0, last);
        for slot in slots {
            if slot - last > reach {
                break;
            }
            let Some(value) = state.buffer.take_reduced(field.reduce, *slot) else { break };
            state.known.push(joined(*slot, value));
            (closed, last) = (closed + 1, *slot);
        }
        closed
    } else {
        let (mut closed, mut last) = (0, last);
        for (slot, sample) in slots.iter().zip(state.buffer.samples.front()) {
            if sample.slot != *slot || slot - last > reach {
                break;
            }
            (closed, last) = (closed + 1, *slot);
        }
        let samples = state.buffer.samples.front().get(..closed).unwrap_or_default();
        state.known.extend(samples.iter().map(|sample| joined(sample.slot, sample.value)));
        state.buffer.samples.drop_front(closed);
        closed
    }
}

/// Counts the rows up to each of `slots`, at most [`MAX_ROWS_AT_ONCE`]. `before` is one interval
/// before the first row.
#[inline(never)]
fn count_rows(slots: &[i64], before: i64, divider: IntervalDivider, row_ends: &mut Vec<u32>) {
    row_ends.clear();
    let rows = |slot: &i64| divider.quotient(slot.wrapping_sub(before).cast_unsigned());
    row_ends.extend(slots.iter().map(|slot| halves(rows(slot)).1));
}

/// Writes the rows of fills that depend on two points only. Returns the number of rows.
fn write_local(field: &FieldPlan, grid: &Grid, point_run: &PointRun<'_>, out: &mut Frame) -> usize {
    let rows = point_run.row_ends.last().map_or(0, |end| *end as usize);
    let start = out.timestamps.len();
    let Some((values, filled, _)) = columns_of(field.columns, &mut out.columns) else { return 0 };
    let mut entries = RunRows {
        values: append(values, rows + SPARE, f64::NAN),
        filled: append(filled, rows + SPARE, 0),
        firing: append(&mut out.firing, rows + SPARE, 0),
    };
    field.rule.write_run(grid.is_aligned(), point_run, &mut entries);
    values.truncate(start + rows);
    filled.truncate(start + rows);
    out.firing.truncate(start + rows);
    rows
}

/// Writes the certain rows of fills that need one more point. `points_before` of the `known` points are
/// before all rows. Returns the number of rows.
fn write_settled(
    field: &FieldPlan,
    grid: &Grid,
    point_run: &PointRun<'_>,
    (known, points_before): (&[Point], usize),
    out: &mut Frame,
) -> usize {
    let most = point_run.row_ends.last().map_or(0, |end| *end as usize);
    let start = out.timestamps.len();
    let rows = point_run.write_firing(append(&mut out.firing, most + SPARE, 0));
    out.firing.truncate(start + rows);
    let Some((values, filled, _)) = columns_of(field.columns, &mut out.columns) else { return 0 };
    let mut entries = GridEntries {
        values: append(values, rows, f64::NAN),
        filled: append(filled, rows, 0),
        outliers: &mut [],
    };
    field.rule.write(grid, known, points_before, point_run.from, &mut entries);
    rows
}

/// Writes the columns that do not depend on points: times, keys and ranks.
fn write_times_and_keys(point_run: &PointRun<'_>, rows: usize, key: u32, out: &mut Frame) {
    let end = out.timestamps.len() + rows;
    let times = append(&mut out.timestamps, rows, 0);
    super::emit::write_times(times, point_run.from, point_run.interval);
    out.keys.resize(end, key);
    out.ranks.resize(end, 0);
}

/// Appends `count` copies of `entry` and returns them as a slice.
fn append<T: Copy>(list: &mut Vec<T>, count: usize, entry: T) -> &mut [T] {
    let before = list.len();
    list.resize(before + count, entry);
    list.get_mut(before..).unwrap_or_default()
}
