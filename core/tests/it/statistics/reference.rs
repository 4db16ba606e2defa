//! Moving averages, rolling aggregations and z-scores of a real series compared with pandas and
//! numpy (`tests/vectors/reference/statistics.py`).
#![allow(
    clippy::disallowed_methods,
    reason = "the engine has no I/O, its tests read their vectors"
)]

use serde_json::Value;
use stream_processor_core::PipelineSpec;

use crate::common::events::{Event, Run, collect};

const STAGES: &str = r#"
    {"type": "ema", "span": 10, "name": "span"},
    {"type": "ema", "half_life": 4, "name": "half_life"},
    {"type": "ema", "half_life": "15m", "name": "timed"},
    {"type": "rolling", "size": 20, "aggregations": ["avg", "stddev",
        {"op": "variance", "population": true, "name": "variance_pop"}, "min", "max", "p95", "p50"]},
    {"type": "rolling", "aggregations": [{"op": "avg", "name": "avg_all"}, {"op": "stddev", "name": "stddev_all"}]},
    {"type": "zscore"},
    {"type": "zscore", "window": 20, "name": "zscore_window"},
    {"type": "zscore", "window": 20, "method": "mad", "name": "zscore_mad"}"#;

#[test]
fn statistics_of_a_real_series_equal_those_of_pandas() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/reference/statistics.json");
    let table: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let column = |name: &str| -> Vec<f64> {
        let list = table[name].as_array().unwrap();
        list.iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
    };
    let events: Vec<Event> = column("ts")
        .into_iter()
        .zip(column("value"))
        .map(|(ts, value)| Event::new(ts as i64, "a", &[value]))
        .collect();
    let json = format!(r#"{{"source": {{"key": "k", "value": "value"}}, "stages": [{STAGES}]}}"#);
    let spec = PipelineSpec::from_json(&json).unwrap();
    let rows = collect(&spec, &events, Run { cut: 37, restore: true });
    assert_eq!(rows.rows.len(), events.len());
    let mut compared = 0;
    for name in &rows.columns {
        if name == "ts" || name.ends_with("anomaly") {
            continue;
        }
        for (at, (found, expected)) in rows.numbers(name).into_iter().zip(column(name)).enumerate()
        {
            let near = (found - expected).abs() <= 1e-9 * (1.0 + expected.abs());
            assert!(
                near || (found.is_nan() && expected.is_nan()),
                "{name} {at}: {found} {expected}"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 16 * events.len());
}
