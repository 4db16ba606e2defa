//! Advancing: follows the schedule, closes slots that the watermark has passed, and ends runs.

use super::fill::Point;
use super::grid::Grid;
use super::layout::RowRun;
use super::series::{FieldSeries, NEVER, Series};
use super::{Context, NormalizeStage};
use crate::data::frame::Frame;
use crate::data::stats::StageStats;
use crate::event_time::watermark::END_OF_TIME;
use crate::keys::Keys;
use crate::plan::NormalizePlan;
use crate::spec::MAX_DEGREE;

/// The number of slots that close before rows are emitted.
const MAX_SLOTS_AT_ONCE: usize = 1 << 16;

/// Firing of rows that became certain too late, as for a key whose interval was just determined.
#[derive(Debug, Clone, Copy)]
pub(super) struct LateFiring {
    /// Watermark that the rows are assigned to.
    pub(super) watermark: i64,
    /// Rank after other rows of that watermark; `None` ranks by the watermark at which they were
    /// due.
    pub(super) rank: Option<u64>,
}

/// The bounds up to which the schedule is followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct AdvanceBound {
    pub(super) watermark: i64,
    pub(super) at_end: bool,
    /// Maximum number of schedule entries to process for one series.
    pub(super) max_visits: usize,
}

impl AdvanceBound {
    /// Follows everything due up to `watermark`.
    pub(super) fn until(watermark: i64) -> Self {
        Self { watermark, at_end: watermark == END_OF_TIME, max_visits: usize::MAX }
    }
}

/// One series with its fields, the plan and the counters.
pub(super) struct SeriesWork<'a> {
    pub(super) plan: &'a NormalizePlan,
    pub(super) series: &'a mut Series,
    pub(super) field_series: &'a mut [FieldSeries],
    pub(super) stats: &'a mut StageStats,
}

impl NormalizeStage {
    /// Follows the schedule up to `watermark`. Returns false if `out` is full or the work of the
    /// call is spent; call it again then.
    pub(super) fn advance(
        &mut self,
        watermark: i64,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        if !self.plan.is_last {
            return self.advance_by_due_time(watermark, context, out);
        }
        let bound = AdvanceBound::until(watermark);
        let keys = &mut *context.keys;
        while watermark > self.advanced {
            let step = AdvanceBound { watermark: self.next_step(watermark), ..bound };
            self.emit_fast(step, keys, out);
            self.run_due(step, None, keys);
            self.advanced = step.watermark;
            context.work.spend(self.touched.len() as u64);
            if self.advanced < watermark && (!self.emit(keys, out) || context.work.is_spent()) {
                return false;
            }
        }
        if !self.emit(keys, out) {
            return false;
        }
        if watermark == END_OF_TIME && self.without_interval > 0 {
            self.set_all_intervals();
            self.run_due(bound, Some(LateFiring { watermark, rank: None }), keys);
        }
        self.emit(keys, out)
    }

    /// Follows the schedule up to `watermark`, one due time after another. Returns false if `out`
    /// is full.
    ///
    /// Rows of one due time are emitted under the watermark just below it. A later stage must see
    /// the watermark rise through every due time, even if one event moves it over many.
    fn advance_by_due_time(
        &mut self,
        watermark: i64,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let bound = AdvanceBound::until(watermark);
        let keys = &mut *context.keys;
        loop {
            if !self.emit(keys, out) {
                return false;
            }
            if context.work.is_spent() && self.next_due_by(watermark) {
                return false;
            }
            self.emit_fast(bound, keys, out);
            if !self.emit(keys, out) {
                return false;
            }
            let next = self.schedule.next_due(&self.series);
            let Some(instant) = next.filter(|instant| *instant <= watermark) else { break };
            self.raise_output_watermark(instant.saturating_sub(1));
            self.run_due(AdvanceBound { watermark: instant, ..bound }, None, keys);
            context.work.spend(self.touched.len() as u64);
        }
        self.advanced = self.advanced.max(watermark);
        self.raise_output_watermark(watermark);
        true
    }

