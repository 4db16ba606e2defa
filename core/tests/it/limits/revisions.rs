//! Rows of windows that may be emitted again: what is remembered of them is small and counted.

use serde_json::json;
use stream_processor_core::{BatchBuilder, Engine, Options, PipelineSpec, Progress};

use crate::common::Pipeline;

const SECOND: i64 = 1_000_000;

/// Returns a pipeline of windows of an hour that start each second, with early rows.
fn sliding(limits: &serde_json::Value) -> PipelineSpec {
    let window = r#""window": "sliding", "size": "1h", "slide": "1s", "early": "30m""#;
    Pipeline::keyed().limits(limits).window(window, json!(["count"])).spec()
}

/// Opens `spec`, and pushes an event at 0 for each of `keys` keys under the watermark 0.
fn pushed(spec: &PipelineSpec, keys: u32) -> Engine {
    let mut engine = Engine::open(spec, Options::default()).unwrap();
    assert_eq!(engine.advance_watermark(0), Ok(Progress::Done));
    let mut batch = BatchBuilder::new(engine.plan());
    for key in 0..keys {
        batch.push(0, format!("key-{key:06}"), &[1.0]).unwrap();
    }
    while batch.push_to(&mut engine).unwrap().full {}
    engine
}

/// Advances the watermark to `second`. Returns the number of rows.
fn advance(engine: &mut Engine, second: i64) -> usize {
    let mut rows = 0;
    loop {
        let progress = engine.advance_watermark(second * SECOND).unwrap();
        rows += engine.poll(1_000_000).map_or(0, |rows| rows.len());
        if progress == Progress::Done {
            return rows;
        }
    }
}

#[test]
fn changed_key_costs_nothing_for_each_window_that_covers_it() {
    let mut engine = pushed(&sliding(&json!({})), 1_000);
    let stats = engine.stats();
    // A key of 12 bytes, a slice and a summary.
    assert_eq!(stats.state_bytes, 1_000 * (96 + 12 + 48 + 40));
    assert!(engine.snapshot().unwrap().len() < 200_000);
}

#[test]
fn emitted_rows_are_counted_until_their_window_has_expired() {
    let mut engine = pushed(&sliding(&json!({})), 1);
    let emitted = |engine: &Engine| engine.stats().state_bytes - (96 + 12 + 48 + 40);
    assert_eq!(emitted(&engine), 0);
    // Ten windows began 30 minutes before and have early rows; ten others have ended.
    assert_eq!(advance(&mut engine, 10), 20);
    assert_eq!(emitted(&engine), 10 * 32);
    let snapshot = engine.snapshot().unwrap();
    let engine = Engine::restore(&sliding(&json!({})), Options::default(), &snapshot).unwrap();
    assert_eq!(emitted(&engine), 10 * 32);
}

#[test]
fn at_the_limit_rows_are_emitted_but_not_remembered() {
    let limits = json!({"max_state_bytes": 90_000, "max_result_rows": 1_000_000});
    let mut engine = pushed(&sliding(&limits), 20);
    let mut rows = 0;
    for second in 1..3_700 {
        rows += advance(&mut engine, second);
        let stats = engine.stats();
        assert!(stats.state_bytes <= 40_000, "{}", stats.state_bytes);
    }
    // Each key and window has its row, and each whose early time came after the event an early one.
    assert_eq!(rows, 20 * (3_600 + 1_800));
    let stats = engine.stats();
    assert!(stats.stages[0].revision_limit > 0);
    assert_eq!(stats.limits_struck, ["revision_limit"]);
}
