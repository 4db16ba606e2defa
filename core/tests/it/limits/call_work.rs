//! The limit on the work of one call: calls pause by work, not by rows, and lose nothing.

use serde_json::json;
use stream_processor_core::{Batch, Column, Engine, KeyColumn, Options, Progress};

use crate::common::pipeline::Pipeline;

/// Sliding windows of 10,000 slices with an exact percentile: each row merges all values.
fn costly(max_work: u32) -> Pipeline {
    let window = json!({"type": "window", "window": "sliding", "size": "1000s", "slide": "1s",
        "aggregations": [{"op": "p50", "engine": "exact"}]});
    Pipeline::of(json!({"value": "v"})).limit("max_call_work", max_work).stage(window)
}

/// Pushes events one per 100 ms, and returns the number of calls and of rows.
fn run(pipeline: &Pipeline, events: i64) -> (usize, Vec<Option<f64>>) {
    let mut engine = Engine::open(&pipeline.spec(), Options::default()).unwrap();
    let timestamps: Vec<i64> = (0..events).map(|event| event * 100_000).collect();
    let values: Vec<f64> = (0..events).map(|event| (event * 7919 % 1000) as f64).collect();
    let (mut calls, mut taken, mut rows) = (0, 0, Vec::new());
    let poll = |engine: &mut Engine, rows: &mut Vec<Option<f64>>| {
        while let Some(found) = engine.poll(1000) {
            rows.extend((0..found.len()).map(|row| found.number(row, "p50")));
        }
    };
    let mut full = true;
    while full || taken < timestamps.len() {
        let batch = Batch {
            timestamps: &timestamps[taken..],
            keys: KeyColumn::Unkeyed,
            columns: &[Column::F64(&values[taken..])],
            ..Batch::default()
        };
        let pushed = engine.push(&batch).unwrap();
        (calls, taken, full) = (calls + 1, taken + pushed.consumed, pushed.full);
        poll(&mut engine, &mut rows);
    }
    while engine.finish().unwrap() == Progress::Full {
        assert!(!engine.is_full(), "the call has ended because of its work");
        calls += 1;
        poll(&mut engine, &mut rows);
    }
    poll(&mut engine, &mut rows);
    (calls, rows)
}

#[test]
fn calls_pause_by_the_work_of_rows_not_by_their_number() {
    let (calls, rows) = run(&costly(1_000_000), 2_000);
    // Each row of a full window merges and sorts about 2,000 values.
    assert!(calls < 20, "{calls} calls");
    let (more_calls, same_rows) = run(&costly(10_000), 2_000);
    assert_eq!(same_rows, rows);
    assert!(more_calls > rows.len() / 10, "{more_calls} calls for {} rows", rows.len());
    assert!(more_calls < 2 * rows.len(), "{more_calls} calls for {} rows", rows.len());
}

#[test]
fn ordinary_events_do_not_end_a_call_early() {
    let window = json!({"type": "window", "window": "tumbling", "size": "1s",
        "aggregations": ["count", "p50"]});
    let (calls, rows) = run(&Pipeline::of(json!({"value": "v"})).stage(window), 100_000);
    assert_eq!((calls, rows.len()), (1, 10_000));
}

#[test]
fn each_call_makes_progress_with_the_least_work() {
    let (calls, rows) = run(&costly(1), 50);
    let (_, same_rows) = run(&costly(u32::MAX), 50);
    assert_eq!(rows, same_rows);
    assert!(calls < 4 * (50 + rows.len()), "{calls} calls for {} rows", rows.len());
}
