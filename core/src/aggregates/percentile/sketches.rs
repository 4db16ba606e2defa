//! The percentile sketches: value sets by slot, and for incremental sliding windows running values
//! by key.

use super::running_values::RunningValues;
use super::{PercentileState, Percentiles, ValueRange, ValueSet, percentile_of};
use crate::aggregates::column::FieldColumn;
use crate::aggregates::slots::{BySlot, SlotColumn};
use crate::data::frame::Order;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::keys::NONE;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::{Percentile, PercentileEngine};

/// The sketch column of a field. While an incremental sliding window fires, its slots have no value
/// sets: they are aliases of the running values of their keys.
#[derive(Clone)]
pub(in super::super) struct Sketches {
    sets: Percentiles<ValueSet>,
    /// Minimum and maximum of aliases, merged from the nodes of the aggregate tree; `None` unless
    /// windows are updated incrementally.
    ranges: Option<BySlot<ValueRange>>,
    running: Vec<Option<Box<RunningKey>>>,
    /// The key whose running values a slot is an alias of; [`NONE`] if it has its own value set.
    aliased_keys: Vec<u32>,
    /// Keys and values to remove before the next window.
    deferred_leaves: Vec<(u32, ValueSet)>,
}

/// The running values of one key, with cached results.
#[derive(Clone, Default)]
struct RunningKey {
    values: RunningValues,
    /// One result for each percentile of the outputs; valid while `is_sealed`.
    results: Vec<f64>,
    /// Number of values that are folded: not distinguished from 0 in the results.
    folded: u64,
    is_sealed: bool,
}

impl Sketches {
    pub(in super::super) fn new(percentiles: Vec<Percentile>) -> Self {
        Self::of(Percentiles::new(percentiles, PercentileEngine::Sketch, 0), None)
    }

    fn of(sets: Percentiles<ValueSet>, ranges: Option<BySlot<ValueRange>>) -> Self {
        Self {
            sets,
            ranges,
            running: Vec::new(),
            aliased_keys: Vec::new(),
            deferred_leaves: Vec::new(),
        }
    }

    /// Switches to incremental sliding windows. Call before the first slot exists.
    pub(in super::super) fn track_ranges(&mut self) {
        self.ranges = Some(BySlot::default());
    }

    /// Merges range i of `later` into the range of `slots[i]`.
    pub(in super::super) fn merge_ranges(&mut self, slots: &[u32], later: &BySlot<ValueRange>) {
        if let Some(ranges) = &mut self.ranges {
            ranges.merge(slots, later);
        }
    }

    /// Returns the range of each of `slots`.
    pub(in super::super) fn ranges(&self, slots: &[u32]) -> BySlot<ValueRange> {
        let set = |slot: &u32| self.sets.states.get(*slot as usize);
        BySlot(
            slots
                .iter()
                .map(|slot| set(slot).map_or(ValueRange::NONE, ValueRange::of_set))
                .collect(),
        )
    }

    /// Adds the values of `slots` to the running values of `keys`.
    pub(in super::super) fn enter(&mut self, keys: &[u32], slots: &[u32]) {
        for (key, slot) in keys.iter().zip(slots) {
            let Some(set) = self.sets.states.get(*slot as usize) else { continue };
            if !set.is_empty() {
                change(&mut self.running, *key, |values| values.add(set));
            }
        }
    }

    /// Removes the values of `slots` from the running values of `keys`.
    pub(in super::super) fn leave(&mut self, keys: &[u32], slots: &[u32]) {
        for (key, slot) in keys.iter().zip(slots) {
            let Some(set) = self.sets.states.get(*slot as usize) else { continue };
            if !set.is_empty() {
                change(&mut self.running, *key, |values| values.remove(set));
            }
        }
    }

