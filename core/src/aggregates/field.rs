//! The accumulators of one field of the events.

use super::distinct::DistinctBySlot;
use super::first_last::{FirstBySlot, LastBySlot};
use super::numbers::Numbers;
use super::percentile::{Digest, Percentiles, Sketches, ValueRange, ValueSet};
use super::slots::{BySlot, SlotColumn};
use crate::data::frame::Order;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::{Operation, PercentileEngine};

/// The accumulator columns of one field; a column exists only if an output needs it.
#[derive(Clone)]
pub(super) struct FieldAccumulators {
    numbers: Numbers,
    first: Option<FirstBySlot>,
    last: Option<LastBySlot>,
    distinct: Option<DistinctBySlot>,
    sketch: Option<Sketches>,
    /// Minimum and maximum per slot, for slots without a sketch of their own: in nodes of the
    /// aggregate tree and in firing windows, if sketches are kept incrementally for sliding
    /// windows.
    ranges: Option<BySlot<ValueRange>>,
    tdigest: Option<Percentiles<Digest>>,
    exact: Option<Percentiles<ValueSet>>,
}

impl FieldAccumulators {
    /// Creates the columns that `outputs` need.
    pub(super) fn new<'a>(
        outputs: impl Iterator<Item = &'a WindowOutput> + Clone,
        max_values: u32,
    ) -> Self {
        let any = |serves: fn(Operation) -> bool| outputs.clone().any(|output| serves(output.op));
        let asked = |engine| {
            let asked = outputs.clone().filter_map(|output| match output.op {
                Operation::Percentile(percentile) if output.engine == engine => Some(percentile),
                _ => None,
            });
            let asked: Vec<_> = asked.collect();
            (!asked.is_empty()).then_some((asked, engine))
        };
        Self {
            numbers: Numbers::new(any),
            first: any(|op| op == Operation::First).then(BySlot::default),
            last: any(|op| op == Operation::Last).then(BySlot::default),
            distinct: any(|op| op == Operation::Distinct).then(DistinctBySlot::default),
            sketch: asked(PercentileEngine::Sketch).map(|(asked, _)| Sketches::new(asked)),
            ranges: None,
            tdigest: asked(PercentileEngine::Tdigest)
                .map(|(asked, engine)| Percentiles::new(asked, engine, max_values)),
            exact: asked(PercentileEngine::Exact)
                .map(|(asked, engine)| Percentiles::new(asked, engine, max_values)),
        }
    }

    /// Prepares `slots` for results: percentiles sort or sum their values once.
    pub(super) fn seal(&mut self, slots: &[u32], stats: &mut StageStats) {
        if let Some(sketch) = &mut self.sketch {
            sketch.seal(slots, self.ranges.as_ref(), stats);
        }
        if let Some(tdigest) = &mut self.tdigest {
            tdigest.seal(slots, stats);
        }
        if let Some(exact) = &mut self.exact {
            exact.seal(slots, stats);
        }
    }

    /// Returns the sketch column, if an output needs it.
    pub(super) fn sketch(&mut self) -> Option<&mut Sketches> {
        self.sketch.as_mut()
    }

    /// Returns true if the running values of `key` must be recounted before they are used.
    pub(super) fn needs_recount(&self, key: u32) -> bool {
        self.sketch.as_ref().is_some_and(|sketch| sketch.needs_recount(key))
    }

    /// Gives `slots` that are aliases of running windows their own copy of the values.
    pub(super) fn materialize(&mut self, slots: &[u32]) {
        if let Some(sketch) = &mut self.sketch {
            sketch.materialize(slots, self.ranges.as_ref());
        }
    }

    /// Switches to incremental sliding windows: aggregate tree nodes hold only ranges, not
    /// sketches.
    pub(super) fn slide(&mut self) {
        self.ranges = self.sketch.as_ref().map(|_| BySlot::default());
    }

    /// Returns copies of `slots`, renumbered from 0, with ranges in place of sketches.
    pub(super) fn copy_without_sketches(&self, slots: &[u32]) -> Self {
        self.copies(slots, None, self.sketch.as_ref().map(|sketch| sketch.ranges(slots)))
    }

    /// Returns copies of `slots`, with `sketch` and `ranges` as given.
    fn copies(
        &self,
        slots: &[u32],
        sketch: Option<Sketches>,
        ranges: Option<BySlot<ValueRange>>,
    ) -> Self {
        Self {
            numbers: self.numbers.pick(slots),
            first: self.first.pick(slots),
            last: self.last.pick(slots),
            distinct: self.distinct.pick(slots),
            sketch,
            ranges,
            tdigest: self.tdigest.pick(slots),
            exact: self.exact.pick(slots),
        }
    }

    /// Merges the columns whose result depends on the order of merging.
    pub(super) fn merge_ordered(&mut self, slots: &[u32], later: &Self) {
        self.numbers.merge(slots, &later.numbers);
        self.first.merge(slots, &later.first);
        self.last.merge(slots, &later.last);
        self.tdigest.merge(slots, &later.tdigest);
        self.ranges.merge(slots, &later.ranges);
    }

    /// Merges the columns whose result is the same in any order of merging.
    pub(super) fn merge_unordered(&mut self, slots: &[u32], later: &Self) {
        self.distinct.merge(slots, &later.distinct);
        self.sketch.merge(slots, &later.sketch);
        self.exact.merge(slots, &later.exact);
    }

    /// Clears the stream ordinals of `first` and `last`.
    pub(super) fn forget_ordinals(&mut self) {
        if let Some(first) = &mut self.first {
            first.forget_ordinals();
        }
        if let Some(last) = &mut self.last {
            last.forget_ordinals();
        }
    }

    /// Returns true if values may fall into histograms, whose limits are counted.
    pub(super) fn has_histograms(&self) -> bool {
        self.sketch.is_some() || self.exact.is_some()
    }

    /// Returns true if there is a sketch column.
    pub(super) fn has_sketch(&self) -> bool {
        self.sketch.is_some()
    }

    /// Returns true if [`FieldAccumulators::merge_unordered`] has something to merge.
    pub(super) fn has_unordered(&self) -> bool {
        self.has_histograms() || self.distinct.is_some()
    }

    /// Returns true if there is a t-digest column.
    pub(super) fn has_digest(&self) -> bool {
        self.tdigest.is_some()
    }

    /// Returns the fixed bytes of a slot for the memory budget. Constants, because sizes of
    /// pointers differ between targets.
    pub(super) fn slot_bytes(&self) -> u64 {
        let kinds = [
            (24, self.first.is_some()),
            (24, self.last.is_some()),
            (32, self.distinct.is_some()),
            (32, self.sketch.is_some()),
            (32, self.tdigest.is_some()),
            (32, self.exact.is_some()),
        ];
        let kept = kinds.into_iter().filter(|(_, is_kept)| *is_kept);
        self.numbers.slot_bytes() + kept.map(|(bytes, _)| bytes).sum::<u64>()
    }

    /// Returns the bytes of `slot` on top of [`FieldAccumulators::slot_bytes`].
    pub(super) fn variable_bytes(&self, slot: usize) -> u64 {
        let distinct = self.distinct.as_ref().map_or(0, |list| list.variable_bytes(slot));
        let sketch = self.sketch.as_ref().map_or(0, |list| list.variable_bytes(slot));
        let tdigest = self.tdigest.as_ref().map_or(0, |list| list.variable_bytes(slot));
        let exact = self.exact.as_ref().map_or(0, |list| list.variable_bytes(slot));
        distinct + sketch + tdigest + exact
    }

    /// Frees the heap memory of `slot`.
    pub(super) fn release(&mut self, slot: usize) {
        self.distinct.reset(slot);
        self.sketch.reset(slot);
        self.tdigest.reset(slot);
        self.exact.reset(slot);
    }

    /// Prefetches the accumulators of `keys`; `slots` maps a key to its slot.
    pub(super) fn prefetch(&self, slots: &[u32], keys: &[u32]) {
        self.numbers.prefetch(slots, keys);
    }

    /// Adds each of `values` to its slot in every column.
    pub(super) fn add(&mut self, slots: &[u32], values: &[f64], order: Order<'_>) {
        self.numbers.add(slots, values);
        if let Some(first) = &mut self.first {
            first.add(slots, values, order);
        }
        if let Some(last) = &mut self.last {
            last.add(slots, values, order);
        }
        if let Some(distinct) = &mut self.distinct {
            distinct.add(slots, values);
        }
        if let Some(sketch) = &mut self.sketch {
            sketch.add(slots, values);
        }
        if let Some(tdigest) = &mut self.tdigest {
            tdigest.add(slots, values);
        }
        if let Some(exact) = &mut self.exact {
            exact.add(slots, values);
        }
    }

    /// Appends the result of `output` for each of `slots`. Returns false, and appends nothing, if
    /// the output has no batch path.
    pub(super) fn results<'a>(
        &self,
        output: &WindowOutput,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) -> bool {
        self.numbers.results(output, slots, numbers)
    }

    /// Returns the result of `output` for the sealed `slot`; NaN stands for null.
    pub(super) fn result(&self, slot: usize, output: &WindowOutput) -> f64 {
        let found = match output.op {
            Operation::First => self.first.as_ref().map(|list| list.result(slot)),
            Operation::Last => self.last.as_ref().map(|list| list.result(slot)),
            Operation::Distinct => self.distinct.as_ref().map(|list| list.result(slot)),
            Operation::Percentile(percentile) => match output.engine {
                PercentileEngine::Sketch => {
                    self.sketch.as_ref().map(|list| list.result(slot, percentile))
                }
                PercentileEngine::Tdigest => {
                    self.tdigest.as_ref().map(|list| list.result(slot, percentile))
                }
                PercentileEngine::Exact => {
                    self.exact.as_ref().map(|list| list.result(slot, percentile))
                }
            },
            _ => Some(self.numbers.result(slot, output)),
        };
        found.unwrap_or(f64::NAN)
    }
}

