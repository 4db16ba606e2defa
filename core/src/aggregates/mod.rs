//! Aggregations: the state of all aggregations of a window stage, as columns indexed by slot.
//!
//! A slot is a dense number that the stage assigns to one key in one slice, window or session. An
//! aggregation is computed from accumulators, and each accumulator is a column with one entry for
//! each slot. A column exists only if an output needs it.
//!
//! ```text
//! Accumulators                        one for a window stage; also partials and aggregate tree nodes
//! ├─ events                BySlot<u64>                count of events, without a field
//! └─ fields[i]             FieldAccumulators          one for each field that outputs read
//!    ├─ numbers            Numbers                    one of:
//!    │                       SummaryBySlot              count rate sum avg min max range
//!    │                       MomentsBySlot              variance stddev
//!    │                       BySlot<SummaryAndMoments>  both
//!    ├─ first, last        FirstBySlot, LastBySlot    first last
//!    ├─ distinct           DistinctBySlot             distinct
//!    ├─ sketch             Sketches                   percentiles, engine "sketch"
//!    ├─ ranges             BySlot<ValueRange>         min and max of slots without a sketch
//!    ├─ tdigest            Percentiles<Digest>        percentiles, engine "tdigest"
//!    └─ exact              Percentiles<ValueSet>      percentiles, engine "exact"
//!                  slot 0 │ slot 1 │ slot 2 │ …       every column has this shape
//! ```
//!
//! The calls in the life of a slot:
//!
//! ```text
//! reset ─► count, add (batches of events) ─► merge or join (slices, sessions) ─► seal
//!       ─► results, result (rows) ─► release
//! ```
//!
//! `save` and `load` write and read columns for snapshots and partials.
//!
//! | aggregation or concern | file |
//! |---|---|
//! | `count` (events) | `slots.rs`, as `u64` |
//! | `count`, `rate`, `sum`, `avg`, `min`, `max`, `range` of a field | `summary.rs` |
//! | `variance`, `stddev` | `moments.rs` |
//! | both in one cache line | `numbers.rs` |
//! | `first`, `last` | `first_last.rs` |
//! | `distinct` | `distinct.rs` |
//! | percentiles | `percentile/` |
//! | which columns a field has | `field.rs` |
//! | the traits, and the hot loop of ingestion | `slots.rs` |
//! | incremental sliding windows | `sliding.rs`, `percentile/sketches.rs` |

mod distinct;
mod field;
mod first_last;
mod moments;
mod numbers;
mod percentile;
mod sliding;
mod slots;
mod summary;

use self::field::FieldAccumulators;
use self::slots::{BySlot, SlotColumn};
use crate::data::frame::Order;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Operation;

/// The accumulators of all open windows or slices of a stage, indexed by slot.
#[derive(Clone)]
pub(crate) struct Accumulators {
    outputs: Vec<WindowOutput>,
    /// Number of events per slot, if an output or a limit needs it.
    events: Option<BySlot<u64>>,
    /// One entry for each field of the plan.
    fields: Vec<FieldAccumulators>,
}

