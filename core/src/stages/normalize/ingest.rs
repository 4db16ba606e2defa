//! Ingestion: puts each sample into its slot, or drops it if the slot is closed.

use core::ops::Range;

use super::advance::{AdvanceBound, LateFiring, SeriesWork};
use super::buffer::keeps_all_samples;
use super::grid::Grid;
use super::ingest_run::{Samples, Scratch, ingest_run};
use super::series::{FieldSeries, NEVER, Series, open_slot};
use super::{NONE, NormalizeStage};
use crate::data::frame::Events;
use crate::data::reject::RejectReason;
use crate::event_time::watermark::NO_WATERMARK;
use crate::plan::{FieldPlan, NormalizePlan};
use crate::util::front_queue::FrontQueue;

use super::super::Context;

/// Length from which consecutive samples of one series take the path of [`ingest_run`].
const MIN_RUN: usize = 16;
/// Samples of one series taken before the schedule is followed, so that the buffer stays in L1
/// cache.
const MAX_INGESTED_AT_ONCE: usize = 512;
/// Samples taken one by one before the next attempt at [`ingest_run`].
const MAX_ONE_BY_ONE: usize = 64;

/// Reason why ingestion stopped.
pub(super) enum IngestStop {
    /// The batch is used up.
    EndOfBatch,
    /// Everything due at this watermark must be emitted before the next sample.
    Advance(i64),
    /// Rows became certain before their watermark; they must be emitted first.
    RowsPending,
    /// A limit ends the call before the next sample.
    AtLimit,
}

impl NormalizeStage {
    /// Ingests samples from `cursor` on until something stops it.
    pub(super) fn ingest(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
    ) -> IngestStop {
        while let Some(key) = events.keys.get(*cursor) {
            let series_id = self.series_of_key.get(*key as usize).copied().unwrap_or(NONE);
            let field_range = self.field_range(series_id);
            if let Some(series) = self.series.get_mut(series_id as usize) {
                let field_series = self.field_series.get_mut(field_range).unwrap_or_default();
                let scratch = &mut self.scratch;
                let from = (*cursor, self.advanced);
                let (taken, due) =
                    ingest_series_run(&self.plan, series, field_series, events, from, scratch);
                self.schedule.add(series_id, series, due);
                self.stats.events += taken as u64;
                *cursor += taken;
                if taken > 0 {
                    self.touch(series_id, *key, context.keys);
                    match events.watermarks.get(*cursor) {
                        Some(input_watermark)
                            if taken >= MAX_INGESTED_AT_ONCE
                                && self.grid.is_some()
                                && self.advanced < *input_watermark =>
                        {
                            return IngestStop::Advance(*input_watermark);
                        }
                        _ => continue,
                    }
                }
            }
            if let Some(stop) = self.ingest_exceptional(series_id, events, cursor, context) {
                return stop;
            }
        }
        IngestStop::EndOfBatch
    }

