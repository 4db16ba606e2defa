//! All accumulators of a stage.

use std::borrow::Cow;

use super::column::{Column, FieldColumn};
use super::slots::{BySlot, SlotColumn};
use super::{Unit, definition};
use crate::data::frame::Order;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
#[cfg(not(feature = "custom-aggregators"))]
use crate::keys::Keys;
use crate::plan::WindowOutput;
use crate::snapshot::{Codec, SectionReader, SectionWriter};
use crate::util::siphash::{self, SipKey};

/// The accumulators of all open windows or slices of a stage, indexed by slot.
#[derive(Clone)]
pub(crate) struct Accumulators {
    pub(super) outputs: Vec<ColumnOutput>,
    /// Number of events per slot, if an output or a limit needs it.
    pub(super) events: Option<BySlot<u64>>,
    /// The columns of the first field, then those of the next.
    pub(super) columns: Vec<OfField>,
}

/// An output, and the index of the column that computes it; `None` counts events.
#[derive(Clone, Copy)]
pub(super) struct ColumnOutput {
    output: WindowOutput,
    unit: Unit,
    column: Option<usize>,
}

/// A column of the values of field `field`.
#[derive(Clone)]
pub(super) struct OfField {
    pub(super) field: usize,
    pub(super) column: Column,
    /// The key by which values are replaced by their hashes before they are added, if there is one.
    hash_key: Option<SipKey>,
}

impl OfField {
    pub(super) fn new(field: usize, column: Column) -> Self {
        Self { field, column, hash_key: None }
    }

    /// Sets the key of the hash of the different values that `outputs` count.
    fn with_hash_key(self, outputs: &[WindowOutput]) -> Self {
        let is_keyed = matches!(self.column, Column::Distinct(_));
        let hash_key = outputs.iter().find_map(|output| output.hash_key.filter(|_| is_keyed));
        Self { hash_key, ..self }
    }

    /// Returns what is added for `values`: their hashes if there is a key.
    fn hashed<'a>(&self, values: &'a [f64]) -> Cow<'a, [f64]> {
        match self.hash_key {
            None => Cow::Borrowed(values),
            Some(key) => values.iter().map(|value| keyed(key, *value)).collect(),
        }
    }
}

/// Returns a number that stands for `value` and depends on a secret key; NaN for NaN.
fn keyed(key: SipKey, value: f64) -> f64 {
    // Without this bit of the exponent, it is no NaN.
    const FINITE: u64 = !(1 << 62);
    match value.is_nan() {
        true => value,
        // Turns −0 into 0: they are one value.
        false => f64::from_bits(siphash::hash(key, &(value + 0.0).to_le_bytes()) & FINITE),
    }
}

impl Accumulators {
    /// Creates the columns for `outputs` over `fields` fields. `max_values` limits exact
    /// percentiles.
    pub(crate) fn new(outputs: &[WindowOutput], fields: usize, max_values: u32) -> Self {
        let columns = (0..fields).flat_map(|field| {
            let outputs = outputs.iter().filter(|output| output.field == Some(field));
            let outputs: Vec<WindowOutput> = outputs.copied().collect();
            let columns = Column::of_outputs(&outputs, max_values).into_iter();
            columns.map(move |column| OfField::new(field, column).with_hash_key(&outputs))
        });
        let columns: Vec<OfField> = columns.collect();
        let with_column = |output: &WindowOutput| {
            let computes =
                |of: &OfField| output.field == Some(of.field) && of.column.computes(output);
            let unit = definition(output.op).unit;
            ColumnOutput { output: *output, unit, column: columns.iter().position(computes) }
        };
        Self {
            events: outputs.iter().any(|output| output.field.is_none()).then(BySlot::default),
            outputs: outputs.iter().map(with_column).collect(),
            columns,
        }
    }

    /// Counts the events of every slot, even if no output needs it. Call before the first slot
    /// exists.
    pub(crate) fn count_events(&mut self) {
        self.events.get_or_insert_default();
    }

    /// Returns the number of events in `slot`, or 0 if events are not counted.
    pub(crate) fn events_in(&self, slot: u32) -> u64 {
        let events = self.events.as_ref().and_then(|events| events.0.get(slot as usize));
        events.copied().unwrap_or(0)
    }

    /// Returns the fixed number of bytes that each slot adds to the memory budget.
    pub(crate) fn slot_bytes(&self) -> u64 {
        let events = if self.events.is_some() { 8 } else { 0 };
        events + self.columns().map(FieldColumn::slot_bytes).sum::<u64>()
    }

    /// Returns true if the bytes of a slot depend on its values.
    pub(crate) fn have_variable_bytes(&self) -> bool {
        self.columns().any(FieldColumn::has_variable_bytes)
    }

    /// Returns the bytes of `slot` on top of [`Accumulators::slot_bytes`].
    pub(crate) fn variable_bytes(&self, slot: u32) -> u64 {
        self.columns().map(|column| column.variable_bytes(slot as usize)).sum()
    }

