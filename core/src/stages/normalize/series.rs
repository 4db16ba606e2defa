//! The state of one key: its open grid points, and for each field the samples that wait and the points that are known.

use super::advance::over;
use super::cells::{Cell, Cells};
use super::fill::Point;
use super::grid::Grid;
use super::outliers::Recent;
use super::queue::Queue;
use crate::plan::{FieldPlan, NormalizePlan};
use crate::spec::Fill;

/// No such time.
pub(super) const NEVER: i64 = i64::MAX;

/// The samples of one key.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) key: u32,
    /// `None` while its interval is not known: then `places` are the times of samples, in the order in which they came.
    pub(super) grid: Option<Grid>,
    /// Open places with samples, in order.
    pub(super) places: Queue<i64>,
    /// The last place that is over; the earliest time where none is.
    pub(super) closed: i64,
    /// Whether rows go on from there: it has not been silent for too long.
    pub(super) goes_on: bool,
    /// The grid point of the next row.
    pub(super) next: i64,
    /// Rows until here are certain.
    pub(super) ready: i64,
    /// When it is looked at whether it has been silent for too long.
    pub(super) expiry: i64,
    /// When there is something to do next, as the schedule has it.
    pub(super) due: i64,
    /// Whether the passed-on watermark is looked at for its sake.
    pub(super) holds: bool,
}

/// One field of a series.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) cells: Cells,
    /// Known points: those that rows to come may depend on.
    pub(super) known: Vec<Point>,
    /// How many of them are behind the rows that were emitted.
    read: usize,
    /// Whether no point can join the last one any more.
    pub(super) ended: bool,
    /// When that is looked at; [`NEVER`] where it is not.
    pub(super) timer: i64,
    pub(super) recent: Recent,
}

impl Series {
    pub(super) fn new(key: u32, grid: Option<Grid>) -> Self {
        Self {
            key,
            grid,
            places: Queue::default(),
            closed: i64::MIN,
            goes_on: false,
            next: i64::MAX,
            ready: i64::MIN,
            expiry: NEVER,
            due: NEVER,
            holds: false,
        }
    }

    /// Returns the watermark at which the series, whose fields are `lanes`, has something to do next.
    pub(super) fn next_due(&self, lanes: &[Lane], grid: &Grid) -> i64 {
        let place = self.places.first().map_or(NEVER, |place| grid.last_of(*place));
        let timers = lanes.iter().map(|lane| lane.timer);
        timers.fold(place.min(self.expiry), i64::min)
    }

    /// The time until which the next sample must come for rows to go on.
    pub(super) fn goes_on_until(&self, plan: &NormalizePlan) -> i64 {
        self.closed.saturating_add(self.silence(plan))
    }

    /// Whether no sample at or before the watermark `met` can go on with it, once all that is over by then is closed.
    pub(super) fn is_silent_at(&self, met: i64, grid: &Grid, plan: &NormalizePlan) -> bool {
        over(grid, self.last_place().saturating_add(self.silence(plan))) <= met
    }

    /// A watermark below which it is not silent, which takes less to find out than whether it is.
    pub(super) fn calm_before(&self, grid: &Grid, plan: &NormalizePlan) -> i64 {
        match self.goes_on || !self.places.is_empty() {
            true => self.last_place().saturating_add(self.silence(plan) - grid.interval),
            // It has only begun.
            false => NEVER,
        }
    }

    fn last_place(&self) -> i64 {
        self.places.last().map_or(self.closed, |place| self.closed.max(*place))
    }

    /// The longest time between two rows that have samples.
    fn silence(&self, plan: &NormalizePlan) -> i64 {
        let interval = self.grid.map_or(1, |grid| grid.interval);
        interval.saturating_mul(i64::from(plan.max_fill_points).saturating_add(1))
    }

    /// The longest time between two points of `field` that is filled.
    pub(super) fn reach(&self, plan: &NormalizePlan, field: &FieldPlan) -> i64 {
        field.max_gap_us.min(self.silence(plan))
    }

