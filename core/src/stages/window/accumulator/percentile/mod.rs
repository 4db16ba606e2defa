//! Percentiles: exact as far as an engine keeps the values, and beyond that from logarithmic buckets or from a t-digest.

mod buckets;
mod counted;
mod digest;
mod group;
mod octaves;
mod pairs;
mod range;
mod running;
mod side;
mod sketches;
#[cfg(test)]
mod tests;

pub(super) use self::digest::Digest;
pub(super) use self::group::Group;
pub(super) use self::range::Range;
pub(super) use self::sketches::Sketches;
use super::slots::{Slots, add_each, put};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::{Percentile, PercentileEngine};

/// Values of a group that every engine keeps one by one.
const ALWAYS_EXACT: usize = 512;
/// Octaves that are kept of each sign; what is below the greatest so many is only counted.
const MAX_OCTAVES: usize = 64;

/// The values of one window and key. Up to `exact` of them are kept one by one.
pub(super) trait Values: Clone {
    const EMPTY: Self;

    /// Adds `value`, which is finite and not −0.
    fn add(&mut self, value: f64, exact: usize);

    /// Adds what `later` holds, as if its values came after those here.
    fn merge(&mut self, later: &Self, exact: usize);

    /// Whether it no longer has all the values.
    fn is_approximate(&self) -> bool;

    /// Makes it ready for [`Values::percentile`] of each of `percentiles`, which ascend.
    fn seal(&mut self, percentiles: &[Percentile], stats: &mut StageStats);

    /// Of those in `asked`, that it is sealed for; NaN where there are no values.
    fn percentile(&self, percentile: Percentile, asked: &[Percentile]) -> f64;

    /// What it counts for in the bytes of a stage, beside that there is one.
    fn variable_bytes(&self) -> u64;

    /// Writes what it holds, the same for equal state.
    fn save(&self, writer: &mut SectionWriter<'_>);

    /// Reads what [`Values::save`] wrote.
    fn load(reader: &mut SectionReader<'_>, exact: usize) -> Result<Self, SnapshotError>;
}

/// The group of each slot.
#[derive(Clone)]
pub(super) struct Percentiles<G> {
    groups: Vec<G>,
    /// What is asked of them, ascending.
    percentiles: Vec<Percentile>,
    /// Values of a group that are kept one by one.
    exact: usize,
    /// Whether more of them is a limit that has struck.
    is_limit: bool,
}

impl<G: Values> Percentiles<G> {
    /// For `percentiles` by `engine`; where it is the exact one, of up to `max_values` of a group.
    pub(super) fn new(
        mut percentiles: Vec<Percentile>,
        engine: PercentileEngine,
        max_values: u32,
    ) -> Self {
        percentiles.sort_unstable();
        percentiles.dedup();
        let is_limit = engine == PercentileEngine::Exact;
        let exact = if is_limit { ALWAYS_EXACT.max(max_values as usize) } else { ALWAYS_EXACT };
        Self { groups: Vec::new(), percentiles, exact, is_limit }
    }

    /// Other groups of the same kind.
    fn with(&self, groups: Vec<G>) -> Self {
        Self { groups, percentiles: self.percentiles.clone(), ..*self }
    }

    /// Has `slot` hold `group`.
    fn put(&mut self, slot: usize, group: G) {
        put(&mut self.groups, slot, group);
    }

    pub(super) fn add(&mut self, slots: &[u32], values: &[f64]) {
        add_all(&mut self.groups, slots, values, self.exact);
    }

    /// Makes `slots` ready for [`Percentiles::result`], and counts what is not as exact as it might be.
    pub(super) fn seal(&mut self, slots: &[u32], stats: &mut StageStats) {
        for slot in slots {
            let Some(group) = self.groups.get_mut(*slot as usize) else { continue };
            group.seal(&self.percentiles, stats);
            stats.value_limit += u64::from(self.is_limit && group.is_approximate());
        }
    }

    /// What the values of `slot` count for in the bytes of a stage.
    pub(super) fn variable_bytes(&self, slot: usize) -> u64 {
        self.groups.get(slot).map_or(0, G::variable_bytes)
    }

    /// The value of a slot that is sealed.
    pub(super) fn result(&self, slot: usize, percentile: Percentile) -> f64 {
        let group = self.groups.get(slot);
        group.map_or(f64::NAN, |group| group.percentile(percentile, &self.percentiles))
    }
}

impl<G: Values> Slots for Percentiles<G> {
    fn reset(&mut self, slot: usize) {
        put(&mut self.groups, slot, G::EMPTY);
    }

    fn empty(&self, slots: usize) -> Self {
        self.with(vec![G::EMPTY; slots])
    }

    fn pick(&self, slots: &[u32]) -> Self {
        let of = |slot: &u32| self.groups.get(*slot as usize).cloned().unwrap_or(G::EMPTY);
        self.with(slots.iter().map(of).collect())
    }

    fn merge(&mut self, slots: &[u32], later: &Self) {
        for (slot, later) in slots.iter().zip(&later.groups) {
            if let Some(group) = self.groups.get_mut(*slot as usize) {
                group.merge(later, self.exact);
            }
        }
    }

    fn join(&mut self, slot: usize, later: usize) {
        let moved = self.groups.get_mut(later).map(|group| core::mem::replace(group, G::EMPTY));
        if let (Some(group), Some(later)) = (self.groups.get_mut(slot), moved) {
            group.merge(&later, self.exact);
        }
    }

    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        for slot in slots {
            self.groups.get(*slot as usize).unwrap_or(&G::EMPTY).save(writer);
        }
    }

    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        for slot in slots {
            let group = G::load(reader, self.exact)?;
            put(&mut self.groups, *slot as usize, group);
        }
        Ok(())
    }
}

/// Adds `value` to fewer than `most` values, making room for some more: few times for few values, of which most lists are.
fn push(values: &mut Vec<f64>, value: f64, most: usize) {
    let length = values.len();
    if length == values.capacity() {
        let more = if length < 64 { 2 * length } else { length / 2 } + 8;
        values.reserve_exact(more.min(most - length));
    }
    values.push(value);
}

/// Adds each value that is not missing to the group in its slot.
fn add_all<G: Values>(groups: &mut [G], slots: &[u32], values: &[f64], exact: usize) {
    add_each(groups, slots, values, |group, value| {
        if !value.is_nan() {
            // −0 becomes 0: they are one value.
            group.add(value + 0.0, exact);
        }
    });
}
