//! Aggregators of a program give bit by bit what the engine's own aggregations give, in every kind
//! of window, with late events, merged sessions, early rows, evictions and small batches.

use proptest::prelude::*;
use stream_processor_core::aggregation::{Aggregator, AggregatorFactory, Group};
use stream_processor_core::spec::Aggregation;
use stream_processor_core::{
    BatchBuilder, Engine, Error, Options, PipelineSpec, Progress, RowColumn, key,
};

/// The aggregations that both sides compute; `first` and `last` go by event time in windows only.
const AGGREGATIONS: &str =
    r#"["count", "sum", "avg", "min", "max", "variance", "distinct", "p95"]"#;

fn aggregations() -> Vec<Aggregation> {
    serde_json::from_str(AGGREGATIONS).unwrap()
}

/// An aggregator of the program: a group, and the key that the factory got.
#[derive(Clone)]
struct Own {
    group: Group,
    key: String,
}

impl Own {
    fn new(key: &[u8]) -> Self {
        Self { group: Group::new(&aggregations()).unwrap(), key: key::text(key).into_owned() }
    }
}

impl Aggregator for Own {
    fn update(&mut self, value: f64) {
        self.group.update(value);
    }

    fn merge(&mut self, later: &Self) {
        assert_eq!(self.key, later.key);
        self.group.merge(&later.group).unwrap();
    }

    fn results(&self, add: &mut dyn FnMut(&str, Option<f64>)) {
        for (name, result) in self.group.names().zip(self.group.results()) {
            add(&format!("own_{name}"), result);
        }
        add("key_length", Some(self.key.len() as f64));
    }
}

fn factory() -> AggregatorFactory {
    AggregatorFactory::new(&Own::new(&[]), Own::new)
}

const WINDOWS: [&str; 12] = [
    r#""window": "tumbling", "size": "1s", "allowed_lateness": "2s""#,
    r#""window": "tumbling", "size": "1s", "allowed_lateness": "2s", "emit": "final""#,
    r#""window": "tumbling", "size": "2s", "allowed_lateness": "1s", "early": "500ms""#,
    r#""window": "sliding", "size": "2s", "slide": "300ms", "allowed_lateness": "1s""#,
    r#""window": "sliding", "size": "3s", "slide": "20ms""#,
    r#""window": "sliding", "size": "3s", "slide": "20ms", "allowed_lateness": "1s""#,
    r#""window": "cumulate", "size": "2s", "step": "500ms", "allowed_lateness": "1s""#,
    r#""window": "session", "gap": "150ms""#,
    r#""window": "session", "gap": "150ms", "allowed_lateness": "1s""#,
    r#""window": "count", "count": 7"#,
    r#""window": "global""#,
    r#""window": "calendar", "unit": "day""#,
];

/// Returns a pipeline with the windows `window`, the engine's own aggregations, and few rows at a
/// time.
fn spec(window: &str, aggregations: &str, limits: &str) -> PipelineSpec {
    PipelineSpec::from_json(&format!(
        r#"{{"source": {{"key": "k", "value": "v"}}, "time": {{"max_out_of_orderness": "200ms"}},
            "limits": {{"max_result_rows": 3{limits}}},
            "stages": [{{"type": "window", {window}, "aggregations": {aggregations}}}]}}"#
    ))
    .unwrap()
}

/// The time, the key and the value of an event.
type Event = (i64, u8, f64);

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (0..60_i64, 0..4_u8, -1e3..1e3_f64, 0..12_u8);
    prop::collection::vec(event, 1..250).prop_map(|steps| {
        let mut now = 0;
        let event = |(step, key, value, late): (i64, u8, f64, u8)| {
            now += step * 1_000;
            // Some events are late, by up to 3 s.
            let time = if late == 0 { now - step * 50_000 } else { now };
            (time, key, value)
        };
        steps.into_iter().map(event).collect()
    })
}

/// One row: key, times, numbers as bits, booleans.
type Row = (Vec<u8>, Vec<(String, u64)>);

fn drain(engine: &mut Engine, all: &mut Vec<Row>) {
    while let Some(rows) = engine.poll(2) {
        for row in 0..rows.len() {
            let names = rows.schema.unwrap().columns.iter().map(|column| column.name.clone());
            let bits = rows.columns.iter().map(|column| match column {
                RowColumn::Time(times) => times[row].cast_unsigned(),
                RowColumn::Number(numbers) => numbers[row].to_bits(),
                RowColumn::Bool(bools) => u64::from(bools[row]),
                _ => unreachable!(),
            });
            all.push((rows.key(row).to_vec(), names.zip(bits).collect()));
        }
    }
}

fn run(mut engine: Engine, events: &[Event], batch: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut builder = BatchBuilder::new(engine.plan());
    for events in events.chunks(batch) {
        for (time, key, value) in events {
            builder.push(*time, ["a", "bb", "ccc", "dddd"][usize::from(*key)], &[*value]).unwrap();
        }
        while builder.push_to(&mut engine).unwrap().full {
            drain(&mut engine, &mut rows);
        }
    }
    while engine.finish().unwrap() == Progress::Full {
        drain(&mut engine, &mut rows);
    }
    drain(&mut engine, &mut rows);
    rows
}

fn value(row: &Row, name: &str) -> u64 {
    row.1.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}")).1
}

