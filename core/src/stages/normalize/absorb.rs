//! Taking samples: each goes to its place, unless that is over.

use super::advance::{Belated, Work};
use super::series::{Lane, Series};
use super::{NONE, NormalizeStage};
use crate::frame::Events;
use crate::plan::FieldPlan;
use crate::reject::RejectReason;
use crate::spec::Reduce;
use crate::watermark::NO_WATERMARK;

use super::super::Context;

/// Why no more samples are taken.
pub(super) enum Stop {
    /// There is none.
    End,
    /// Everything that is due at this watermark must be out before the next one.
    Advance(i64),
    /// Something has become due before its time.
    Fired,
}

impl NormalizeStage {
    /// Takes samples from `cursor` on.
    pub(super) fn absorb(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
    ) -> Stop {
        while let Some((&time, &key)) = events.timestamps.get(*cursor).zip(events.keys.get(*cursor))
        {
            let at = *cursor;
            let met = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
            let of = match self.by_key.get(key as usize) {
                Some(of) if *of != NONE => *of,
                _ if self.grid.is_some_and(|grid| grid.last_of(grid.place_of(time)) <= met) => {
                    self.drop_late(events, cursor, context);
                    continue;
                }
                _ if self.live() >= self.plan.max_keys as usize => {
                    self.drop_event(events, at, RejectReason::KeyLimit, None, context);
                    self.stats.events += 1;
                    *cursor += 1;
                    continue;
                }
                _ => self.begin(key, context.keys),
            };
            let span = self.span(of);
            let Some(series) = self.series.get_mut(of as usize) else { return Stop::End };
            let lanes = self.lanes.get_mut(span).unwrap_or_default();
            let Some(grid) = series.grid else {
                let decides = series.places.len() + 1 >= self.samples_for_auto();
                if decides && self.advanced < met {
                    return Stop::Advance(met);
                }
                self.gather(of, events, at);
                self.stats.events += 1;
                *cursor += 1;
                if decides {
                    self.decide(of);
                    let rank = Some(events.ordinals.at(at).saturating_add(1));
                    self.follow(met, Some(Belated { at: met, rank }), context.keys);
                    return Stop::Fired;
                }
                continue;
            };
            let place = grid.place_of(time);
            let last = grid.last_of(place);
            if place <= series.closed || last <= met {
                self.drop_late(events, cursor, context);
                continue;
            }
            let fields = &self.plan.fields;
            if series.places.len().max(most(lanes)) >= self.plan.max_buffered
                && grows(series, fields, lanes, place)
            {
                if self.advanced < met {
                    return Stop::Advance(met);
                }
                self.close_early(of, (met, events.ordinals.at(at).saturating_add(1)));
                return Stop::Fired;
            }
            for (field, lane) in fields.iter().zip(lanes) {
                let value = events.numbers(field.column).get(at).copied().unwrap_or(f64::NAN);
                lane.add(field, place, time, value);
            }
            if series.open(place) {
                self.schedule.add(of, series, last);
            }
            self.stats.events += 1;
            *cursor += 1;
        }
        Stop::End
    }

    #[cold]
    fn drop_late(&mut self, events: &Events<'_>, cursor: &mut usize, context: &mut Context<'_>) {
        let key = events.keys.get(*cursor).and_then(|key| self.by_key.get(*key as usize));
        let own = key.and_then(|of| self.series.get(*of as usize)).and_then(|series| series.grid);
        let time = events.timestamps.get(*cursor).copied().unwrap_or_default();
        let end = own.or(self.grid).map(|grid| grid.last_of(grid.place_of(time)).saturating_add(1));
        self.drop_event(events, *cursor, RejectReason::Late, end, context);
        self.stats.events += 1;
        *cursor += 1;
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
        let oldest = work.series.places.front().copied().unwrap_or(i64::MIN);
        let is_far = oldest > work.series.goes_on_until(plan);
        if work.series.goes_on && is_far && work.series.next <= work.series.closed {
            // Rows that still wait for what lies beyond a silence get no more: they go first.
            work.lanes.iter_mut().for_each(Lane::end);
            work.series.settle(plan, work.lanes);
        } else {
            work.stats.buffer_limit += 1;
            work.close(&grid);
        }
        work.arm(&grid);
        pending.extend(work.take_rows(&grid, of, firing));
        let due = work.next_due(&grid);
        schedule.add(of, work.series, due);
        self.touched.push(of);
    }
}

/// The most samples that wait in a lane.
fn most(lanes: &[Lane]) -> usize {
    lanes.iter().map(|lane| lane.cells.list.len()).max().unwrap_or(0)
}

/// Whether a sample at `place` makes more wait.
fn grows(series: &Series, fields: &[FieldPlan], lanes: &[Lane], place: i64) -> bool {
    let keeps_all =
        |field: &FieldPlan| matches!(field.reduce, Reduce::Mean | Reduce::Sum | Reduce::Median);
    series.places.binary_search(&place).is_err()
        || (fields.iter().any(keeps_all) && most(lanes) >= series.places.len())
}
