//! Groups of the sketch by slot, and by key what windows that slide hold.

use super::running::Running;
use super::{Group, Percentiles, Range, Values};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::keys::NONE;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::{Percentile, PercentileEngine};
use crate::stages::window::accumulator::slots::{Cells, Slots};

/// The group of each slot. Where windows slide, the slots of one that fires have none of their own: their values are those
/// that the window's key holds now.
#[derive(Clone)]
pub(in super::super) struct Sketches {
    groups: Percentiles<Group>,
    held: Vec<Option<Box<Held>>>,
    /// The key whose values a slot has, instead of a group.
    holders: Vec<u32>,
    /// What is to be taken away from keys before the next window.
    leaving: Vec<(u32, Group)>,
}

/// What the window that slides holds of one key.
#[derive(Clone, Default)]
struct Held {
    values: Running,
    /// Of each percentile that is asked for, unless values have come or gone since.
    results: Vec<f64>,
    /// Values that these do not tell from 0.
    folded: u64,
    is_sealed: bool,
}

impl Sketches {
    pub(in super::super) fn new(percentiles: Vec<Percentile>) -> Self {
        Self::of(Percentiles::new(percentiles, PercentileEngine::Sketch, 0))
    }

    fn of(groups: Percentiles<Group>) -> Self {
        Self { groups, held: Vec::new(), holders: Vec::new(), leaving: Vec::new() }
    }

    pub(in super::super) fn add(&mut self, slots: &[u32], values: &[f64]) {
        self.groups.add(slots, values);
    }

    /// What the values of `slot` count for in the bytes of a stage.
    pub(in super::super) fn variable_bytes(&self, slot: usize) -> u64 {
        self.groups.variable_bytes(slot)
    }

    /// The range of each of `slots`.
    pub(in super::super) fn ranges(&self, slots: &[u32]) -> Cells<Range> {
        let group = |slot: &u32| self.groups.groups.get(*slot as usize);
        Cells(slots.iter().map(|slot| group(slot).map_or(Range::NONE, Range::of_group)).collect())
    }

    /// Adds what `slots` have to what the window holds of `keys`.
    pub(in super::super) fn enter(&mut self, keys: &[u32], slots: &[u32]) {
        for (key, slot) in keys.iter().zip(slots) {
            let Some(group) = self.groups.groups.get(*slot as usize) else { continue };
            if !group.is_empty() {
                change(&mut self.held, *key, |values| values.add(group));
            }
        }
    }

    /// Takes what `slots` have away from it.
    pub(in super::super) fn leave(&mut self, keys: &[u32], slots: &[u32]) {
        for (key, slot) in keys.iter().zip(slots) {
            let Some(group) = self.groups.groups.get(*slot as usize) else { continue };
            if !group.is_empty() {
                change(&mut self.held, *key, |values| values.remove(group));
            }
        }
    }

    /// Has what `slot` has leave with [`Sketches::settle`], and leaves it empty.
    pub(in super::super) fn leave_later(&mut self, key: u32, slot: u32) {
        let Some(group) = self.groups.groups.get_mut(slot as usize) else { return };
        if !group.is_empty() {
            self.leaving.push((key, core::mem::replace(group, Group::EMPTY)));
        }
    }

    pub(in super::super) fn settle(&mut self) {
        for (key, group) in self.leaving.drain(..) {
            change(&mut self.held, key, |values| values.remove(&group));
        }
    }

    /// Holds nothing of `key` any more.
    pub(in super::super) fn forget_key(&mut self, key: u32) {
        self.leaving.retain(|(leaving, _)| *leaving != key);
        if let Some(held) = self.held.get_mut(key as usize) {
            *held = None;
        }
    }

    /// Holds nothing any more.
    pub(in super::super) fn forget_all(&mut self) {
        self.leaving.clear();
        self.held.clear();
    }

    /// Whether the values of `key` have to be counted anew.
    pub(in super::super) fn is_unsure(&self, key: u32) -> bool {
        let held = self.held.get(key as usize).and_then(Option::as_ref);
        held.is_some_and(|held| !held.is_sealed && held.values.is_unsure())
    }

    /// Holds what `slots` have of `key`, instead of what it held.
    pub(in super::super) fn recount(&mut self, key: u32, slots: &[u32]) {
        let groups = slots.iter().filter_map(|slot| self.groups.groups.get(*slot as usize));
        let values = Running::of(groups);
        change(&mut self.held, key, |held| *held = values);
    }

