//! Taking samples: each goes to its place, unless that is over.

use core::ops::Range;

use super::advance::{Belated, Bound, Work};
use super::cells::keeps_all;
use super::grid::Grid;
use super::ordinary::{self, Samples, Scratch};
use super::series::{Lane, NEVER, Series, open};
use super::{NONE, NormalizeStage};
use crate::data::frame::Events;
use crate::data::reject::RejectReason;
use crate::event_time::watermark::NO_WATERMARK;
use crate::plan::{FieldPlan, NormalizePlan};

use super::super::Context;

/// Consecutive samples of one series that are worth looking at as a whole.
const MANY: usize = 16;
/// Samples of one series that are taken before what they made due is followed: what waits stays in the first cache.
const AT_ONCE: usize = 512;
/// Samples that are taken one by one before the rest is looked at as a whole again.
const EACH: usize = 64;

/// Why no more samples are taken.
pub(super) enum Stop {
    /// There is none.
    End,
    /// Everything that is due at this watermark must be out before the next one.
    Advance(i64),
    /// Something has become due before its time.
    Fired,
    /// A limit ends the call before the next sample.
    Refused,
}

impl NormalizeStage {
    /// Takes samples from `cursor` on.
    pub(super) fn absorb(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
    ) -> Stop {
        while let Some(key) = events.keys.get(*cursor) {
            let known = self.by_key.get(*key as usize).copied().unwrap_or(NONE);
            let span = self.span(known);
            if let Some(series) = self.series.get_mut(known as usize) {
                let lanes = self.lanes.get_mut(span).unwrap_or_default();
                let scratch = &mut self.scratch;
                let from = (*cursor, self.advanced);
                let (taken, due) = take_run(&self.plan, series, lanes, events, from, scratch);
                self.schedule.add(known, series, due);
                self.stats.events += taken as u64;
                *cursor += taken;
                if taken > 0 {
                    self.note(known, *key, context.keys);
                    match events.watermarks.get(*cursor) {
                        Some(met)
                            if taken >= AT_ONCE && self.grid.is_some() && self.advanced < *met =>
                        {
                            return Stop::Advance(*met);
                        }
                        _ => continue,
                    }
                }
            }
            if let Some(stop) = self.take_unusual(known, events, cursor, context) {
                return stop;
            }
        }
        Stop::End
    }

    /// Takes a sample that is not just one more of its series, `known`; or says what must happen first.
    #[cold]
    fn take_unusual(
        &mut self,
        known: u32,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
    ) -> Option<Stop> {
        let at = *cursor;
        let (&time, &key) = events.timestamps.get(at).zip(events.keys.get(at))?;
        let met = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
        let is_late = |grid: &Grid| grid.last_of(grid.place_of(time)) <= met;
        if known == NONE {
            if self.grid.as_ref().is_some_and(is_late) {
                self.drop_late(events, cursor, context);
            } else if let Some(limit) = self.limit(key, context.keys) {
                // What is due may leave room.
                if self.advanced < met {
                    return Some(Stop::Advance(met));
                }
                return self.at_limit(limit, events, cursor, context);
            } else {
                let of = self.begin(key, context.keys);
                self.measure(of, context.keys);
            }
            return None;
        }
        let series = self.series.get(known as usize)?;
        let rank = events.ordinals.at(at).saturating_add(1);
        let Some(grid) = series.grid else {
            let decides = series.places.len() + 1 >= self.samples_for_auto();
            if decides && self.advanced < met {
                return Some(Stop::Advance(met));
            }
            self.gather(known, events, at);
            self.stats.events += 1;
            *cursor += 1;
            self.note(known, key, context.keys);
            if !decides {
                return None;
            }
            self.decide(known);
            self.measure(known, context.keys);
            let belated = Belated { at: met, rank: Some(rank) };
            self.follow(Bound::until(met), Some(belated), context.keys);
            return Some(Stop::Fired);
        };
        if self.grid.is_none() && self.advanced < met {
            // The series may have fallen silent by then: the sample begins a new one, which has no grid yet.
            return Some(Stop::Advance(met));
        }
        if grid.place_of(time) <= series.closed || is_late(&grid) {
            self.drop_late(events, cursor, context);
            return None;
        }
        // What is left is that too much of it waits, or that it has fallen silent.
        if self.advanced < met {
            return Some(Stop::Advance(met));
        }
        self.close_early(known, (met, rank));
        self.measure(known, context.keys);
        Some(Stop::Fired)
    }

    #[cold]
    fn drop_late(&mut self, events: &Events<'_>, cursor: &mut usize, context: &mut Context<'_>) {
        let key = events.keys.get(*cursor).and_then(|key| self.by_key.get(*key as usize));
        let own = key.and_then(|of| self.series.get(*of as usize)).and_then(|series| series.grid);
        let time = events.timestamps.get(*cursor).copied().unwrap_or_default();
        let end = own.or(self.grid).map(|grid| grid.last_of(grid.place_of(time)).saturating_add(1));
        self.drop_next(events, cursor, RejectReason::Late, end, context);
    }

