//! `limits.max_keys`, `limits.max_windows_per_key` and `limits.max_state_bytes` under each policy,
//! compared with a simple model.

use proptest::prelude::*;
use stream_processor_core::{Engine, Error, Options, PipelineSpec, Progress, StageStats};

use super::oracle::setup::{bytes, events, limits, pipeline, runs, window};
use super::oracle::{BOUND, Kind, Limits, Outcome, Policy, run};
use crate::common::events::{Event, Run, collect_refusing, push, restored, try_push};

/// Returns the engine's result for `events`, in the form of the model.
fn found(spec: &PipelineSpec, events: &[Event], run: Run) -> Outcome {
    let (all, stats, refused) = collect_refusing(spec, events, run);
    let stage = &stats.stages[0];
    assert_eq!(stats.limit_refused, refused.len() as u64);
    assert_eq!(stats.events, (events.len() - refused.len()) as u64);
    assert_eq!(
        (stats.state_bytes, stats.evicted_events),
        (stage.state_bytes, stage.evicted_events)
    );
    let StageStats { key_limit, window_limit, state_limit, .. } = *stage;
    let evicted = stage.evicted_keys + stage.evicted_windows;
    let struck = !refused.is_empty() || key_limit + window_limit + state_limit + evicted > 0;
    let names = ["key_limit", "window_limit", "state_limit"];
    let is_reported = stats.limits_struck.iter().any(|name| names.contains(name));
    assert_eq!(is_reported, struck, "{:?}", stats.limits_struck);
    Outcome {
        rows: all.keys.into_iter().zip(all.rows).collect(),
        refused,
        dropped: [key_limit, window_limit, state_limit],
        late: stage.late_dropped,
        evicted: [stage.evicted_keys, stage.evicted_windows, stage.evicted_events],
        bytes: stage.state_bytes,
    }
}

