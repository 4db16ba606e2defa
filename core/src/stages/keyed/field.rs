//! The states of one field, whatever they are of: a call for many events goes to the loop that knows.

use super::average::{Average, TimedAverage};
use super::rolling::{AllOfKey, LastOfKey};
use super::{Input, State};
use crate::data::frame::FrameColumn;
use crate::error::SnapshotError;
use crate::plan::OperatorPlan;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::ZScoreMethod;
use crate::statistics::{LastMedian, LastMoments, OnlineVariance};

/// The states of a field by key id; those of keys that are not alive mean nothing.
pub(super) trait FieldStates: Send {
    /// Lets `key` begin anew; ids are below `bound`.
    fn reset(&mut self, key: u32, bound: usize);

    /// As [`State::take`].
    fn take(&mut self, field: usize, input: &Input<'_>, added: &mut [FrameColumn]);

    /// What a state counts for in the bytes of the stage, but for the values that it keeps.
    fn bytes(&self) -> u64;

    /// Whether states keep values.
    fn keeps_values(&self) -> bool;

    /// What the values that the state of `key` keeps count for.
    fn variable_bytes(&self, key: u32) -> u64;

    /// Writes the states of `keys`.
    fn save(&self, keys: &mut dyn Iterator<Item = u32>, writer: &mut SectionWriter<'_>);

    /// What [`FieldStates::save`] wrote.
    fn load(&mut self, keys: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError>;
}

/// The states of a field that `plan` describes.
pub(super) fn of(plan: &OperatorPlan) -> Box<dyn FieldStates> {
    match plan.clone() {
        OperatorPlan::Ema { alpha } => States::<Average>::boxed(alpha),
        OperatorPlan::TimedEma { half_life_us } => States::<TimedAverage>::boxed(half_life_us),
        OperatorPlan::Rolling(rolling) => match rolling.size {
            Some(_) => States::<LastOfKey>::boxed(rolling),
            None => States::<AllOfKey>::boxed(rolling),
        },
        OperatorPlan::ZScore(zscore) => match (zscore.method, zscore.window) {
            (ZScoreMethod::Mad, _) => States::<LastMedian>::boxed(zscore),
            (ZScoreMethod::Stddev, Some(_)) => States::<LastMoments>::boxed(zscore),
            (ZScoreMethod::Stddev, None) => States::<OnlineVariance>::boxed(zscore),
        },
    }
}

struct States<S: State> {
    options: S::Options,
    states: Vec<S>,
}

impl<S: State> States<S> {
    fn boxed(options: S::Options) -> Box<dyn FieldStates> {
        Box::new(Self { options, states: Vec::new() })
    }
}

impl<S: State> FieldStates for States<S> {
    fn reset(&mut self, key: u32, bound: usize) {
        let place = key as usize;
        if self.states.len() <= place {
            self.states.resize_with(bound.max(place + 1), || S::empty(&self.options));
        }
        if let Some(state) = self.states.get_mut(place) {
            *state = S::empty(&self.options);
        }
    }

    fn take(&mut self, field: usize, input: &Input<'_>, added: &mut [FrameColumn]) {
        S::take(&mut self.states, &self.options, field, input, added);
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

    fn save(&self, keys: &mut dyn Iterator<Item = u32>, writer: &mut SectionWriter<'_>) {
        keys.filter_map(|key| self.states.get(key as usize)).for_each(|state| state.save(writer));
    }

    fn load(&mut self, keys: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        for key in keys {
            let state = S::load(&self.options, reader)?;
            if let Some(place) = self.states.get_mut(*key as usize) {
                *place = state;
            }
        }
        Ok(())
    }
}
