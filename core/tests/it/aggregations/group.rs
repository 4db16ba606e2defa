//! A group of values gives bit by bit what a window gives for the same values.

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::aggregation::Group;
use stream_processor_core::spec::Aggregation;
use stream_processor_core::{BatchBuilder, Engine, Options, PipelineSpec};

use crate::common::Pipeline;

const AGGREGATIONS: &str = r#"["count", "sum", "avg", "min", "max", "range", "variance", "stddev",
    {"op": "variance", "population": true, "name": "whole"}, "first", "last", "distinct",
    "p0", "p50", "p95", "p99.9", {"op": "p50", "engine": "tdigest", "name": "digest"},
    {"op": "p50", "engine": "exact", "name": "exact"}]"#;

fn aggregations() -> Vec<Aggregation> {
    serde_json::from_str(AGGREGATIONS).unwrap()
}

fn spec() -> PipelineSpec {
    let aggregations = serde_json::from_str(AGGREGATIONS).unwrap();
    let window = r#""window": "tumbling", "size": "1h""#;
    Pipeline::of(json!({"value": "v"})).window(window, aggregations).spec()
}

fn group_of(values: &[f64]) -> Group {
    let mut group = Group::new(&aggregations()).unwrap();
    values.iter().for_each(|value| group.update(*value));
    group
}

fn bits(results: Vec<Option<f64>>) -> Vec<Option<u64>> {
    results.into_iter().map(|result| result.map(f64::to_bits)).collect()
}

/// Returns an engine that has taken `values`, one a microsecond from `from` on.
fn engine_of(values: &[f64], from: i64, options: Options) -> Engine {
    let mut engine = Engine::open(&spec(), options).unwrap();
    let mut events = BatchBuilder::new(engine.plan());
    for (time, value) in (from..).zip(values) {
        events.push(time, (), &[*value]).unwrap();
        if time % 17 == 0 {
            events.push_to(&mut engine).unwrap();
        }
    }
    events.push_to(&mut engine).unwrap();
    engine
}

/// Returns the results of the only window of `engine`.
fn window_of(mut engine: Engine) -> Vec<Option<u64>> {
    engine.finish().unwrap();
    let rows = engine.poll(10).unwrap();
    assert_eq!(rows.len(), 1);
    let group = Group::new(&aggregations()).unwrap();
    bits(group.names().map(|name| rows.number(0, name)).collect())
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![
        8 => -1e6..1e6_f64,
        4 => (0..40_u8).prop_map(f64::from),
        1 => Just(0.0),
        1 => Just(-1e-300),
        1 => Just(1.7e308),
    ];
    prop::collection::vec(value, 1..700)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn results_equal_those_of_a_window(values in values()) {
        let window = window_of(engine_of(&values, 0, Options::default()));
        prop_assert_eq!(bits(group_of(&values).results()), window);
    }

    #[test]
    fn merged_groups_equal_merged_partials(first in values(), second in values()) {
        let mut group = group_of(&first);
        group.merge(&group_of(&second)).unwrap();
        let emits = Options { emits_partials: true, ..Options::default() };
        let mut merged = Engine::open(&spec(), Options::default()).unwrap();
        for (name, from, values) in [("a", 0, &first), ("b", 1000, &second)] {
            let mut engine = engine_of(values, from, emits);
            engine.finish().unwrap();
            let partial = engine.partial(name).unwrap();
            merged.merge(&partial).unwrap();
        }
        prop_assert_eq!(bits(group.results()), window_of(merged));
    }

    #[test]
    fn saved_groups_continue(first in values(), second in values()) {
        let whole = group_of(&[first.as_slice(), &second].concat());
        let saved = group_of(&first).save();
        let mut loaded = Group::load(&aggregations(), &saved).unwrap();
        prop_assert_eq!(&loaded.save(), &saved);
        second.iter().for_each(|value| loaded.update(*value));
        prop_assert_eq!(bits(loaded.results()), bits(whole.results()));
        for length in (0..saved.len()).step_by(1 + saved.len() / 5) {
            prop_assert!(Group::load(&aggregations(), &saved[..length]).is_err());
        }
    }
}

#[test]
fn values_that_the_engine_rejects_are_skipped() {
    let group = group_of(&[f64::NAN, 1.0, f64::INFINITY, 2.0, f64::NEG_INFINITY]);
    assert_eq!(group.result(0), Some(2.0));
    assert_eq!(group.result(1), Some(3.0));
    assert_eq!(group.result(99), None);
}

#[test]
fn an_empty_group_has_no_results_but_counts() {
    let mut group = group_of(&[1.0; 100]);
    group.reset();
    let results = group.results();
    assert_eq!((results[0], results[11]), (Some(0.0), Some(0.0)));
    for index in [2, 3, 4, 6, 9, 10, 13, 16, 17] {
        assert_eq!(results[index], None, "{:?}", group.names().nth(index));
    }
}

#[test]
fn wrong_aggregations_are_errors() {
    for (json, path) in [
        (r#"["sum", "sum"]"#, "aggregations[1]"),
        (r#"["rate"]"#, "aggregations[0]"),
        (r#"["sum", {"op": "avg", "field": "x"}]"#, "aggregations[1].field"),
        (r#"[{"op": "avg", "population": true}]"#, "aggregations[0].population"),
    ] {
        let aggregations: Vec<Aggregation> = serde_json::from_str(json).unwrap();
        assert_eq!(Group::new(&aggregations).err().unwrap().path(), path);
    }
    let mut sum = Group::new(&serde_json::from_str::<Vec<_>>(r#"["sum"]"#).unwrap()).unwrap();
    sum.update(1.0);
    assert!(sum.merge(&group_of(&[1.0])).is_err());
    assert_eq!(sum.results(), [Some(1.0)]);
}
