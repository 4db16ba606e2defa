//! Following the schedule: places that are over become known points, silences end runs.

use super::emit::Firing;
use super::fill::Point;
use super::grid::Grid;
use super::series::{Lane, NEVER};
use super::{Belated, NormalizeStage};
use crate::frame::Frame;
use crate::keys::Keys;
use crate::spec::{Fill, MAX_DEGREE};
use crate::watermark::END_OF_TIME;

impl NormalizeStage {
    /// Makes the rows that were due before anything else is taken; false: `out` is full.
    pub(super) fn catch_up(&mut self, keys: &mut Keys, out: &mut Frame) -> bool {
        if !self.emit(keys, out) {
            return false;
        }
        while let Some(Belated { at, rank }) = self.belated {
            let Some((time, members)) = self.schedule.take(at) else {
                self.belated = None;
                break;
            };
            // Times in order, as unsigned numbers.
            let by_time = time.cast_unsigned() ^ (1 << 63);
            self.fire(time, members, (at, rank.unwrap_or(by_time)), at, keys);
            if !self.emit(keys, out) {
                return false;
            }
        }
        true
    }

    /// Follows the schedule up to `watermark`; false: `out` is full, and this is to be called again.
    pub(super) fn advance(&mut self, watermark: i64, keys: &mut Keys, out: &mut Frame) -> bool {
        while let Some((time, members)) = self.schedule.take(watermark) {
            self.fire(time, members, (time, 0), watermark, keys);
            if !self.emit(keys, out) {
                return false;
            }
        }
        self.advanced = self.advanced.max(watermark);
        if watermark == END_OF_TIME && self.undecided > 0 {
            self.decide_all();
        }
        self.catch_up(keys, out)
    }

    /// Does what is due at `time`, on the way to `watermark`, and begins to emit the rows that are certain then.
    fn fire(
        &mut self,
        time: i64,
        members: Vec<u32>,
        (at, rank): (i64, u64),
        watermark: i64,
        keys: &mut Keys,
    ) {
        let mut runs = self.emitter.take_list();
        for of in &members {
            self.visit(*of, time, watermark == END_OF_TIME);
            self.after_change(*of, &mut runs, keys);
        }
        self.schedule.recycle(members);
        let sorted = runs.len() < 2;
        if runs.is_empty() {
            self.emitter.give_back(runs);
        } else {
            self.firing = Some(Firing { at, rank, runs, sorted });
        }
    }

    /// Looks at what series `of` has to do at `time`.
    fn visit(&mut self, of: u32, time: i64, at_end: bool) {
        let span = self.span(of);
        let Some(series) = self.series.get(of as usize) else { return };
        let Some(grid) = series.grid else { return };
        if series.places.front().is_some_and(|place| grid.last_of(*place) <= time) {
            self.close(of);
        }
        let Self { plan, series, lanes, stats, .. } = self;
        let lanes = lanes.get_mut(span).unwrap_or_default();
        let Some(series) = series.get_mut(of as usize) else { return };
        for (field, lane) in plan.fields.iter().zip(lanes.iter_mut()) {
            if lane.timer <= time {
                lane.timer = NEVER;
                let reach = series.reach(plan, field);
                let certain = |last: &Point| over(&grid, last.time.saturating_add(reach)) <= time;
                lane.ended |= lane.known.last().is_none_or(certain);
            }
        }
        if series.expiry <= time {
            series.expiry = NEVER;
            if series.goes_on && over(&grid, series.goes_on_until(plan)) <= time {
                series.goes_on = false;
                lanes.iter_mut().for_each(Lane::end);
                // At the end of input it is not silence, unless something came after it.
                stats.fill_limit += u64::from(!at_end || !series.places.is_empty());
            }
        }
        series.settle(plan, lanes);
    }

    /// The oldest place of series `of` is over: what is there is known.
    pub(super) fn close(&mut self, of: u32) {
        let span = self.span(of);
        let Self { plan, series, lanes, stats, .. } = self;
        let lanes = lanes.get_mut(span).unwrap_or_default();
        let Some(series) = series.get_mut(of as usize) else { return };
        let (Some(grid), Some(place)) = (series.grid, series.places.pop_front()) else { return };
        if series.goes_on && place > series.goes_on_until(plan) {
            series.goes_on = false;
            lanes.iter_mut().for_each(Lane::end);
            stats.fill_limit += 1;
        }
        if !series.goes_on {
            series.next = grid.ceil(place);
        }
        series.goes_on = true;
        series.closed = place;
        for (field, lane) in plan.fields.iter().zip(lanes.iter_mut()) {
            let Some(value) = lane.cells.take(field.reduce, place) else { continue };
            let (value, outlier) = match field.outliers {
                Some(rule) => lane.recent.judge(rule, value),
                None => (Some(value), false),
            };
            stats.outliers += u64::from(outlier);
            if let Some(value) = value {
                lane.know(place, value, outlier, series.reach(plan, field));
            }
        }
        // Where one field keeps the others waiting, they do not wait without bound.
        let most = plan.max_buffered.saturating_add(MAX_DEGREE);
        if lanes.len() > 1 && lanes.iter().any(|lane| lane.known.len() > most) {
            stats.buffer_limit += 1;
            for (field, lane) in plan.fields.iter().zip(lanes.iter_mut()) {
                lane.ended |= field.rule.settled(&grid, &lane.known) < place;
            }
        }
        series.settle(plan, lanes);
    }

    /// Puts series `of` among `runs` if it has rows, and has it looked at when silence would change something.
    pub(super) fn after_change(&mut self, of: u32, runs: &mut Vec<u32>, keys: &mut Keys) {
        self.arm(of);
        let Some(series) = self.series.get_mut(of as usize) else { return };
        if series.firing {
            return;
        }
        if series.has_rows() {
            series.firing = true;
            runs.push(of);
        } else if series.grid.is_some() {
            self.settle_down(of, keys);
        }
    }

    /// Schedules when to look for silence in series `of`.
    pub(super) fn arm(&mut self, of: u32) {
        let span = self.span(of);
        let Self { plan, series, lanes, schedule, .. } = self;
        let Some(series) = series.get_mut(of as usize) else { return };
        let Some(grid) = series.grid.filter(|_| series.goes_on) else { return };
        if series.expiry == NEVER {
            series.expiry = over(&grid, series.goes_on_until(plan));
            schedule.add(series.expiry, of);
        }
        let lanes = lanes.get_mut(span).unwrap_or_default();
        // Where rows come out as soon as they have both neighbours and no later stage waits, silence changes nothing.
        let alone = plan.is_last && lanes.len() == 1;
        for (field, lane) in plan.fields.iter().zip(lanes) {
            let needs = !alone || matches!(field.rule.fill, Fill::Spline | Fill::Polynomial);
            let last = lane.known.last().filter(|_| needs && lane.timer == NEVER && !lane.ended);
            if let Some(last) = last {
                lane.timer = over(&grid, last.time.saturating_add(series.reach(plan, field)));
                schedule.add(lane.timer, of);
            }
        }
    }
}

/// The watermark at which no sample that counts at `time` or before can come any more.
fn over(grid: &Grid, time: i64) -> i64 {
    grid.last_of(grid.place_until(time)).min(NEVER - 1)
}
