//! Ingests runs of samples of one series without a branch per slot: the fast path of `ingest`.
//!
//! The samples must be in order and on time, and the series must have one field. The loop computes
//! slots and merged samples in scratch space; one copy then appends them to the series.

use super::buffer::{BufferedSample, keeps_all_samples, merge};
use super::grid::Grid;
use super::interval_divider::IntervalDivider;
use super::series::{FieldSeries, Series};
use crate::plan::FieldPlan;
use crate::spec::Reduce;

/// Samples per pass through the scratch space.
const BLOCK_SAMPLES: usize = 256;

/// Samples of one series in order of arrival, in parallel columns.
#[derive(Clone, Copy)]
pub(super) struct Samples<'a> {
    pub(super) times: &'a [i64],
    pub(super) watermarks: &'a [i64],
    pub(super) values: &'a [f64],
}

/// Slots and samples before they are appended to the series. Entry 0 is the last one of the series.
#[derive(Debug)]
pub(super) struct Scratch {
    slots: Vec<i64>,
    buffered: Vec<BufferedSample>,
}

impl Default for Scratch {
    fn default() -> Self {
        let none = BufferedSample { slot: 0, time: 0, value: 0.0 };
        Self { slots: vec![0; BLOCK_SAMPLES + 1], buffered: vec![none; BLOCK_SAMPLES + 1] }
    }
}

/// Number of entries that a pass produced.
struct RunLengths {
    samples: usize,
    /// Slots and samples after entry 0.
    slots: usize,
    buffered: usize,
}

/// Ingests `samples` while each has a value, is on time and is in order. Returns how many it took.
pub(super) fn ingest_run(
    field: &FieldPlan,
    series: &mut Series,
    state: &mut FieldSeries,
    samples: Samples<'_>,
    scratch: &mut Scratch,
) -> usize {
    let mut taken = 0;
    let times = samples.times.chunks(BLOCK_SAMPLES).zip(samples.watermarks.chunks(BLOCK_SAMPLES));
    for ((times, watermarks), values) in times.zip(samples.values.chunks(BLOCK_SAMPLES)) {
        let found =
            ingest_block(field, series, state, Samples { times, watermarks, values }, scratch);
        taken += found;
        if found < times.len() {
            break;
        }
    }
    taken
}

/// Ingests at most [`BLOCK_SAMPLES`] samples. Returns how many it took.
fn ingest_block(
    field: &FieldPlan,
    series: &mut Series,
    state: &mut FieldSeries,
    samples: Samples<'_>,
    scratch: &mut Scratch,
) -> usize {
    let (Some(grid), Some(time)) = (series.grid, samples.times.first()) else { return 0 };
    let buffered = &mut state.buffer.samples;
    let (continues_last, slot, sample) = match (series.slots.last(), buffered.last()) {
        (Some(&slot), Some(&sample)) if sample.slot == slot => (true, slot, sample),
        (None, None) => {
            (false, series.last_closed, BufferedSample { slot: 0, time: i64::MIN, value: 0.0 })
        }
        _ => return 0,
    };
    if let (Some(first), Some(known)) = (scratch.slots.first_mut(), scratch.buffered.first_mut()) {
        (*first, *known) = (slot, sample);
    }
    let origin = if continues_last { slot } else { grid.slot_of(*time) };
    let run = buffer_run(field.reduce, &grid, origin, series.last_closed, samples, scratch);
    if run.samples == 0 {
        return 0;
    }
    // The pass may have merged into the last entry of the series, so that entry is replaced.
    let from = usize::from(!continues_last);
    if continues_last {
        series.slots.pop_last();
        buffered.pop_last();
    }
    let slots = scratch.slots.get(from..=run.slots).unwrap_or_default();
    series.slots.extend_from_slice(slots);
    buffered.extend_from_slice(scratch.buffered.get(from..=run.buffered).unwrap_or_default());
    run.samples
}

/// Computes slots and samples with the loop that fits the grid and the reduction.
fn buffer_run(
    reduce: Reduce,
    grid: &Grid,
    origin: i64,
    closed: i64,
    samples: Samples<'_>,
    scratch: &mut Scratch,
) -> RunLengths {
    let lag = grid.last_of(0);
    if !grid.is_aligned() {
        let slot_of = |time| time;
        return buffer_samples::<false>(samples, closed, lag, scratch, slot_of, |_, sample| sample);
    }
    let Some(divider) = IntervalDivider::new(grid.interval) else {
        return RunLengths { samples: 0, slots: 0, buffered: 0 };
    };
    let before = grid.shift().wrapping_sub(origin);
    let slot_of = |time: i64| {
        let length = divider.whole_length(time.wrapping_add(before).cast_unsigned());
        length.map_or(i64::MIN, |length| origin.wrapping_add(length.cast_signed()))
    };
    if keeps_all_samples(reduce) {
        return buffer_samples::<true>(samples, closed, lag, scratch, slot_of, |_, sample| sample);
    }
    if reduce == Reduce::Last {
        return buffer_samples::<false>(samples, closed, lag, scratch, slot_of, |_, sample| sample);
    }
    buffer_samples::<false>(samples, closed, lag, scratch, slot_of, |mut known, sample| {
        merge(reduce, &mut known, sample);
        known
    })
}

/// Computes slots and samples up to the first sample that is late or out of order. With `ALL` each
/// sample is kept; otherwise the samples of one slot are merged.
#[inline(never)]
fn buffer_samples<const ALL: bool>(
    samples: Samples<'_>,
    closed: i64,
    lag: i64,
    scratch: &mut Scratch,
    slot_of: impl Fn(i64) -> i64,
    merge_samples: impl Fn(BufferedSample, BufferedSample) -> BufferedSample,
) -> RunLengths {
    let (slots, buffered) = (scratch.slots.as_mut_slice(), scratch.buffered.as_mut_slice());
    let mut run = RunLengths { samples: 0, slots: 0, buffered: 0 };
    let (Some(&mut mut last), Some(&mut mut known)) = (slots.first_mut(), buffered.first_mut())
    else {
        return run;
    };
    let samples = samples.times.iter().zip(samples.watermarks).zip(samples.values);
    for ((&time, &input_watermark), &value) in samples {
        let slot = slot_of(time);
        let in_order = (slot >= last) & (time >= known.time);
        let on_time = (slot > closed) & (slot.saturating_add(lag) > input_watermark);
        if !(in_order & on_time & !value.is_nan()) {
            break;
        }
        let is_new = slot != last;
        let sample = BufferedSample { slot, time, value };
        known = if ALL || is_new { sample } else { merge_samples(known, sample) };
        last = slot;
        run.slots += usize::from(is_new);
        run.buffered += usize::from(ALL || is_new);
        run.samples += 1;
        let (Some(to_place), Some(to_cell)) =
            (slots.get_mut(run.slots), buffered.get_mut(run.buffered))
        else {
            break;
        };
        (*to_place, *to_cell) = (slot, known);
    }
    run
}
