//! Percentiles: exact while an engine keeps all values, then by logarithmic buckets or a t-digest.
//!
//! ```text
//! Percentiles<S>     a column of states, S: PercentileState
//! ├─ S = ValueSet    engines "exact" and "sketch"
//! │     Values       all values, up to 512 or the limit of values
//! │     Pairs        value/count pairs, up to 256 different values
//! │     Histogram    more: HalfHistogram of each sign + zeros, min, max, count
//! └─ S = Digest      engine "tdigest": 512 recent values + a t-digest of the values before
//!
//! Sketches           Percentiles<ValueSet> for engine "sketch", and by key, for sliding windows:
//! └─ RunningValues   values of the current window, with removal
//!       pairs            value/count pairs, up to 512 different values
//!       RunningHistogram more: Histogram + a bound for the number of different values
//! ```
//!
//! `add` and `merge` fill a state, `seal` prepares it once for all percentiles of the outputs, and
//! `percentile` reads one of them. Ranks and interpolation are in `statistics/rank.rs`.

mod buckets;
mod digest;
mod half_histogram;
mod histogram;
mod pairs;
mod running_values;
mod sketches;
#[cfg(test)]
mod tests;
mod value_range;
mod value_set;

pub(super) use self::digest::Digest;
pub(super) use self::sketches::Sketches;
pub(super) use self::value_range::ValueRange;
pub(super) use self::value_set::ValueSet;
use super::add::add_each;
use super::column::{FieldColumn, State};
use super::registry::{Definition, OwnOption, RollingSupport};
use super::slots::{SlotColumn, set_or_push};
use crate::data::frame::Order;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::{Operation, Percentile, PercentileEngine};
use crate::statistics::TrackedStatistics;
use crate::statistics::rank::RankPosition;

pub(super) const DEFINITION: Definition = Definition {
    option: OwnOption::Engine,
    rolling: RollingSupport::TracksLast(TrackedStatistics::ORDER),
    ..Definition::new("p<any>", State::Percentiles)
};

/// Number of values of a slot up to which every engine is exact.
const ALWAYS_EXACT: usize = 512;
/// Maximum number of octaves for each sign. Values below the greatest ones are folded: only
/// counted.
const MAX_OCTAVES: usize = 64;

/// The values of one slot, as far as an engine needs them. Up to `exact` of them are kept one by
/// one.
pub(super) trait PercentileState: Clone {
    const EMPTY: Self;
    /// True if results are the same in any order of merging.
    const MERGES_IN_ANY_ORDER: bool;
    /// True if there are limits on values that are counted in the statistics.
    const LIMITS_VALUES: bool;
    /// The most that one value adds to the variable bytes.
    const MAX_GROWTH: u64;

    /// Adds `value`, which is finite and not −0.
    fn add(&mut self, value: f64, exact: usize);

    /// Adds `values` in order, which are finite and not −0.
    fn add_all(&mut self, values: &[f64], exact: usize) {
        values.iter().for_each(|value| self.add(*value, exact));
    }

    /// Merges `later`, whose values count as the later ones.
    fn merge(&mut self, later: &Self, exact: usize);

    /// Returns true if results are approximate, because not all values are kept.
    fn is_approximate(&self) -> bool;

    /// Prepares [`PercentileState::percentile`] for each of `percentiles`, in ascending order;
    /// counts folded values in `stats`.
    fn seal(&mut self, percentiles: &[Percentile], stats: &mut StageStats);

    /// Returns `percentile`, one of `asked` that the state is sealed for; NaN without values.
    fn percentile(&self, percentile: Percentile, asked: &[Percentile]) -> f64;

    /// Returns the bytes of the values for the memory budget, without the fixed bytes of a slot.
    fn variable_bytes(&self) -> u64;

    /// Returns true if adding `value` adds to the variable bytes.
    fn grows(&self, value: f64) -> bool;

