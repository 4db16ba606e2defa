//! Z-scores: compares each value with the preceding values of its key.

use super::{Input, KeyState, append_missing};
use crate::data::frame::FrameColumn;
use crate::error::SnapshotError;
use crate::plan::ZScorePlan;
use crate::snapshot::Codec;
use crate::statistics::{
    Baseline, LastMedian, LastMoments, LastValues, OnlineVariance, TrackedStatistics, ZScoreRule,
};

impl KeyState for OnlineVariance {
    type Options = ZScorePlan;

    const BYTES: u64 = 24;

    fn empty(_: &ZScorePlan) -> Self {
        Self::new()
    }

    fn take(
        states: &mut [Self],
        plan: &ZScorePlan,
        input: &Input<'_>,
        columns: &mut [FrameColumn],
    ) {
        score(states, plan, input, columns);
    }

    #[inline]
    fn fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        codec.part(self, Self::save, |moments, reader| {
            *moments = Self::load(reader)?;
            Ok(())
        })
    }
}

/// Implements [`KeyState`] for a reference over the last n values.
macro_rules! state_of_last_values {
    ($reference:ident, $kept:expr) => {
        impl KeyState for $reference {
            type Options = ZScorePlan;

            const BYTES: u64 = LastValues::BYTES;
            const KEEPS_VALUES: bool = true;

            fn variable_bytes(&self) -> u64 {
                self.0.counted_bytes()
            }

            fn empty(plan: &ZScorePlan) -> Self {
                Self(LastValues::new(plan.window.unwrap_or(1), $kept))
            }

            fn take(
                states: &mut [Self],
                plan: &ZScorePlan,
                input: &Input<'_>,
                columns: &mut [FrameColumn],
            ) {
                score(states, plan, input, columns);
            }

            #[inline]
            fn fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
                codec.part(&mut self.0, LastValues::save, LastValues::load)
            }
        }
    };
}

state_of_last_values!(LastMoments, TrackedStatistics::MOMENTS);
state_of_last_values!(LastMedian, TrackedStatistics::ORDER);

/// Appends scores and anomaly flags to the columns of `plan`.
fn score<R: Baseline>(
    states: &mut [R],
    plan: &ZScorePlan,
    input: &Input<'_>,
    columns: &mut [FrameColumn],
) {
    let columns = columns.get_disjoint_mut(plan.columns);
    if let Ok([FrameColumn::Number(scores), FrameColumn::Bool(anomalies)]) = columns {
        let count = input.keys.len();
        let before = anomalies.len();
        anomalies.resize(before + count, 0);
        let anomalies = anomalies.get_mut(before..).unwrap_or_default();
        score_all(
            states,
            &plan.rule,
            input.keys,
            input.values,
            (append_missing(scores, count), anomalies),
        );
    }
}

/// Scores each value with the state of its key and then adds it to the state; this is the hot loop.
// A separate function: wasmtime's compiler keeps loop variables in registers only in small
// functions.
#[inline(never)]
fn score_all<R: Baseline>(
    states: &mut [R],
    rule: &ZScoreRule,
    keys: &[u32],
    values: &[f64],
    (scores, anomalies): (&mut [f64], &mut [u8]),
) {
    let rule = *rule;
    let out = scores.iter_mut().zip(anomalies);
    for ((key, value), (score, anomaly)) in keys.iter().zip(values).zip(out) {
        if value.is_nan() {
            continue;
        }
        if let Some(state) = states.get_mut(*key as usize) {
            let (found, is_anomaly) = rule.judge_and_learn(state, *value);
            *score = found;
            *anomaly = u8::from(is_anomaly);
        }
    }
}