impl Accumulators {
    /// Creates the columns for `outputs` over `fields` fields. `max_values` limits exact
    /// percentiles.
    pub(crate) fn new(outputs: &[WindowOutput], fields: usize, max_values: u32) -> Self {
        let counts_events = outputs.iter().any(|output| output.field.is_none());
        let fields = (0..fields).map(|field| {
            let reads_field = |output: &&WindowOutput| output.field == Some(field);
            FieldAccumulators::new(outputs.iter().filter(reads_field), max_values)
        });
        Self {
            outputs: outputs.to_vec(),
            events: counts_events.then(BySlot::default),
            fields: fields.collect(),
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
        events + self.fields.iter().map(FieldAccumulators::slot_bytes).sum::<u64>()
    }

    /// Returns true if the bytes of a slot depend on its values.
    pub(crate) fn have_variable_bytes(&self) -> bool {
        self.have_unordered() || self.fields.iter().any(FieldAccumulators::has_digest)
    }

    /// Returns the bytes of `slot` on top of [`Accumulators::slot_bytes`].
    pub(crate) fn variable_bytes(&self, slot: u32) -> u64 {
        self.fields.iter().map(|field| field.variable_bytes(slot as usize)).sum()
    }

    /// Clears the stream ordinals of `first` and `last`, so that at equal timestamps the order of
    /// merging decides.
    pub(crate) fn forget_ordinals(&mut self) {
        for field in &mut self.fields {
            field.forget_ordinals();
        }
    }

    /// Resets `slot`, appending it if it is the next one.
    pub(crate) fn reset(&mut self, slot: u32) {
        let slot = slot as usize;
        self.events.reset(slot);
        for field in &mut self.fields {
            field.reset(slot);
        }
    }

    /// Prefetches the accumulators of `keys`; `slots` maps a key to its slot.
    pub(crate) fn prefetch(&self, slots: &[u32], keys: &[u32]) {
        self.fields.iter().for_each(|field| field.prefetch(slots, keys));
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
        if let Some(field) = self.fields.get_mut(field) {
            field.add(slots, values, order);
        }
    }

    /// Returns `slots` empty slots for the same outputs.
    pub(crate) fn empty(&self, slots: usize) -> Self {
        Self {
            outputs: self.outputs.clone(),
            events: self.events.empty(slots),
            fields: self.fields.iter().map(|field| field.empty(slots)).collect(),
        }
    }

    /// Returns copies of `slots`, renumbered from 0.
    pub(crate) fn pick(&self, slots: &[u32]) -> Self {
        Self {
            outputs: self.outputs.clone(),
            events: self.events.pick(slots),
            fields: self.fields.iter().map(|field| field.pick(slots)).collect(),
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
        for (field, later) in self.fields.iter_mut().zip(&later.fields) {
            field.merge_ordered(slots, later);
        }
    }

    /// Merges the accumulators whose result is the same in any order of merging: distinct counts,
    /// sketches and exact percentiles.
    pub(crate) fn merge_unordered(&mut self, slots: &[u32], later: &Self) {
        for (field, later) in self.fields.iter_mut().zip(&later.fields) {
            field.merge_unordered(slots, later);
        }
    }

    /// Returns true if [`Accumulators::merge_unordered`] has something to merge.
    pub(crate) fn have_unordered(&self) -> bool {
        self.fields.iter().any(FieldAccumulators::has_unordered)
    }

    /// Merges slot `later` into `slot` and resets `later`; its events count as the later ones.
    pub(crate) fn join(&mut self, slot: u32, later: u32) {
        let (slot, later) = (slot as usize, later as usize);
        self.events.join(slot, later);
        for field in &mut self.fields {
            field.join(slot, later);
        }
    }

    /// Returns true if some accumulator has limits on values that are counted in the statistics
    /// (sketch or exact percentiles).
    pub(crate) fn keeps_values(&self) -> bool {
        self.fields.iter().any(FieldAccumulators::has_histograms)
    }

    /// Prepares `slots` for [`Accumulators::result`]. No value may be added to them afterwards.
    pub(crate) fn seal(&mut self, slots: &[u32], stats: &mut StageStats) {
        for field in &mut self.fields {
            field.seal(slots, stats);
        }
    }

    /// Frees the heap memory of `slots`.
    pub(crate) fn release(&mut self, slots: &[u32]) {
        for field in &mut self.fields {
            for slot in slots {
                field.release(*slot as usize);
            }
        }
    }

    /// Appends the result of output `output` for each of the sealed `slots`, if that output has a
    /// batch path. Returns false, and appends nothing, if the caller must use
    /// [`Accumulators::result`] for each slot.
    pub(crate) fn results<'a>(
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

    /// Returns the result of output `output` for the sealed `slot` of a window of `length_us`
    /// microseconds. NaN stands for null.
    #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
    pub(crate) fn result(&self, output: usize, slot: u32, length_us: i64) -> f64 {
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

    /// Writes `slots`, one accumulator kind after the other.
    pub(crate) fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        self.events.save(slots, writer);
        for field in &self.fields {
            field.save(slots, writer);
        }
    }

    /// Reads `slots` as [`Accumulators::save`] wrote them.
    pub(crate) fn load(
        &mut self,
        slots: &[u32],
        reader: &mut SectionReader<'_>,
    ) -> Result<(), SnapshotError> {
        self.events.load(slots, reader)?;
        self.fields.iter_mut().try_for_each(|field| field.load(slots, reader))
    }
}
