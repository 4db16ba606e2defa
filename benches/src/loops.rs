//! The same work by the native engine and by the module in wasmtime.

use std::ops::Range;

use stream_processor::runtime::{Instance, NativeEngine, Runtime, Worker};
use stream_processor::{DEFAULT_BATCH_EVENTS, Error};
use stream_processor_core::spec::Strategy;
use stream_processor_core::text::Identifier;
use stream_processor_core::wire::BatchShape;
use stream_processor_core::{
    Batch, Column, Identity, KeyColumn, KeyDefinitions, Options, PipelineSpec, Progress, SpecError,
    key,
};

use crate::data::{Events, Line, ids_in, key_name};
use crate::measure::Laps;

/// The memory limit of an instance, far above its need.
const MEMORY_LIMIT_BYTES: usize = 3 << 30;
const POLL_ROWS: u32 = 4_096;
const DEFINED_AT_ONCE: usize = 10_000;

/// Returns a pipeline with tumbling windows of one minute: count, sum, avg, min and max of each
/// key, with 2 s of out-of-orderness.
///
/// # Errors
/// None for a valid pipeline.
///
/// # Errors
/// None while the pipeline is right.
pub fn tumbling() -> Result<PipelineSpec, SpecError> {
    PipelineSpec::from_json(
        r#"{"source": {"key": "service", "value": "latency"}, "time": {"max_out_of_orderness": "2s"},
            "stages": [{"type": "window", "window": "tumbling", "size": "1m",
            "aggregations": ["count", "sum", "avg", "min", "max"]}]}"#,
    )
}

/// Opens a native engine.
///
/// # Errors
/// The engine refuses the pipeline.
///
/// # Errors
/// A pipeline that the engine refuses.
pub fn native(spec: &PipelineSpec) -> Result<NativeEngine, Error> {
    NativeEngine::open(spec, Options::default())
}

/// Opens an instance of the module in wasmtime.
///
/// # Errors
/// The engine refuses the pipeline, or the module does not start.
///
/// # Errors
/// A pipeline that the engine refuses, a module that does not start.
pub fn module(runtime: &Runtime, spec: &PipelineSpec) -> Result<Instance, Error> {
    Instance::open(runtime, spec, Options::default(), MEMORY_LIMIT_BYTES)
}

/// Runs all of `events` through `worker` in batches: one lap for each batch and one for the end.
/// Returns the number of rows.
///
/// # Errors
/// The error of the engine.
///
/// # Errors
/// A failure of the engine.
pub fn run(
    worker: &mut dyn Worker,
    events: &Events,
    names: &Names,
    laps: &mut Laps,
) -> Result<usize, Error> {
    laps.start();
    let rows = push(worker, events, names, laps)?;
    let rows = finish(worker, rows)?;
    laps.end_lap();
    Ok(rows)
}

/// The form in which batches hold keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// No key: one stream.
    None,
    /// Ids that were defined before.
    Ids,
    /// Texts.
    Text,
}

/// Ends the stream. Returns `rows` plus the number of rows polled here.
fn finish(worker: &mut dyn Worker, mut rows: usize) -> Result<usize, Error> {
    while worker.finish()? == Progress::Full {
        rows += poll(worker)?;
    }
    Ok(rows + poll(worker)?)
}

/// Concatenated keys, as batches and dictionaries hold them.
#[derive(Default)]
struct Texts {
    offsets: Vec<u32>,
    bytes: Vec<u8>,
}

impl Texts {
    fn new<'a>(names: impl Iterator<Item = &'a str>, push: fn(&mut Vec<u8>, &str)) -> Self {
        let mut column = Self { offsets: vec![0], bytes: Vec::new() };
        for name in names {
            push(&mut column.bytes, name);
            column.offsets.push(u32::try_from(column.bytes.len()).unwrap_or(u32::MAX));
        }
        column
    }
}

/// The keys of all events in the form of the batches, prepared before the measurement: the other
/// systems have prepared columns too.
pub struct Names {
    keys: Keys,
    /// True if the ids for deduplication are in JSON.
    in_json: bool,
    names: Vec<String>,
    /// The first id of each block, and the encoded keys of its ids.
    definitions: Vec<(u32, Texts)>,
    /// The texts of each batch.
    texts: Vec<Texts>,
}

impl Names {
    /// Prepares the keys of `events` in the form `keys`.
    #[must_use]
    pub fn of(events: &Events, keys: Keys) -> Self {
        let count = if keys == Keys::None { 0 } else { events.key_count };
        let names: Vec<String> = (0..count).map(key_name).collect();
        let mut all =
            Self { keys, in_json: false, names, definitions: Vec::new(), texts: Vec::new() };
        if keys == Keys::Ids {
            let blocks = (0..).step_by(DEFINED_AT_ONCE).zip(all.names.chunks(DEFINED_AT_ONCE));
            let encoded = |(first, names): (u32, &[String])| {
                (first, Texts::new(names.iter().map(String::as_str), key::push_str))
            };
            all.definitions = blocks.map(encoded).collect();
        }
        if keys == Keys::Text {
            let batches = events.keys.chunks(DEFAULT_BATCH_EVENTS.get());
            all.texts = batches.map(|ids| all.texts_of(ids)).collect();
        }
        all
    }

    /// Makes the ids for deduplication come from JSON events.
    #[must_use]
    pub fn in_json(self) -> Self {
        Self { in_json: true, ..self }
    }

    fn texts_of(&self, ids: &[u32]) -> Texts {
        let texts = ids.iter().filter_map(|id| self.names.get(*id as usize));
        Texts::new(texts.map(String::as_str), |bytes, name| bytes.extend(name.as_bytes()))
    }