    /// Ends the oldest place of series `of` before its time; its rows are due now as `firing` says.
    #[cold]
    fn close_early(&mut self, of: u32, firing: (i64, u64)) {
        let span = self.span(of);
        let Self { plan, series, lanes, stats, pending, schedule, .. } = self;
        let Some(series) = series.get_mut(of as usize) else { return };
        let Some(grid) = series.grid else { return };
        let lanes = lanes.get_mut(span).unwrap_or_default();
        let mut work = Work { plan, series, lanes, stats };
        let oldest = work.series.places.first().copied().unwrap_or(i64::MIN);
        let is_far = oldest > work.series.goes_on_until(plan);
        if work.series.goes_on && is_far && work.series.next <= work.series.closed {
            // Rows that still wait for what lies beyond a silence get no more: they go first.
            work.lanes.iter_mut().for_each(Lane::end);
        } else {
            work.stats.buffer_limit += 1;
            work.close(&grid);
        }
        work.series.settle(plan, work.lanes);
        work.arm(&grid);
        pending.extend(work.take_rows(&grid, of, firing));
        let due = work.series.next_due(work.lanes, &grid);
        schedule.add(of, work.series, due);
        self.touched.push(of);
    }
}

/// Takes consecutive samples of one series from the event `from` on, as long as they are on time, there is room for them and it
/// has not fallen silent: then it is let go first. Returns how many, and when the first of all its places is over. All is done up
/// to the watermark `done`.
fn take_run(
    plan: &NormalizePlan,
    series: &mut Series,
    lanes: &mut [Lane],
    events: &Events<'_>,
    (from, done): (usize, i64),
    scratch: &mut Scratch,
) -> (usize, i64) {
    let Some(grid) = series.grid else { return (0, NEVER) };
    let run = long_run(events.keys.get(from..).unwrap_or_default());
    let mut taken = 0;
    loop {
        let last = events.watermarks.get(from + run.saturating_sub(1));
        if run > taken
            && last.is_some_and(|met| *met < series.calm_before(&grid, plan))
            && let ([field], [lane]) = (plan.fields.as_slice(), &mut *lanes)
        {
            let waiting = series.places.len().max(lane.cells.list.len());
            let room = plan.max_buffered.saturating_sub(waiting).min(run - taken);
            let samples = samples_of(events, field.column, from + taken..from + taken + room);
            taken += ordinary::take(field, series, lane, samples, scratch);
            if taken >= AT_ONCE {
                break;
            }
        }
        let more = take_each(plan, series, lanes, events, (from + taken, done));
        taken += more;
        if more < EACH {
            break;
        }
    }
    (taken, series.places.first().map_or(NEVER, |first| grid.last_of(*first)))
}

/// How many of the first of `keys` are the same; 0 where they are so few that it does not matter.
fn long_run(keys: &[u32]) -> usize {
    match (keys.first(), keys.get(MANY - 1)) {
        (Some(first), Some(other)) if first == other => {
            keys.iter().take(AT_ONCE).take_while(|key| *key == first).count()
        }
        _ => 0,
    }
}

fn samples_of<'a>(events: &Events<'a>, column: usize, range: Range<usize>) -> Samples<'a> {
    Samples {
        times: events.timestamps.get(range.clone()).unwrap_or_default(),
        watermarks: events.watermarks.get(range.clone()).unwrap_or_default(),
        values: events.numbers(column).get(range).unwrap_or_default(),
    }
}

/// Takes samples one by one, [`EACH`] of them at most, as [`take_run`] does.
fn take_each(
    plan: &NormalizePlan,
    series: &mut Series,
    lanes: &mut [Lane],
    events: &Events<'_>,
    (from, done): (usize, i64),
) -> usize {
    let mut taken = 0;
    let Some(grid) = series.grid else { return taken };
    let calm_before = series.calm_before(&grid, plan);
    let times = events.timestamps.iter().zip(events.watermarks).zip(events.keys).skip(from);
    for ((time, met), key) in times.take(EACH) {
        if *key != series.key {
            break;
        }
        let place = grid.place_near(*time, series.places.last().copied());
        let last = grid.last_of(place);
        if place <= series.closed || last <= *met {
            break;
        }
        if *met >= calm_before && done < *met && series.is_silent_at(*met, &grid, plan) {
            break;
        }
        if series.places.len().max(most(lanes)) >= plan.max_buffered
            && grows(&series.places, &plan.fields, lanes, place)
        {
            break;
        }
        for (field, lane) in plan.fields.iter().zip(lanes.iter_mut()) {
            let value = events.numbers(field.column).get(from + taken).copied();
            lane.add(field, place, *time, value.unwrap_or(f64::NAN));
        }
        open(&mut series.places, place);
        taken += 1;
    }
    taken
}

/// The most samples that wait in a lane.
fn most(lanes: &[Lane]) -> usize {
    lanes.iter().map(|lane| lane.cells.list.len()).max().unwrap_or(0)
}

/// Whether a sample at `place` makes more wait.
fn grows(places: &[i64], fields: &[FieldPlan], lanes: &[Lane], place: i64) -> bool {
    places.binary_search(&place).is_err()
        || (fields.iter().any(|field| keeps_all(field.reduce)) && most(lanes) >= places.len())
}
