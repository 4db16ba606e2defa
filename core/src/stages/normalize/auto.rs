//! `interval = "auto"`: the interval of a key is the median step between its first samples.

use super::NormalizeStage;
use super::cells::Cell;
use super::grid::Grid;
use super::series::{Series, open};
use crate::data::frame::Events;

/// Samples of a key that decide.
const SAMPLES: usize = 32;

impl NormalizeStage {
    pub(super) fn samples_for_auto(&self) -> usize {
        SAMPLES.min(self.plan.max_buffered)
    }

    /// Keeps a sample until the interval is known.
    pub(super) fn gather(&mut self, of: u32, events: &Events<'_>, at: usize) {
        let span = self.span(of);
        let time = events.timestamps.get(at).copied().unwrap_or_default();
        let lanes = self.lanes.get_mut(span).unwrap_or_default();
        for (field, lane) in self.plan.fields.iter().zip(lanes) {
            let value = events.numbers(field.column).get(at).copied().unwrap_or(f64::NAN);
            if !value.is_nan() {
                lane.cells.list.push(Cell { place: time, time, value });
            }
        }
        if let Some(series) = self.series.get_mut(of as usize) {
            series.places.push(time);
        }
    }

    /// Finds the interval of series `of` and gives its samples their places.
    pub(super) fn decide(&mut self, of: u32) {
        let span = self.span(of);
        let Self { plan, series, lanes, schedule, .. } = self;
        let Some(series) = series.get_mut(of as usize) else { return };
        let interval = median_step(series);
        let grid = Grid::new(interval, plan.offset_us, plan.align, plan.basis);
        series.grid = Some(grid);
        for time in core::mem::take(&mut series.places).iter().copied() {
            let place = grid.place_of(time);
            if open(&mut series.places, place) {
                schedule.add(of, series, grid.last_of(place));
            }
        }
        let lanes = lanes.get_mut(span).unwrap_or_default();
        for (field, lane) in plan.fields.iter().zip(lanes) {
            for Cell { time, value, .. } in core::mem::take(&mut lane.cells.list).iter().copied() {
                lane.add(field, grid.place_of(time), time, value);
            }
        }
        self.undecided = self.undecided.saturating_sub(1);
    }

    /// At the end of input: what has come has to do.
    pub(super) fn decide_all(&mut self) {
        for of in (0..).take(self.series.len()) {
            let waits = |one: &Series| one.grid.is_none() && !one.places.is_empty();
            if self.series.get(of as usize).is_some_and(waits) {
                self.decide(of);
            }
        }
    }
}

/// The median of the steps between different times, the lower one of two; 1 µs where there is no step.
fn median_step(series: &Series) -> i64 {
    let mut times: Vec<i64> = series.places.iter().copied().collect();
    crate::util::sort::integers(&mut times);
    times.dedup();
    let mut steps: Vec<i64> = times
        .windows(2)
        .filter_map(|pair| Some(pair.last()?.saturating_sub(*pair.first()?)))
        .collect();
    crate::util::sort::integers(&mut steps);
    let middle = steps.len().saturating_sub(1) / 2;
    steps.get(middle).copied().unwrap_or(1).min(crate::spec::MAX_DURATION_US)
}
