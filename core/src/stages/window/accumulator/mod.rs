//! What is kept of the events of a window: for each of its fields the accumulators that its outputs need, by dense slot.

mod distinct;
mod ends;
mod field;
mod moments;
mod numbers;
mod percentile;
mod sliding;
mod slots;
mod summary;

use self::field::Field;
use self::slots::{Cells, Slots};
use crate::data::frame::Order;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Operation;

/// The accumulators of all open windows.
#[derive(Clone)]
pub(super) struct Accumulators {
    outputs: Vec<WindowOutput>,
    /// Events per slot, where an output counts them.
    events: Option<Cells<u64>>,
    /// For each of the plan's fields.
    fields: Vec<Field>,
}

impl Accumulators {
    pub(super) fn new(outputs: &[WindowOutput], fields: usize, max_values: u32) -> Self {
        let counts_events = outputs.iter().any(|output| output.field.is_none());
        let fields = (0..fields).map(|field| {
            let of_field = |output: &&WindowOutput| output.field == Some(field);
            Field::new(outputs.iter().filter(of_field), max_values)
        });
        Self {
            outputs: outputs.to_vec(),
            events: counts_events.then(Cells::default),
            fields: fields.collect(),
        }
    }

    /// Has the events of every slot counted, whether an output needs it or not; there are no slots yet.
    pub(super) fn count_events(&mut self) {
        self.events.get_or_insert_default();
    }

    /// The events in `slot`, where they are counted.
    pub(super) fn events_in(&self, slot: u32) -> u64 {
        let events = self.events.as_ref().and_then(|events| events.0.get(slot as usize));
        events.copied().unwrap_or(0)
    }

    /// What every slot counts for in the bytes of a stage.
    pub(super) fn slot_bytes(&self) -> u64 {
        let events = if self.events.is_some() { 8 } else { 0 };
        events + self.fields.iter().map(Field::slot_bytes).sum::<u64>()
    }

    /// Whether what a slot counts for depends on its values.
    pub(super) fn have_variable_bytes(&self) -> bool {
        self.have_unordered() || self.fields.iter().any(Field::has_digest)
    }

    /// What `slot` counts for beyond [`Accumulators::slot_bytes`].
    pub(super) fn variable_bytes(&self, slot: u32) -> u64 {
        self.fields.iter().map(|field| field.variable_bytes(slot as usize)).sum()
    }

    /// Gives up the places in the stream of what is first and last: between times that are equal, merging decides.
    pub(super) fn forget_places(&mut self) {
        for field in &mut self.fields {
            field.forget_places();
        }
    }

    /// Makes `slot` empty, adding it if it is the next one.
    pub(super) fn reset(&mut self, slot: u32) {
        let slot = slot as usize;
        self.events.reset(slot);
        for field in &mut self.fields {
            field.reset(slot);
        }
    }

    /// Has the memory look for the slots of `keys`, which stand in `slots` by key.
    pub(super) fn read_ahead(&self, slots: &[u32], keys: &[u32]) {
        self.fields.iter().for_each(|field| field.read_ahead(slots, keys));
    }

    /// Counts an event in each of `slots`.
    pub(super) fn count(&mut self, slots: &[u32]) {
        let Some(events) = &mut self.events else { return };
        for slot in slots {
            if let Some(count) = events.0.get_mut(*slot as usize) {
                // A snapshot may say anything.
                *count = count.wrapping_add(1);
            }
        }
    }

    /// Adds `values` of field `field`, each to its slot; `order` is where they stand.
    pub(super) fn add(&mut self, field: usize, slots: &[u32], values: &[f64], order: Order<'_>) {
        if let Some(field) = self.fields.get_mut(field) {
            field.add(slots, values, order);
        }
    }

    /// As many empty slots with the same outputs.
    pub(super) fn empty(&self, slots: usize) -> Self {
        Self {
            outputs: self.outputs.clone(),
            events: self.events.empty(slots),
            fields: self.fields.iter().map(|field| field.empty(slots)).collect(),
        }
    }

