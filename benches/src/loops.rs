//! The same work by a plain loop, by the engine natively, and by the module in wasmtime.

use std::collections::BTreeMap;

use processor::runtime::{Instance, NativeEngine, Runtime, Worker};
use processor::{DEFAULT_BATCH_EVENTS, Error};
use stream_processor_core::{
    Batch, Column, KeyColumn, KeyDefinitions, Options, PipelineSpec, Progress, SpecError, key,
};

use crate::data::{Events, KEYS, key_name};

/// Memory that an instance may have: far more than it needs.
const MEMORY_LIMIT_BYTES: usize = 1 << 30;
const POLL_ROWS: u32 = 4_096;

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

/// Runs all of `events` through `worker`, in batches; returns the number of rows.
///
/// # Errors
/// A failure of the engine.
pub fn run(worker: &mut dyn Worker, events: &Events) -> Result<usize, Error> {
    let ids: Vec<u32> = (0..KEYS).collect();
    let (mut offsets, mut bytes) = (vec![0], Vec::new());
    for id in &ids {
        key::push_str(&mut bytes, &key_name(*id));
        offsets.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }
    worker.define_keys(&KeyDefinitions {
        reset: false,
        ids: &ids,
        offsets: &offsets,
        bytes: &bytes,
    })?;
    let mut rows = 0;
    let times = events.timestamps.chunks(DEFAULT_BATCH_EVENTS.get());
    let keys = events.keys.chunks(DEFAULT_BATCH_EVENTS.get());
    let values = events.values.chunks(DEFAULT_BATCH_EVENTS.get());
    for ((timestamps, keys), values) in times.zip(keys).zip(values) {
        let columns = [Column::F64(values)];
        worker.push(&Batch {
            timestamps,
            keys: KeyColumn::Ids(keys),
            columns: &columns,
            identities: &[],
            ordinals: None,
            watermarks: None,
            partitions: None,
        })?;
        rows += poll(worker)?;
    }
    while worker.finish()? == Progress::Full {
        rows += poll(worker)?;
    }
    Ok(rows + poll(worker)?)
}

fn poll(worker: &mut dyn Worker) -> Result<usize, Error> {
    let mut count = 0;
    while let Some(rows) = worker.poll(POLL_ROWS)? {
        count += rows.len();
    }
    Ok(count)
}

/// What a plain loop over dense ids needs: the ceiling. Returns the number of rows.
#[must_use]
pub fn plain(events: &Events) -> usize {
    const SIZE_US: i64 = 60_000_000;
    const LAG_US: i64 = 2_000_001;
    #[derive(Clone, Copy)]
    struct Window {
        count: u64,
        sum: f64,
        lost: f64,
        min: f64,
        max: f64,
    }
    const EMPTY: Window =
        Window { count: 0, sum: 0.0, lost: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };
    let mut open: BTreeMap<i64, Vec<Window>> = BTreeMap::new();
    let (mut start, mut current) = (i64::MIN, vec![EMPTY; KEYS as usize]);
    let (mut watermark, mut next_fire, mut rows) = (i64::MIN, i64::MAX, 0);
    for ((time, key), value) in events.timestamps.iter().zip(&events.keys).zip(&events.values) {
        if watermark >= next_fire {
            open.insert(start, std::mem::take(&mut current));
            let later = open.split_off(&(watermark - SIZE_US + 2));
            let fired = std::mem::replace(&mut open, later);
            rows += fired.values().flatten().filter(|window| window.count > 0).count();
            start = i64::MIN;
            next_fire = open.keys().next().map_or(i64::MAX, |start| start + SIZE_US - 1);
        }
        if time.wrapping_sub(start).cast_unsigned() >= SIZE_US.cast_unsigned() {
            if start != i64::MIN {
                open.insert(start, std::mem::take(&mut current));
            }
            start = time.div_euclid(SIZE_US) * SIZE_US;
            current = open.remove(&start).unwrap_or_else(|| vec![EMPTY; KEYS as usize]);
            next_fire = next_fire.min(start + SIZE_US - 1);
        }
        if let Some(window) = current.get_mut(*key as usize) {
            let sum = window.sum + value;
            let shifted = sum - window.sum;
            window.lost += (window.sum - (sum - shifted)) + (value - shifted);
            window.sum = sum;
            window.count += 1;
            window.min = if *value < window.min { *value } else { window.min };
            window.max = if *value > window.max { *value } else { window.max };
        }
        watermark = watermark.max(time - LAG_US);
    }
    open.insert(start, current);
    rows + open.values().flatten().filter(|window| window.count > 0).count()
}
