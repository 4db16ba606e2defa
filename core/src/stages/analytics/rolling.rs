//! Rolling aggregations: over the last n values of a key, or over all values so far.

use super::{Input, KeyState, append_missing};
use crate::aggregates::summary::SummaryValues;
use crate::aggregates::{State, moments, summary};
use crate::data::frame::FrameColumn;
use crate::error::SnapshotError;
use crate::plan::{RollingOutput, RollingPlan};
use crate::snapshot::Codec;
use crate::spec::Operation;
use crate::statistics::{Aggregate, Extremes, LastValues, OnlineVariance, Sum};

/// Values that results are computed from; NaN means undefined.
trait RollingValues: SummaryValues {
    fn push(&mut self, value: f64);
    fn moments(&self) -> OnlineVariance;
    fn percentile(&self, percent: f64) -> Option<f64>;
}

/// The last n values of a key.
pub(super) struct LastNValues(LastValues);

impl SummaryValues for LastNValues {
    fn count(&self) -> u64 {
        self.0.len() as u64
    }

    fn sum(&self) -> f64 {
        self.0.sum()
    }

    fn extremes(&self) -> Extremes {
        self.0.extremes()
    }
}

impl RollingValues for LastNValues {
    fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    fn moments(&self) -> OnlineVariance {
        self.0.moments()
    }

    fn percentile(&self, percent: f64) -> Option<f64> {
        self.0.percentile(percent)
    }
}

impl KeyState for LastNValues {
    type Options = RollingPlan;

    const BYTES: u64 = LastValues::BYTES;
    const KEEPS_VALUES: bool = true;

    fn variable_bytes(&self) -> u64 {
        self.0.counted_bytes()
    }

    fn empty(plan: &RollingPlan) -> Self {
        Self(LastValues::new(plan.size.unwrap_or(1), plan.kept))
    }

    fn take(
        states: &mut [Self],
        plan: &RollingPlan,
        input: &Input<'_>,
        columns: &mut [FrameColumn],
    ) {
        update_all(states, &plan.outputs, input, columns);
    }

    #[inline]
    fn fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        codec.part(&mut self.0, LastValues::save, LastValues::load)
    }
}

/// All values of a key so far.
pub(super) struct AllValues {
    sum: Sum,
    moments: OnlineVariance,
    extremes: Extremes,
}

impl SummaryValues for AllValues {
    fn count(&self) -> u64 {
        self.moments.count
    }

    fn sum(&self) -> f64 {
        self.sum.total()
    }

    fn extremes(&self) -> Extremes {
        self.extremes
    }
}

impl RollingValues for AllValues {
    #[inline(always)]
    fn push(&mut self, value: f64) {
        self.sum.add(value);
        self.moments.add(value);
        self.extremes.add(value);
    }

    fn moments(&self) -> OnlineVariance {
        self.moments
    }

    fn percentile(&self, _: f64) -> Option<f64> {
        None
    }
}

impl KeyState for AllValues {
    type Options = RollingPlan;

    const BYTES: u64 = 64;

    fn empty(_: &RollingPlan) -> Self {
        Self { sum: Sum::EMPTY, moments: OnlineVariance::EMPTY, extremes: Extremes::EMPTY }
    }

    fn take(
        states: &mut [Self],
        plan: &RollingPlan,
        input: &Input<'_>,
        columns: &mut [FrameColumn],
    ) {
        update_all(states, &plan.outputs, input, columns);
    }

    #[inline]
    fn fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        codec.part(&mut self.sum, Sum::save, |sum, reader| {
            *sum = Sum::load(reader)?;
            Ok(())
        })?;
        self.moments.fields(codec)?;
        codec.numbers([&mut self.extremes.min, &mut self.extremes.max])
    }
}

/// Adds each value to the state of its key and writes the results of all outputs.
fn update_all<V: RollingValues>(
    states: &mut [V],
    outputs: &[RollingOutput],
    input: &Input<'_>,
    columns: &mut [FrameColumn],
) {
    let before = outputs.first().and_then(|output| match columns.get(output.column) {
        Some(FrameColumn::Number(column)) => Some(column.len()),
        _ => None,
    });
    let Some(before) = before else { return };
    for output in outputs {
        if let Some(FrameColumn::Number(column)) = columns.get_mut(output.column) {
            append_missing(column, input.keys.len());
        }
    }
    for (at, (key, value)) in (before..).zip(input.keys.iter().zip(input.values)) {
        if value.is_nan() {
            continue;
        }
        let Some(state) = states.get_mut(*key as usize) else { continue };
        state.push(*value);
        for output in outputs {
            let column = match columns.get_mut(output.column) {
                Some(FrameColumn::Number(column)) => column.get_mut(at),
                _ => None,
            };
            let result = result(state, output);
            if let Some(entry) = column.filter(|_| result.is_finite()) {
                *entry = result;
            }
        }
    }
}

/// Returns the result of `output` over at least one value; not finite if undefined or too large.
fn result(values: &impl RollingValues, output: &RollingOutput) -> f64 {
    match (output.state, output.op) {
        (State::Summary, op) => summary::result_of_values(op, values),
        (State::Moments, op) => moments::result(op, output.population, &values.moments()),
        (_, Operation::Percentile(percentile)) => {
            values.percentile(percentile.percent()).unwrap_or(f64::NAN)
        }
        // The plan excludes all others.
        _ => f64::NAN,
    }
}
