//! The same work by the engine natively and by the module in wasmtime.

use processor::runtime::{Instance, NativeEngine, Runtime, Worker};
use processor::{DEFAULT_BATCH_EVENTS, Error};
use stream_processor_core::{
    Batch, Column, KeyColumn, KeyDefinitions, Options, PipelineSpec, Progress, SpecError, key,
};

use crate::data::{Events, key_name};
use crate::measure::Laps;

/// Memory that an instance may have: far more than it needs.
const MEMORY_LIMIT_BYTES: usize = 3 << 30;
const POLL_ROWS: u32 = 4_096;
const DEFINED_AT_ONCE: usize = 10_000;

/// Tumbling windows of one minute with count, sum, avg, min and max for each key, 2 s of disorder allowed.
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

/// An engine natively.
///
/// # Errors
/// A pipeline that the engine refuses.
pub fn native(spec: &PipelineSpec) -> Result<NativeEngine, Error> {
    NativeEngine::open(spec, Options::default())
}

/// An instance of the module in wasmtime.
///
/// # Errors
/// A pipeline that the engine refuses, a module that does not start.
pub fn module(runtime: &Runtime, spec: &PipelineSpec) -> Result<Instance, Error> {
    Instance::open(runtime, spec, Options::default(), MEMORY_LIMIT_BYTES)
}

/// Runs all of `events` through `worker`, in batches, a lap each and one for the end; returns the number of rows.
///
/// # Errors
/// A failure of the engine.
pub fn run(
    worker: &mut dyn Worker,
    events: &Events,
    keys: Keys,
    laps: &mut Laps,
) -> Result<usize, Error> {
    laps.start();
    let rows = push(worker, events, keys, laps)?;
    let rows = finish(worker, rows)?;
    laps.end_lap();
    Ok(rows)
}

/// How batches name keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// Not at all: one stream.
    None,
    /// By ids that were defined before.
    Ids,
    /// Each by its text.
    Text,
}

/// Ends the stream; returns `rows` and those that were polled.
fn finish(worker: &mut dyn Worker, mut rows: usize) -> Result<usize, Error> {
    while worker.finish()? == Progress::Full {
        rows += poll(worker)?;
    }
    Ok(rows + poll(worker)?)
}

/// Keys end to end, as batches and dictionaries have them.
#[derive(Default)]
struct Encoded {
    offsets: Vec<u32>,
    bytes: Vec<u8>,
}

impl Encoded {
    fn set<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        self.offsets.clear();
        self.bytes.clear();
        self.offsets.push(0);
        for name in names {
            key::push_str(&mut self.bytes, name);
            self.offsets.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        }
    }
}

/// Pushes all of `events` into `worker`, in batches, a lap each; returns the number of rows.
///
/// # Errors
/// A failure of the engine.
pub fn push(
    worker: &mut dyn Worker,
    events: &Events,
    keys: Keys,
    laps: &mut Laps,
) -> Result<usize, Error> {
    let names: Vec<String> = match keys {
        Keys::None => Vec::new(),
        Keys::Ids | Keys::Text => (0..events.key_count).map(key_name).collect(),
    };
    let mut encoded = Encoded::default();
    if keys == Keys::Ids {
        let ids: Vec<u32> = (0..events.key_count).collect();
        for (ids, names) in ids.chunks(DEFINED_AT_ONCE).zip(names.chunks(DEFINED_AT_ONCE)) {
            encoded.set(names.iter().map(String::as_str));
            let Encoded { offsets, bytes } = &encoded;
            worker.define_keys(&KeyDefinitions { reset: false, ids, offsets, bytes })?;
        }
    }
    let (mut rows, mut start) = (0, 0);
    while start < events.timestamps.len() {
        let end = events.timestamps.len().min(start + DEFAULT_BATCH_EVENTS.get());
        let range = start..end;
        let ids = events.keys.get(range.clone()).unwrap_or_default();
        if keys == Keys::Text {
            encoded.set(ids.iter().filter_map(|id| names.get(*id as usize)).map(String::as_str));
        }
        let values = [Column::F64(events.values.get(range.clone()).unwrap_or_default())];
        let identities = events.identities.get(range.clone()).filter(|some| !some.is_empty());
        let pushed = worker.push(&Batch {
            timestamps: events.timestamps.get(range.clone()).unwrap_or_default(),
            keys: match keys {
                Keys::None => KeyColumn::Unkeyed,
                Keys::Ids => KeyColumn::Ids(ids),
                Keys::Text => {
                    KeyColumn::Encoded { offsets: &encoded.offsets, bytes: &encoded.bytes }
                }
            },
            columns: if identities.is_some() { &[] } else { &values },
            identities: identities.as_slice(),
            ordinals: None,
            watermarks: None,
            partitions: None,
        })?;
        rows += poll(worker)?;
        // A full result buffer ends a batch early.
        start += pushed.consumed;
        laps.end_lap();
    }
    Ok(rows)
}

fn poll(worker: &mut dyn Worker) -> Result<usize, Error> {
    let mut count = 0;
    while let Some(rows) = worker.poll(POLL_ROWS)? {
        count += rows.len();
    }
    Ok(count)
}