    /// Replaces many exact values by an approximation that hardly grows. Returns false if there are
    /// few, or none.
    fn shrink(&mut self) -> bool {
        false
    }

    /// Writes the state; equal states give equal bytes.
    fn save(&self, writer: &mut SectionWriter<'_>);

    /// Reads what [`PercentileState::save`] wrote.
    fn load(reader: &mut SectionReader<'_>, exact: usize) -> Result<Self, SnapshotError>;
}

/// The percentile state of each slot, for one engine.
#[derive(Clone)]
pub(super) struct Percentiles<S> {
    states: Vec<S>,
    /// The percentiles of the outputs, ascending and without duplicates.
    percentiles: Vec<Percentile>,
    engine: PercentileEngine,
    /// Number of values of a slot that are kept one by one.
    exact: usize,
}

impl<S: PercentileState> Percentiles<S> {
    /// Creates a column for `percentiles` by `engine`. The exact engine keeps up to `max_values` of
    /// a slot.
    pub(super) fn new(
        mut percentiles: Vec<Percentile>,
        engine: PercentileEngine,
        max_values: u32,
    ) -> Self {
        crate::util::sort::by(&mut percentiles, Percentile::cmp);
        percentiles.dedup();
        let exact = match engine {
            PercentileEngine::Exact => ALWAYS_EXACT.max(max_values as usize),
            PercentileEngine::Sketch | PercentileEngine::Tdigest => ALWAYS_EXACT,
        };
        Self { states: Vec::new(), percentiles, engine, exact }
    }

    /// Returns a column with other `states` and the same settings.
    fn with_states(&self, states: Vec<S>) -> Self {
        Self { states, percentiles: self.percentiles.clone(), ..*self }
    }

    /// Sets the state of `slot`.
    fn set(&mut self, slot: usize, state: S) {
        set_or_push(&mut self.states, slot, state);
    }

    /// Returns `percentile` of a sealed slot.
    fn percentile(&self, slot: usize, percentile: Percentile) -> f64 {
        let state = self.states.get(slot);
        state.map_or(f64::NAN, |state| state.percentile(percentile, &self.percentiles))
    }
}

impl<S: PercentileState> SlotColumn for Percentiles<S> {
    fn reset(&mut self, slot: usize) {
        set_or_push(&mut self.states, slot, S::EMPTY);
    }

    fn empty(&self, slots: usize) -> Self {
        self.with_states(vec![S::EMPTY; slots])
    }

    fn pick(&self, slots: &[u32]) -> Self {
        let of = |slot: &u32| self.states.get(*slot as usize).cloned().unwrap_or(S::EMPTY);
        self.with_states(slots.iter().map(of).collect())
    }

    fn merge(&mut self, slots: &[u32], later: &Self) {
        for (slot, later) in slots.iter().zip(&later.states) {
            if let Some(state) = self.states.get_mut(*slot as usize) {
                state.merge(later, self.exact);
            }
        }
    }

    fn join(&mut self, slot: usize, later: usize) {
        let moved = self.states.get_mut(later).map(|state| core::mem::replace(state, S::EMPTY));
        if let (Some(state), Some(later)) = (self.states.get_mut(slot), moved) {
            state.merge(&later, self.exact);
        }
    }

    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        for slot in slots {
            self.states.get(*slot as usize).unwrap_or(&S::EMPTY).save(writer);
        }
    }

    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        for slot in slots {
            let state = S::load(reader, self.exact)?;
            set_or_push(&mut self.states, *slot as usize, state);
        }
        Ok(())
    }
}

impl<S: PercentileState> FieldColumn for Percentiles<S> {
    fn computes(&self, output: &WindowOutput) -> bool {
        percentile_of(output).is_some() && output.engine == self.engine
    }

    fn slot_bytes(&self) -> u64 {
        32
    }

    fn has_variable_bytes(&self) -> bool {
        true
    }

    fn variable_bytes(&self, slot: usize) -> u64 {
        self.states.get(slot).map_or(0, S::variable_bytes)
    }

