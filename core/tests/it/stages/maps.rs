//! Maps compared with arithmetic on one event at a time, for all batches, result buffers and
//! snapshots.

use proptest::prelude::*;
use stream_processor_core::{PipelineSpec, Plan};

use crate::common::assert_refused;
use crate::common::events::{Cell, Event, Run, collect, number};

const SPEC: &str = r#"{"source": {"key": "k", "value": "v"}, "limits": {"max_result_rows": 5}, "stages": [
    {"type": "map", "set": [{"name": "sum", "expression": "v + w"}, {"name": "v", "expression": "coalesce(w, 0) * 2"},
        {"name": "ratio", "expression": "sum / v"}]},
    {"type": "filter", "where": [{"field": "sum", "op": "!=", "value": 3}]}]}"#;

fn events() -> impl Strategy<Value = Vec<Event>> {
    let w = prop_oneof![3 => (0..6_u8).prop_map(f64::from), 1 => Just(f64::NAN)];
    let event = (-50..50_i64, prop::sample::select(vec!["a", "b"]), 0..6_u8, w);
    prop::collection::vec(
        event.prop_map(|(ts, k, v, w)| Event::new(ts, k, &[f64::from(v), w])),
        0..40,
    )
}

proptest! {
    #[test]
    fn columns_are_computed_in_their_order(events in events(), cut in 1..20_usize, restore in any::<bool>()) {
        let spec = PipelineSpec::from_json(SPEC).unwrap();
        let names: Vec<String> = Plan::new(&spec).unwrap().output.columns.into_iter().map(|c| c.name).collect();
        prop_assert_eq!(names, ["ts", "v", "w", "sum", "ratio"]);
        let all = collect(&spec, &events, Run { cut, restore });
        let expected: Vec<Vec<Cell>> = events
            .iter()
            .filter_map(|event| {
                let (v, w) = (event.values[0], event.values[1]);
                let sum = v + w;
                let doubled = if w.is_nan() { 0.0 } else { w * 2.0 };
                let ratio = if (sum / doubled).is_finite() { sum / doubled } else { f64::NAN };
                let passes = sum != 3.0 && !sum.is_nan();
                passes.then(|| {
                    vec![Cell::Time(event.ts * 1_000), number(doubled), number(w), number(sum), number(ratio)]
                })
            })
            .collect();
        prop_assert_eq!(all.rows, expected);
        prop_assert!(all.ranks.is_sorted());
    }
}

#[test]
fn invalid_maps_are_refused_with_path_and_remedy() {
    for (set, path, message) in [
        ("", "stages[0].set", "at least one column"),
        (
            r#"{"name": "x", "expression": "1 +"}"#,
            "stages[0].set[0].expression",
            "at byte 4: expected",
        ),
        (r#"{"name": "k", "expression": "1"}"#, "stages[0].set[0].name", "a second column `k`"),
        (
            r#"{"name": "ts", "expression": "1"}"#,
            "stages[0].set[0].name",
            "the field of the event time",
        ),
        (
            r#"{"name": "x", "expresion": "1"}"#,
            "stages[0].set[0].expresion",
            "did you mean `expression`?",
        ),
    ] {
        assert_refused(&format!(r#"{{"type": "map", "set": [{set}]}}"#), path, message);
    }
    let after_a_window = r#"{"source": {"value": "v"}, "stages": [
        {"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["sum", "count"]},
        {"type": "map", "set": [{"name": "x", "expression": "sum / window_end"}]}]}"#;
    let spec = PipelineSpec::from_json(after_a_window).unwrap();
    let error = Plan::new(&spec).unwrap_err();
    assert_eq!(
        error.to_string(),
        "stages[1].set[0].expression: at byte 7: `window_end` is a time, not a number"
    );
}
