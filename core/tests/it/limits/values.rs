//! `limits.max_state_bytes` and the values of windows that are open: they do not grow beyond it.

use serde_json::json;
use stream_processor_core::{BatchBuilder, Engine, Error, Options, Progress, StageStats};

use crate::common::Pipeline;

const MAX_STATE_BYTES: u64 = 450_000;
/// The bytes that state may count for, and a bound for what one event adds to them.
const MAX_COUNTED: u64 = MAX_STATE_BYTES / 9 * 4;
const EVENT_BYTES: u64 = 33_000;

const WINDOWS: [&str; 4] = [
    r#""window": "tumbling", "size": "1h""#,
    r#""window": "sliding", "size": "1h", "slide": "10m""#,
    r#""window": "session", "gap": "1h""#,
    r#""window": "global""#,
];

/// Pushes `events` events, each with a new value, to 40 keys in turn. Returns the counters of the
/// stage and the number of refused events.
fn pushed(
    window: &str,
    policy: &str,
    aggregations: serde_json::Value,
    events: u64,
) -> (StageStats, u64) {
    let limits = json!({"max_state_bytes": MAX_STATE_BYTES, "on_max_state_bytes": policy});
    let spec = Pipeline::keyed().limits(&limits).window(window, aggregations).spec();
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    let mut batch = BatchBuilder::new(engine.plan());
    let mut refused = 0;
    for event in 0..events {
        batch.push(0, format!("k{}", event % 40), &[1e6 + event as f64]).unwrap();
        if batch.len() < 1000 && event + 1 < events {
            continue;
        }
        while !batch.is_empty() {
            match batch.push_to(&mut engine) {
                Ok(_) => {}
                Err(Error::LimitReached(_)) => {
                    refused += 1;
                    batch.discard(1);
                }
                Err(error) => panic!("{error}"),
            }
        }
        let bytes = engine.stats().state_bytes;
        assert!(bytes <= MAX_COUNTED + EVENT_BYTES, "{window} {policy}: {bytes}");
    }
    let stats = engine.stats();
    let is_struck = stats.limits_struck.contains(&"state_limit");
    assert_eq!(
        is_struck,
        refused > 0 || stats.stages[0].state_limit + stats.stages[0].evicted_keys > 0
    );
    while engine.finish().unwrap() == Progress::Full {
        engine.poll(1_000);
    }
    (engine.stats().stages[0].clone(), refused)
}

#[test]
fn exact_percentiles_become_sketches_at_the_limit_and_lose_no_event() {
    for window in WINDOWS {
        let exact = json!([{"op": "p50", "engine": "exact"}]);
        let (stats, _) = pushed(window, "drop", exact, 30_000);
        assert_eq!((stats.state_limit, stats.evicted_keys), (0, 0), "{window}");
        assert!(stats.value_limit > 0, "{window}");
    }
}

#[test]
fn event_whose_value_finds_no_room_follows_the_policy() {
    for window in WINDOWS {
        // 40 windows with 250 values of 32 bytes would need 320 kB.
        let many = json!(["distinct", "p50", {"op": "p90", "engine": "tdigest"}]);
        let (stats, refused) = pushed(window, "drop", many.clone(), 10_000);
        assert!(stats.state_limit > 0 && refused == 0 && stats.evicted_keys == 0, "{window}");
        assert_eq!(stats.events, 10_000);
        let (stats, refused) = pushed(window, "evict", many.clone(), 10_000);
        assert!(stats.evicted_keys > 0 && refused == 0 && stats.state_limit == 0, "{window}");
        let (stats, refused) = pushed(window, "refuse", many, 10_000);
        assert!(refused > 0 && stats.state_limit == 0 && stats.evicted_keys == 0, "{window}");
    }
}

#[test]
fn event_without_a_new_value_needs_no_room() {
    let limits = json!({"max_state_bytes": 2_000});
    let window = r#""window": "tumbling", "size": "1h""#;
    let spec =
        Pipeline::keyed().limits(&limits).window(window, json!(["distinct", "count"])).spec();
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    let mut batch = BatchBuilder::new(engine.plan());
    for event in 0..1_000 {
        batch.push(0, "k", &[f64::from(event)]).unwrap();
    }
    batch.push_to(&mut engine).unwrap();
    let kept = 1_000 - engine.stats().stages[0].state_limit;
    assert!(kept > 20 && kept < 60, "{kept}");
    let dropped = engine.stats().stages[0].state_limit;
    for value in 0..20 {
        batch.push(0, "k", &[f64::from(value)]).unwrap();
    }
    batch.push_to(&mut engine).unwrap();
    assert_eq!(engine.stats().stages[0].state_limit, dropped);
    engine.finish().unwrap();
    let rows = engine.poll(1).unwrap();
    assert_eq!(rows.number(0, "distinct"), Some(kept as f64));
    assert_eq!(rows.number(0, "count"), Some(kept as f64 + 20.0));
}