    /// Moves the values of `slot` into the list for [`Sketches::apply_deferred_leaves`], and leaves
    /// the slot empty.
    pub(in super::super) fn defer_leave(&mut self, key: u32, slot: u32) {
        let Some(set) = self.sets.states.get_mut(slot as usize) else { return };
        if !set.is_empty() {
            self.deferred_leaves.push((key, core::mem::replace(set, ValueSet::EMPTY)));
        }
    }

    /// Removes the deferred values from the running values of their keys.
    pub(in super::super) fn apply_deferred_leaves(&mut self) {
        for (key, set) in self.deferred_leaves.drain(..) {
            change(&mut self.running, key, |values| values.remove(&set));
        }
    }

    /// Removes the running values of `key`.
    pub(in super::super) fn forget_key(&mut self, key: u32) {
        self.deferred_leaves.retain(|(leaving_key, _)| *leaving_key != key);
        if let Some(running) = self.running.get_mut(key as usize) {
            *running = None;
        }
    }

    /// Removes all running values.
    pub(in super::super) fn forget_all(&mut self) {
        self.deferred_leaves.clear();
        self.running.clear();
    }

    /// Returns true if the running values of `key` must be recounted before they are used.
    pub(in super::super) fn needs_recount(&self, key: u32) -> bool {
        let running = self.running.get(key as usize).and_then(Option::as_ref);
        running.is_some_and(|running| !running.is_sealed && running.values.needs_recount())
    }

    /// Replaces the running values of `key` by the values of `slots`.
    pub(in super::super) fn recount(&mut self, key: u32, slots: &[u32]) {
        let sets = slots.iter().filter_map(|slot| self.sets.states.get(*slot as usize));
        let values = RunningValues::from_sets(sets);
        change(&mut self.running, key, |running| *running = values);
    }

    /// Makes each of `slots` an alias of the running values of its key.
    pub(in super::super) fn alias(&mut self, keys: &[u32], slots: &[u32]) {
        for (key, slot) in keys.iter().zip(slots) {
            let position = *slot as usize;
            if self.aliased_keys.len() <= position {
                self.aliased_keys.resize(position + 1, NONE);
            }
            if let Some(aliased_key) = self.aliased_keys.get_mut(position) {
                *aliased_key = *key;
            }
        }
    }

    /// Returns the key whose running values `slot` is an alias of.
    fn aliased_key(&self, slot: usize) -> Option<usize> {
        let aliased_key =
            self.aliased_keys.get(slot).filter(|aliased_key| **aliased_key != NONE)?;
        Some(*aliased_key as usize)
    }

    /// Returns the running values of `key`, if it has values.
    fn running(&self, key: usize) -> Option<&RunningKey> {
        self.running.get(key).and_then(Option::as_deref)
    }

    /// Copies the running values into each of `slots` that is an alias of them.
    pub(in super::super) fn materialize(&mut self, slots: &[u32]) {
        for slot in slots {
            let Some(set) = self.aliased_set(*slot) else { continue };
            self.sets.set(*slot as usize, set);
            if let Some(aliased_key) = self.aliased_keys.get_mut(*slot as usize) {
                *aliased_key = NONE;
            }
        }
    }

    /// Returns a copy of the running values that `slot` is an alias of; `None` if it has its own
    /// values.
    fn aliased_set(&self, slot: u32) -> Option<ValueSet> {
        let running = self.running(self.aliased_key(slot as usize)?);
        let range = || range_of(self.ranges.as_ref(), slot);
        Some(running.map_or(ValueSet::EMPTY, |running| running.values.to_set(range())))
    }
}

/// Changes the running values of `key`; drops them if they become empty.
fn change(
    running: &mut Vec<Option<Box<RunningKey>>>,
    key: u32,
    change: impl FnOnce(&mut RunningValues),
) {
    let position = key as usize;
    if running.len() <= position {
        running.resize(position + 1, None);
    }
    let Some(entry) = running.get_mut(position) else { return };
    let entry_state = entry.get_or_insert_default();
    change(&mut entry_state.values);
    entry_state.is_sealed = false;
    if entry_state.values.is_empty() {
        *entry = None;
    }
}