    fn max_growth(&self) -> u64 {
        S::MAX_GROWTH
    }

    fn grows(&self, slot: usize, value: f64) -> bool {
        !value.is_nan() && self.states.get(slot).is_some_and(|state| state.grows(value + 0.0))
    }

    fn shrink(&mut self, slot: usize) -> bool {
        self.states.get_mut(slot).is_some_and(S::shrink)
    }

    fn merges_in_any_order(&self) -> bool {
        S::MERGES_IN_ANY_ORDER
    }

    fn limits_values(&self) -> bool {
        S::LIMITS_VALUES
    }

    fn add(&mut self, slots: &[u32], values: &[f64], _: Order<'_>) {
        add_present(&mut self.states, slots, values, self.exact);
    }

    fn add_to_one_slot(&mut self, slots: &[u32], values: &[f64], _: Order<'_>) {
        let state = slots.first().and_then(|slot| self.states.get_mut(*slot as usize));
        let Some(state) = state else { return };
        for values in values.chunks(64) {
            let mut normalized = [0.0; 64];
            // Adding 0 turns −0 into 0: they are one value.
            normalized.iter_mut().zip(values).for_each(|(to, value)| *to = value + 0.0);
            state.add_all(normalized.get(..values.len()).unwrap_or_default(), self.exact);
        }
    }

    /// Prepares `slots` for results; counts folded values and limits reached in `stats`.
    fn seal(&mut self, slots: &[u32], stats: &mut StageStats) {
        // Only for the exact engine it is a limit that not all values are kept.
        let is_limit = self.engine == PercentileEngine::Exact;
        for slot in slots {
            let Some(state) = self.states.get_mut(*slot as usize) else { continue };
            state.seal(&self.percentiles, stats);
            stats.value_limit += u64::from(is_limit && state.is_approximate());
        }
    }

    fn results<'a>(
        &self,
        output: &WindowOutput,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) {
        numbers.extend(slots.map(|slot| self.result(output, *slot as usize)));
    }

    fn result(&self, output: &WindowOutput, slot: usize) -> f64 {
        percentile_of(output).map_or(f64::NAN, |percentile| self.percentile(slot, percentile))
    }

    fn release(&mut self, slot: usize) {
        self.reset(slot);
    }
}

/// Returns the percentile of `output`, if it is one.
fn percentile_of(output: &WindowOutput) -> Option<Percentile> {
    match output.op {
        Operation::Percentile(percentile) => Some(percentile),
        _ => None,
    }
}

/// Returns `percentile` of `count` values within `range`, at least one. `at` returns the value at a
/// rank, and the number of equal values from that rank on.
fn percentile_by_rank(
    percentile: Percentile,
    count: u64,
    range: ValueRange,
    at: impl Fn(u64) -> (f64, u64),
) -> f64 {
    let position = RankPosition::of(percentile, count);
    if let Some(extreme) = position.extreme(count) {
        return range.at(extreme);
    }
    let (low, remaining) = at(position.rank);
    if !position.is_fractional() || remaining > 1 {
        return low;
    }
    let (high, _) = at(position.rank.saturating_add(1));
    position.interpolate(low, high)
}

/// Appends `value` to fewer than `most` values. Triples the capacity of short lists, which are the
/// most frequent, and grows long ones by half.
fn push(values: &mut Vec<f64>, value: f64, most: usize) {
    let length = values.len();
    if length == values.capacity() {
        let more = if length < 64 { 2 * length } else { length / 2 } + 8;
        values.reserve_exact(more.min(most - length));
    }
    values.push(value);
}

/// Adds each value that is not missing (NaN) to the state of its slot.
fn add_present<S: PercentileState>(states: &mut [S], slots: &[u32], values: &[f64], exact: usize) {
    add_each(states, slots, values, |state, value| {
        if !value.is_nan() {
            // Turns −0 into 0: they are one value.
            state.add(value + 0.0, exact);
        }
    });
}
