//! Exponential moving averages.

use super::{Input, KeyState, append_missing};
use crate::data::frame::FrameColumn;
use crate::error::SnapshotError;
use crate::snapshot::Codec;
use crate::statistics::{elapsed, step, time_gain};

/// Options of a moving average.
#[derive(Clone, Copy)]
pub(super) struct AverageOptions {
    /// Weight of a new value; for [`TimedAverage`], the half-life in microseconds.
    pub(super) weight: f64,
    /// The column of the averages.
    pub(super) column: usize,
}

/// Moving average of a key; NaN before its first value.
pub(super) struct Average(f64);

impl KeyState for Average {
    type Options = AverageOptions;

    const BYTES: u64 = 8;

    fn empty(_: &AverageOptions) -> Self {
        Self(f64::NAN)
    }

    fn take(
        states: &mut [Self],
        options: &AverageOptions,
        input: &Input<'_>,
        columns: &mut [FrameColumn],
    ) {
        if let Some(FrameColumn::Number(averages)) = columns.get_mut(options.column) {
            move_all(
                states,
                options.weight,
                input.keys,
                input.values,
                append_missing(averages, input.keys.len()),
            );
        }
    }

    #[inline]
    fn fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        average_fields(&mut self.0, codec)
    }
}

/// Moves each key's average by its values and writes the result; this is the hot loop.
// A separate function: wasmtime's compiler keeps loop variables in registers only in small
// functions.
#[inline(never)]
fn move_all(states: &mut [Average], alpha: f64, keys: &[u32], values: &[f64], out: &mut [f64]) {
    for ((key, value), out) in keys.iter().zip(values).zip(out) {
        if value.is_nan() {
            continue;
        }
        if let Some(Average(average)) = states.get_mut(*key as usize) {
            *average = step(*average, *value, alpha);
            *out = *average;
        }
    }
}

/// Writes or reads an average; it is NaN or finite.
#[inline]
fn average_fields(average: &mut f64, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
    codec.number(average)?;
    if codec.reads() && average.is_infinite() {
        return Err(SnapshotError::Damaged("a moving average is infinite"));
    }
    Ok(())
}

/// Time-weighted moving average of a key.
pub(super) struct TimedAverage {
    average: f64,
    /// Latest time of the key's values.
    latest: i64,
}

impl KeyState for TimedAverage {
    type Options = AverageOptions;

    const BYTES: u64 = 16;

    fn empty(_: &AverageOptions) -> Self {
        Self { average: f64::NAN, latest: i64::MIN }
    }

    fn take(
        states: &mut [Self],
        options: &AverageOptions,
        input: &Input<'_>,
        columns: &mut [FrameColumn],
    ) {
        let AverageOptions { weight: half_life_us, column } = *options;
        let Some(FrameColumn::Number(averages)) = columns.get_mut(column) else { return };
        let out = append_missing(averages, input.keys.len());
        // Many series are regular, so the previous gain is often the next one.
        let mut last_gain = (0, 0.0);
        let events = input.timestamps.iter().zip(input.keys).zip(input.values);
        for (((timestamp, key), value), out) in events.zip(out) {
            if value.is_nan() {
                continue;
            }
            let Some(state) = states.get_mut(*key as usize) else { continue };
            let elapsed_us = elapsed(state.latest, *timestamp);
            if elapsed_us != last_gain.0 {
                last_gain = (elapsed_us, time_gain(elapsed_us, half_life_us));
            }
            state.average = step(state.average, *value, last_gain.1);
            state.latest = state.latest.max(*timestamp);
            *out = state.average;
        }
    }

    #[inline]
    fn fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        average_fields(&mut self.average, codec)?;
        codec.number(&mut self.latest)
    }
}
