//! Calendar windows: tumbling windows on a time scale on which all periods of the calendar have the
//! same length.

use super::WindowStage;
use crate::aggregates::{Unit, definition};
use crate::data::frame::{Events, Frame, FrameColumn};
use crate::data::schema::ColumnRole;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::Keys;
use crate::plan::{Calendar, CalendarPlan, Period};
use crate::snapshot::{StateReader, StateWriter};
use crate::stages::partial::PartialState;
use crate::stages::{Context, Stage};

/// A calendar window stage: maps event times to the uniform scale, and the times of rows back to
/// real time.
pub(crate) struct CalendarStage {
    plan: CalendarPlan,
    windows: WindowStage,
    timestamps: Vec<i64>,
    watermarks: Vec<i64>,
}

impl CalendarStage {
    #[inline]
    pub(crate) fn new(index: u32, plan: CalendarPlan) -> Self {
        Self {
            windows: WindowStage::new(index, plan.windows.clone()),
            timestamps: Vec::new(),
            watermarks: Vec::new(),
            plan,
        }
    }

    /// Maps the times and watermarks of `events` to the scale, from index `from` on.
    fn scale(&mut self, events: &Events<'_>, from: usize) {
        let calendar = &self.plan.calendar;
        scale_times(calendar, events.timestamps, 0, from, &mut self.timestamps);
        scale_times(calendar, events.watermarks, self.plan.lag_us, from, &mut self.watermarks);
    }

    /// Returns the watermark of this stage for the watermark `scaled` on the scale.
    fn unscaled_watermark(&self, scaled: i64) -> i64 {
        match self.plan.calendar.unscaled(scaled) {
            time @ (NO_WATERMARK | END_OF_TIME) => time,
            time => time.saturating_add(self.plan.lag_us),
        }
    }

    /// Returns true if aggregation `output` is a rate, which depends on the real length of the
    /// window.
    fn is_rate(&self, output: usize) -> bool {
        let output = self.plan.windows.outputs.get(output);
        output.is_some_and(|output| definition(output.op).unit == Unit::PerSecond)
    }

    /// Maps the rows of `out` from index `first` on back to real time.
    fn unscale_rows(&self, out: &mut Frame, first: usize) {
        let calendar = &self.plan.calendar;
        let back = |times: &mut [i64]| {
            times.iter_mut().for_each(|time| *time = calendar.unscaled(*time));
        };
        back(out.timestamps.get_mut(first..).unwrap_or_default());
        back(out.watermarks.get_mut(first..).unwrap_or_default());
        for time in out.firing.get_mut(first..).unwrap_or_default() {
            *time = self.unscaled_watermark(*time);
        }
        let layout = &self.plan.windows.layout;
        let starts = layout.position(ColumnRole::WindowStart).and_then(|at| out.columns.get(at));
        let starts = match starts {
            Some(FrameColumn::Time(starts)) => starts.get(first..).unwrap_or_default(),
            _ => &[],
        };
        let scale_us = calendar.scale_us();
        let bounds: Vec<(i64, i64)> = starts
            .iter()
            .map(|start| start.div_euclid(scale_us))
            .map(|number| (calendar.start_of(number), calendar.start_of(number + 1)))
            .collect();
        for (role, column) in layout.roles().zip(&mut out.columns) {
            match (role, column) {
                (ColumnRole::WindowStart, FrameColumn::Time(times)) => {
                    let times = times.get_mut(first..).unwrap_or_default().iter_mut();
                    times.zip(&bounds).for_each(|(time, (start, _))| *time = *start);
                }
                (ColumnRole::WindowEnd, FrameColumn::Time(times)) => {
                    let times = times.get_mut(first..).unwrap_or_default().iter_mut();
                    times.zip(&bounds).for_each(|(time, (_, end))| *time = *end);
                }
                (ColumnRole::Aggregation(output), FrameColumn::Number(numbers))
                    if self.is_rate(output) =>
                {
                    let numbers = numbers.get_mut(first..).unwrap_or_default().iter_mut();
                    for (number, (start, end)) in numbers.zip(&bounds) {
                        *number = rescaled(*number, scale_us, end.saturating_sub(*start));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Converts a rate in a window of `scale_us` to one of `length_us`. Exact up to the division,
/// because the scale is a power of two.
#[expect(clippy::cast_precision_loss, reason = "windows are far shorter than 2^53 us")]
fn rescaled(rate: f64, scale_us: i64, length_us: i64) -> f64 {
    rate * scale_us as f64 / length_us as f64
}

/// Replaces `scaled` by `times` less `lag_us`, mapped to the scale. Entries before `from` are not
/// computed.
fn scale_times(
    calendar: &Calendar,
    times: &[i64],
    lag_us: i64,
    from: usize,
    scaled: &mut Vec<i64>,
) {
    scaled.clear();
    scaled.resize(from.min(times.len()), 0);
    let mut period = Period { number: 0, start: 0, end: 0 };
    scaled.extend(times.iter().skip(from).map(|time| {
        if matches!(*time, NO_WATERMARK | END_OF_TIME) {
            return *time;
        }
        let time = time.saturating_sub(lag_us).clamp(-Calendar::MAX_TIME, Calendar::MAX_TIME);
        if !period.contains(time) {
            period = calendar.period_of(time);
        }
        calendar.scaled_in(time, &period)
    }));
}

impl Stage for CalendarStage {
    fn process(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        self.scale(events, *cursor);
        let mut watermark = Vec::with_capacity(1);
        scale_times(&self.plan.calendar, &[events.watermark], self.plan.lag_us, 0, &mut watermark);
        let scaled = Events {
            timestamps: &self.timestamps,
            watermarks: &self.watermarks,
            watermark: watermark.first().copied().unwrap_or(NO_WATERMARK),
            ..*events
        };
        let (rows, drops) = (out.len(), context.drops.waiting().len());
        let done = self.windows.process(&scaled, cursor, context, out);
        self.unscale_rows(out, rows);
        let calendar = &self.plan.calendar;
        for dropped in context.drops.since(drops) {
            dropped.watermark = self.unscaled_watermark(dropped.watermark);
            let number = |end: i64| end.div_euclid(calendar.scale_us());
            dropped.window_end = dropped.window_end.map(|end| calendar.start_of(number(end)));
        }
        if done {
            out.watermark = calendar.unscaled(out.watermark);
        }
        done
    }

    fn event_work(&self) -> u64 {
        self.windows.event_work()
    }

    #[inline]
    fn stats(&self, keys: &Keys) -> StageStats {
        let stats = self.windows.stats(keys);
        let back = |time: i64| self.plan.calendar.unscaled(time).saturating_add(self.plan.lag_us);
        StageStats {
            watermark: stats.watermark.map(back),
            next_fire: stats.next_fire.map(back),
            ..stats
        }
    }

    #[inline]
    fn save(
        &mut self,
        from: Option<i64>,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<i64>, SnapshotError> {
        self.windows.save(from, writer)
    }

    #[inline]
    fn load(&mut self, reader: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        self.windows.load(reader)
    }

    fn check_restored(&self, keys: &Keys) -> Result<(), SnapshotError> {
        self.windows.check_restored(keys)
    }

    #[cfg(feature = "custom-aggregators")]
    fn use_own(&mut self, factory: crate::aggregation::AggregatorFactory) {
        self.windows.use_own(factory);
    }

    #[inline]
    fn partial_state(&mut self) -> Option<&mut dyn PartialState> {
        self.windows.partial_state()
    }
}
