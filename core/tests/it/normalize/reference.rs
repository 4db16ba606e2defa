//! Normalization compared with pandas and scipy: `tests/vectors/reference/normalize.json`, which
//! `make.py` in its folder generates.
#![allow(
    clippy::disallowed_methods,
    reason = "the engine has no I/O, its tests read their vectors"
)]

use std::path::Path;

use serde_json::{Value, json};
use stream_processor_core::PipelineSpec;
use stream_processor_core::time::parse_rfc3339;

use crate::common::events::{Event, Run, collect};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(path);
    std::fs::read_to_string(path).unwrap()
}

/// Returns the time in milliseconds and the value of each sample.
fn samples(case: &Value) -> Vec<(i64, f64)> {
    let Some(file) = case["file"].as_str() else {
        let samples = case["samples"].as_array().unwrap();
        return samples
            .iter()
            .map(|at| (at[0].as_i64().unwrap(), at[1].as_f64().unwrap()))
            .collect();
    };
    let text = read(file);
    let lines = text.lines().skip(1).map(|line| line.split_once(',').unwrap());
    lines
        .map(|(time, value)| {
            (parse_rfc3339(time.as_bytes()).unwrap() / 1000, value.parse().unwrap())
        })
        .collect()
}

#[test]
fn normalized_series_equal_those_of_pandas_and_scipy() {
    let cases: Vec<Value> =
        serde_json::from_str(&read("vectors/reference/normalize.json")).unwrap();
    assert!(cases.len() > 90);
    for case in &cases {
        let mut stage = case["options"].clone();
        stage["type"] = json!("normalize");
        let spec = json!({"source": {"value": "v"}, "time": {"max_out_of_orderness": "unbounded"}, "stages": [stage]});
        let spec = PipelineSpec::from_value(spec).unwrap();
        let events: Vec<Event> =
            samples(case).into_iter().map(|(ts, value)| Event::new(ts, "", &[value])).collect();
        let all = collect(&spec, &events, Run { cut: 1000, restore: false });
        let expected = case["values"].as_array().unwrap();
        assert_eq!(all.rows.len(), expected.len(), "{}", case["options"]);
        let start = case["start"].as_i64().unwrap() * 1000;
        assert_eq!(all.times("ts")[0], start, "{}", case["options"]);
        for (value, expected) in all.numbers("v").into_iter().zip(expected) {
            let expected = expected.as_f64();
            let close = expected
                .is_some_and(|expected| (value - expected).abs() <= 1e-9 * expected.abs().max(1.0));
            assert!(
                close || (expected.is_none() && value.is_nan()),
                "{}: {value} is not {expected:?}",
                case["options"]
            );
        }
    }
}
