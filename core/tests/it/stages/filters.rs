//! Filters compared with one comparison at a time, for all batches, result buffers and snapshots.

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::text::Feed;
use stream_processor_core::{Engine, Options, PipelineSpec};

use crate::common::Pipeline;
use crate::common::events::{Cell, Event, Run, collect};
use crate::common::pipeline::list;

/// A condition in JSON, and the same condition as a closure on the key and the values.
type Case = (&'static str, fn(&str, f64, f64) -> bool);

const CASES: [Case; 12] = [
    (r#"{"field": "v", "op": ">", "value": 3}"#, |_, v, _| v > 3.0),
    (r#"{"field": "v", "op": ">=", "value": 3}"#, |_, v, _| v >= 3.0),
    (r#"{"field": "v", "op": "<", "value": 3}"#, |_, v, _| v < 3.0),
    (r#"{"field": "w", "op": "<=", "value": 3}"#, |_, _, w| w <= 3.0),
    (r#"{"field": "w", "op": "==", "value": 3}"#, |_, _, w| w == 3.0),
    (r#"{"field": "w", "op": "!=", "value": 3}"#, |_, _, w| w != 3.0 && !w.is_nan()),
    (r#"{"field": "w", "op": "missing"}"#, |_, _, w| w.is_nan()),
    (r#"{"field": "v", "op": "in", "value": [1, 5]}"#, |_, v, _| v == 1.0 || v == 5.0),
    (r#"{"field": "k", "op": "==", "value": "b"}"#, |k, _, _| k == "b"),
    (r#"{"field": "k", "op": ">=", "value": "b"}"#, |k, _, _| k >= "b"),
    (r#"{"field": "k", "op": "!=", "value": 1}"#, |_, _, _| true),
    (
        r#"{"any": [{"not": {"field": "k", "op": "in", "value": ["a", "b"]}},
                    {"all": [{"field": "v", "op": "<", "value": 2}, {"field": "w", "op": ">", "value": 4}]}]}"#,
        |k, v, w| !["a", "b"].contains(&k) || (v < 2.0 && w > 4.0),
    ),
];

fn spec(condition: &str, result_rows: usize) -> PipelineSpec {
    let filter = json!({"type": "filter", "where": list(condition)});
    Pipeline::keyed().result_rows(result_rows).stage(filter).spec()
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let w = prop_oneof![3 => (0..6_u8).prop_map(f64::from), 1 => Just(f64::NAN)];
    let event = (-50..50_i64, prop::sample::select(vec!["a", "b", "c"]), 0..6_u8, w);
    prop::collection::vec(
        event.prop_map(|(ts, k, v, w)| Event::new(ts, k, &[f64::from(v), w])),
        0..60,
    )
}

proptest! {
    #[test]
    fn events_that_meet_the_conditions_pass(
        events in events(),
        case in prop::sample::select(CASES.to_vec()),
        cut in 1..20_usize,
        rows in 1..9_usize,
        restore in any::<bool>(),
    ) {
        let (condition, meets) = case;
        let spec = spec(condition, rows);
        let run = Run { cut, restore };
        let rows = collect(&spec, &events, run);
        let expected = events.iter().enumerate().filter(|(_, event)| meets(&event.key, event.values[0], event.values[1]));
        let expected: Vec<u64> = expected.map(|(place, _)| place as u64).collect();
        prop_assert_eq!(rows.ranks, expected);
    }
}

#[test]
fn columns_of_true_and_false_are_compared() {
    let zscore = json!({"type": "zscore", "field": "v", "threshold": 1.0, "warmup": 2});
    let pipeline = || Pipeline::keyed().result_rows(3).stage(zscore.clone());
    let values = [1.0, 2.0, 9.0, 2.0, 1.0, -7.0, 1.0, 1.5, 30.0];
    let events: Vec<Event> =
        (0..9).zip(values).map(|(ts, value)| Event::new(ts, "a", &[value, 0.0])).collect();
    let run = Run { cut: 2, restore: true };
    let all = collect(&pipeline().spec(), &events, run);
    let flags = all.column("anomaly");
    let is_anomaly = |cell: &Cell| *cell == Cell::Bool(true);
    assert!(flags.iter().any(is_anomaly) && !flags.iter().all(is_anomaly));
    for (op, value, passes_if) in [
        ("==", json!(true), [false, true]),
        ("==", json!(false), [true, false]),
        ("!=", json!(true), [true, false]),
        ("in", json!([false, true]), [true, true]),
        ("in", json!([]), [false, false]),
    ] {
        let condition = json!({"field": "anomaly", "op": op, "value": value});
        let filter = json!({"type": "filter", "where": [condition]});
        let found = collect(&pipeline().stage(filter).spec(), &events, run);
        let rows = all.rows.iter().zip(&flags);
        let expected = rows.filter(|(_, flag)| passes_if[usize::from(is_anomaly(flag))]);
        assert_eq!(found.rows, expected.map(|(row, _)| row.clone()).collect::<Vec<_>>(), "{op}");
    }
    let filter = r#"{"type": "zscore", "field": "v"}, {"type": "filter", "where": [{"field": "anomaly", "op": OP}]}"#;
    for (op, path, message) in [
        (
            r#""<", "value": true"#,
            "stages[1].where[0].op",
            "is true or false: use one of ==, !=, in",
        ),
        (r#""==", "value": 1"#, "stages[1].where[0].value", "expected true or false"),
    ] {
        crate::common::assert_refused(&filter.replace("OP", op), path, message);
    }
}

#[test]
fn invalid_conditions_are_refused_with_path_and_remedy() {
    for (stage, path, message) in [
        (r#"{"type": "filter", "where": []}"#, "stages[0].where", "at least one condition"),
        (
            r#"{"type": "filter", "where": [{}]}"#,
            "stages[0].where[0]",
            "`field` (with `op` and `value`)",
        ),
        (
            r#"{"type": "filter", "where": [{"op": "<"}]}"#,
            "stages[0].where[0].field",
            "name the field to compare",
        ),
        (r#"{"type": "filter", "where": [{"field": "v"}]}"#, "stages[0].where[0].op", "one of =="),
        (
            r#"{"type": "filter", "where": [{"field": "v", "op": "<"}]}"#,
            "stages[0].where[0].value",
            "the value to compare with",
        ),
        (
            r#"{"type": "filter", "where": [{"field": "v", "op": "=<", "value": 1}]}"#,
            "stages[0].where[0].op",
            "unknown name `=<`",
        ),
        (
            r#"{"type": "filter", "where": [{"not": {"field": "v", "op": "in", "value": 1}}]}"#,
            "stages[0].where[0].not.value",
            "needs a list",
        ),
        (
            r#"{"type": "filter", "where": [{"field": "v", "op": "<", "value": "x"}]}"#,
            "stages[0].where[0].value",
            "source.value or another stage reads `v` as a number",
        ),
        (
            r#"{"type": "filter", "where": [{"field": "k", "op": "<", "value": null}]}"#,
            "stages[0].where[0].value",
            "the value to compare with",
        ),
        (
            r#"{"type": "filter", "where": [{"field": "k", "op": "<", "value": [1]}]}"#,
            "stages[0].where[0].value",
            "expected a text, a number, true or false",
        ),
    ] {
        crate::common::assert_refused(stage, path, message);
    }
}

#[test]
fn filtered_events_still_move_the_watermark() {
    // The watermark is that of the whole stream: events that do not pass move it too.
    let json = r#"{"source": {"key": "k", "value": "v"}, "stages": [
        {"type": "filter", "where": [{"field": "v", "op": "<", "value": 9}]},
        {"type": "window", "window": "tumbling", "size": "10ms", "aggregations": ["count", "sum"]}]}"#;
    let spec = PipelineSpec::from_json(json).unwrap();
    let events =
        [Event::new(1, "a", &[1.0]), Event::new(12, "a", &[9.0]), Event::new(5, "a", &[2.0])];
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    crate::common::events::push(&mut engine, &events);
    engine.finish().unwrap();
    let stats = engine.stats();
    assert_eq!((stats.events, stats.rows, stats.late_dropped), (3, 1, 1));
    assert_eq!((stats.stages[0].events, stats.stages[0].rows), (3, 2));
}

#[test]
fn numbers_in_conditions_are_read_exactly() {
    for number in ["94.52706955539223", "0.30000000000000004", "9007199254740993", "1e22"] {
        let spec = spec(&format!(r#"{{"field": "k", "op": "==", "value": {number}}}"#), 10);
        let mut engine = Engine::open(&spec, Options::default()).unwrap();
        let mut feed = Feed::new(&spec, engine.plan(), 0);
        let line = format!("{{\"ts\":1,\"k\":{number},\"v\":1}}\n");
        feed.push(&mut engine, line.as_bytes()).unwrap();
        assert_eq!(feed.take_passed(), (line.into_bytes(), 1), "{number}");
    }
}
