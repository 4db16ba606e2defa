//! Checks of restored state: a number that steers a loop must be one that a stream can give.

use super::grid::Grid;
use super::series::{FieldSeries, Series};
use super::{NormalizeStage, SnapshotError};
use crate::plan::NormalizePlan;
use crate::spec::MAX_DEGREE;
use crate::time::{MAX_TIME, MIN_TIME};

impl NormalizeStage {
    /// Checks all series, the order of use and the pending rows.
    pub(super) fn check_all(&self) -> Result<(), SnapshotError> {
        let live = || self.series.iter().zip(0..).filter(|(series, _)| series.key != super::NONE);
        for (series, series_id) in live() {
            let field_series = self.field_series.get(self.field_range(series_id));
            let field_series = field_series.unwrap_or_default();
            let is_consistent = match &series.grid {
                Some(grid) => has_valid_grid_points(series, field_series, grid, &self.plan),
                None => has_no_grid_points(series, field_series),
            };
            if !is_consistent {
                return Err(SnapshotError::Damaged("the times of a series are inconsistent"));
            }
        }
        let has_series = |key: u32| self.series_of(key).is_some();
        self.lru.as_ref().map_or(Ok(()), |lru| lru.check_keys(has_series))?;
        match self.has_valid_pending_rows() {
            true => Ok(()),
            false => Err(SnapshotError::Damaged("pending rows are not rows of their series")),
        }
    }

    /// Returns true if the pending rows of each series are on its grid, in order, and before its
    /// next row.
    fn has_valid_pending_rows(&self) -> bool {
        let mut ends = vec![i64::MIN; self.series.len()];
        self.pending.iter().all(|run| {
            let series = self.series.get(run.series as usize);
            let Some((series, grid)) = series.and_then(|series| Some((series, series.grid?)))
            else {
                return false;
            };
            let Some(end) = ends.get_mut(run.series as usize) else { return false };
            let is_after = run.from >= *end;
            *end = run.after(run.count);
            let most = most_waiting_rows(&self.plan);
            let length = i64::try_from(run.count).unwrap_or(i64::MAX);
            is_after
                && length <= most
                && grid.floor(run.from) == run.from
                && is_event_time(run.from, &grid)
                && *end <= series.next_row
        })
    }
}

/// Returns a bound of the number of rows of one series that wait for a later point. A row waits for
/// at most [`MAX_DEGREE`] points, between which at most `limits.max_fill_points` rows are.
fn most_waiting_rows(plan: &NormalizePlan) -> i64 {
    let points = i64::try_from(2 * MAX_DEGREE + 2).unwrap_or(i64::MAX);
    points.saturating_mul(i64::from(plan.max_fill_points).saturating_add(2))
}

/// Returns true if an event can have `time`, or be in the slot `time`.
fn is_event_time(time: i64, grid: &Grid) -> bool {
    (grid.slot_of(MIN_TIME).min(MIN_TIME)..=grid.slot_of(MAX_TIME).max(MAX_TIME)).contains(&time)
}

/// Returns true if `slot` is a slot of `grid` that an event can be in.
fn is_slot(slot: i64, grid: &Grid) -> bool {
    is_event_time(slot, grid) && (!grid.is_aligned() || grid.floor(slot) == slot)
}

/// Returns true if a series without an interval has only samples.
fn has_no_grid_points(series: &Series, field_series: &[FieldSeries]) -> bool {
    let is_time = |time: &i64| (MIN_TIME..=MAX_TIME).contains(time);
    let is_new = !series.in_run
        && (series.last_closed, series.next_row, series.ready_until)
            == (i64::MIN, i64::MAX, i64::MIN);
    is_new
        && series.slots.iter().all(is_time)
        && field_series.iter().all(|state| {
            state.known.is_empty()
                && state.buffer.samples.iter().all(|sample| is_time(&sample.time))
        })
}

/// Returns true if slots, samples, points and rows of a series can be those of one stream.
fn has_valid_grid_points(
    series: &Series,
    field_series: &[FieldSeries],
    grid: &Grid,
    plan: &NormalizePlan,
) -> bool {
    let Series { last_closed, next_row, ready_until, .. } = *series;
    let begun = last_closed != i64::MIN;
    let slots_are_valid =
        series.slots.iter().all(|slot| *slot > last_closed && is_slot(*slot, grid));
    if !begun {
        let is_new = !series.in_run && next_row == i64::MAX && ready_until == i64::MIN;
        let has_points = field_series.iter().any(|state| !state.known.is_empty());
        return is_new
            && !has_points
            && slots_are_valid
            && samples_are_valid(series, field_series, grid);
    }
    let waiting = grid.interval.saturating_mul(most_waiting_rows(plan));
    let first = last_closed.saturating_sub(waiting);
    let points_are_valid = |state: &FieldSeries| {
        let is_valid = |time: i64| time <= last_closed && is_slot(time, grid);
        state.known.iter().all(|point| is_valid(point.time) && point.value.is_finite())
            && state.recent.values.iter().all(|value| value.is_finite())
    };
    is_slot(last_closed, grid)
        && slots_are_valid
        && (first..=last_closed.saturating_add(grid.interval)).contains(&next_row)
        && grid.floor(next_row) == next_row
        && ready_until <= last_closed
        && next_row > ready_until
        && field_series.iter().all(points_are_valid)
        && samples_are_valid(series, field_series, grid)
}

/// Returns true if each buffered sample is in an open slot of `series`, in the order of slots.
fn samples_are_valid(series: &Series, field_series: &[FieldSeries], grid: &Grid) -> bool {
    field_series.iter().all(|state| {
        let mut slots = series.slots.iter().peekable();
        state.buffer.samples.iter().all(|sample| {
            while slots.next_if(|slot| **slot < sample.slot).is_some() {}
            slots.peek() == Some(&&sample.slot)
                && grid.slot_of(sample.time) == sample.slot
                && sample.value.is_finite()
        })
    })
}
