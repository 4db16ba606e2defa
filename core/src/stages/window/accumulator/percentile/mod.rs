//! Percentiles: exact as far as an engine keeps the values, and then within 1 % from logarithmic buckets.

mod buckets;
mod group;
mod rank;

use self::group::Group;
use super::slots::{Slots, put};
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::{Percentile, PercentileEngine};
use crate::stats::StageStats;

/// Values of a group that every engine keeps one by one.
const ALWAYS_EXACT: usize = 512;

/// The group of each slot.
#[derive(Clone)]
pub(super) struct Percentiles {
    groups: Vec<Group>,
    /// What is asked of them, ascending.
    percentiles: Vec<Percentile>,
    /// Values of a group that are kept one by one.
    exact: usize,
    /// Whether more of them is a limit that has struck.
    is_limit: bool,
}

impl Percentiles {
    /// For `percentiles` by `engine`; where it is the exact one, of up to `max_values` of a group.
    pub(super) fn new(
        mut percentiles: Vec<Percentile>,
        engine: PercentileEngine,
        max_values: u32,
    ) -> Self {
        percentiles.sort_unstable();
        let is_limit = engine == PercentileEngine::Exact;
        let exact = if is_limit { ALWAYS_EXACT.max(max_values as usize) } else { ALWAYS_EXACT };
        Self { groups: Vec::new(), percentiles, exact, is_limit }
    }

    /// Other groups of the same kind.
    fn with(&self, groups: Vec<Group>) -> Self {
        Self { groups, percentiles: self.percentiles.clone(), ..*self }
    }

    pub(super) fn add(&mut self, slots: &[u32], values: &[f64]) {
        add_all(&mut self.groups, slots, values, self.exact);
    }

    /// Makes `slots` ready for [`Percentiles::result`], and counts what is not as exact as it might be.
    pub(super) fn seal(&mut self, slots: &[u32], stats: &mut StageStats) {
        for slot in slots {
            let Some(group) = self.groups.get_mut(*slot as usize) else { continue };
            group.arrange(&self.percentiles);
            if let Group::Buckets(buckets) = group {
                stats.value_limit += u64::from(self.is_limit);
                stats.folded_values += buckets.folded();
            }
        }
    }

    /// The value of a slot that is sealed.
    pub(super) fn result(&self, slot: usize, percentile: Percentile) -> f64 {
        self.groups.get(slot).map_or(f64::NAN, |group| group.percentile(percentile))
    }
}

impl Slots for Percentiles {
    fn reset(&mut self, slot: usize) {
        put(&mut self.groups, slot, Group::EMPTY);
    }

    fn empty(&self, slots: usize) -> Self {
        self.with(vec![Group::EMPTY; slots])
    }

    fn pick(&self, slots: &[u32]) -> Self {
        let of = |slot: &u32| self.groups.get(*slot as usize).cloned().unwrap_or(Group::EMPTY);
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
        let moved = self.groups.get_mut(later).map(|group| core::mem::replace(group, Group::EMPTY));
        if let (Some(group), Some(later)) = (self.groups.get_mut(slot), moved) {
            group.merge(&later, self.exact);
        }
    }

    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        for slot in slots {
            self.groups.get(*slot as usize).unwrap_or(&Group::EMPTY).save(writer);
        }
    }

    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        for slot in slots {
            let group = Group::load(reader, self.exact)?;
            put(&mut self.groups, *slot as usize, group);
        }
        Ok(())
    }
}

/// The hot loop: adds each value that is not missing to the group in its slot.
// Its own function: wasmtime's compiler keeps a loop's variables in registers only in small ones.
#[inline(never)]
fn add_all(groups: &mut [Group], slots: &[u32], values: &[f64], exact: usize) {
    for (slot, value) in slots.iter().zip(values) {
        if value.is_nan() {
            continue;
        }
        if let Some(group) = groups.get_mut(*slot as usize) {
            // −0 becomes 0: they are one value.
            group.add(*value + 0.0, exact);
        }
    }
}
