//! The conformance vectors of the repository: windows on one value with text keys give the rows
//! that every other runtime gives.

use std::fs;
use std::path::Path;

use chrono::{DateTime, Utc};
use processor::aggregation::CompositeAggregator;
use processor::engine::PipelineSpec;
use processor::engine::spec::{Aggregation, Operation, Stage, Window};
use processor::{Error, StreamProcessorBuilder, StreamProcessorConfig, WindowResult};
use serde_json::Value;

use crate::common::strict;

/// A vector that this crate can run.
struct Vector {
    name: String,
    spec: PipelineSpec,
    window: Window,
    events: Vec<(String, DateTime<Utc>, f64)>,
    rows: Vec<Value>,
    late_dropped: u64,
}

/// Reads a vector; `None` if this crate has no way to run it.
fn read(path: &Path) -> Option<Vector> {
    let vector: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let spec = PipelineSpec::from_value(vector["spec"].clone()).ok()?;
    let [Stage::Window(window)] = spec.stages.as_slice() else { return None };
    let (key, value) = (spec.source.key.0.as_slice(), spec.source.value.0.as_slice());
    let ([key], [value]) = (key, value) else { return None };
    let has_other_fields = window.field.is_some()
        || window.aggregations.iter().any(|one| one.field.is_some())
        || spec.time.watermark_field.is_some()
        || spec.source.partition.is_some();
    let text = vector["input"]["text"].as_str()?;
    if has_other_fields || vector["expected"]["rejected"] != serde_json::json!({}) {
        return None;
    }
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).ok()?;
        let time = DateTime::from_timestamp_millis(event["ts"].as_i64()?)?;
        Some((event[key].as_str()?.to_owned(), time, event[value].as_f64()?))
    };
    let events: Option<Vec<_>> = text.lines().map(event).collect();
    let expected = &vector["expected"];
    let rows = expected["rows"].as_str()?.lines();
    Some(Vector {
        name: vector["name"].as_str()?.to_owned(),
        window: window.clone(),
        events: events?,
        rows: rows.map(|row| serde_json::from_str(row).unwrap()).collect(),
        late_dropped: expected["late_dropped"].as_u64()?,
        spec,
    })
}

/// Adds `aggregation`; returns `false` if aggregators have no such one.
fn add(aggregator: &mut CompositeAggregator, aggregation: &Aggregation) -> bool {
    let plain = !aggregation.population && aggregation.engine.is_none();
    let name = aggregation.name.clone().unwrap_or_else(|| aggregation.op.to_string());
    match aggregation.op {
        _ if !plain => return false,
        Operation::Count => aggregator.add_count(name),
        Operation::Sum => aggregator.add_sum(name),
        Operation::Avg => aggregator.add_avg(name),
        Operation::Min => aggregator.add_min(name),
        Operation::Max => aggregator.add_max(name),
        Operation::Variance => aggregator.add_variance(name),
        Operation::Stddev => aggregator.add_stddev(name),
        Operation::First => aggregator.add_first(name),
        Operation::Last => aggregator.add_last(name),
        Operation::Percentile(percentile) => aggregator.add_percentile(name, percentile.percent()),
        _ => return false,
    };
    true
}

/// Checks one result against its row.
fn check(vector: &Vector, result: &WindowResult, row: &Value) {
    let name = &vector.name;
    assert_eq!(Some(result.key.as_str()), row[vector.spec.source.key.0[0].as_str()].as_str());
    for (bound, column) in
        [(result.window.start(), "window_start"), (result.window.end(), "window_end")]
    {
        let expected = row[column].as_str().map(|time| time.parse::<DateTime<Utc>>().unwrap());
        assert_eq!(bound, expected, "{name}");
    }
    for (output, value) in result.results.iter() {
        let expected = row[output].as_f64();
        assert_eq!(
            value.map(f64::to_bits),
            expected.map(f64::to_bits),
            "{name}: {output} of {row}"
        );
    }
    if let Some(count) = row["count"].as_u64() {
        assert_eq!(result.event_count, count, "{name}");
    }
    assert_eq!(u64::from(result.revision), row["revision"].as_u64().unwrap_or(0), "{name}");
    assert_eq!(result.early, row["early"].as_bool().unwrap_or(false), "{name}");
    assert_eq!(result.retracted, row["retracted"].as_bool().unwrap_or(false), "{name}");
}

async fn run(vector: &Vector) {
    let mut aggregator = CompositeAggregator::new();
    let mut shape = vector.window.aggregations.clone();
    shape.retain(|aggregation| add(&mut aggregator, aggregation));
    let config = StreamProcessorConfig { result_buffer_size: 7, ..strict() };
    let mut processor = StreamProcessorBuilder::new()
        .with_config(config)
        .with_time(vector.spec.time.clone())
        .build_window(vector.window.clone(), move |_key: &str| aggregator.clone());
    processor.check().unwrap();
    let spec = processor.spec().unwrap();
    let window = Window { aggregations: shape, ..vector.window.clone() };
    assert_eq!(spec.stages, [Stage::Window(window)], "{}", vector.name);
    assert_eq!(spec.time, vector.spec.time, "{}", vector.name);

    let mut results = processor.results().unwrap();
    let (mut rest, mut found) = (vector.events.as_slice(), Vec::new());
    while let Err(error) = processor.process_events(rest).await {
        let Error::ResultsFull { consumed, .. } = error else { panic!("{error}") };
        rest = &rest[consumed..];
        found.extend(std::iter::from_fn(|| results.try_next()));
    }
    while processor.finish().await.is_err() {
        found.extend(std::iter::from_fn(|| results.try_next()));
    }
    found.extend(std::iter::from_fn(|| results.try_next()));
    assert_eq!(found.len(), vector.rows.len(), "{}", vector.name);
    assert_eq!(processor.stats().await.events_late, vector.late_dropped, "{}", vector.name);
    for (result, row) in found.iter().zip(&vector.rows) {
        check(vector, result, row);
    }
}

#[tokio::test]
async fn vectors_give_the_rows_of_every_runtime() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let json = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut names = Vec::new();
    for path in json {
        if let Some(vector) = read(&path) {
            run(&vector).await;
            names.push(vector.name);
        }
    }
    names.sort();
    for expected in
        ["calendar_weeks", "cumulate", "late_early_sliding", "percentiles", "session_late"]
    {
        assert!(names.iter().any(|name| name == expected), "{expected} did not run: {names:?}");
    }
    assert!(names.len() >= 15, "{names:?}");
}