impl SlotColumn for FieldAccumulators {
    fn reset(&mut self, slot: usize) {
        self.numbers.reset(slot);
        self.first.reset(slot);
        self.last.reset(slot);
        self.distinct.reset(slot);
        self.sketch.reset(slot);
        self.ranges.reset(slot);
        self.tdigest.reset(slot);
        self.exact.reset(slot);
    }

    fn empty(&self, slots: usize) -> Self {
        Self {
            numbers: self.numbers.empty(slots),
            first: self.first.empty(slots),
            last: self.last.empty(slots),
            distinct: self.distinct.empty(slots),
            sketch: self.sketch.empty(slots),
            ranges: self.ranges.empty(slots),
            tdigest: self.tdigest.empty(slots),
            exact: self.exact.empty(slots),
        }
    }

    fn pick(&self, slots: &[u32]) -> Self {
        self.copies(slots, self.sketch.pick(slots), self.ranges.pick(slots))
    }

    fn merge(&mut self, slots: &[u32], later: &Self) {
        self.merge_ordered(slots, later);
        self.merge_unordered(slots, later);
    }

    fn join(&mut self, slot: usize, later: usize) {
        self.numbers.join(slot, later);
        self.first.join(slot, later);
        self.last.join(slot, later);
        self.distinct.join(slot, later);
        self.sketch.join(slot, later);
        self.tdigest.join(slot, later);
        self.exact.join(slot, later);
    }

    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        self.numbers.save(slots, writer);
        self.first.save(slots, writer);
        self.last.save(slots, writer);
        self.distinct.save(slots, writer);
        if let Some(sketch) = &self.sketch {
            sketch.save_with_aliases(slots, self.ranges.as_ref(), writer);
        }
        self.tdigest.save(slots, writer);
        self.exact.save(slots, writer);
    }

    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        self.numbers.load(slots, reader)?;
        self.first.load(slots, reader)?;
        self.last.load(slots, reader)?;
        self.distinct.load(slots, reader)?;
        self.sketch.load(slots, reader)?;
        self.ranges.load(slots, reader)?;
        self.tdigest.load(slots, reader)?;
        self.exact.load(slots, reader)
    }
}