    fn define(&self, worker: &mut dyn Worker) -> Result<(), Error> {
        for (first, Texts { offsets, bytes }) in &self.definitions {
            let ids: Vec<u32> = (*first..).take(offsets.len() - 1).collect();
            worker.define_keys(&KeyDefinitions { reset: false, ids: &ids, offsets, bytes })?;
        }
        Ok(())
    }
}

/// Pushes all of `events` into `worker` in batches, one lap for each. Returns the number of rows.
/// Filling a batch is not timed.
///
/// # Errors
/// The error of the engine.
///
/// # Errors
/// A failure of the engine.
pub fn push(
    worker: &mut dyn Worker,
    events: &Events,
    names: &Names,
    laps: &mut Laps,
) -> Result<usize, Error> {
    names.define(worker)?;
    let mut identifier = Identifier::new(&[Strategy::Fields(vec!["event_id".to_owned()])]);
    let mut identities: Vec<Identity> = Vec::new();
    let mut buffer = BatchBuffer::default();
    let (mut rows, mut start) = (0, 0);
    while start < events.timestamps.len() {
        // A full result buffer ends a batch early. Its rest is pushed before the next batch.
        let (batch, before) = (start / DEFAULT_BATCH_EVENTS, start % DEFAULT_BATCH_EVENTS);
        let range = rest_of_batch(start, events);
        let ids = events.keys.get(range.clone()).unwrap_or_default();
        let rest = (names.keys == Keys::Text && before > 0).then(|| names.texts_of(ids));
        let texts = rest.as_ref().or_else(|| names.texts.get(batch));
        buffer.write(
            events.timestamps.get(range.clone()).unwrap_or_default(),
            events.values.get(range.clone()).unwrap_or_default(),
            ids,
            texts,
        );
        buffer.write_ids(events.lines.get(range.clone()).unwrap_or_default(), events.ids_of(range));
        laps.restart_lap();
        identities.clear();
        if names.in_json {
            identities.extend(buffer.lines.iter().map(|line| identifier.of_json(line)));
        } else {
            identifier.of_strings("event_id", ids_in(&buffer.event_ids), &mut identities);
        }
        let identities = (!events.ids.is_empty()).then_some(identities.as_slice());
        let columns = [Column::F64(&buffer.values)];
        let Texts { offsets, bytes } = &buffer.texts;
        let pushed = worker.push(&Batch {
            timestamps: &buffer.timestamps,
            keys: match names.keys {
                Keys::None => KeyColumn::Unkeyed,
                Keys::Ids => KeyColumn::Ids(&buffer.ids),
                Keys::Text => KeyColumn::Text { offsets, bytes },
            },
            columns: if identities.is_some() { &[] } else { &columns },
            identities: identities.as_slice(),
            ordinals: None,
            watermarks: None,
            partitions: None,
        })?;
        rows += poll(worker)?;
        start += pushed.consumed;
        laps.end_lap();
    }
    Ok(rows)
}

/// A batch as the producer of a live stream leaves it: just buffer, so in the processor's cache.
#[derive(Default)]
struct BatchBuffer {
    timestamps: Vec<i64>,
    values: Vec<f64>,
    ids: Vec<u32>,
    texts: Texts,
    event_ids: String,
    lines: Vec<Line>,
}

impl BatchBuffer {
    fn write_ids(&mut self, lines: &[Line], ids: &str) {
        self.lines.clear();
        self.lines.extend_from_slice(lines);
        self.event_ids.clear();
        self.event_ids.push_str(ids);
    }

    fn write(&mut self, timestamps: &[i64], values: &[f64], ids: &[u32], texts: Option<&Texts>) {
        fn copy<T: Copy>(from: &[T], to: &mut Vec<T>) {
            to.clear();
            to.extend_from_slice(from);
        }
        copy(timestamps, &mut self.timestamps);
        copy(values, &mut self.values);
        copy(ids, &mut self.ids);
        if let Some(texts) = texts {
            copy(&texts.offsets, &mut self.texts.offsets);
            copy(&texts.bytes, &mut self.texts.bytes);
        }
    }
}

/// Does the same as [`run`] for events with key ids, which are buffer directly into the module's
/// memory.
///
/// # Errors
/// The error of the engine.
///
/// # Errors
/// A failure of the engine.
pub fn run_in_place(
    instance: &mut Instance,
    events: &Events,
    names: &Names,
    laps: &mut Laps,
) -> Result<usize, Error> {
    laps.start();
    names.define(instance)?;
    let (mut rows, mut start) = (0, 0);
    while start < events.timestamps.len() {
        let range = rest_of_batch(start, events);
        let shape = BatchShape { events: range.len(), columns: 1, has_keys: true };
        let pushed = instance.push_in_place(shape, |mut batch| {
            batch
                .timestamps
                .copy_from_slice(events.timestamps.get(range.clone()).unwrap_or_default());
            for column in &mut batch.columns {
                column.copy_from_slice(events.values.get(range.clone()).unwrap_or_default());
            }
            batch.keys.copy_from_slice(events.keys.get(range).unwrap_or_default());
            laps.restart_lap();
        })?;
        rows += poll(instance)?;
        start += pushed.consumed;
        laps.end_lap();
    }
    let rows = finish(instance, rows)?;
    laps.end_lap();
    Ok(rows)
}

/// Returns the range from `start` to the end of its batch.
fn rest_of_batch(start: usize, events: &Events) -> Range<usize> {
    let end = start - start % DEFAULT_BATCH_EVENTS + DEFAULT_BATCH_EVENTS.get();
    start..end.min(events.timestamps.len())
}

fn poll(worker: &mut dyn Worker) -> Result<usize, Error> {
    let mut count = 0;
    while let Some(rows) = worker.poll(POLL_ROWS)? {
        count += rows.len();
    }
    Ok(count)
}