    /// Ingests or drops a sample that the fast path of its series `series_id` cannot take. Returns
    /// the reason if something else must happen first.
    #[cold]
    fn ingest_exceptional(
        &mut self,
        series_id: u32,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
    ) -> Option<IngestStop> {
        let at = *cursor;
        let (&time, &key) = events.timestamps.get(at).zip(events.keys.get(at))?;
        let input_watermark = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
        let is_late = |grid: &Grid| grid.last_of(grid.slot_of(time)) <= input_watermark;
        if series_id == NONE {
            if self.grid.as_ref().is_some_and(is_late) {
                self.drop_late(events, cursor, context);
            } else if let Some(limit) = self.limit(key, context.keys) {
                // Work that is due may make room under the limit.
                if self.advanced < input_watermark {
                    return Some(IngestStop::Advance(input_watermark));
                }
                return self.apply_limit(limit, events, cursor, context);
            } else {
                let series_id = self.open_series(key, context.keys);
                self.update_bytes(series_id, context.keys);
            }
            return None;
        }
        let series = self.series.get(series_id as usize)?;
        let rank = events.ordinals.at(at).saturating_add(1);
        let Some(grid) = series.grid else {
            let is_last_needed = series.slots.len() + 1 >= self.samples_for_auto();
            if is_last_needed && self.advanced < input_watermark {
                return Some(IngestStop::Advance(input_watermark));
            }
            self.buffer_until_interval(series_id, events, at);
            self.stats.events += 1;
            *cursor += 1;
            self.touch(series_id, key, context.keys);
            if !is_last_needed {
                return None;
            }
            self.set_interval(series_id);
            self.update_bytes(series_id, context.keys);
            let late_firing = LateFiring { watermark: input_watermark, rank: Some(rank) };
            self.run_due(AdvanceBound::until(input_watermark), Some(late_firing), context.keys);
            return Some(IngestStop::RowsPending);
        };
        if self.grid.is_none() && self.advanced < input_watermark {
            // The run may end by then. The sample would begin a series that has no grid yet.
            return Some(IngestStop::Advance(input_watermark));
        }
        if grid.slot_of(time) <= series.last_closed || is_late(&grid) {
            self.drop_late(events, cursor, context);
            return None;
        }
        // The remaining cases are a full buffer and the end of a run.
        if self.advanced < input_watermark {
            return Some(IngestStop::Advance(input_watermark));
        }
        self.close_oldest_early(series_id, (input_watermark, rank));
        self.update_bytes(series_id, context.keys);
        Some(IngestStop::RowsPending)
    }

    /// Drops the late sample at `cursor` and reports the end of its slot.
    #[cold]
    fn drop_late(&mut self, events: &Events<'_>, cursor: &mut usize, context: &mut Context<'_>) {
        let key = events.keys.get(*cursor).and_then(|key| self.series_of_key.get(*key as usize));
        let own = key
            .and_then(|series_id| self.series.get(*series_id as usize))
            .and_then(|series| series.grid);
        let time = events.timestamps.get(*cursor).copied().unwrap_or_default();
        let end = own.or(self.grid).map(|grid| grid.last_of(grid.slot_of(time)).saturating_add(1));
        self.drop_event(events, cursor, RejectReason::Late, end, context);
    }

    /// Closes the oldest slot of series `series_id` early. Its rows are due at `firing`.
    #[cold]
    fn close_oldest_early(&mut self, series_id: u32, firing: (i64, u64)) {
        let field_range = self.field_range(series_id);
        let Self { plan, series, field_series, stats, pending, schedule, .. } = self;
        let Some(series) = series.get_mut(series_id as usize) else { return };
        let Some(grid) = series.grid else { return };
        let field_series = field_series.get_mut(field_range).unwrap_or_default();
        let mut work = SeriesWork { plan, series, field_series, stats };
        let oldest = work.series.slots.first().copied().unwrap_or(i64::MIN);
        let is_far = oldest > work.series.run_deadline(plan);
        if work.series.in_run && is_far && work.series.next_row <= work.series.last_closed {
            // The pending rows wait for points that a long silence separates from them: emit these
            // rows first.
            work.field_series.iter_mut().for_each(FieldSeries::end);
        } else {
            work.stats.buffer_limit += 1;
            work.close_oldest_slot(&grid);
        }
        work.series.update_ready_until(plan, work.field_series);
        work.set_timers(&grid);
        pending.extend(work.take_ready_rows(&grid, series_id, firing));
        let due = work.series.next_due(work.field_series, &grid);
        schedule.add(series_id, work.series, due);
        self.touched.push(series_id);
    }
}

