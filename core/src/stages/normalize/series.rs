//! State of one key: its open slots, and for each field the buffered samples and the known points.

use super::advance::closing_watermark;
use super::buffer::{BufferedSample, SampleBuffer};
use super::fill::Point;
use super::grid::Grid;
use super::outliers::RecentValues;
use crate::plan::{FieldPlan, NormalizePlan};
use crate::util::front_queue::FrontQueue;

/// A time that never comes: no deadline, no timer.
pub(super) const NEVER: i64 = i64::MAX;

/// State of one key, without its fields.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) key: u32,
    /// `None` until the interval is known. Until then `slots` holds sample times in order of
    /// arrival.
    pub(super) grid: Option<Grid>,
    /// Open slots that hold samples, ascending.
    pub(super) slots: FrontQueue<i64>,
    /// The last closed slot; `i64::MIN` if none is closed.
    pub(super) last_closed: i64,
    /// True while the current run can continue: the silence since `last_closed` is not too long yet.
    pub(super) in_run: bool,
    /// Grid point of the next row.
    pub(super) next_row: i64,
    /// Rows up to this time are certain.
    pub(super) ready_until: i64,
    /// Watermark at which the run is checked for a silence that is too long.
    pub(super) expiry: i64,
    /// Watermark at which the series has work next, as entered in the schedule.
    pub(super) due: i64,
    /// True if the series has an entry in [`super::WatermarkHolds`].
    pub(super) in_watermark_holds: bool,
}

/// State of one field of a series.
#[derive(Debug, Default)]
pub(super) struct FieldSeries {
    pub(super) buffer: SampleBuffer,
    /// Points that rows still to come may depend on.
    pub(super) known: Vec<Point>,
    /// Number of `known` points before the rows that have been emitted.
    emitted_points: usize,
    /// True if no later point can join the last known one.
    pub(super) ended: bool,
    /// Watermark at which the field is checked for its end; [`NEVER`] if it needs no check.
    pub(super) timer: i64,
    pub(super) recent: RecentValues,
}

impl Series {
    pub(super) fn new(key: u32, grid: Option<Grid>) -> Self {
        Self {
            key,
            grid,
            slots: FrontQueue::default(),
            last_closed: i64::MIN,
            in_run: false,
            next_row: i64::MAX,
            ready_until: i64::MIN,
            expiry: NEVER,
            due: NEVER,
            in_watermark_holds: false,
        }
    }

    /// Returns the watermark at which the series has work next; `field_series` are its fields.
    pub(super) fn next_due(&self, field_series: &[FieldSeries], grid: &Grid) -> i64 {
        let slot = self.slots.first().map_or(NEVER, |slot| grid.last_of(*slot));
        let timers = field_series.iter().map(|state| state.timer);
        timers.fold(slot.min(self.expiry), i64::min)
    }

    /// Returns the latest time of a sample that still continues the run.
    pub(super) fn run_deadline(&self, plan: &NormalizePlan) -> i64 {
        self.last_closed.saturating_add(self.max_silence(plan))
    }

    /// Returns true if no sample at or before `input_watermark` can continue the run, once all
    /// slots that this watermark passes are closed.
    pub(super) fn run_expires_by(
        &self,
        input_watermark: i64,
        grid: &Grid,
        plan: &NormalizePlan,
    ) -> bool {
        closing_watermark(grid, self.last_slot().saturating_add(self.max_silence(plan)))
            <= input_watermark
    }

    /// Returns a watermark below which [`Self::run_expires_by`] is false, at lower cost.
    pub(super) fn run_lasts_before(&self, grid: &Grid, plan: &NormalizePlan) -> i64 {
        match self.in_run || !self.slots.is_empty() {
            true => self.last_slot().saturating_add(self.max_silence(plan) - grid.interval),
            // The series has only begun.
            false => NEVER,
        }
    }

    /// Returns the last slot that has samples or is closed.
    fn last_slot(&self) -> i64 {
        self.slots.last().map_or(self.last_closed, |slot| self.last_closed.max(*slot))
    }

    /// Returns the longest time between two consecutive samples of one run.
    fn max_silence(&self, plan: &NormalizePlan) -> i64 {
        let interval = self.grid.map_or(1, |grid| grid.interval);
        interval.saturating_mul(i64::from(plan.max_fill_points).saturating_add(1))
    }