    /// Copies of `slots`, at slots from 0 on.
    pub(super) fn pick(&self, slots: &[u32]) -> Self {
        Self {
            outputs: self.outputs.clone(),
            events: self.events.pick(slots),
            fields: self.fields.iter().map(|field| field.pick(slots)).collect(),
        }
    }

    /// Adds the slots of `later`, from 0 on, to `slots`, as if their events came after those there.
    pub(super) fn merge(&mut self, slots: &[u32], later: &Self) {
        self.merge_ordered(slots, later);
        self.merge_unordered(slots, later);
    }

    /// The part of [`Accumulators::merge`] that has to be done in order.
    pub(super) fn merge_ordered(&mut self, slots: &[u32], later: &Self) {
        self.events.merge(slots, &later.events);
        for (field, later) in self.fields.iter_mut().zip(&later.fields) {
            field.merge_ordered(slots, later);
        }
    }

    /// The part of it that gives the same in any order.
    pub(super) fn merge_unordered(&mut self, slots: &[u32], later: &Self) {
        for (field, later) in self.fields.iter_mut().zip(&later.fields) {
            field.merge_unordered(slots, later);
        }
    }

    /// Whether there is anything to do in [`Accumulators::merge_unordered`].
    pub(super) fn have_unordered(&self) -> bool {
        self.fields.iter().any(Field::has_unordered)
    }

    /// Adds slot `later` to `slot`, as if its events came after those there, and leaves it empty.
    pub(super) fn join(&mut self, slot: u32, later: u32) {
        let (slot, later) = (slot as usize, later as usize);
        self.events.join(slot, later);
        for field in &mut self.fields {
            field.join(slot, later);
        }
    }

    /// Whether it keeps values in buckets, which have limits that are counted.
    pub(super) fn keeps_values(&self) -> bool {
        self.fields.iter().any(Field::has_buckets)
    }

    /// Makes `slots` ready for [`Accumulators::result`]; nothing is added to them any more.
    pub(super) fn seal(&mut self, slots: &[u32], stats: &mut StageStats) {
        for field in &mut self.fields {
            field.seal(slots, stats);
        }
    }

    /// Gives back the memory of `slots`.
    pub(super) fn release(&mut self, slots: &[u32]) {
        for field in &mut self.fields {
            for slot in slots {
                field.release(*slot as usize);
            }
        }
    }

    /// Appends the value of output `output` for each of `slots`, which are sealed; false: nothing is appended, as
    /// [`Accumulators::result`] has to tell it for each.
    pub(super) fn results<'a>(
        &self,
        output: usize,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) -> bool {
        let output = self.outputs.get(output);
        let field = output.and_then(|output| output.field).and_then(|field| self.fields.get(field));
        match (output, field) {
            (Some(output), Some(field)) => field.results(output, slots, numbers),
            _ => false,
        }
    }

    /// The value of output `output` for `slot`, which is sealed, in a window of `length_us`.
    #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
    pub(super) fn result(&self, output: usize, slot: u32, length_us: i64) -> f64 {
        let slot = slot as usize;
        let Some(output) = self.outputs.get(output) else { return f64::NAN };
        let found = match output.field {
            None => self
                .events
                .as_ref()
                .and_then(|events| events.0.get(slot))
                .map_or(0.0, |n| *n as f64),
            Some(field) => {
                self.fields.get(field).map_or(f64::NAN, |field| field.result(slot, output))
            }
        };
        match output.op {
            Operation::Rate => found * 1e6 / length_us as f64,
            _ => found,
        }
    }

    /// Writes `slots` column by column.
    pub(super) fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        self.events.save(slots, writer);
        for field in &self.fields {
            field.save(slots, writer);
        }
    }

    /// Reads what [`Accumulators::save`] wrote, into `slots`.
    pub(super) fn load(
        &mut self,
        slots: &[u32],
        reader: &mut SectionReader<'_>,
    ) -> Result<(), SnapshotError> {
        self.events.load(slots, reader)?;
        self.fields.iter_mut().try_for_each(|field| field.load(slots, reader))
    }
}
