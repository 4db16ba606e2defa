//! What is kept of the events of a window: for each of its fields the accumulators that its outputs need, by dense slot.

mod ends;
mod moments;
mod percentile;
mod summary;

use self::ends::Ends;
use self::moments::Moments;
use self::percentile::Percentiles;
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
    events: Option<Vec<u64>>,
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
    pub(super) fn new(outputs: &[WindowOutput], fields: usize, max_values: u32) -> Self {
        let counts_events = outputs.iter().any(|output| output.field.is_none());
        let fields = (0..fields).map(|field| {
            let of_field = |output: &&WindowOutput| output.field == Some(field);
            Field::new(outputs.iter().filter(of_field), max_values)
        });
        Self {
            outputs: outputs.to_vec(),
            events: counts_events.then(Vec::new),
            fields: fields.collect(),
        }
    }

    /// Makes `slot` empty, adding it if it is the next one.
    pub(super) fn reset(&mut self, slot: u32) {
        let slot = slot as usize;
        if let Some(events) = &mut self.events {
            put(events, slot, 0);
        }
        for field in &mut self.fields {
            field.reset(slot);
        }
    }

    /// Counts an event in each of `slots`.
    pub(super) fn count(&mut self, slots: &[u32]) {
        let Some(events) = &mut self.events else { return };
        for slot in slots {
            if let Some(count) = events.get_mut(*slot as usize) {
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

    /// As many empty slots with the same outputs, of those that slices are combined for.
    pub(super) fn empty(&self, slots: usize) -> Self {
        Self {
            outputs: self.outputs.clone(),
            events: self.events.as_ref().map(|_| vec![0; slots]),
            fields: self
                .fields
                .iter()
                .map(|field| field.summarised(|list| list.empty(slots)))
                .collect(),
        }
    }

    /// Copies of `slots`, at slots from 0 on.
    pub(super) fn pick(&self, slots: &[u32]) -> Self {
        let count =
            |events: &Vec<u64>, slot: &u32| events.get(*slot as usize).copied().unwrap_or(0);
        Self {
            outputs: self.outputs.clone(),
            events: self
                .events
                .as_ref()
                .map(|events| slots.iter().map(|slot| count(events, slot)).collect()),
            fields: self
                .fields
                .iter()
                .map(|field| field.summarised(|list| list.pick(slots)))
                .collect(),
        }
    }

    /// Adds the slots of `later`, from 0 on, to `slots`, as if their events came after those there.
    pub(super) fn merge(&mut self, slots: &[u32], later: &Self) {
        if let (Some(events), Some(later)) = (&mut self.events, &later.events) {
            for (slot, more) in slots.iter().zip(later) {
                if let Some(count) = events.get_mut(*slot as usize) {
                    *count += more;
                }
            }
        }
        for (field, later) in self.fields.iter_mut().zip(&later.fields) {
            if let (Some(summaries), Some(later)) = (&mut field.summaries, &later.summaries) {
                summaries.merge(slots, later);
            }
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
            None => {
                self.events.as_ref().and_then(|events| events.get(slot)).map_or(0.0, |n| *n as f64)
            }
            Some(field) => {
                self.fields.get(field).map_or(f64::NAN, |field| field.result(slot, output))
            }
        }
    }

    /// Writes `slots` column by column.
    pub(super) fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        if let Some(events) = &self.events {
            writer.u64s(slots.iter().map(|slot| events.get(*slot as usize).copied().unwrap_or(0)));
        }
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
        if let Some(events) = &mut self.events {
            for (slot, count) in slots.iter().zip(reader.u64s(slots.len())?) {
                put(events, *slot as usize, count);
            }
        }
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

    /// A field with other summaries and nothing else: what the windows need whose slices are combined.
    fn summarised(&self, summaries: impl Fn(&Summaries) -> Summaries) -> Self {
        Self {
            summaries: self.summaries.as_ref().map(summaries),
            moments: None,
            first: None,
            last: None,
            sketch: None,
            exact: None,
        }
    }

    fn percentiles(&self) -> impl Iterator<Item = &Percentiles> {
        self.sketch.iter().chain(&self.exact)
    }

    fn percentiles_mut(&mut self) -> impl Iterator<Item = &mut Percentiles> {
        self.sketch.iter_mut().chain(&mut self.exact)
    }

    fn reset(&mut self, slot: usize) {
        if let Some(summaries) = &mut self.summaries {
            summaries.reset(slot);
        }
        if let Some(moments) = &mut self.moments {
            moments.reset(slot);
        }
        if let Some(first) = &mut self.first {
            first.reset(slot);
        }
        if let Some(last) = &mut self.last {
            last.reset(slot);
        }
        for percentiles in self.percentiles_mut() {
            percentiles.reset(slot);
        }
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

    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        if let Some(summaries) = &self.summaries {
            summaries.save(slots, writer);
        }
        if let Some(moments) = &self.moments {
            moments.save(slots, writer);
        }
        if let Some(first) = &self.first {
            first.save(slots, writer);
        }
        if let Some(last) = &self.last {
            last.save(slots, writer);
        }
        for percentiles in self.percentiles() {
            percentiles.save(slots, writer);
        }
    }

    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        if let Some(summaries) = &mut self.summaries {
            summaries.load(slots, reader)?;
        }
        if let Some(moments) = &mut self.moments {
            moments.load(slots, reader)?;
        }
        if let Some(first) = &mut self.first {
            first.load(slots, reader)?;
        }
        if let Some(last) = &mut self.last {
            last.load(slots, reader)?;
        }
        self.percentiles_mut().try_for_each(|percentiles| percentiles.load(slots, reader))
    }
}

/// Sets entry `place`, which is at most one behind the last.
fn put<T>(list: &mut Vec<T>, place: usize, value: T) {
    match list.get_mut(place) {
        Some(entry) => *entry = value,
        None => list.push(value),
    }
}