    /// Returns the longest time between two points of `field` that is filled.
    pub(super) fn reach(&self, plan: &NormalizePlan, field: &FieldPlan) -> i64 {
        field.max_gap_us.min(self.max_silence(plan))
    }

    /// Updates `ready_until`, the time up to which rows are certain.
    pub(super) fn update_ready_until(
        &mut self,
        plan: &NormalizePlan,
        field_series: &[FieldSeries],
    ) {
        let Some(grid) = self.grid else { return };
        let certain_until =
            plan.fields.iter().zip(field_series).map(|(field, state)| match state.ended {
                true => i64::MAX,
                false => field.rule.certain_until(&grid, &state.known),
            });
        self.ready_until = certain_until.fold(self.last_closed, i64::min);
    }

    /// Returns the time before the earliest row with values that may still come, apart from open
    /// slots. Returns `None` if the series does not hold the watermark back.
    pub(super) fn watermark_hold(
        &self,
        plan: &NormalizePlan,
        field_series: &[FieldSeries],
    ) -> Option<i64> {
        let mut field_series = plan.fields.iter().zip(field_series);
        let may_be_filled = |(field, state): (&FieldPlan, &FieldSeries)| state.may_be_filled(field);
        let holds_back =
            self.next_row <= self.last_closed || (self.in_run && field_series.any(may_be_filled));
        holds_back.then(|| self.next_row.saturating_sub(1))
    }
}

impl FieldSeries {
    pub(super) fn new() -> Self {
        Self { timer: NEVER, ..Self::default() }
    }

    /// Ends the run of this field: later points do not join the earlier ones.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.recent.values.clear();
    }

    /// Clears the state and keeps its allocations.
    pub(super) fn reset(&mut self) {
        self.buffer.samples.clear();
        self.known.clear();
        self.recent.values.clear();
        (self.emitted_points, self.ended, self.timer) = (0, false, NEVER);
    }

    /// Buffers a sample unless its value is missing (NaN).
    pub(super) fn add(&mut self, field: &FieldPlan, slot: i64, time: i64, value: f64) {
        if !value.is_nan() {
            self.buffer.add(field.reduce, BufferedSample { slot, time, value });
        }
    }

    /// Returns true if grid points after the last known point may still be filled.
    pub(super) fn may_be_filled(&self, field: &FieldPlan) -> bool {
        !self.ended && !self.known.is_empty() && field.rule.fills_gaps()
    }

    /// Adds a known point. It joins the last one if at most `reach` lies between them.
    pub(super) fn add_known(&mut self, time: i64, value: f64, outlier: bool, reach: i64) {
        let last = self.known.last().filter(|_| !self.ended);
        let joined = last.is_some_and(|last| time.saturating_sub(last.time) <= reach);
        self.known.push(Point { time, value, joined, outlier });
        self.ended = false;
    }

    /// Returns the number of points at or after `next`, the next row.
    pub(super) fn waiting_points(&self, next: i64) -> usize {
        self.known.len() - self.known.partition_point(|point| point.time < next)
    }

    /// Returns the number of known points before `from`. `from` must not decrease between calls.
    pub(super) fn count_before(&mut self, from: i64) -> usize {
        let ahead = self.known.get(self.emitted_points..).unwrap_or_default();
        self.emitted_points += ahead.partition_point(|point| point.time < from);
        self.emitted_points
    }

    /// Drops the points that no row from `next` on depends on.
    pub(super) fn drop_unneeded(&mut self, field: &FieldPlan, next: i64) {
        let points_before = self.count_before(next);
        if self.ended && points_before == self.known.len() {
            self.known.clear();
            self.emitted_points = 0;
        } else {
            let mut dropped = points_before.saturating_sub(field.rule.lookback_points());
            // No fill looks past a point that is not joined to its predecessor. Points beyond it
            // are dropped whether or not that end was known when they were emitted.
            let candidates = self.known.get(dropped..=points_before).or(self.known.get(dropped..));
            let run_start = candidates.unwrap_or_default().iter().rposition(|point| !point.joined);
            dropped += run_start.unwrap_or(0);
            self.known.drain(..dropped);
            self.emitted_points -= dropped;
        }
    }
}

/// Opens `slot` and returns true if it was not open.
pub(super) fn open_slot(slots: &mut FrontQueue<i64>, slot: i64) -> bool {
    slots.insert(slot, |open| *open <= slot, |open| *open == slot)
}
