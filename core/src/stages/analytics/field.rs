//! The states of one field, behind a trait object: one dynamic call per batch, not per event.

use super::average::{Average, AverageOptions, TimedAverage};
use super::rolling::{AllValues, LastNValues};
use super::{Input, KeyState};
use crate::data::frame::FrameColumn;
use crate::error::SnapshotError;
use crate::plan::{EmaPlan, EmaWeight, OperatorPlan};
use crate::snapshot::{Codec, StateReader, StateWriter};
use crate::spec::ZScoreMethod;
use crate::statistics::{LastMedian, LastMoments, OnlineVariance};

/// States of one field by key id. States of keys that are not alive are unspecified.
pub(super) trait FieldStates: Send {
    /// Resets the state of `key`; `bound` is an upper bound of key ids.
    fn reset(&mut self, key: u32, bound: usize);

    /// Calls [`KeyState::take`].
    fn take(&mut self, input: &Input<'_>, columns: &mut [FrameColumn]);

    /// Returns the bytes that a state counts for, without the values it keeps.
    fn bytes(&self) -> u64;

    /// Returns true if states keep values.
    fn keeps_values(&self) -> bool;

    /// Returns the bytes of the values that the state of `key` keeps.
    fn variable_bytes(&self, key: u32) -> u64;

    /// Writes the states of `keys`.
    fn save(&mut self, keys: &[u32], writer: &mut StateWriter<'_>) -> Result<(), SnapshotError>;

    /// Reads the states of `keys`, which must be empty.
    fn load(&mut self, keys: &[u32], reader: &mut StateReader<'_>) -> Result<(), SnapshotError>;
}

/// Returns the states of a field that `plan` describes.
#[inline]
pub(super) fn of(plan: &OperatorPlan) -> Box<dyn FieldStates> {
    match plan.clone() {
        OperatorPlan::Ema(EmaPlan { weight, column }) => match weight {
            EmaWeight::Constant(weight) => {
                States::<Average>::boxed(AverageOptions { weight, column })
            }
            EmaWeight::HalfLife(weight) => {
                States::<TimedAverage>::boxed(AverageOptions { weight, column })
            }
        },
        OperatorPlan::Rolling(rolling) => match rolling.size {
            Some(_) => States::<LastNValues>::boxed(rolling),
            None => States::<AllValues>::boxed(rolling),
        },
        OperatorPlan::ZScore(zscore) => match (zscore.method, zscore.window) {
            (ZScoreMethod::Mad, _) => States::<LastMedian>::boxed(zscore),
            (ZScoreMethod::Stddev, Some(_)) => States::<LastMoments>::boxed(zscore),
            (ZScoreMethod::Stddev, None) => States::<OnlineVariance>::boxed(zscore),
        },
    }
}

/// States of type `S` and their options.
struct States<S: KeyState> {
    options: S::Options,
    states: Vec<S>,
}

impl<S: KeyState> States<S> {
    #[inline]
    fn boxed(options: S::Options) -> Box<dyn FieldStates> {
        Box::new(Self { options, states: Vec::new() })
    }

    #[inline]
    fn fields(&mut self, keys: &[u32], codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        keys.iter().try_for_each(|key| match self.states.get_mut(*key as usize) {
            Some(state) => state.fields(codec),
            None => Ok(()),
        })
    }
}

impl<S: KeyState> FieldStates for States<S> {
    fn reset(&mut self, key: u32, bound: usize) {
        let index = key as usize;
        if self.states.len() <= index {
            self.states.resize_with(bound.max(index + 1), || S::empty(&self.options));
        }
        if let Some(state) = self.states.get_mut(index) {
            *state = S::empty(&self.options);
        }
    }

    fn take(&mut self, input: &Input<'_>, columns: &mut [FrameColumn]) {
        S::take(&mut self.states, &self.options, input, columns);
    }

    fn bytes(&self) -> u64 {
        S::BYTES
    }

    fn keeps_values(&self) -> bool {
        S::KEEPS_VALUES
    }

    fn variable_bytes(&self, key: u32) -> u64 {
        self.states.get(key as usize).map_or(0, S::variable_bytes)
    }

    #[inline]
    fn save(&mut self, keys: &[u32], writer: &mut StateWriter<'_>) -> Result<(), SnapshotError> {
        self.fields(keys, writer)
    }

    #[inline]
    fn load(&mut self, keys: &[u32], reader: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        self.fields(keys, reader)
    }
}
