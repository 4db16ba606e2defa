//! Following the schedule: places that are over become known points, silences end runs.

use super::NormalizeStage;
use super::fill::Point;
use super::grid::Grid;
use super::layout::Piece;
use super::series::{Lane, NEVER, Series};
use crate::data::frame::Frame;
use crate::data::stats::StageStats;
use crate::event_time::watermark::END_OF_TIME;
use crate::keys::Keys;
use crate::plan::NormalizePlan;
use crate::spec::{Fill, MAX_DEGREE};

/// When rows that are certain too late, as those of a key whose interval was just found, are said to be due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Belated {
    /// The watermark that they have waited for,
    pub(super) at: i64,
    /// and what puts them behind the others there; without it, the time at which they should have been due.
    pub(super) rank: Option<u64>,
}

/// How far a series is followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) watermark: i64,
    pub(super) at_end: bool,
    /// How many things may happen.
    pub(super) steps: usize,
}

impl Bound {
    /// Everything up to `watermark`.
    pub(super) fn until(watermark: i64) -> Self {
        Self { watermark, at_end: watermark == END_OF_TIME, steps: usize::MAX }
    }
}

/// A series with all that it takes to go on with it.
pub(super) struct Work<'a> {
    pub(super) plan: &'a NormalizePlan,
    pub(super) series: &'a mut Series,
    pub(super) lanes: &'a mut [Lane],
    pub(super) stats: &'a mut StageStats,
}

impl NormalizeStage {
    /// Follows the schedule up to `watermark`; false: `out` is full, and this is to be called again.
    pub(super) fn advance(&mut self, watermark: i64, keys: &mut Keys, out: &mut Frame) -> bool {
        if !self.plan.is_last {
            return self.advance_by_instants(watermark, keys, out);
        }
        let bound = Bound::until(watermark);
        if watermark > self.advanced {
            self.follow_steady(bound, keys, out);
            self.follow(bound, None, keys);
            self.advanced = watermark;
        }
        if !self.emit(keys, out) {
            return false;
        }
        if watermark == END_OF_TIME && self.undecided > 0 {
            self.decide_all();
            self.follow(bound, Some(Belated { at: watermark, rank: None }), keys);
        }
        self.emit(keys, out)
    }

    /// Follows the schedule up to `watermark`, one instant at a time: the rows of an instant are emitted under the watermark
    /// just below it, before anything later happens. False: `out` is full, and this is to be called again.
    ///
    /// Where a later stage sees the watermark, it must rise through every instant, also when one event moves it over many.
    fn advance_by_instants(&mut self, watermark: i64, keys: &mut Keys, out: &mut Frame) -> bool {
        let bound = Bound::until(watermark);
        loop {
            if !self.emit(keys, out) {
                return false;
            }
            self.follow_steady(bound, keys, out);
            if !self.emit(keys, out) {
                return false;
            }
            let next = self.schedule.next_due(&self.series);
            let Some(instant) = next.filter(|instant| *instant <= watermark) else { break };
            self.pass_on(instant.saturating_sub(1));
            self.follow(Bound { watermark: instant, ..bound }, None, keys);
        }
        self.advanced = self.advanced.max(watermark);
        self.pass_on(watermark);
        true
    }

    /// Does what is due within `bound`; the rows that become certain are pending then.
    pub(super) fn follow(&mut self, bound: Bound, belated: Option<Belated>, keys: &mut Keys) {
        let before = self.pending.len();
        while let Some(of) = self.schedule.take(bound.watermark, &mut self.series) {
            self.follow_one(of, bound, belated);
            self.measure(of, keys);
        }
        if self.touched.len() > 1 {
            let ranks = keys.ranks();
            let rank_of = |key: u32| ranks.get(key as usize).copied().unwrap_or(0);
            let pieces = self.pending.get_mut(before..).unwrap_or_default();
            self.order.sort(pieces, rank_of);
        }
    }

    pub(super) fn follow_one(&mut self, of: u32, bound: Bound, belated: Option<Belated>) {
        let span = self.span(of);
        let Self { plan, series, lanes, stats, pending, schedule, .. } = self;
        let Some(series) = series.get_mut(of as usize) else { return };
        let Some(grid) = series.grid else { return };
        let lanes = lanes.get_mut(span).unwrap_or_default();
        let mut work = Work { plan, series, lanes, stats };
        let mut due = work.series.next_due(work.lanes, &grid);
        for _ in 0..bound.steps {
            if due > bound.watermark || due == NEVER {
                break;
            }
            work.visit(&grid, due, bound.at_end);
            let firing = match belated {
                None => (due, 0),
                // Times in order, as unsigned numbers.
                Some(Belated { at, rank }) => (at, rank.unwrap_or(due.cast_unsigned() ^ (1 << 63))),
            };
            pending.extend(work.take_rows(&grid, of, firing));
            due = work.series.next_due(work.lanes, &grid);
        }
        work.series.due = NEVER;
        schedule.add(of, work.series, due);
        self.touched.push(of);
    }
}