/// Ingests consecutive samples of one series from event `from` on while they are on time, fit in
/// the buffer and continue the run.
///
/// Everything due up to the watermark `done` has been emitted. Returns how many samples it took,
/// and the watermark that closes the first slot.
fn ingest_series_run(
    plan: &NormalizePlan,
    series: &mut Series,
    field_series: &mut [FieldSeries],
    events: &Events<'_>,
    (from, done): (usize, i64),
    scratch: &mut Scratch,
) -> (usize, i64) {
    let Some(grid) = series.grid else { return (0, NEVER) };
    let run = long_run_len(events.keys.get(from..).unwrap_or_default());
    let mut taken = 0;
    loop {
        let last = events.watermarks.get(from + run.saturating_sub(1));
        if run > taken
            && last.is_some_and(|input_watermark| {
                *input_watermark < series.run_lasts_before(&grid, plan)
            })
            && let ([field], [state]) = (plan.fields.as_slice(), &mut *field_series)
        {
            let waiting_points = series.slots.len().max(state.buffer.samples.len());
            let room = plan.max_buffered.saturating_sub(waiting_points).min(run - taken);
            let samples = samples_of(events, field.column, from + taken..from + taken + room);
            taken += ingest_run(field, series, state, samples, scratch);
            if taken >= MAX_INGESTED_AT_ONCE {
                break;
            }
        }
        let more = ingest_each(plan, series, field_series, events, (from + taken, done));
        taken += more;
        if more < MAX_ONE_BY_ONE {
            break;
        }
    }
    (taken, series.slots.first().map_or(NEVER, |first| grid.last_of(*first)))
}

/// Returns how many of the first `keys` are equal; 0 if fewer than [`MIN_RUN`].
fn long_run_len(keys: &[u32]) -> usize {
    match (keys.first(), keys.get(MIN_RUN - 1)) {
        (Some(first), Some(other)) if first == other => {
            keys.iter().take(MAX_INGESTED_AT_ONCE).take_while(|key| *key == first).count()
        }
        _ => 0,
    }
}

/// Returns the columns of the events in `range`.
fn samples_of<'a>(events: &Events<'a>, column: usize, range: Range<usize>) -> Samples<'a> {
    Samples {
        times: events.timestamps.get(range.clone()).unwrap_or_default(),
        watermarks: events.watermarks.get(range.clone()).unwrap_or_default(),
        values: events.numbers(column).get(range).unwrap_or_default(),
    }
}

/// Ingests samples one by one, at most [`MAX_ONE_BY_ONE`], under the conditions of
/// [`ingest_series_run`].
fn ingest_each(
    plan: &NormalizePlan,
    series: &mut Series,
    field_series: &mut [FieldSeries],
    events: &Events<'_>,
    (from, done): (usize, i64),
) -> usize {
    let mut taken = 0;
    let Some(grid) = series.grid else { return taken };
    let run_lasts_before = series.run_lasts_before(&grid, plan);
    let times = events.timestamps.iter().zip(events.watermarks).zip(events.keys).skip(from);
    for ((time, input_watermark), key) in times.take(MAX_ONE_BY_ONE) {
        if *key != series.key {
            break;
        }
        let slot = grid.slot_near(*time, series.slots.last().copied());
        let last = grid.last_of(slot);
        if slot <= series.last_closed || last <= *input_watermark {
            break;
        }
        if *input_watermark >= run_lasts_before
            && done < *input_watermark
            && series.run_expires_by(*input_watermark, &grid, plan)
        {
            break;
        }
        if series.slots.len().max(most_buffered(field_series)) >= plan.max_buffered
            && needs_room(&series.slots, &plan.fields, field_series, slot)
        {
            break;
        }
        for (field, state) in plan.fields.iter().zip(field_series.iter_mut()) {
            let value = events.numbers(field.column).get(from + taken).copied();
            state.add(field, slot, *time, value.unwrap_or(f64::NAN));
        }
        open_slot(&mut series.slots, slot);
        taken += 1;
    }
    taken
}

/// Returns the largest number of samples buffered for one field.
fn most_buffered(field_series: &[FieldSeries]) -> usize {
    field_series.iter().map(|state| state.buffer.samples.len()).max().unwrap_or(0)
}

/// Returns true if a sample in `slot` makes the buffer grow.
fn needs_room(
    slots: &FrontQueue<i64>,
    fields: &[FieldPlan],
    field_series: &[FieldSeries],
    slot: i64,
) -> bool {
    slots.last_before(|open| *open <= slot) != Some(&slot)
        || (fields.iter().any(|field| keeps_all_samples(field.reduce))
            && most_buffered(field_series) >= slots.len())
}
