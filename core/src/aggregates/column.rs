//! The columns of a field: one kind for each state that aggregations are computed from.

use super::definition;
use super::distinct::Distinct;
use super::first_last::FirstOrLast;
#[cfg(feature = "custom-aggregators")]
use super::own::OwnBySlot;
use super::percentile::{Digest, Percentiles, Sketches, ValueRange, ValueSet};
use super::slots::{BySlot, FieldAccumulator, SlotColumn};
use super::summary::Summary;
use super::summary_and_moments::SummaryAndMoments;
use crate::data::frame::Order;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::{Operation, PercentileEngine};
use crate::statistics::OnlineVariance;

/// The state of a window that an aggregation is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Count, sum, minimum and maximum.
    Summary,
    /// Count, mean and sum of squared distances from it.
    Moments,
    /// The value of the earliest event.
    First,
    /// The value of the latest event.
    Last,
    /// The set of different values.
    Distinct,
    /// The values, as far as the engine of a percentile keeps them.
    Percentiles,
}

/// Declares [`Column`] and passes each call to the column of the variant.
macro_rules! columns {
    ($($(#[$attribute:meta])* $variant:ident($column:ty)),* $(,)?) => {
        /// A column of one field.
        #[derive(Clone)]
        pub(super) enum Column {
            $($(#[$attribute])* $variant($column)),*
        }

        impl SlotColumn for Column {
            fn reset(&mut self, slot: usize) {
                match self { $($(#[$attribute])* Self::$variant(column) => column.reset(slot)),* }
            }

            fn empty(&self, slots: usize) -> Self {
                match self { $($(#[$attribute])* Self::$variant(column) => Self::$variant(column.empty(slots))),* }
            }

            fn pick(&self, slots: &[u32]) -> Self {
                match self { $($(#[$attribute])* Self::$variant(column) => Self::$variant(column.pick(slots))),* }
            }

            fn merge(&mut self, slots: &[u32], later: &Self) {
                match (self, later) {
                    $($(#[$attribute])* (Self::$variant(column), Self::$variant(later)) => column.merge(slots, later),)*
                    (Self::Sketch(sketches), Self::SketchRange(later)) => {
                        sketches.merge_ranges(slots, later);
                    }
                    _ => {}
                }
            }

            fn join(&mut self, slot: usize, later: usize) {
                match self { $($(#[$attribute])* Self::$variant(column) => column.join(slot, later)),* }
            }

            #[inline]
            fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
                match self { $($(#[$attribute])* Self::$variant(column) => column.save(slots, writer)),* }
            }

            #[inline]
            fn load(
                &mut self,
                slots: &[u32],
                reader: &mut SectionReader<'_>,
            ) -> Result<(), SnapshotError> {
                match self { $($(#[$attribute])* Self::$variant(column) => column.load(slots, reader)),* }
            }
        }

        impl FieldColumn for Column {
            fn computes(&self, output: &WindowOutput) -> bool {
                match self { $($(#[$attribute])* Self::$variant(column) => column.computes(output)),* }
            }

            fn slot_bytes(&self) -> u64 {
                match self { $($(#[$attribute])* Self::$variant(column) => column.slot_bytes()),* }
            }

            fn has_variable_bytes(&self) -> bool {
                match self { $($(#[$attribute])* Self::$variant(column) => column.has_variable_bytes()),* }
            }

            fn variable_bytes(&self, slot: usize) -> u64 {
                match self { $($(#[$attribute])* Self::$variant(column) => column.variable_bytes(slot)),* }
            }

            fn max_growth(&self) -> u64 {
                match self { $($(#[$attribute])* Self::$variant(column) => column.max_growth()),* }
            }

            fn grows(&self, slot: usize, value: f64) -> bool {
                match self { $($(#[$attribute])* Self::$variant(column) => column.grows(slot, value)),* }
            }

            fn shrink(&mut self, slot: usize) -> bool {
                match self { $($(#[$attribute])* Self::$variant(column) => column.shrink(slot)),* }
            }

            fn merges_in_any_order(&self) -> bool {
                match self { $($(#[$attribute])* Self::$variant(column) => column.merges_in_any_order()),* }
            }

            fn limits_values(&self) -> bool {
                match self { $($(#[$attribute])* Self::$variant(column) => column.limits_values()),* }
            }

            fn add(&mut self, slots: &[u32], values: &[f64], order: Order<'_>) {
                match self { $($(#[$attribute])* Self::$variant(column) => column.add(slots, values, order)),* }
            }

            fn add_to_one_slot(&mut self, slots: &[u32], values: &[f64], order: Order<'_>) {
                match self { $($(#[$attribute])* Self::$variant(column) => column.add_to_one_slot(slots, values, order)),* }
            }

            fn prefetch(&self, slots: &[u32], keys: &[u32]) {
                match self { $($(#[$attribute])* Self::$variant(column) => column.prefetch(slots, keys)),* }
            }

            fn forget_ordinals(&mut self) {
                match self { $($(#[$attribute])* Self::$variant(column) => column.forget_ordinals()),* }
            }

            fn seal(&mut self, slots: &[u32], stats: &mut StageStats) {
                match self { $($(#[$attribute])* Self::$variant(column) => column.seal(slots, stats)),* }
            }

            #[inline]
            fn results<'a>(
                &self,
                output: &WindowOutput,
                slots: impl Iterator<Item = &'a u32>,
                numbers: &mut Vec<f64>,
            ) {
                match self {
                    $($(#[$attribute])* Self::$variant(column) => column.results(output, slots, numbers)),*
                }
            }

            fn result(&self, output: &WindowOutput, slot: usize) -> f64 {
                match self { $($(#[$attribute])* Self::$variant(column) => column.result(output, slot)),* }
            }

            fn release(&mut self, slot: usize) {
                match self { $($(#[$attribute])* Self::$variant(column) => column.release(slot)),* }
            }
        }
    };
}

columns! {
    Summary(BySlot<Summary>),
    Moments(BySlot<OnlineVariance>),
    SummaryAndMoments(BySlot<SummaryAndMoments>),
    First(BySlot<FirstOrLast<false>>),
    Last(BySlot<FirstOrLast<true>>),
    Distinct(BySlot<Distinct>),
    Sketch(Sketches),
    SketchRange(BySlot<ValueRange>),
    Digest(Percentiles<Digest>),
    Exact(Percentiles<ValueSet>),
    #[cfg(feature = "custom-aggregators")]
    Own(OwnBySlot),
}

impl Column {
    /// Creates the columns that `outputs`, the outputs of one field, need, in the order of
    /// snapshots.
    pub(super) fn of_outputs(outputs: &[WindowOutput], max_values: u32) -> Vec<Self> {
        let needs = |state| outputs.iter().any(|output| definition(output.op).state == state);
        let percentiles = |engine| {
            let asked = outputs.iter().filter_map(|output| match output.op {
                Operation::Percentile(percentile) if output.engine == engine => Some(percentile),
                _ => None,
            });
            let asked: Vec<_> = asked.collect();
            (!asked.is_empty()).then_some(asked)
        };
        let numbers = match (needs(State::Summary), needs(State::Moments)) {
            (true, true) => Some(Self::SummaryAndMoments(BySlot::default())),
            (true, false) => Some(Self::Summary(BySlot::default())),
            (false, true) => Some(Self::Moments(BySlot::default())),
            (false, false) => None,
        };
        let columns = [
            numbers,
            needs(State::First).then(|| Self::First(BySlot::default())),
            needs(State::Last).then(|| Self::Last(BySlot::default())),
            needs(State::Distinct).then(|| Self::Distinct(BySlot::default())),
            percentiles(PercentileEngine::Sketch).map(|asked| Self::Sketch(Sketches::new(asked))),
            percentiles(PercentileEngine::Tdigest)
                .map(|asked| Self::Digest(Percentiles::new(asked, PercentileEngine::Tdigest, 0))),
            percentiles(PercentileEngine::Exact).map(|asked| {
                Self::Exact(Percentiles::new(asked, PercentileEngine::Exact, max_values))
            }),
        ];
        columns.into_iter().flatten().collect()
    }

    /// Returns the sketches, if this is a column of sketches.
    pub(super) fn sketches(&mut self) -> Option<&mut Sketches> {
        match self {
            Self::Sketch(sketches) => Some(sketches),
            _ => None,
        }
    }

    /// Returns copies of `slots`, renumbered from 0; of sketches only the range of their values.
    pub(super) fn pick_without_sketches(&self, slots: &[u32]) -> Self {
        match self {
            Self::Sketch(sketches) => Self::SketchRange(sketches.ranges(slots)),
            column => column.pick(slots),
        }
    }
}

/// A column that takes the values of a field and computes outputs.
pub(super) trait FieldColumn: SlotColumn {
    /// Returns true if the column computes `output`, an output of its field.
    fn computes(&self, output: &WindowOutput) -> bool;

    /// Returns the fixed bytes of a slot for the memory budget. Constants, because sizes of
    /// pointers differ between targets.
    fn slot_bytes(&self) -> u64;

    /// Returns true if the bytes of a slot depend on its values.
    fn has_variable_bytes(&self) -> bool;

    /// Returns the bytes of `slot` on top of [`FieldColumn::slot_bytes`].
    fn variable_bytes(&self, slot: usize) -> u64;

    /// Returns the most that one value adds to the variable bytes.
    fn max_growth(&self) -> u64 {
        0
    }

    /// Returns true if adding `value` to `slot` adds to its variable bytes.
    fn grows(&self, _slot: usize, _value: f64) -> bool {
        false
    }

    /// Replaces the exact values in `slot` by an approximation that hardly grows. Returns false if
    /// there is none, or it is in use already.
    fn shrink(&mut self, _slot: usize) -> bool {
        false
    }

    /// Returns true if results are the same in any order of merging.
    fn merges_in_any_order(&self) -> bool;

    /// Returns true if the column has limits on values that are counted in the statistics.
    fn limits_values(&self) -> bool {
        false
    }

    /// Adds each of `values` to its slot; `order` gives their timestamps and ordinals.
    fn add(&mut self, slots: &[u32], values: &[f64], order: Order<'_>);

    /// Does the same as [`FieldColumn::add`] for finite values where all of `slots` are equal.
    fn add_to_one_slot(&mut self, slots: &[u32], values: &[f64], order: Order<'_>) {
        self.add(slots, values, order);
    }

    /// Prefetches the accumulators of `keys`; `slots` maps a key to its slot.
    fn prefetch(&self, _slots: &[u32], _keys: &[u32]) {}

    /// Clears the stream ordinals, so that at equal timestamps the order of merging decides.
    fn forget_ordinals(&mut self) {}

    /// Prepares `slots` for results. No value may be added to them afterwards.
    fn seal(&mut self, _slots: &[u32], _stats: &mut StageStats) {}

    /// Appends the result of `output` for each of the sealed `slots`; NaN stands for null.
    fn results<'a>(
        &self,
        output: &WindowOutput,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    );

    /// Returns the result of `output` for the sealed `slot`; NaN stands for null.
    fn result(&self, output: &WindowOutput, slot: usize) -> f64;

    /// Frees the heap memory of `slot`.
    fn release(&mut self, slot: usize);
}

impl<A: FieldAccumulator> FieldColumn for BySlot<A> {
    fn computes(&self, output: &WindowOutput) -> bool {
        A::STATES.contains(&definition(output.op).state)
    }

    fn slot_bytes(&self) -> u64 {
        A::SLOT_BYTES
    }

    fn has_variable_bytes(&self) -> bool {
        A::OWNS_HEAP
    }

    fn variable_bytes(&self, slot: usize) -> u64 {
        self.0.get(slot).map_or(0, A::variable_bytes)
    }

    fn max_growth(&self) -> u64 {
        A::MAX_GROWTH
    }

    fn grows(&self, slot: usize, value: f64) -> bool {
        !value.is_nan() && self.0.get(slot).is_some_and(|accumulator| accumulator.grows(value))
    }

    fn merges_in_any_order(&self) -> bool {
        A::MERGES_IN_ANY_ORDER
    }

    fn add(&mut self, slots: &[u32], values: &[f64], order: Order<'_>) {
        A::add(&mut self.0, slots, values, order);
    }

    fn prefetch(&self, slots: &[u32], keys: &[u32]) {
        A::prefetch(&self.0, slots, keys);
    }

    fn forget_ordinals(&mut self) {
        A::forget_ordinals(&mut self.0);
    }

    #[inline(always)]
    fn results<'a>(
        &self,
        output: &WindowOutput,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) {
        A::results(self, output, slots, numbers);
    }

    fn result(&self, output: &WindowOutput, slot: usize) -> f64 {
        self.0.get(slot).map_or(f64::NAN, |accumulator| accumulator.result(output))
    }

    fn release(&mut self, slot: usize) {
        if A::OWNS_HEAP {
            self.reset(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregates::NAMED;

    fn output(op: Operation, engine: PercentileEngine) -> WindowOutput {
        WindowOutput { op, field: Some(0), population: false, engine, hash_key: None }
    }

    #[test]
    fn every_aggregation_is_computed_by_one_column() {
        let named = NAMED.iter().map(|(op, _)| output(*op, PercentileEngine::default()));
        let engines =
            [PercentileEngine::Sketch, PercentileEngine::Tdigest, PercentileEngine::Exact];
        let percentiles = engines.map(|engine| output("p95".parse().unwrap(), engine));
        let outputs: Vec<WindowOutput> = named.chain(percentiles).collect();
        let all = Column::of_outputs(&outputs, 0);
        for output in &outputs {
            for columns in [&Column::of_outputs(&[*output], 0), &all] {
                let computing = columns.iter().filter(|column| column.computes(output));
                assert_eq!(computing.count(), 1, "{output:?}");
            }
        }
    }
}
