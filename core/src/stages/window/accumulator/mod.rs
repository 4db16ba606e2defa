//! What is kept of the events of a window: for each of its fields the accumulators that its outputs need, by dense slot.

mod ends;
mod moments;
mod percentile;
mod slots;
mod summary;

use self::ends::Ends;
use self::moments::Moments;
use self::percentile::Percentiles;
use self::slots::{Cells, Slots};
use self::summary::Summaries;
use crate::error::SnapshotError;
use crate::frame::Order;
use crate::plan::{WindowOutput, WindowPlan};
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
    sketch: Option<Percentiles>,
    exact: Option<Percentiles>,
}

impl Accumulators {
    pub(super) fn new(plan: &WindowPlan) -> Self {
        let counts_events = plan.outputs.iter().any(|output| output.field.is_none());
        let fields = (0..plan.fields.len()).map(|field| {
            let of_field = |output: &&WindowOutput| output.field == Some(field);
            Field::new(plan.outputs.iter().filter(of_field), plan.max_values)
        });
        Self {
            outputs: plan.outputs.clone(),
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

    /// Whether it keeps values for percentiles.
    pub(super) fn keeps_values(&self) -> bool {
        self.fields.iter().any(|field| field.percentiles().next().is_some())
    }

    /// Makes `slots` ready for [`Accumulators::result`]; nothing is added to them any more.
    pub(super) fn seal(&mut self, slots: &[u32], stats: &mut StageStats) {
        for percentiles in self.fields.iter_mut().flat_map(Field::percentiles_mut) {
            percentiles.seal(slots, stats);
        }
    }

    /// Gives back the memory of `slots`.
    pub(super) fn release(&mut self, slots: &[u32]) {
        for percentiles in self.fields.iter_mut().flat_map(Field::percentiles_mut) {
            for slot in slots {
                percentiles.reset(*slot as usize);
            }
        }
    }

    /// The value of output `output` for `slot`, which is sealed.
    pub(super) fn result(&self, output: usize, slot: u32) -> f64 {
        let slot = slot as usize;
        let Some(output) = self.outputs.get(output) else { return f64::NAN };
        match output.field {
            #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
            None => self
                .events
                .as_ref()
                .and_then(|events| events.0.get(slot))
                .map_or(0.0, |n| *n as f64),
            Some(field) => {
                self.fields.get(field).map_or(f64::NAN, |field| field.result(slot, output))
            }
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
        let percentiles = |engine| {
            let asked = outputs.clone().filter_map(|output| match output.op {
                Operation::Percentile(percentile) if output.engine == engine => Some(percentile),
                _ => None,
            });
            let asked: Vec<_> = asked.collect();
            (!asked.is_empty()).then(|| Percentiles::new(asked, engine, max_values))
        };
        Self {
            summaries: any(Summaries::serve).then(Summaries::default),
            moments: any(Moments::serve).then(Moments::default),
            first: any(|op| op == Operation::First).then(Ends::default),
            last: any(|op| op == Operation::Last).then(Ends::default),
            sketch: percentiles(PercentileEngine::Sketch),
            exact: percentiles(PercentileEngine::Exact),
        }
    }

    fn percentiles(&self) -> impl Iterator<Item = &Percentiles> {
        self.sketch.iter().chain(&self.exact)
    }

    fn percentiles_mut(&mut self) -> impl Iterator<Item = &mut Percentiles> {
        self.sketch.iter_mut().chain(&mut self.exact)
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
        for percentiles in self.percentiles_mut() {
            percentiles.add(slots, values);
        }
    }

    fn result(&self, slot: usize, output: &WindowOutput) -> f64 {
        let found = match output.op {
            Operation::Variance | Operation::Stddev => {
                self.moments.as_ref().map(|list| list.result(slot, output.op, output.population))
            }
            Operation::First => self.first.as_ref().map(|list| list.result(slot)),
            Operation::Last => self.last.as_ref().map(|list| list.result(slot)),
            Operation::Percentile(percentile) => {
                let engine = match output.engine {
                    PercentileEngine::Sketch => &self.sketch,
                    PercentileEngine::Exact => &self.exact,
                };
                engine.as_ref().map(|list| list.result(slot, percentile))
            }
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
        self.sketch.reset(slot);
        self.exact.reset(slot);
    }

    fn empty(&self, slots: usize) -> Self {
        Self {
            summaries: self.summaries.empty(slots),
            moments: self.moments.empty(slots),
            first: self.first.empty(slots),
            last: self.last.empty(slots),
            sketch: self.sketch.empty(slots),
            exact: self.exact.empty(slots),
        }
    }

    fn pick(&self, slots: &[u32]) -> Self {
        Self {
            summaries: self.summaries.pick(slots),
            moments: self.moments.pick(slots),
            first: self.first.pick(slots),
            last: self.last.pick(slots),
            sketch: self.sketch.pick(slots),
            exact: self.exact.pick(slots),
        }
    }

    fn merge(&mut self, slots: &[u32], later: &Self) {
        self.summaries.merge(slots, &later.summaries);
        self.moments.merge(slots, &later.moments);
        self.first.merge(slots, &later.first);
        self.last.merge(slots, &later.last);
        self.sketch.merge(slots, &later.sketch);
        self.exact.merge(slots, &later.exact);
    }

    fn join(&mut self, slot: usize, later: usize) {
        self.summaries.join(slot, later);
        self.moments.join(slot, later);
        self.first.join(slot, later);
        self.last.join(slot, later);
        self.sketch.join(slot, later);
        self.exact.join(slot, later);
    }

    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        self.summaries.save(slots, writer);
        self.moments.save(slots, writer);
        self.first.save(slots, writer);
        self.last.save(slots, writer);
        self.sketch.save(slots, writer);
        self.exact.save(slots, writer);
    }

    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        self.summaries.load(slots, reader)?;
        self.moments.load(slots, reader)?;
        self.first.load(slots, reader)?;
        self.last.load(slots, reader)?;
        self.sketch.load(slots, reader)?;
        self.exact.load(slots, reader)
    }
}