    /// Returns true if a series is due at or before `watermark`.
    fn next_due_by(&mut self, watermark: i64) -> bool {
        self.schedule.next_due(&self.series).is_some_and(|due| due <= watermark)
    }

    /// Returns the watermark, at most `watermark`, up to which the schedule is followed at once:
    /// with one grid for all, at most about [`MAX_SLOTS_AT_ONCE`] slots close until then.
    fn next_step(&mut self, watermark: i64) -> i64 {
        let (Some(grid), Some(due)) = (self.grid, self.schedule.next_due(&self.series)) else {
            return watermark;
        };
        let slots = (MAX_SLOTS_AT_ONCE / self.live_series().max(1)).max(1);
        let length = i64::try_from(slots).unwrap_or(i64::MAX).saturating_mul(grid.interval);
        watermark.min(due.saturating_add(length))
    }

    /// Runs everything due within `bound` and queues the rows that become certain.
    pub(super) fn run_due(
        &mut self,
        bound: AdvanceBound,
        late_firing: Option<LateFiring>,
        keys: &mut Keys,
    ) {
        let before = self.pending.len();
        while let Some(series_id) = self.schedule.pop_due(bound.watermark, &mut self.series) {
            self.run_due_of(series_id, bound, late_firing);
            self.update_bytes(series_id, keys);
        }
        if self.touched.len() > 1 {
            let row_runs = self.pending.get_mut(before..).unwrap_or_default();
            let keys_of = || row_runs.iter().map(|row_run| row_run.key).collect();
            let ranks = keys.ranks_of(row_runs.len(), keys_of);
            let rank_of = |key: u32| ranks.get(key as usize).copied().unwrap_or(0);
            self.sorter.sort(row_runs, rank_of);
        }
    }

    /// Runs what is due for series `series_id` within `bound`.
    pub(super) fn run_due_of(
        &mut self,
        series_id: u32,
        bound: AdvanceBound,
        late_firing: Option<LateFiring>,
    ) {
        let field_range = self.field_range(series_id);
        let Self { plan, series, field_series, stats, pending, schedule, .. } = self;
        let Some(series) = series.get_mut(series_id as usize) else { return };
        let Some(grid) = series.grid else { return };
        let field_series = field_series.get_mut(field_range).unwrap_or_default();
        let mut work = SeriesWork { plan, series, field_series, stats };
        let mut due = work.series.next_due(work.field_series, &grid);
        for _ in 0..bound.max_visits {
            if due > bound.watermark || due == NEVER {
                break;
            }
            work.do_due(&grid, due, bound.at_end);
            let firing = match late_firing {
                None => (due, 0),
                // Order-preserving map from signed to unsigned.
                Some(LateFiring { watermark, rank }) => {
                    (watermark, rank.unwrap_or(due.cast_unsigned() ^ (1 << 63)))
                }
            };
            pending.extend(work.take_ready_rows(&grid, series_id, firing));
            due = work.series.next_due(work.field_series, &grid);
        }
        work.series.due = NEVER;
        schedule.add(series_id, work.series, due);
        self.touched.push(series_id);
    }
}