    /// Returns the most that one event adds to the variable bytes of its slot.
    pub(crate) fn max_growth(&self) -> u64 {
        self.columns().map(FieldColumn::max_growth).sum()
    }

    /// Returns true if an event, of which `value_of` returns the value of a field, adds to the
    /// variable bytes of `slot`.
    pub(crate) fn grow(&self, slot: u32, value_of: impl Fn(usize) -> f64) -> bool {
        self.columns.iter().any(|of| {
            let value = value_of(of.field);
            let value = of.hash_key.map_or(value, |key| keyed(key, value));
            of.column.grows(slot as usize, value)
        })
    }

    /// Replaces the exact values in `slot` by approximations that hardly grow. Returns false if
    /// there are none, or they are in use already.
    pub(crate) fn shrink(&mut self, slot: u32) -> bool {
        let columns = self.columns_mut().map(|column| column.shrink(slot as usize));
        columns.fold(false, |any, shrunk| any | shrunk)
    }

    /// Returns the work of merging `slot`, or of its results, in units of
    /// [`crate::stages::WorkBudget`].
    pub(crate) fn work_of(&self, slot: u32) -> u64 {
        1 + self.variable_bytes(slot) / 8
    }

    /// Clears the stream ordinals of `first` and `last`, so that at equal timestamps the order of
    /// merging decides.
    pub(crate) fn forget_ordinals(&mut self) {
        self.columns_mut().for_each(FieldColumn::forget_ordinals);
    }

    /// Resets `slot`, appending it if it is the next one.
    pub(crate) fn reset(&mut self, slot: u32) {
        let slot = slot as usize;
        self.events.reset(slot);
        self.columns_mut().for_each(|column| column.reset(slot));
    }

    /// Prefetches the accumulators of `keys`; `slots` maps a key to its slot.
    pub(crate) fn prefetch(&self, slots: &[u32], keys: &[u32]) {
        self.columns().for_each(|column| column.prefetch(slots, keys));
    }

    /// Adds one event to the count of each of `slots`.
    pub(crate) fn count(&mut self, slots: &[u32]) {
        let Some(events) = &mut self.events else { return };
        for slot in slots {
            if let Some(count) = events.0.get_mut(*slot as usize) {
                // Wraps, because a snapshot may contain any count.
                *count = count.wrapping_add(1);
            }
        }
    }

    /// Adds `values` of field `field`, each to its slot; `order` gives their timestamps and
    /// ordinals.
    pub(crate) fn add(&mut self, field: usize, slots: &[u32], values: &[f64], order: Order<'_>) {
        for of in self.columns.iter_mut().filter(|of| of.field == field) {
            let values = of.hashed(values);
            of.column.add(slots, &values, order);
        }
    }

    /// Does the same as [`Accumulators::add`] for finite values where all of `slots` are equal.
    pub(crate) fn add_to_one_slot(
        &mut self,
        field: usize,
        slots: &[u32],
        values: &[f64],
        order: Order<'_>,
    ) {
        for of in self.columns.iter_mut().filter(|of| of.field == field) {
            let values = of.hashed(values);
            of.column.add_to_one_slot(slots, &values, order);
        }
    }

    /// Does nothing: without the feature, programs bring no aggregators.
    #[cfg(not(feature = "custom-aggregators"))]
    #[inline(always)]
    pub(crate) fn open_own(&mut self, _slots: &[u32], _key_ids: &[u32], _keys: &Keys) {}

    /// Returns `slots` empty slots for the same outputs.
    pub(crate) fn empty(&self, slots: usize) -> Self {
        Self {
            outputs: self.outputs.clone(),
            events: self.events.empty(slots),
            columns: self.map_columns(|column| column.empty(slots)),
        }
    }

    /// Returns copies of `slots`, renumbered from 0.
    pub(crate) fn pick(&self, slots: &[u32]) -> Self {
        Self {
            outputs: self.outputs.clone(),
            events: self.events.pick(slots),
            columns: self.map_columns(|column| column.pick(slots)),
        }
    }

    /// Merges slot i of `later` into `slots[i]`; the events of `later` count as the later ones.
    pub(crate) fn merge(&mut self, slots: &[u32], later: &Self) {
        self.merge_ordered(slots, later);
        self.merge_unordered(slots, later);
    }

    /// Merges the accumulators whose result depends on the order of merging, like compensated sums.
    pub(crate) fn merge_ordered(&mut self, slots: &[u32], later: &Self) {
        self.events.merge(slots, &later.events);
        for (column, later) in self.columns_mut().zip(later.columns()) {
            if !later.merges_in_any_order() {
                column.merge(slots, later);
            }
        }
    }