    /// What rows can be emitted, as far as it is known.
    pub(super) fn settle(&mut self, plan: &NormalizePlan, lanes: &[Lane]) {
        let Some(grid) = self.grid else { return };
        let settled = plan.fields.iter().zip(lanes).map(|(field, lane)| match lane.ended {
            true => i64::MAX,
            false => field.rule.settled(&grid, &lane.known),
        });
        self.ready = settled.fold(self.closed, i64::min);
    }

    /// The time before the earliest row with values that may still come, apart from those of open places.
    pub(super) fn hold(&self, plan: &NormalizePlan, lanes: &[Lane]) -> Option<i64> {
        let mut lanes = plan.fields.iter().zip(lanes);
        let waits = |(field, lane): (&FieldPlan, &Lane)| lane.waits(field);
        let holds = self.next <= self.closed || (self.goes_on && lanes.any(waits));
        holds.then(|| self.next.saturating_sub(1))
    }
}

impl Lane {
    pub(super) fn new() -> Self {
        Self { timer: NEVER, ..Self::default() }
    }

    /// Ends it: what comes later has nothing to do with it.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.recent.values.clear();
    }

    /// Makes it as new, but for its room.
    pub(super) fn reset(&mut self) {
        self.cells.list.clear();
        self.known.clear();
        self.recent.values.clear();
        (self.read, self.ended, self.timer) = (0, false, NEVER);
    }

    pub(super) fn add(&mut self, field: &FieldPlan, place: i64, time: i64, value: f64) {
        if !value.is_nan() {
            self.cells.add(field.reduce, Cell { place, time, value });
        }
    }

    /// Whether points after the last known one may still be filled.
    pub(super) fn waits(&self, field: &FieldPlan) -> bool {
        !self.ended && !self.known.is_empty() && field.rule.fill != Fill::None
    }

    /// Adds a point that is known now; `reach` is the longest time between two that is filled.
    pub(super) fn know(&mut self, time: i64, value: f64, outlier: bool, reach: i64) {
        let last = self.known.last().filter(|_| !self.ended);
        let joined = last.is_some_and(|last| time.saturating_sub(last.time) <= reach);
        self.known.push(Point { time, value, joined, outlier });
        self.ended = false;
    }

    /// Points that rows from `next` on wait with.
    pub(super) fn waiting(&self, next: i64) -> usize {
        self.known.len() - self.known.partition_point(|point| point.time < next)
    }

    /// How many points are before `from`, which never goes back.
    pub(super) fn read_until(&mut self, from: i64) -> usize {
        let ahead = self.known.get(self.read..).unwrap_or_default();
        self.read += ahead.partition_point(|point| point.time < from);
        self.read
    }

    /// Lets go of the points that no row from `next` on depends on.
    pub(super) fn forget(&mut self, field: &FieldPlan, next: i64) {
        let behind = self.read_until(next);
        if self.ended && behind == self.known.len() {
            self.known.clear();
            self.read = 0;
        } else {
            let mut past = behind.saturating_sub(field.rule.reach());
            // Nothing reaches beyond a point that is not joined to the one before, whether it was known when that ended or not.
            let near = self.known.get(past..=behind).or(self.known.get(past..));
            let apart = near.unwrap_or_default().iter().rposition(|point| !point.joined);
            past += apart.unwrap_or(0);
            self.known.drain(..past);
            self.read -= past;
        }
    }
}

/// Opens `place` among `places`, if it is not open; true: it was not.
pub(super) fn open(places: &mut Queue<i64>, place: i64) -> bool {
    match places.last() {
        Some(last) if *last == place => false,
        Some(last) if *last > place => match places.binary_search(&place) {
            Ok(_) => false,
            Err(at) => {
                places.insert(at, place);
                true
            }
        },
        _ => {
            places.push(place);
            true
        }
    }
}