impl SeriesWork<'_> {
    /// Processes what is due at `time`: closes a slot, ends fields, ends the run.
    fn do_due(&mut self, grid: &Grid, time: i64, at_end: bool) {
        if self.series.slots.first().is_some_and(|slot| grid.last_of(*slot) <= time) {
            self.close_oldest_slot(grid);
        }
        for (field, state) in self.plan.fields.iter().zip(self.field_series.iter_mut()) {
            if state.timer <= time {
                state.timer = NEVER;
                let reach = self.series.reach(self.plan, field);
                let certain =
                    |last: &Point| closing_watermark(grid, last.time.saturating_add(reach)) <= time;
                state.ended |= state.known.last().is_none_or(certain);
            }
        }
        if self.series.expiry <= time {
            self.series.expiry = NEVER;
            if self.series.in_run
                && closing_watermark(grid, self.series.run_deadline(self.plan)) <= time
            {
                // The end of input does not count as a silence, unless samples follow.
                self.end_run(!at_end || !self.series.slots.is_empty());
            }
        }
        self.series.update_ready_until(self.plan, self.field_series);
        self.set_timers(grid);
    }

    /// Closes the oldest slot: reduces its samples to known points.
    pub(super) fn close_oldest_slot(&mut self, grid: &Grid) {
        let Some(slot) = self.series.slots.pop() else { return };
        if self.series.in_run && slot > self.series.run_deadline(self.plan) {
            self.end_run(true);
        }
        if !self.series.in_run {
            self.series.next_row = grid.ceil(slot);
        }
        self.series.in_run = true;
        self.series.last_closed = slot;
        for (field, state) in self.plan.fields.iter().zip(self.field_series.iter_mut()) {
            let Some(value) = state.buffer.take_reduced(field.reduce, slot) else { continue };
            let (value, outlier) = match field.outliers {
                Some(rule) => state.recent.judge(rule, value),
                None => (Some(value), false),
            };
            self.stats.outliers += u64::from(outlier);
            if let Some(value) = value {
                state.add_known(slot, value, outlier, self.series.reach(self.plan, field));
            }
        }
        // One field may keep the others waiting; this bounds the points that wait.
        let most = self.plan.max_buffered.saturating_add(MAX_DEGREE);
        let next = self.series.next_row;
        let waiting_points =
            |state: &FieldSeries| state.known.len() > most && state.waiting_points(next) > most;
        if self.field_series.len() > 1 && self.field_series.iter().any(waiting_points) {
            self.stats.buffer_limit += 1;
            for (field, state) in self.plan.fields.iter().zip(self.field_series.iter_mut()) {
                state.ended |= field.rule.certain_until(grid, &state.known) < slot;
            }
        }
    }

    /// Ends the run: later samples begin a new one. `counts` adds it to the `fill_limit` counter.
    fn end_run(&mut self, counts: bool) {
        self.series.in_run = false;
        self.field_series.iter_mut().for_each(FieldSeries::end);
        self.stats.fill_limit += u64::from(counts);
    }

    /// Sets the timers that detect the end of a run, where that changes the output.
    pub(super) fn set_timers(&mut self, grid: &Grid) {
        if !self.series.in_run {
            return;
        }
        if self.series.expiry == NEVER {
            self.series.expiry = closing_watermark(grid, self.series.run_deadline(self.plan));
        }
        // With one field and no later stage, rows are emitted as soon as both neighbours are known.
        let alone = self.plan.is_last && self.field_series.len() == 1;
        for (field, state) in self.plan.fields.iter().zip(self.field_series.iter_mut()) {
            let needs = !alone || !field.rule.is_local();
            if !needs || state.timer != NEVER || state.ended {
                continue;
            }
            if let Some(last) = state.known.last() {
                let until = last.time.saturating_add(self.series.reach(self.plan, field));
                state.timer = closing_watermark(grid, until);
            }
        }
    }

    /// Returns the rows that have become certain since the last call.
    pub(super) fn take_ready_rows(
        &mut self,
        grid: &Grid,
        series_id: u32,
        firing: (i64, u64),
    ) -> Option<RowRun> {
        let Series { next_row: next, ready_until: ready, key, .. } = *self.series;
        if next > ready {
            return None;
        }
        let rows = match ready.saturating_sub(next) {
            time if time < grid.interval => 0,
            time => time / grid.interval,
        };
        let count = usize::try_from(rows).unwrap_or(usize::MAX).saturating_add(1);
        let row_run =
            RowRun { firing, series: series_id, key, from: next, interval: grid.interval, count };
        self.series.next_row = row_run.after(count);
        if self.series.next_row == next {
            // The grid has reached the end of time: there is no next row.
            self.series.ready_until = i64::MIN;
        }
        Some(row_run)
    }
}

/// Returns the watermark that closes all slots at or before `time`.
pub(super) fn closing_watermark(grid: &Grid, time: i64) -> i64 {
    grid.last_of(grid.last_slot_at(time)).min(NEVER - 1)
}