    /// Has each of `slots` stand for what the window holds of its key.
    pub(in super::super) fn share(&mut self, keys: &[u32], slots: &[u32]) {
        for (key, slot) in keys.iter().zip(slots) {
            let place = *slot as usize;
            if self.holders.len() <= place {
                self.holders.resize(place + 1, NONE);
            }
            if let Some(holder) = self.holders.get_mut(place) {
                *holder = *key;
            }
        }
    }

    fn holder(&self, slot: usize) -> Option<usize> {
        let holder = self.holders.get(slot).filter(|holder| **holder != NONE)?;
        Some(*holder as usize)
    }

    fn held(&self, key: usize) -> Option<&Held> {
        self.held.get(key).and_then(Option::as_deref)
    }

    /// Makes `slots` ready for [`Sketches::result`]; the values of those without a group lie within `ranges`.
    pub(in super::super) fn seal(
        &mut self,
        slots: &[u32],
        ranges: Option<&Cells<Range>>,
        stats: &mut StageStats,
    ) {
        for slot in slots {
            let Some(key) = self.holder(*slot as usize) else {
                self.groups.seal(&[*slot], stats);
                continue;
            };
            let Some(held) = self.held.get_mut(key).and_then(Option::as_deref_mut) else {
                continue;
            };
            if !held.is_sealed {
                let asked = self.groups.percentiles.as_slice();
                held.results.resize(asked.len(), f64::NAN);
                held.values.percentiles(asked, range_of(ranges, *slot), &mut held.results);
                held.folded = held.values.folded();
                held.is_sealed = true;
            }
            stats.folded_values += held.folded;
        }
    }

    /// The value of a slot that is sealed.
    pub(in super::super) fn result(&self, slot: usize, percentile: Percentile) -> f64 {
        let Some(key) = self.holder(slot) else { return self.groups.result(slot, percentile) };
        let place = self.groups.percentiles.iter().position(|asked| *asked == percentile);
        let result = self.held(key).zip(place).and_then(|(held, place)| held.results.get(place));
        result.copied().unwrap_or(f64::NAN)
    }

    /// Gives each of `slots` that stands for what the window holds a group of its own; the values lie within `ranges`.
    pub(in super::super) fn unshare(&mut self, slots: &[u32], ranges: Option<&Cells<Range>>) {
        for slot in slots {
            let Some(group) = self.shared(*slot, ranges) else { continue };
            self.groups.put(*slot as usize, group);
            if let Some(holder) = self.holders.get_mut(*slot as usize) {
                *holder = NONE;
            }
        }
    }

    /// What `slot` stands for, if that is what the window holds; the values lie within `ranges`.
    fn shared(&self, slot: u32, ranges: Option<&Cells<Range>>) -> Option<Group> {
        let held = self.held(self.holder(slot as usize)?);
        Some(held.map_or(Group::EMPTY, |held| held.values.to_group(range_of(ranges, slot))))
    }

    /// Writes `slots` as [`Slots::save`] does, those that stand for what the window holds too.
    pub(in super::super) fn save_shared(
        &self,
        slots: &[u32],
        ranges: Option<&Cells<Range>>,
        writer: &mut SectionWriter<'_>,
    ) {
        for slot in slots {
            match self.shared(*slot, ranges) {
                Some(group) => group.save(writer),
                None => self.groups.save(&[*slot], writer),
            }
        }
    }
}

/// Changes what is held of `key`.
fn change(held: &mut Vec<Option<Box<Held>>>, key: u32, change: impl FnOnce(&mut Running)) {
    let place = key as usize;
    if held.len() <= place {
        held.resize(place + 1, None);
    }
    let Some(entry) = held.get_mut(place) else { return };
    let known = entry.get_or_insert_default();
    change(&mut known.values);
    known.is_sealed = false;
    if known.values.is_empty() {
        *entry = None;
    }
}

fn range_of(ranges: Option<&Cells<Range>>, slot: u32) -> Range {
    let range = ranges.and_then(|ranges| ranges.0.get(slot as usize));
    range.copied().unwrap_or(Range::NONE)
}

impl Slots for Sketches {
    fn reset(&mut self, slot: usize) {
        self.groups.reset(slot);
        if let Some(holder) = self.holders.get_mut(slot) {
            *holder = NONE;
        }
    }

    fn empty(&self, slots: usize) -> Self {
        Self::of(self.groups.empty(slots))
    }

    fn pick(&self, slots: &[u32]) -> Self {
        Self::of(self.groups.pick(slots))
    }

    fn merge(&mut self, slots: &[u32], later: &Self) {
        self.groups.merge(slots, &later.groups);
    }

    fn join(&mut self, slot: usize, later: usize) {
        self.groups.join(slot, later);
    }

    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        self.groups.save(slots, writer);
    }

    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        self.groups.load(slots, reader)
    }
}
