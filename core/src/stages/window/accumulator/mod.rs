//! What is kept of the events of a window: for each of its fields the accumulators that its outputs need, by dense slot.

mod distinct;
mod ends;
mod moments;
mod percentile;
mod slots;
mod summary;

use self::distinct::Distincts;
use self::ends::Ends;
use self::moments::Moments;
use self::percentile::{Digest, Group, Percentiles};
use self::slots::{Cells, Slots};
use self::summary::Summaries;
use crate::error::SnapshotError;
use crate::frame::Order;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::{Operation, PercentileEngine};
use crate::stats::StageStats;

/// The accumulators of all open windows.
#[derive(Clone)]
pub(super) struct Accumulators {
    outputs: Vec<WindowOutput>,
    /// Events per slot, where an output counts them.
    events: Option<Cells<u64>>,
    /// For each of the plan's fields.
    fields: Vec<Field>,
}

/// What is kept of one field: each only where an output needs it.
#[derive(Clone)]
struct Field {
    summaries: Option<Summaries>,
    moments: Option<Moments>,
    first: Option<Ends<false>>,
    last: Option<Ends<true>>,
    distinct: Option<Distincts>,
    sketch: Option<Percentiles<Group>>,
    tdigest: Option<Percentiles<Digest>>,
    exact: Option<Percentiles<Group>>,
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

    /// Makes `slot` empty, adding it if it is the next one.
    pub(super) fn reset(&mut self, slot: u32) {
        let slot = slot as usize;
        self.events.reset(slot);
        for field in &mut self.fields {
            field.reset(slot);
        }
    }

    /// Counts an event in each of `slots`.
    pub(super) fn count(&mut self, slots: &[u32]) {
        let Some(events) = &mut self.events else { return };
        for slot in slots {
            if let Some(count) = events.0.get_mut(*slot as usize) {
                *count += 1;
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
        self.events.merge(slots, &later.events);
        for (field, later) in self.fields.iter_mut().zip(&later.fields) {
            field.merge(slots, later);
        }
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
        self.fields.iter().any(|field| field.sketch.is_some() || field.exact.is_some())
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

impl Field {
    /// What `outputs` need.
    fn new<'a>(outputs: impl Iterator<Item = &'a WindowOutput> + Clone, max_values: u32) -> Self {
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
            summaries: any(Summaries::serve).then(Summaries::default),
            moments: any(Moments::serve).then(Moments::default),
            first: any(|op| op == Operation::First).then(Ends::default),
            last: any(|op| op == Operation::Last).then(Ends::default),
            distinct: any(|op| op == Operation::Distinct).then(Distincts::default),
            sketch: asked(PercentileEngine::Sketch)
                .map(|(asked, engine)| Percentiles::new(asked, engine, max_values)),
            tdigest: asked(PercentileEngine::Tdigest)
                .map(|(asked, engine)| Percentiles::new(asked, engine, max_values)),
            exact: asked(PercentileEngine::Exact)
                .map(|(asked, engine)| Percentiles::new(asked, engine, max_values)),
        }
    }

    fn seal(&mut self, slots: &[u32], stats: &mut StageStats) {
        if let Some(sketch) = &mut self.sketch {
            sketch.seal(slots, stats);
        }
        if let Some(tdigest) = &mut self.tdigest {
            tdigest.seal(slots, stats);
        }
        if let Some(exact) = &mut self.exact {
            exact.seal(slots, stats);
        }
    }

    /// Gives back what `slot` has in memory of its own.
    fn release(&mut self, slot: usize) {
        self.distinct.reset(slot);
        self.sketch.reset(slot);
        self.tdigest.reset(slot);
        self.exact.reset(slot);
    }

    fn add(&mut self, slots: &[u32], values: &[f64], order: Order<'_>) {
        if let Some(summaries) = &mut self.summaries {
            summaries.add(slots, values);
        }
        if let Some(moments) = &mut self.moments {
            moments.add(slots, values);
        }
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

    fn result(&self, slot: usize, output: &WindowOutput) -> f64 {
        let found = match output.op {
            Operation::Variance | Operation::Stddev => {
                self.moments.as_ref().map(|list| list.result(slot, output.op, output.population))
            }
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
            op => self.summaries.as_ref().map(|list| list.result(slot, op)),
        };
        found.unwrap_or(f64::NAN)
    }
}

impl Slots for Field {
    fn reset(&mut self, slot: usize) {
        self.summaries.reset(slot);
        self.moments.reset(slot);
        self.first.reset(slot);
        self.last.reset(slot);
        self.distinct.reset(slot);
        self.sketch.reset(slot);
        self.tdigest.reset(slot);
        self.exact.reset(slot);
    }

    fn empty(&self, slots: usize) -> Self {
        Self {
            summaries: self.summaries.empty(slots),
            moments: self.moments.empty(slots),
            first: self.first.empty(slots),
            last: self.last.empty(slots),
            distinct: self.distinct.empty(slots),
            sketch: self.sketch.empty(slots),
            tdigest: self.tdigest.empty(slots),
            exact: self.exact.empty(slots),
        }
    }

    fn pick(&self, slots: &[u32]) -> Self {
        Self {
            summaries: self.summaries.pick(slots),
            moments: self.moments.pick(slots),
            first: self.first.pick(slots),
            last: self.last.pick(slots),
            distinct: self.distinct.pick(slots),
            sketch: self.sketch.pick(slots),
            tdigest: self.tdigest.pick(slots),
            exact: self.exact.pick(slots),
        }
    }

    fn merge(&mut self, slots: &[u32], later: &Self) {
        self.summaries.merge(slots, &later.summaries);
        self.moments.merge(slots, &later.moments);
        self.first.merge(slots, &later.first);
        self.last.merge(slots, &later.last);
        self.distinct.merge(slots, &later.distinct);
        self.sketch.merge(slots, &later.sketch);
        self.tdigest.merge(slots, &later.tdigest);
        self.exact.merge(slots, &later.exact);
    }

    fn join(&mut self, slot: usize, later: usize) {
        self.summaries.join(slot, later);
        self.moments.join(slot, later);
        self.first.join(slot, later);
        self.last.join(slot, later);
        self.distinct.join(slot, later);
        self.sketch.join(slot, later);
        self.tdigest.join(slot, later);
        self.exact.join(slot, later);
    }

    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        self.summaries.save(slots, writer);
        self.moments.save(slots, writer);
        self.first.save(slots, writer);
        self.last.save(slots, writer);
        self.distinct.save(slots, writer);
        self.sketch.save(slots, writer);
        self.tdigest.save(slots, writer);
        self.exact.save(slots, writer);
    }

    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        self.summaries.load(slots, reader)?;
        self.moments.load(slots, reader)?;
        self.first.load(slots, reader)?;
        self.last.load(slots, reader)?;
        self.distinct.load(slots, reader)?;
        self.sketch.load(slots, reader)?;
        self.tdigest.load(slots, reader)?;
        self.exact.load(slots, reader)
    }
}
