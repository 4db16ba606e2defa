//! `interval = "auto"`: uses the median step between the first samples of a key.

use super::NormalizeStage;
use super::buffer::BufferedSample;
use super::grid::Grid;
use super::series::{Series, open_slot};
use crate::data::frame::Events;

/// Number of samples that determine the interval.
const MAX_SAMPLES: usize = 32;

impl NormalizeStage {
    /// Returns how many samples determine the interval.
    pub(super) fn samples_for_auto(&self) -> usize {
        MAX_SAMPLES.min(self.plan.max_buffered)
    }

    /// Buffers a sample of a series whose interval is not known.
    pub(super) fn buffer_until_interval(&mut self, series_id: u32, events: &Events<'_>, at: usize) {
        let field_range = self.field_range(series_id);
        let time = events.timestamps.get(at).copied().unwrap_or_default();
        let field_series = self.field_series.get_mut(field_range).unwrap_or_default();
        for (field, state) in self.plan.fields.iter().zip(field_series) {
            let value = events.numbers(field.column).get(at).copied().unwrap_or(f64::NAN);
            if !value.is_nan() {
                state.buffer.samples.push(BufferedSample { slot: time, time, value });
            }
        }
        if let Some(series) = self.series.get_mut(series_id as usize) {
            series.slots.push(time);
        }
    }

    /// Determines the interval of series `series_id` and moves its samples to their slots.
    pub(super) fn set_interval(&mut self, series_id: u32) {
        let field_range = self.field_range(series_id);
        let Self { plan, series, field_series, schedule, .. } = self;
        let Some(series) = series.get_mut(series_id as usize) else { return };
        let interval = median_step(series);
        let grid = Grid::new(interval, plan.offset_us, plan.align, plan.basis);
        series.grid = Some(grid);
        for time in core::mem::take(&mut series.slots).iter().copied() {
            let slot = grid.slot_of(time);
            if open_slot(&mut series.slots, slot) {
                schedule.add(series_id, series, grid.last_of(slot));
            }
        }
        let field_series = field_series.get_mut(field_range).unwrap_or_default();
        for (field, state) in plan.fields.iter().zip(field_series) {
            for BufferedSample { time, value, .. } in
                core::mem::take(&mut state.buffer.samples).iter().copied()
            {
                state.add(field, grid.slot_of(time), time, value);
            }
        }
        self.without_interval = self.without_interval.saturating_sub(1);
    }

    /// Determines all missing intervals from the samples at hand; for the end of input.
    pub(super) fn set_all_intervals(&mut self) {
        for series_id in (0..).take(self.series.len()) {
            let is_waiting = |one: &Series| one.grid.is_none() && !one.slots.is_empty();
            if self.series.get(series_id as usize).is_some_and(is_waiting) {
                self.set_interval(series_id);
            }
        }
    }
}

/// Returns the median step between distinct times, the lower one of two; 1 µs if there is no step.
fn median_step(series: &Series) -> i64 {
    let mut times: Vec<i64> = series.slots.iter().copied().collect();
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