impl Work<'_> {
    /// Does what there is to do at `time`.
    fn visit(&mut self, grid: &Grid, time: i64, at_end: bool) {
        if self.series.places.first().is_some_and(|place| grid.last_of(*place) <= time) {
            self.close(grid);
        }
        for (field, lane) in self.plan.fields.iter().zip(self.lanes.iter_mut()) {
            if lane.timer <= time {
                lane.timer = NEVER;
                let reach = self.series.reach(self.plan, field);
                let certain = |last: &Point| over(grid, last.time.saturating_add(reach)) <= time;
                lane.ended |= lane.known.last().is_none_or(certain);
            }
        }
        if self.series.expiry <= time {
            self.series.expiry = NEVER;
            if self.series.goes_on && over(grid, self.series.goes_on_until(self.plan)) <= time {
                // At the end of input it is not silence, unless something came after it.
                self.fall_silent(!at_end || !self.series.places.is_empty());
            }
        }
        self.series.settle(self.plan, self.lanes);
        self.arm(grid);
    }

    /// The oldest place is over: what is there is known.
    pub(super) fn close(&mut self, grid: &Grid) {
        let Some(place) = self.series.places.pop() else { return };
        if self.series.goes_on && place > self.series.goes_on_until(self.plan) {
            self.fall_silent(true);
        }
        if !self.series.goes_on {
            self.series.next = grid.ceil(place);
        }
        self.series.goes_on = true;
        self.series.closed = place;
        for (field, lane) in self.plan.fields.iter().zip(self.lanes.iter_mut()) {
            let Some(value) = lane.cells.take(field.reduce, place) else { continue };
            let (value, outlier) = match field.outliers {
                Some(rule) => lane.recent.judge(rule, value),
                None => (Some(value), false),
            };
            self.stats.outliers += u64::from(outlier);
            if let Some(value) = value {
                lane.know(place, value, outlier, self.series.reach(self.plan, field));
            }
        }
        // Where one field keeps the others waiting, they do not wait without bound.
        let most = self.plan.max_buffered.saturating_add(MAX_DEGREE);
        let next = self.series.next;
        let waiting = |lane: &Lane| lane.known.len() > most && lane.waiting(next) > most;
        if self.lanes.len() > 1 && self.lanes.iter().any(waiting) {
            self.stats.buffer_limit += 1;
            for (field, lane) in self.plan.fields.iter().zip(self.lanes.iter_mut()) {
                lane.ended |= field.rule.settled(grid, &lane.known) < place;
            }
        }
    }

    /// What comes later is another series.
    fn fall_silent(&mut self, counts: bool) {
        self.series.goes_on = false;
        self.lanes.iter_mut().for_each(Lane::end);
        self.stats.fill_limit += u64::from(counts);
    }

    /// Sees to it that silence is noticed where it changes something.
    pub(super) fn arm(&mut self, grid: &Grid) {
        if !self.series.goes_on {
            return;
        }
        if self.series.expiry == NEVER {
            self.series.expiry = over(grid, self.series.goes_on_until(self.plan));
        }
        // Where rows come out as soon as they have both neighbours and no later stage waits, it changes nothing.
        let alone = self.plan.is_last && self.lanes.len() == 1;
        for (field, lane) in self.plan.fields.iter().zip(self.lanes.iter_mut()) {
            let needs = !alone || matches!(field.rule.fill, Fill::Spline | Fill::Polynomial);
            if !needs || lane.timer != NEVER || lane.ended {
                continue;
            }
            if let Some(last) = lane.known.last() {
                let until = last.time.saturating_add(self.series.reach(self.plan, field));
                lane.timer = over(grid, until);
            }
        }
    }

    /// The rows that are certain and were not before.
    pub(super) fn take_rows(&mut self, grid: &Grid, of: u32, firing: (i64, u64)) -> Option<Piece> {
        let Series { next, ready, key, .. } = *self.series;
        if next > ready {
            return None;
        }
        let rows = match ready.saturating_sub(next) {
            time if time < grid.interval => 0,
            time => time / grid.interval,
        };
        let count = usize::try_from(rows).unwrap_or(usize::MAX).saturating_add(1);
        let piece = Piece { firing, series: of, key, from: next, interval: grid.interval, count };
        self.series.next = piece.after(count);
        if self.series.next == next {
            // The end of time: there is no next row.
            self.series.ready = i64::MIN;
        }
        Some(piece)
    }
}

/// The watermark at which no sample that counts at `time` or before can come any more.
pub(super) fn over(grid: &Grid, time: i64) -> i64 {
    grid.last_of(grid.place_until(time)).min(NEVER - 1)
}