/// Returns the range of `slot`, or the range without values.
fn range_of(ranges: Option<&BySlot<ValueRange>>, slot: u32) -> ValueRange {
    let range = ranges.and_then(|ranges| ranges.0.get(slot as usize));
    range.copied().unwrap_or(ValueRange::NONE)
}

impl SlotColumn for Sketches {
    fn reset(&mut self, slot: usize) {
        self.sets.reset(slot);
        self.ranges.reset(slot);
        if let Some(aliased_key) = self.aliased_keys.get_mut(slot) {
            *aliased_key = NONE;
        }
    }

    fn empty(&self, slots: usize) -> Self {
        Self::of(self.sets.empty(slots), self.ranges.empty(slots))
    }

    fn pick(&self, slots: &[u32]) -> Self {
        Self::of(self.sets.pick(slots), self.ranges.pick(slots))
    }

    fn merge(&mut self, slots: &[u32], later: &Self) {
        self.sets.merge(slots, &later.sets);
    }

    fn join(&mut self, slot: usize, later: usize) {
        self.sets.join(slot, later);
    }

    /// Writes the running values for aliases.
    #[inline]
    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        for slot in slots {
            match self.aliased_set(*slot) {
                Some(set) => set.save(writer),
                None => self.sets.save(&[*slot], writer),
            }
        }
    }

    #[inline]
    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        self.sets.load(slots, reader)?;
        self.ranges.load(slots, reader)
    }
}

impl FieldColumn for Sketches {
    fn computes(&self, output: &WindowOutput) -> bool {
        self.sets.computes(output)
    }

    fn slot_bytes(&self) -> u64 {
        self.sets.slot_bytes()
    }

    fn has_variable_bytes(&self) -> bool {
        self.sets.has_variable_bytes()
    }

    fn variable_bytes(&self, slot: usize) -> u64 {
        self.sets.variable_bytes(slot)
    }

    fn max_growth(&self) -> u64 {
        self.sets.max_growth()
    }

    fn grows(&self, slot: usize, value: f64) -> bool {
        self.sets.grows(slot, value)
    }

    fn merges_in_any_order(&self) -> bool {
        self.sets.merges_in_any_order()
    }

    fn limits_values(&self) -> bool {
        self.sets.limits_values()
    }

    fn add(&mut self, slots: &[u32], values: &[f64], order: Order<'_>) {
        self.sets.add(slots, values, order);
    }

    fn add_to_one_slot(&mut self, slots: &[u32], values: &[f64], order: Order<'_>) {
        self.sets.add_to_one_slot(slots, values, order);
    }

    fn seal(&mut self, slots: &[u32], stats: &mut StageStats) {
        for slot in slots {
            let Some(key) = self.aliased_key(*slot as usize) else {
                self.sets.seal(&[*slot], stats);
                continue;
            };
            let Some(running) = self.running.get_mut(key).and_then(Option::as_deref_mut) else {
                continue;
            };
            if !running.is_sealed {
                let asked = self.sets.percentiles.as_slice();
                let range = range_of(self.ranges.as_ref(), *slot);
                running.results.resize(asked.len(), f64::NAN);
                running.folded = running.values.percentiles(asked, range, &mut running.results);
                running.is_sealed = true;
            }
            stats.folded_values += running.folded;
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
        let Some(key) = self.aliased_key(slot) else { return self.sets.result(output, slot) };
        let percentile = percentile_of(output);
        let position = self.sets.percentiles.iter().position(|asked| Some(*asked) == percentile);
        let result = self
            .running(key)
            .zip(position)
            .and_then(|(running, position)| running.results.get(position));
        result.copied().unwrap_or(f64::NAN)
    }

    fn release(&mut self, slot: usize) {
        self.reset(slot);
    }
}