fn check(window: &str, limits: &str, events: &[Event], batch: usize) {
    let spec = spec(window, AGGREGATIONS, limits);
    let plain = run(Engine::open(&spec, Options::default()).unwrap(), events, batch);
    let engine = Engine::open_with(&spec, Options::default(), factory()).unwrap();
    let both = run(engine, events, batch);
    for row in &both {
        for aggregation in aggregations() {
            let name = aggregation.op.to_string();
            assert_eq!(value(row, &format!("own_{name}")), value(row, &name), "{window}: {name}");
        }
        let length = key::text(&row.0).len() as f64;
        assert_eq!(value(row, "key_length"), length.to_bits(), "{window}");
    }
    let without_own: Vec<Row> = both
        .into_iter()
        .map(|(key, mut columns)| {
            columns.retain(|(name, _)| !name.starts_with("own_") && name != "key_length");
            (key, columns)
        })
        .collect();
    assert!(!plain.is_empty());
    assert_eq!(without_own, plain, "{window}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn results_equal_the_engines_in_all_windows(events in events(), batch in 1..40_usize) {
        for window in WINDOWS {
            check(window, "", &events, batch);
        }
    }

    #[test]
    fn evicted_windows_lose_their_aggregators(events in events(), batch in 1..40_usize) {
        let limits = r#", "max_keys": 2, "on_max_keys": "evict", "max_windows_per_key": 200,
            "on_max_windows_per_key": "evict""#;
        for window in WINDOWS {
            check(window, limits, &events, batch);
        }
    }
}

#[test]
fn columns_are_those_that_the_first_value_names() {
    let spec = spec(WINDOWS[8], "[]", "");
    let engine = Engine::open_with(&spec, Options::default(), factory()).unwrap();
    let columns = engine.plan().output.columns.iter().map(|column| column.name.as_str());
    let expected = [
        "window_start",
        "window_end",
        "own_count",
        "own_sum",
        "own_avg",
        "own_min",
        "own_max",
        "own_variance",
        "own_distinct",
        "own_p95",
        "key_length",
        "revision",
        "retracted",
    ];
    assert_eq!(columns.collect::<Vec<_>>(), expected);
    let rows = run(engine, &[(0, 1, 2.0), (100_000, 1, 4.0), (1_000_000, 0, 8.0)], 2);
    let sums: Vec<f64> = rows.iter().map(|row| f64::from_bits(value(row, "own_sum"))).collect();
    assert_eq!(sums, [6.0, 8.0]);
}

#[test]
fn later_stages_read_the_columns() {
    let spec = PipelineSpec::from_json(
        r#"{"source": {"value": "v"}, "stages": [
            {"type": "window", "window": "tumbling", "size": "1s", "aggregations": []},
            {"type": "filter", "where": [{"field": "own_sum", "op": ">", "value": 5}]}]}"#,
    )
    .unwrap();
    let engine = Engine::open_with(&spec, Options::default(), factory()).unwrap();
    let mut builder = BatchBuilder::new(engine.plan());
    let mut engine = engine;
    for (time, value) in [(0, 2.0), (1, 2.0), (1_000_000, 8.0)] {
        builder.push(time, (), &[value]).unwrap();
    }
    builder.push_to(&mut engine).unwrap();
    engine.finish().unwrap();
    let rows = engine.poll(9).unwrap();
    assert_eq!((rows.len(), rows.number(0, "own_sum")), (1, Some(8.0)));
}

#[test]
fn snapshots_and_partials_are_refused() {
    let spec = spec(WINDOWS[0], "[]", "");
    let mut engine = Engine::open_with(&spec, Options::default(), factory()).unwrap();
    let code = |error: Error| error.code();
    assert_eq!(code(engine.snapshot().unwrap_err()), "custom_state");
    assert_eq!(code(engine.merge(&[]).err().unwrap()), "custom_state");
    let emits = Options { emits_partials: true, ..Options::default() };
    assert_eq!(code(Engine::open_with(&spec, emits, factory()).err().unwrap()), "custom_state");
    assert_eq!(code(Engine::open(&spec, Options::default()).err().unwrap()), "invalid_pipeline");
}

#[test]
fn pipelines_that_do_not_fit_are_errors() {
    let path = |json: &str| {
        let spec = PipelineSpec::from_json(json).unwrap();
        match Engine::open_with(&spec, Options::default(), factory()) {
            Err(Error::Spec(error)) => error.path().to_owned(),
            other => panic!("{:?}", other.err()),
        }
    };
    let no_windows = r#"{"source": {"value": "v"}, "stages": [{"type": "ema", "alpha": 0.5}]}"#;
    assert_eq!(path(no_windows), "stages");
    let no_value = r#"{"stages": [{"type": "window", "window": "global", "aggregations": []}]}"#;
    assert_eq!(path(no_value), "stages[0].field");
    let same_name = r#"{"source": {"value": "v"}, "stages": [{"type": "window", "window": "global",
        "aggregations": [{"op": "sum", "name": "own_sum"}]}]}"#;
    assert_eq!(path(same_name), "stages[0].aggregations");
    let named_field =
        r#"{"stages": [{"type": "window", "window": "global", "field": "v", "aggregations": []}]}"#;
    let spec = PipelineSpec::from_json(named_field).unwrap();
    let engine = Engine::open_with(&spec, Options::default(), factory()).unwrap();
    assert_eq!(engine.plan().input.columns[0].name, "v");
}
