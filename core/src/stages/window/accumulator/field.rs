//! What is kept of one field.

use super::distinct::Distincts;
use super::ends::Ends;
use super::numbers::Numbers;
use super::percentile::{Digest, Group, Percentiles, Range, Sketches};
use super::slots::{Cells, Slots};
use crate::data::frame::Order;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::{Operation, PercentileEngine};

/// Each kind of accumulator only where an output needs it.
#[derive(Clone)]
pub(super) struct Field {
    numbers: Numbers,
    first: Option<Ends<false>>,
    last: Option<Ends<true>>,
    distinct: Option<Distincts>,
    sketch: Option<Sketches>,
    /// The least and greatest values of sketches that are not here, in parts of windows that slide; and where these fire.
    ranges: Option<Cells<Range>>,
    tdigest: Option<Percentiles<Digest>>,
    exact: Option<Percentiles<Group>>,
}

impl Field {
    /// What `outputs` need.
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
            first: any(|op| op == Operation::First).then(Ends::default),
            last: any(|op| op == Operation::Last).then(Ends::default),
            distinct: any(|op| op == Operation::Distinct).then(Distincts::default),
            sketch: asked(PercentileEngine::Sketch).map(|(asked, _)| Sketches::new(asked)),
            ranges: None,
            tdigest: asked(PercentileEngine::Tdigest)
                .map(|(asked, engine)| Percentiles::new(asked, engine, max_values)),
            exact: asked(PercentileEngine::Exact)
                .map(|(asked, engine)| Percentiles::new(asked, engine, max_values)),
        }
    }

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

    /// Its sketch, if it has one.
    pub(super) fn sketch(&mut self) -> Option<&mut Sketches> {
        self.sketch.as_mut()
    }

    /// Whether what windows hold of `key` has to be counted anew.
    pub(super) fn is_unsure(&self, key: u32) -> bool {
        self.sketch.as_ref().is_some_and(|sketch| sketch.is_unsure(key))
    }

    /// Has `slots` stand for themselves again, where they stand for what windows hold.
    pub(super) fn unshare(&mut self, slots: &[u32]) {
        if let Some(sketch) = &mut self.sketch {
            sketch.unshare(slots, self.ranges.as_ref());
        }
    }

    /// Has windows slide: parts of them hold no sketches, only the ranges of these.
    pub(super) fn slide(&mut self) {
        self.ranges = self.sketch.as_ref().map(|_| Cells::default());
    }

    /// A part of a window that slides: copies of `slots`, at slots from 0 on.
    pub(super) fn part(&self, slots: &[u32]) -> Self {
        self.copies(slots, None, self.sketch.as_ref().map(|sketch| sketch.ranges(slots)))
    }

    /// Copies of `slots`, with `sketch` and `ranges` for what is kept for the sketch.
    fn copies(
        &self,
        slots: &[u32],
        sketch: Option<Sketches>,
        ranges: Option<Cells<Range>>,
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

    pub(super) fn merge_ordered(&mut self, slots: &[u32], later: &Self) {
        self.numbers.merge(slots, &later.numbers);
        self.first.merge(slots, &later.first);
        self.last.merge(slots, &later.last);
        self.tdigest.merge(slots, &later.tdigest);
        self.ranges.merge(slots, &later.ranges);
    }

    pub(super) fn merge_unordered(&mut self, slots: &[u32], later: &Self) {
        self.distinct.merge(slots, &later.distinct);
        self.sketch.merge(slots, &later.sketch);
        self.exact.merge(slots, &later.exact);
    }

    /// Gives up the places in the stream of what is first and last.
    pub(super) fn forget_places(&mut self) {
        if let Some(first) = &mut self.first {
            first.forget_places();
        }
        if let Some(last) = &mut self.last {
            last.forget_places();
        }
    }

    /// Whether it keeps values in buckets, which have limits that are counted.
    pub(super) fn has_buckets(&self) -> bool {
        self.sketch.is_some() || self.exact.is_some()
    }

    /// Whether it has a sketch.
    pub(super) fn has_sketch(&self) -> bool {
        self.sketch.is_some()
    }

    /// Whether there is anything to do in [`Field::merge_unordered`].
    pub(super) fn has_unordered(&self) -> bool {
        self.has_buckets() || self.distinct.is_some()
    }

    /// Whether it keeps a t-digest.
    pub(super) fn has_digest(&self) -> bool {
        self.tdigest.is_some()
    }

    /// What every slot counts for in the bytes of a stage. Pointers are not alike everywhere, so nothing is measured.
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

    /// What `slot` counts for beyond that.
    pub(super) fn variable_bytes(&self, slot: usize) -> u64 {
        let distinct = self.distinct.as_ref().map_or(0, |list| list.variable_bytes(slot));
        let sketch = self.sketch.as_ref().map_or(0, |list| list.variable_bytes(slot));
        let tdigest = self.tdigest.as_ref().map_or(0, |list| list.variable_bytes(slot));
        let exact = self.exact.as_ref().map_or(0, |list| list.variable_bytes(slot));
        distinct + sketch + tdigest + exact
    }

    /// Gives back what `slot` has in memory of its own.
    pub(super) fn release(&mut self, slot: usize) {
        self.distinct.reset(slot);
        self.sketch.reset(slot);
        self.tdigest.reset(slot);
        self.exact.reset(slot);
    }

    /// Has the memory look for the slots of `keys`, which stand in `slots` by key.
    pub(super) fn read_ahead(&self, slots: &[u32], keys: &[u32]) {
        self.numbers.read_ahead(slots, keys);
    }

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

    /// Appends the value of `output` for each of `slots`; false: it has to be asked for one by one.
    pub(super) fn results<'a>(
        &self,
        output: &WindowOutput,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) -> bool {
        self.numbers.results(output, slots, numbers)
    }

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

impl Slots for Field {
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
            sketch.save_shared(slots, self.ranges.as_ref(), writer);
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
