//! Stages that add statistics: column names, invalid options, limits, and their order among other
//! stages.

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::{Engine, Options, PipelineSpec, Plan, RejectReason};

use crate::common::Pipeline;
use crate::common::events::{Cell, Event, Run, collect, push};
use crate::snapshots::drive::seal;

/// Out-of-orderness in milliseconds.
const BOUND: i64 = 5;

fn spec(stages: &str, result_rows: usize, max_keys: usize) -> PipelineSpec {
    Pipeline::keyed()
        .bound(&format!("{BOUND}ms"))
        .result_rows(result_rows)
        .limit("max_keys", max_keys)
        .stages(stages)
        .spec()
}

fn columns(stages: &str) -> Vec<String> {
    let output = Plan::new(&spec(stages, 9, 9)).unwrap().output;
    output.columns.into_iter().map(|column| column.name).collect()
}

#[test]
fn added_columns_follow_the_existing_ones_under_their_names() {
    let names = columns(r#"{"type": "ema", "span": 9}, {"type": "zscore"}"#);
    assert_eq!(names, ["ts", "v", "ema", "zscore", "anomaly"]);
    let names = columns(
        r#"{"type": "ema", "span": 9, "name": "slow"}, {"type": "zscore", "fields": ["v", "slow"], "name": "z"}"#,
    );
    let of_fields = ["v_z", "v_z_anomaly", "slow_z", "slow_z_anomaly"];
    assert_eq!(names, [&["ts", "v", "slow"][..], &of_fields].concat());
    let names = columns(
        r#"{"type": "rolling", "aggregations": ["avg", {"op": "max", "field": "x"}, {"op": "min", "field": "x", "name": "least"}]}"#,
    );
    assert_eq!(names, ["ts", "v", "x", "avg", "max_x", "least"]);
    let names = columns(
        r#"{"type": "rolling", "fields": ["w"], "aggregations": ["avg", "p99.9"], "size": 5}"#,
    );
    assert_eq!(names, ["ts", "v", "w", "avg", "p99.9"]);
    let names = columns(
        r#"{"type": "rolling", "aggregations": ["avg"], "fields": ["v", {"name": "w", "aggregations": ["sum", {"op": "max", "name": "peak"}]}]}"#,
    );
    assert_eq!(names, ["ts", "v", "w", "v_avg", "w_sum", "w_peak"]);
    let names = columns(r#"{"type": "ema", "fields": [{"name": "w", "alpha": 0.5}]}"#);
    assert_eq!(names, ["ts", "v", "w", "ema"]);
    let names = columns(
        r#"{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["avg"]}, {"type": "zscore"}, {"type": "ema", "span": 2}"#,
    );
    assert_eq!(names, ["window_start", "window_end", "avg", "zscore", "anomaly", "ema"]);
}

#[test]
fn invalid_options_are_refused_with_path_and_remedy() {
    const WINDOW: &str =
        r#"{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["avg", "max"]}"#;
    for (stages, path, message) in [
        (r#"{"type": "ema"}"#, "stages[0].span", "one of span, alpha and half_life"),
        (r#"{"type": "ema", "span": 2, "alpha": 0.5}"#, "stages[0]", "not several"),
        (r#"{"type": "ema", "span": 0.5}"#, "stages[0].span", "at least 1"),
        (r#"{"type": "ema", "alpha": 1.5}"#, "stages[0].alpha", "at most 1"),
        (r#"{"type": "ema", "half_life": -1.5}"#, "stages[0].half_life", "above 0"),
        (r#"{"type": "ema", "half_life": "0s"}"#, "stages[0].half_life", "longer than 0s"),
        (r#"{"type": "ema", "half_life": "10"}"#, "stages[0].half_life", "not a duration"),
        (r#"{"type": "ema", "half_life": true}"#, "stages[0].half_life", "a number of values"),
        (r#"{"type": "ema", "spam": 2}"#, "stages[0].spam", "did you mean `span`?"),
        (r#"{"type": "ema", "span": 2, "state_ttl": "0s"}"#, "stages[0].state_ttl", "longer than"),
        (
            r#"{"type": "ema", "span": 2, "field": "v", "fields": ["w"]}"#,
            "stages[0].fields",
            "`field` is set as well",
        ),
        (r#"{"type": "ema", "span": 2, "fields": ["v", "v"]}"#, "stages[0].fields[1]", "twice"),
        (
            r#"{"type": "ema", "span": 2}, {"type": "ema", "span": 9}"#,
            "stages[1]",
            "a second column `ema`",
        ),
        (r#"{"type": "ema", "span": 2, "name": "k"}"#, "stages[0]", "a second column `k`"),
        (r#"{"type": "ema", "span": 2, "name": "ts"}"#, "stages[0]", "the field of the event time"),
        (r#"{"type": "zscore", "threshold": -1}"#, "stages[0].threshold", "0 or more"),
        (r#"{"type": "zscore", "warmup": 1}"#, "stages[0].warmup", "at least 2"),
        (r#"{"type": "zscore", "warmup": 9, "window": 8}"#, "stages[0].window", "ever be judged"),
        (r#"{"type": "zscore", "method": "mda"}"#, "stages[0].method", "did you mean `mad`?"),
        (
            r#"{"type": "zscore"}, {"type": "ema", "span": 2, "field": "anomaly"}"#,
            "stages[1].field",
            "true or false",
        ),
        (
            r#"{"type": "ema", "fields": ["v", {"name": "w", "span": 2}]}"#,
            "stages[0].fields[0].span",
            "one of span, alpha and half_life",
        ),
        (
            r#"{"type": "ema", "fields": [{"name": "w", "span": 2, "alpha": 1}]}"#,
            "stages[0].fields[0]",
            "not several",
        ),
        (
            r#"{"type": "ema", "span": 2, "fields": [{"name": "v", "spam": 2}]}"#,
            "stages[0].fields[0].spam",
            "did you mean `span`?",
        ),
        (r#"{"type": "ema", "fields": [{"span": 2}]}"#, "stages[0].fields[0].name", "missing"),
        (
            r#"{"type": "ema", "fields": [3]}"#,
            "stages[0].fields[0]",
            "the name of a field, or a table",
        ),
        (
            r#"{"type": "ema", "span": 2, "fields": ["v", {"name": "v", "span": 3}]}"#,
            "stages[0].fields[1]",
            "`v` is named twice",
        ),
        (
            r#"{"type": "zscore", "fields": ["v", {"name": "w", "warmup": 1}]}"#,
            "stages[0].fields[1].warmup",
            "at least 2",
        ),
        (
            r#"{"type": "zscore", "fields": [{"name": "w", "threshold": -1}]}"#,
            "stages[0].fields[0].threshold",
            "0 or more",
        ),
        (
            r#"{"type": "zscore", "window": 5, "fields": [{"name": "w", "warmup": 6}]}"#,
            "stages[0].fields[0].window",
            "ever be judged",
        ),
        (
            r#"{"type": "rolling", "size": 5, "aggregations": ["p50"], "fields": [{"name": "w", "size": 0}]}"#,
            "stages[0].fields[0].size",
            "at least 1",
        ),
        (
            r#"{"type": "rolling", "fields": ["v", {"name": "w", "aggregations": ["avg"]}]}"#,
            "stages[0].aggregations",
            "at least one",
        ),
        (
            r#"{"type": "rolling", "aggregations": ["avg"], "fields": ["v", {"name": "w", "aggregations": ["avg", "p5"]}]}"#,
            "stages[0].fields[1].aggregations[1]",
            "a `size`",
        ),
        (r#"{"type": "rolling"}"#, "stages[0].aggregations", "at least one"),
        (r#"{"type": "rolling", "aggregations": []}"#, "stages[0].aggregations", "at least one"),
        (
            r#"{"type": "rolling", "size": 0, "aggregations": ["avg"]}"#,
            "stages[0].size",
            "at least 1",
        ),
        (
            r#"{"type": "rolling", "size": 2000000, "aggregations": ["avg"]}"#,
            "stages[0].size",
            "limits.max_values",
        ),
        (
            r#"{"type": "rolling", "aggregations": ["p50"]}"#,
            "stages[0].aggregations[0]",
            "a `size`",
        ),
        (
            r#"{"type": "rolling", "size": 5, "aggregations": ["avg", "first"]}"#,
            "stages[0].aggregations[1]",
            "is for windows only",
        ),
        (
            r#"{"type": "rolling", "fields": ["v", "w"], "aggregations": [{"op": "avg", "field": "v"}]}"#,
            "stages[0].aggregations[0]",
            "a field of its own",
        ),
    ] {
        let pipeline = Pipeline::of(json!({"key": "k", "value": ["v", "w"]})).stages(stages);
        let error = pipeline.plan().map(drop).unwrap_err();
        assert_eq!(error.path(), path, "{error}");
        assert!(error.message().contains(message), "{error}");
    }
    let behind = |stage: &str| Plan::new(&spec(&format!("{WINDOW}, {stage}"), 9, 9)).unwrap_err();
    let error = behind(r#"{"type": "zscore"}"#);
    assert_eq!(
        error.to_string(),
        "stages[1].field: missing: the stage before has several fields, name one of avg, max"
    );
    let error = behind(r#"{"type": "ema", "span": 2, "field": "v"}"#);
    assert!(error.to_string().starts_with("stages[1].field: no earlier stage has a field `v`"));
    let error = behind(r#"{"type": "ema", "span": 2, "field": "window_end"}"#);
    assert!(error.message().contains("is a time, not a number"), "{error}");
    let json = r#"{"stages": [{"type": "zscore"}]}"#;
    let error = Plan::new(&PipelineSpec::from_json(json).unwrap()).unwrap_err();
    assert!(error.message().contains("set source.value"), "{error}");
}

#[test]
fn specifications_round_trip_through_json() {
    let stages = r#"{"type": "ema", "half_life": 2.5, "fields": ["v", "w"]}, {"type": "ema", "half_life": "1m30s", "name": "slow"},
        {"type": "rolling", "size": 9, "aggregations": ["avg", "p95"], "state_ttl": "1h"},
        {"type": "zscore", "method": "mad", "warmup": 5, "learn_anomalies": false},
        {"type": "ema", "fields": ["v", {"name": "w", "half_life": "1m"}], "span": 9, "name": "e"},
        {"type": "rolling", "fields": [{"name": "v", "size": 3, "aggregations": ["p5", {"op": "max", "name": "m"}]}]},
        {"type": "zscore", "fields": [{"name": "w", "threshold": 2.5, "window": 9, "learn_anomalies": false, "method": "mad"}, "v"], "name": "z"}"#;
    let spec = spec(stages, 9, 9);
    assert_eq!(PipelineSpec::from_json(&spec.to_json()).unwrap(), spec);
    assert_eq!(PipelineSpec::from_toml(&spec.to_toml()).unwrap(), spec);
}

#[test]
fn event_of_a_key_beyond_the_limit_is_dropped_counted_and_reported() {
    let spec = spec(r#"{"type": "zscore"}"#, 9, 2);
    let options = Options { report_drops: true, ..Options::default() };
    let mut engine = Engine::open(&spec, options).unwrap();
    let event = |ts, key| Event::new(ts, key, &[1.0, 1.0]);
    push(&mut engine, &[event(1, "a"), event(2, "b"), event(3, "c"), event(4, "a")]);
    let stats = engine.stats();
    assert_eq!((stats.limit_dropped, stats.rows, stats.stages[0].keys), (1, 3, 2));
    assert_eq!(stats.limits_struck, ["key_limit"]);
    let drops = engine.drops(9);
    assert_eq!((drops[0].ordinal, drops[0].reason, drops.len()), (2, RejectReason::KeyLimit, 1));
}

#[test]
fn key_without_events_for_a_state_ttl_is_removed() {
    let spec = spec(r#"{"type": "ema", "span": 2, "state_ttl": "10ms"}"#, 99, 9);
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    let event = |ts, key| Event::new(ts, key, &[1.0, 1.0]);
    push(&mut engine, &[event(0, "a"), event(1, "b"), event(15, "c")]);
    assert_eq!(engine.stats().stages[0].keys, 3, "the watermark is at 10 ms less 1 µs");
    push(&mut engine, &[event(16, "c")]);
    assert_eq!(engine.stats().stages[0].keys, 2);
    engine.finish().unwrap();
    assert_eq!(engine.stats().stages[0].keys, 0);
}

#[test]
fn statistics_stages_work_before_and_after_windows() {
    // A spike is found in the averages of windows, and in the values themselves before a window.
    let events: Vec<Event> = (0..60)
        .map(|at| {
            Event::new(
                at * 10,
                "a",
                &[if at / 10 == 4 { 900.0 } else { 5.0 + (at % 3) as f64 }, 0.0],
            )
        })
        .collect();
    let window =
        r#"{"type": "window", "window": "tumbling", "size": "100ms", "aggregations": ["avg"]}"#;
    let after = Pipeline::keyed().stages(window).stage(json!({"type": "zscore", "threshold": 3}));
    let found = collect(&after.spec(), &events, Run { cut: 7, restore: true });
    let anomalies = [false, false, false, false, true, false];
    assert_eq!(found.column("anomaly"), anomalies.map(Cell::Bool));
    let before = spec(
        r#"{"type": "ema", "span": 1}, {"type": "filter", "where": [{"field": "ema", "op": ">", "value": 100}]},
            {"type": "window", "window": "tumbling", "size": "1s", "aggregations": [{"op": "count", "field": "ema"}, "max"]}"#,
        99,
        9,
    );
    let found = collect(&before, &events, Run { cut: 7, restore: true });
    assert_eq!((found.numbers("count_ema")[0], found.numbers("max")[0]), (10.0, 900.0));
}

/// Returns a pipeline with all statistics stages, and a snapshot with the state of three keys.
fn with_states() -> (PipelineSpec, Vec<u8>) {
    let stages = r#"{"type": "ema", "span": 3}, {"type": "ema", "half_life": "1s", "name": "slow", "state_ttl": "1h"},
        {"type": "rolling", "size": 4, "aggregations": ["avg", "stddev", "max", "p95"]},
        {"type": "rolling", "aggregations": [{"op": "sum", "name": "total"}]}, {"type": "zscore", "window": 5},
        {"type": "zscore", "name": "all"}, {"type": "zscore", "name": "robust", "method": "mad"}"#;
    let spec = spec(stages, 99, 9);
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    let events: Vec<Event> =
        (0..20).map(|at| Event::new(at, ["a", "b", "c"][at as usize % 3], &[at as f64])).collect();
    push(&mut engine, &events);
    let snapshot = engine.snapshot().unwrap();
    (spec, snapshot)
}

proptest! {
    #[test]
    fn damaged_snapshot_is_refused_or_gives_a_valid_state(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        events in prop::collection::vec((0..9_i64, 0..4_usize, -9..9_i32), 0..20),
    ) {
        let (spec, mut bytes) = with_states();
        let mut damage = damage.into_iter();
        let mut at = 0;
        while let Some(header) = bytes.get(at..at + 24) {
            let is_stage = header[..4] == 4_u32.to_le_bytes();
            let length = u64::from_le_bytes(header[8..16].try_into().unwrap()) as usize;
            let payload = &mut bytes[at + 24..at + 24 + length];
            if is_stage && let Some((place, value)) = damage.next() {
                payload[place.index(length)] = value;
            }
            at = (at + 24 + length).next_multiple_of(8);
        }
        // With valid checksums, so that the changed bytes are read.
        seal(&mut bytes);
        if let Ok(mut engine) = Engine::restore(&spec, Options::default(), &bytes) {
            let events: Vec<Event> = events
                .into_iter()
                .map(|(ts, key, value)| Event::new(ts, ["a", "b", "c", "d"][key], &[f64::from(value)]))
                .collect();
            push(&mut engine, &events);
            let _ = engine.finish();
            let _ = engine.snapshot();
            while engine.poll(9).is_some() {}
        }
    }
}