    /// Merges the accumulators whose result is the same in any order of merging: distinct counts,
    /// sketches and exact percentiles.
    pub(crate) fn merge_unordered(&mut self, slots: &[u32], later: &Self) {
        for (column, later) in self.columns_mut().zip(later.columns()) {
            if later.merges_in_any_order() {
                column.merge(slots, later);
            }
        }
    }

    /// Returns true if [`Accumulators::merge_unordered`] has something to merge.
    pub(crate) fn have_unordered(&self) -> bool {
        self.columns().any(FieldColumn::merges_in_any_order)
    }

    /// Merges slot `later` into `slot` and resets `later`; its events count as the later ones.
    pub(crate) fn join(&mut self, slot: u32, later: u32) {
        let (slot, later) = (slot as usize, later as usize);
        self.events.join(slot, later);
        self.columns_mut().for_each(|column| column.join(slot, later));
    }

    /// Returns true if some accumulator has limits on values that are counted in the statistics
    /// (sketch or exact percentiles).
    pub(crate) fn keeps_values(&self) -> bool {
        self.columns().any(FieldColumn::limits_values)
    }

    /// Prepares `slots` for [`Accumulators::result`]. No value may be added to them afterwards.
    pub(crate) fn seal(&mut self, slots: &[u32], stats: &mut StageStats) {
        self.columns_mut().for_each(|column| column.seal(slots, stats));
    }

    /// Frees the heap memory of `slots`.
    pub(crate) fn release(&mut self, slots: &[u32]) {
        for column in self.columns_mut().filter(|column| column.has_variable_bytes()) {
            slots.iter().for_each(|slot| column.release(*slot as usize));
        }
    }

    /// Appends the result of output `output` for each of the sealed `slots`. Returns false, and
    /// appends nothing, if the result depends on the length of the window: the caller must use
    /// [`Accumulators::result`] for each slot.
    // Inlined: sessions call it for each row.
    #[inline]
    pub(crate) fn results<'a>(
        &self,
        output: usize,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) -> bool {
        match self.outputs.get(output) {
            Some(ColumnOutput { output, unit: Unit::Value, column }) => {
                match (self.column(*column), &self.events) {
                    (Some(column), _) => column.results(output, slots, numbers),
                    (None, Some(events)) => events.append_results(slots, numbers, event_count),
                    (None, None) => return false,
                }
                true
            }
            _ => false,
        }
    }

    /// Returns the result of output `output` for the sealed `slot` of a window of `length_us`
    /// microseconds. NaN stands for null.
    #[expect(clippy::cast_precision_loss, reason = "windows are far shorter than 2^53 us")]
    pub(crate) fn result(&self, output: usize, slot: u32, length_us: i64) -> f64 {
        #[cfg(feature = "custom-aggregators")]
        if let Some(own) = output.checked_sub(self.outputs.len()) {
            return self.own_result(own, slot);
        }
        let Some(ColumnOutput { output, unit, column }) = self.outputs.get(output) else {
            return f64::NAN;
        };
        let found = match self.column(*column) {
            Some(column) => column.result(output, slot as usize),
            None => event_count(&self.events_in(slot)),
        };
        match unit {
            Unit::PerSecond => found * 1e6 / length_us as f64,
            Unit::Value => found,
        }
    }

    #[inline]
    fn column(&self, index: Option<usize>) -> Option<&Column> {
        index.and_then(|index| self.columns.get(index)).map(|of| &of.column)
    }

    /// Writes `slots`, one accumulator kind after the other.
    #[inline]
    pub(crate) fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        self.events.save(slots, writer);
        self.columns().for_each(|column| column.save(slots, writer));
    }

    /// Reads `slots` as [`Accumulators::save`] wrote them.
    #[inline]
    pub(crate) fn load(
        &mut self,
        slots: &[u32],
        reader: &mut SectionReader<'_>,
    ) -> Result<(), SnapshotError> {
        self.events.load(slots, reader)?;
        self.columns_mut().try_for_each(|column| column.load(slots, reader))
    }

    /// Writes or reads `slots` in a section of a snapshot or of partial state.
    #[inline]
    pub(crate) fn fields(
        &mut self,
        slots: &[u32],
        codec: &mut dyn Codec,
    ) -> Result<(), SnapshotError> {
        codec.part(
            self,
            |accumulators, writer| accumulators.save(slots, writer),
            |accumulators, reader| accumulators.load(slots, reader),
        )
    }

    fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().map(|of| &of.column)
    }

    pub(super) fn columns_mut(&mut self) -> impl Iterator<Item = &mut Column> {
        self.columns.iter_mut().map(|of| &mut of.column)
    }

    /// Returns the columns that `map` makes of the columns here.
    pub(super) fn map_columns(&self, map: impl Fn(&Column) -> Column) -> Vec<OfField> {
        let with_field = |of: &OfField| OfField { column: map(&of.column), ..*of };
        self.columns.iter().map(with_field).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
fn event_count(events: &u64) -> f64 {
    *events as f64
}
