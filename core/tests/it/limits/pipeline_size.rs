//! Limits on the size of a pipeline: at the limit it runs, beyond it the error names the limit.

use serde_json::{Value, json};
use stream_processor_core::spec::{MAX_COLUMNS, MAX_DESCRIPTION_BYTES, MAX_STAGES};

use crate::common::pipeline::Pipeline;

fn ema(name: usize) -> Value {
    json!({"type": "ema", "span": 2, "name": format!("ema{name}")})
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("n{number}")).collect()
}

/// A map of `count` new columns.
fn map(count: usize) -> Value {
    let set = names(count).into_iter().map(|name| json!({"name": name, "expression": "v"}));
    json!({"type": "map", "set": set.collect::<Vec<_>>()})
}

fn filter(values: &[usize]) -> Value {
    json!({"type": "filter", "where": [{"field": "v", "op": "in", "value": values}]})
}

/// The error of the pipeline with `stages`; empty if it is valid.
fn error(stages: impl IntoIterator<Item = Value>) -> String {
    let pipeline = stages.into_iter().fold(Pipeline::keyed(), Pipeline::stage);
    pipeline.plan().map_or_else(|error| error.to_string(), |_| String::new())
}

#[test]
fn pipeline_has_at_most_64_stages() {
    assert_eq!(error((0..MAX_STAGES).map(ema)), "");
    let due = "stages: 65 stages: a pipeline has at most 64";
    assert_eq!(error((0..=MAX_STAGES).map(ema)), due);
}

#[test]
fn stage_emits_at_most_1024_columns() {
    // The key `k` and the value `v` are columns as well.
    let room = MAX_COLUMNS - 2;
    assert_eq!(error([map(room)]), "");
    let due = "more than 1024 columns: a stage emits at most that many";
    assert_eq!(error([map(room + 1)]), format!("stages[0].set[1022].name: {due}"));
    assert_eq!(error([map(room), ema(0)]), format!("stages[1]: {due}"));
    let named = |name| json!({"op": "sum", "name": name});
    let window = |count| {
        let sums: Vec<_> = names(count).into_iter().map(named).collect();
        json!({"type": "window", "window": "tumbling", "size": "1s", "aggregations": sums})
    };
    // Rows of windows have the key, the start and the end.
    assert_eq!(error([window(MAX_COLUMNS - 3)]), "");
    assert_eq!(error([window(5_000)]), format!("stages[0].aggregations[1021]: {due}"));
    let fields = json!({"type": "rolling", "fields": names(600), "aggregations": ["sum", "avg"]});
    assert_eq!(error([fields]), format!("stages[0]: {due}"));
}

#[test]
fn pipeline_reads_at_most_1024_fields() {
    let dedup = |count| json!({"type": "dedup", "strategies": names(count)});
    assert_eq!(error([dedup(MAX_COLUMNS - 2)]), "");
    let due = "stages: stages read 1025 fields of an event: a pipeline may read 1024";
    assert_eq!(error([dedup(MAX_COLUMNS - 1)]), due);
    let conditions = names(MAX_COLUMNS - 1).into_iter();
    let conditions = conditions.map(|name| json!({"field": name, "op": ">", "value": 1}));
    assert_eq!(error([json!({"type": "filter", "where": conditions.collect::<Vec<_>>()})]), due);
    let source = |key: Vec<String>| {
        let pipeline = Pipeline::of(json!({"key": key, "value": "v"})).stage(ema(0));
        pipeline.plan().map_or_else(|error| error.to_string(), |_| String::new())
    };
    assert_eq!(source(names(MAX_COLUMNS - 2)), "");
    assert_eq!(source(names(MAX_COLUMNS)), due);
}

#[test]
fn description_has_at_most_256_kib() {
    let values: Vec<usize> = (0..45_000).collect();
    assert_eq!(error([filter(&values)]), "");
    let values: Vec<usize> = (0..60_000).collect();
    let found = error([filter(&values)]);
    let due = format!("bytes: a pipeline has at most {MAX_DESCRIPTION_BYTES}");
    assert!(found.starts_with("a description of ") && found.ends_with(&due), "{found}");
}

#[test]
fn long_lists_below_the_limit_are_valid() {
    let condition = |number: usize| json!({"field": "v", "op": ">", "value": number});
    let conditions: Vec<_> = (0..7_000).map(condition).collect();
    assert_eq!(error([json!({"type": "filter", "where": conditions})]), "");
    // All pairs of 230 fields, each a strategy.
    let fields = names(230);
    let pairs = fields.iter().enumerate().flat_map(|(index, first)| {
        fields.iter().skip(index + 1).take(60).map(move |second| json!([first, second]))
    });
    let mut strategies: Vec<_> = pairs.collect();
    assert!(strategies.len() > 10_000);
    let dedup = |strategies: &[Value]| json!({"type": "dedup", "strategies": strategies});
    assert_eq!(error([dedup(&strategies)]), "");
    let last = strategies.len();
    strategies.push(json!(["n0", "n1"]));
    let due =
        format!("stages[0].strategies[{last}]: the same strategy is listed twice: remove one");
    assert_eq!(error([dedup(&strategies)]), due);
    let mut fields = names(30_000);
    fields.push("n7".to_owned());
    let found = error([json!({"type": "dedup", "strategies": [fields]})]);
    assert_eq!(found, "stages[0].strategies[0]: the field \"n7\" is named twice");
}

#[test]
fn long_unknown_names_have_errors() {
    let name = "a".repeat(100_000);
    let found = error([json!({"type": "window", "window": "tumbling", "size": "1s",
        "aggregations": [{"op": "sum", "field": name}], name.clone(): 1})]);
    assert!(found.contains("unknown field"), "{}", found.get(..200).unwrap());
    let found = error([
        map(900),
        json!({"type": "window", "window": "tumbling", "size": "1s",
        "aggregations": ["sum"]}),
        json!({"type": "ema", "span": 2, "field": name}),
    ]);
    assert!(found.starts_with("stages[2].field: no earlier stage has a field `aaa"));
}