proptest! {
    #[test]
    fn limits_of_tumbling_and_sliding_windows_equal_the_model(events in events(), run_as in runs(), rows in 1..9_usize, limits in limits(5), slides in any::<bool>()) {
        let (options, slide) = match slides {
            true => (r#""sliding", "size": "10ms", "slide": "2ms""#, 2),
            false => (r#""tumbling", "size": "10ms""#, 10),
        };
        let kind = Kind::Grid { slide, lateness: 0 };
        // `count` has a summary.
        let expected = run(kind, limits, bytes(limits, 48, 40, 0), &events);
        let spec = pipeline(&window(options, r#"["count"]"#), limits, rows);
        prop_assert_eq!(found(&spec, &events, run_as), expected);
    }

    #[test]
    fn limits_of_windows_that_keep_values_equal_the_model(events in events(), run_as in runs(), rows in 1..9_usize, limits in limits(2)) {
        let kind = Kind::Grid { slide: 10, lateness: 0 };
        let expected = run(kind, limits, bytes(limits, 48, 72, 8), &events);
        let stage = window(r#""tumbling", "size": "10ms""#, r#"["count", "p50"]"#);
        let mut found = found(&pipeline(&stage, limits, rows), &events, run_as);
        found.rows.iter_mut().for_each(|(_, cells)| cells.truncate(3));
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn limits_of_windows_with_revisions_equal_the_model(events in events(), run_as in runs(), rows in 1..9_usize, limits in limits(3)) {
        let limits = Limits { windows: (limits.windows.0, Policy::Drop), ..limits };
        let kind = Kind::Grid { slide: 10, lateness: 15 };
        let expected = run(kind, limits, bytes(limits, 48, 40, 0), &events);
        let stage = window(r#""tumbling", "size": "10ms", "allowed_lateness": "15ms""#, r#"["count"]"#);
        prop_assert_eq!(found(&pipeline(&stage, limits, rows), &events, run_as), expected);
    }

    #[test]
    fn limits_of_sessions_equal_the_model(events in events(), run_as in runs(), rows in 1..9_usize, limits in limits(1)) {
        let kind = Kind::Session { lateness: 0 };
        let expected = run(kind, limits, bytes(limits, 96, 40, 0), &events);
        let spec = pipeline(&window(r#""session", "gap": "10ms""#, r#"["count"]"#), limits, rows);
        prop_assert_eq!(found(&spec, &events, run_as), expected);
    }

    #[test]
    fn limits_of_sessions_with_revisions_equal_the_model(events in events(), run_as in runs(), rows in 1..9_usize, limits in limits(1), lateness in 1..40_i64) {
        let kind = Kind::Session { lateness };
        let expected = run(kind, limits, bytes(limits, 96, 40, 0), &events);
        let stage = format!(r#""session", "gap": "10ms", "allowed_lateness": "{lateness}ms""#);
        let spec = pipeline(&window(&stage, r#"["count"]"#), limits, rows);
        prop_assert_eq!(found(&spec, &events, run_as), expected);
    }

    #[test]
    fn limits_of_sessions_that_keep_values_equal_the_model(events in events(), run_as in runs(), rows in 1..9_usize, limits in limits(1)) {
        let expected = run(Kind::Session { lateness: 0 }, limits, bytes(limits, 96, 72, 8), &events);
        let stage = window(r#""session", "gap": "10ms""#, r#"["count", "p50"]"#);
        let mut found = found(&pipeline(&stage, limits, rows), &events, run_as);
        found.rows.iter_mut().for_each(|(_, cells)| cells.truncate(3));
        prop_assert_eq!(found, expected);
    }

    /// Checks for many stages that the effect of a limit does not depend on batches and snapshots.
    #[test]
    fn limits_do_not_depend_on_cuts(events in events(), run_as in runs(), rows in 1..9_usize, limits in limits(12), stage in prop::sample::select(STAGES)) {
        let whole = found(&pipeline(stage, limits, 100_000), &events, Run { cut: 1, restore: false });
        prop_assert_eq!(found(&pipeline(stage, limits, rows), &events, run_as), whole);
    }
}

const STAGES: &[&str] = &[
    r#"{"type": "window", "window": "tumbling", "size": "10ms", "early": "3ms", "allowed_lateness": "10ms", "aggregations": ["count", "distinct"]}"#,
    r#"{"type": "window", "window": "sliding", "size": "10ms", "slide": "2ms", "early": "3ms", "allowed_lateness": "10ms", "aggregations": ["sum"]}"#,
    r#"{"type": "window", "window": "session", "gap": "3ms", "allowed_lateness": "10ms", "aggregations": ["count", "p95"]}"#,
    r#"{"type": "window", "window": "cumulate", "size": "10ms", "step": "2ms", "aggregations": [{"op": "p50", "engine": "tdigest"}]}"#,
    r#"{"type": "window", "window": "count", "count": 3, "aggregations": ["avg", "p50"]}"#,
    r#"{"type": "window", "window": "global", "aggregations": ["distinct"]}"#,
    r#"{"type": "rolling", "size": 3, "aggregations": ["avg", "max", "p50"]}"#,
    r#"{"type": "rolling", "aggregations": ["stddev"], "state_ttl": "8ms"}"#,
    r#"{"type": "ema", "span": 3}"#,
    r#"{"type": "zscore", "window": 4, "state_ttl": "8ms"}"#,
    r#"{"type": "normalize", "interval": "2ms", "fill": "linear"}"#,
    r#"{"type": "normalize", "interval": "2ms", "fill": "spline", "max_gap": "8ms", "reduce": "mean"}"#,
    r#"{"type": "normalize", "interval": "3ms", "max_buffered": 3, "outliers": {"zscore": 1.5, "window": 4}}"#,
    r#"{"type": "normalize", "interval": "auto"}"#,
];

/// Checks the state of the engine after a call that stops at one key too many.
#[test]
fn refusing_call_stops_before_the_event_and_reports_its_ordinal() {
    let refusing = Limits {
        keys: (2, Policy::Refuse),
        windows: (100, Policy::Drop),
        bytes: (None, Policy::Drop),
    };
    let spec = pipeline(&window(r#""tumbling", "size": "10ms""#, r#"["count"]"#), refusing, 100);
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    let event = |ts: i64, key: &str| Event::new(ts, key, &[1.0]);
    let batch = [event(0, "a"), event(1, "b"), event(2, "a"), event(3, "c"), event(99, "a")];
    for _ in 0..2 {
        let Err(Error::LimitReached(stop)) = try_push(&mut engine, &batch) else { panic!("taken") };
        assert_eq!((stop.limit, stop.value, stop.stage), ("max_keys", 2, 0));
        assert_eq!((stop.ordinal, stop.consumed, stop.dropped), (3, 3, false));
        let error = Error::LimitReached(stop);
        assert_eq!(error.code(), "limit_reached");
        assert_eq!(
            error.to_string(),
            "stages[0]: event 3 needs one key more than limits.max_keys = 2: raise it, or set on_max_keys to \"evict\" or \"drop\""
        );
        // The refused events leave no trace: they are neither counted nor do they move the
        // watermark.
        assert_eq!((engine.stats().events, engine.next_ordinal()), (3, 3));
        assert_eq!(engine.watermark(), 2_000 - BOUND * 1_000 - 1);
        engine = Engine::open(&spec, Options::default()).unwrap();
    }
    assert!(try_push(&mut engine, &batch).is_err());
    // Events of known keys are accepted, and so is the refused event after a key has ended.
    assert_eq!(push(&mut engine, &batch[..3]).consumed, 3);
    let mut raised = spec.clone();
    raised.limits.max_keys = 3;
    let snapshot = engine.snapshot().unwrap();
    let mut roomy = Engine::restore(&raised, Options::default(), &snapshot).unwrap();
    assert_eq!(push(&mut roomy, &batch[3..]).consumed, 2);
    engine = restored(&spec, &mut engine);
    assert_eq!(push(&mut engine, &[event(99, "a"), event(100, "c")]).consumed, 2);
    assert_eq!(engine.finish().unwrap(), Progress::Done);
    assert_eq!(engine.stats().limits_struck, ["key_limit"]);
    let rows = |engine: &mut Engine| engine.poll(100).map_or(0, |rows| rows.len());
    assert_eq!(rows(&mut engine), 4);
    assert_eq!(roomy.finish().unwrap(), Progress::Done);
    assert_eq!(rows(&mut roomy), 4);
}

/// Checks that a row refused by a later stage is dropped and counted, and that the next call
/// continues behind it.
#[test]
fn rows_refused_by_a_later_stage_are_dropped_one_by_one() {
    let refusing = Limits {
        keys: (3, Policy::Refuse),
        windows: (100, Policy::Drop),
        bytes: (None, Policy::Drop),
    };
    let stages = format!(
        r#"{}, {{"type": "rolling", "field": "count", "aggregations": ["sum"]}}"#,
        window(r#""tumbling", "size": "10ms""#, r#"["count"]"#)
    );
    let spec = pipeline(&stages, refusing, 100);
    // Three keys in each of three windows; five keys in all for the rolling stage.
    let keys = [["a", "b", "c"], ["c", "d", "e"], ["e", "a", "b"]];
    let events: Vec<Event> = (0..)
        .zip(keys)
        .flat_map(|(at, keys)| keys.map(|key| Event::new(at * 20, key, &[1.0])))
        .collect();
    for cut in 1..=events.len() {
        let mut engine = Engine::open(&spec, Options::default()).unwrap();
        let mut dropped = Vec::new();
        for batch in events.chunks(cut) {
            let mut at = 0;
            while at < batch.len() {
                match try_push(&mut engine, &batch[at..]) {
                    Ok(pushed) => at += pushed.consumed,
                    Err(Error::LimitReached(stop)) => {
                        assert!(stop.dropped && stop.stage == 1, "{stop:?}");
                        dropped.push(stop.ordinal);
                        at += stop.consumed;
                    }
                    Err(error) => panic!("{error}"),
                }
                engine = restored(&spec, &mut engine);
            }
        }
        loop {
            match engine.finish() {
                Ok(progress) => break assert_eq!(progress, Progress::Done),
                Err(Error::LimitReached(stop)) => dropped.push(stop.ordinal),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(dropped, [4, 5, 8], "rows d and e of the second window, e of the third");
        let stats = engine.stats();
        assert_eq!((stats.stages[1].key_limit, stats.limit_refused), (3, 3));
        assert_eq!(engine.poll(100).map(|rows| rows.len()), Some(6));
    }
}

/// Checks that an ended run of points does not count for the limit, whether its rows were polled
/// before or not.
#[test]
fn ended_series_do_not_count_for_the_key_limit() {
    let event = |(ts, key): (i64, &str)| Event { ts, key: key.to_owned(), values: vec![5.0] };
    let events = [(-29, "f"), (-20, "f"), (-8, "f"), (-25, "a")].map(event);
    let limits = Limits {
        keys: (1, Policy::Drop),
        windows: (12, Policy::Drop),
        bytes: (None, Policy::Drop),
    };
    let stage = r#"{"type": "normalize", "interval": "2ms", "fill": "spline", "max_gap": "8ms", "reduce": "mean"}"#;
    let whole = Run { cut: 1, restore: false };
    let whole = found(&pipeline(stage, limits, 100_000), &events, whole);
    let bit_by_bit = found(&pipeline(stage, limits, 1), &events, Run { cut: 1, restore: true });
    assert_eq!(bit_by_bit, whole);
}
