//! The aggregators that programs bring, as one more kind of column.

use super::Accumulators;
use super::accumulators::OfField;
use super::column::{Column, FieldColumn};
use super::slots::SlotColumn;
use crate::aggregation::{AggregatorFactory, OwnColumn};
use crate::data::frame::Order;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::keys::Keys;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};

/// The bytes counted for a slot: the engine does not know the size of the aggregators.
const SLOT_BYTES: u64 = 64;

/// The aggregators of a factory by slot.
pub(super) struct OwnBySlot(Box<dyn OwnColumn>);

impl Accumulators {
    /// Adds the outputs of `factory`, which read field 0, after all others. Call before the first
    /// slot exists.
    pub(crate) fn add_own(&mut self, factory: AggregatorFactory) {
        let column = Column::Own(OwnBySlot(factory.into_column()));
        self.columns.push(OfField::new(0, column));
    }

    /// Makes the aggregators of those of `slots` that are empty; `key_ids` has the key of each.
    pub(crate) fn open_own(&mut self, slots: &[u32], key_ids: &[u32], keys: &Keys) {
        if let Some(OfField { column: Column::Own(own), .. }) = self.columns.last_mut() {
            own.0.open(slots, &mut key_ids.iter().map(|key| keys.bytes(*key)));
        }
    }

    /// Returns the result of output `output` of the aggregators in the sealed `slot`; NaN stands
    /// for null.
    pub(super) fn own_result(&self, output: usize, slot: u32) -> f64 {
        match self.columns.last() {
            Some(OfField { column: Column::Own(own), .. }) => own.0.result(output, slot as usize),
            _ => f64::NAN,
        }
    }
}

impl Clone for OwnBySlot {
    fn clone(&self) -> Self {
        let slots: Vec<u32> = (0..).take(self.0.slots()).collect();
        Self(self.0.pick(&slots))
    }
}

impl SlotColumn for OwnBySlot {
    fn reset(&mut self, slot: usize) {
        self.0.reset(slot);
    }

    fn empty(&self, slots: usize) -> Self {
        Self(self.0.empty(slots))
    }

    fn pick(&self, slots: &[u32]) -> Self {
        Self(self.0.pick(slots))
    }

    fn merge(&mut self, slots: &[u32], later: &Self) {
        self.0.merge(slots, later.0.as_ref());
    }

    fn join(&mut self, slot: usize, later: usize) {
        self.0.join(slot, later);
    }

    /// Writes nothing: an engine with such aggregators has no snapshots.
    #[inline]
    fn save(&self, _: &[u32], _: &mut SectionWriter<'_>) {}

    #[inline]
    fn load(&mut self, _: &[u32], _: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        Ok(())
    }
}

impl FieldColumn for OwnBySlot {
    /// Returns false: its outputs follow those of the pipeline.
    fn computes(&self, _: &WindowOutput) -> bool {
        false
    }

    fn slot_bytes(&self) -> u64 {
        SLOT_BYTES
    }

    fn has_variable_bytes(&self) -> bool {
        true
    }

    fn variable_bytes(&self, _: usize) -> u64 {
        0
    }

    fn merges_in_any_order(&self) -> bool {
        false
    }

    fn add(&mut self, slots: &[u32], values: &[f64], _: Order<'_>) {
        self.0.add(slots, values);
    }

    fn seal(&mut self, slots: &[u32], _: &mut StageStats) {
        self.0.seal(slots);
    }

    fn results<'a>(
        &self,
        _: &WindowOutput,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) {
        numbers.extend(slots.map(|_| f64::NAN));
    }

    fn result(&self, _: &WindowOutput, _: usize) -> f64 {
        f64::NAN
    }

    fn release(&mut self, slot: usize) {
        self.0.reset(slot);
    }
}
