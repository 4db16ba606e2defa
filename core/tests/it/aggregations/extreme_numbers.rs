//! Numbers at the limits of doubles: merged parts of some values give the results of the whole, in
//! every kind of window.

use serde_json::json;
use stream_processor_core::PipelineSpec;

use crate::common::events::{Cell, Run as EventRun, collect};
use crate::common::partials::{at, edge, merge};
use crate::common::pipeline::list;
use crate::common::{Event, KeysAs, Pipeline, Row, Run, bits};

const FAR: [f64; 2] = [1e154, -5e153];
const VARIANCE: f64 = 1.125e308;

fn windows(window: &str, aggregations: &str) -> PipelineSpec {
    Pipeline::keyed().bound("1h").window(window, list(aggregations)).spec()
}

/// Returns the results of each row, which are the same with and without a snapshot after every
/// event.
fn rows(spec: &PipelineSpec, events: &[Event]) -> Vec<Row> {
    let run = |restores: bool| {
        let mut run = Run::new(spec.clone());
        for event in events {
            run.push(&[*event], KeysAs::Ids);
            if restores {
                run.restore();
            }
        }
        run.finish().0
    };
    let found = run(false);
    assert_eq!(found, run(true));
    found
}

/// Returns the columns that `stage` adds to the last of `values`, with and without a snapshot after
/// every event.
fn added(stage: &str, values: &[f64]) -> Vec<Cell> {
    let spec = Pipeline::keyed().stages(stage).spec();
    let events: Vec<_> = (0..)
        .zip(values)
        .map(|(at, v)| crate::common::events::Event::new(at, "a", &[*v]))
        .collect();
    let run = |restore| collect(&spec, &events, EventRun { cut: 1, restore }).rows;
    assert_eq!(run(false), run(true));
    run(false).pop().unwrap().split_off(2)
}

#[test]
fn merged_variance_overflows_only_if_the_variance_of_all_values_does() {
    let events = [at(1, FAR[0]), at(11, FAR[1])];
    for (window, expected) in [
        (r#""window": "tumbling", "size": "20s""#, vec![VARIANCE]),
        (
            r#""window": "sliding", "size": "20s", "slide": "10s""#,
            vec![f64::NAN, VARIANCE, f64::NAN],
        ),
        (r#""window": "cumulate", "size": "20s", "step": "10s""#, vec![f64::NAN, VARIANCE]),
        (r#""window": "session", "gap": "10s""#, vec![VARIANCE]),
    ] {
        let found = rows(&windows(window, r#""variance""#), &events);
        let found: Vec<u64> = found.iter().map(|row| row.bits("variance")).collect();
        assert_eq!(found, expected.into_iter().map(bits).collect::<Vec<u64>>(), "{window}");
        let deviations = rows(&windows(window, r#""stddev", "sum""#), &events);
        assert!(deviations.iter().any(|row| row.number("stddev") == VARIANCE.sqrt()), "{window}");
    }
}

#[test]
fn variance_of_merged_sessions_and_partials_does_not_overflow_early() {
    let session = windows(r#""window": "session", "gap": "10s""#, r#""variance", "sum""#);
    let found = rows(&session, &[at(0, FAR[0]), at(20, FAR[1]), at(10, 2.5e153)]);
    let expected = 1.125e308 / 2.0;
    assert!((found[0].number("variance") / expected - 1.0).abs() < 1e-15, "{found:?}");

    let tumbling = windows(r#""window": "tumbling", "size": "20s""#, r#""variance""#);
    let mut receiver = Run::new(tumbling.clone());
    for (source, event) in [("a", at(1, FAR[0])), ("b", at(11, FAR[1]))] {
        let mut sender = edge(&tumbling);
        sender.push(&[event], KeysAs::Ids);
        assert!(merge(&mut receiver, &sender.engine.partial(source).unwrap()));
    }
    assert_eq!(receiver.finish().0[0].values, [VARIANCE.to_bits()]);
}

#[test]
fn variance_of_the_last_values_does_not_overflow_early() {
    // The last two values are in two nodes of two.
    let values = [0.0, FAR[0], FAR[1]];
    let rolling = r#"{"type": "rolling", "size": 2, "aggregations": ["variance", "stddev"]}"#;
    let expected = [VARIANCE, VARIANCE.sqrt()].map(|value| Cell::Number(value.to_bits()));
    assert_eq!(added(rolling, &values), expected);
    let scores =
        added(r#"{"type": "zscore", "window": 2}"#, &[values.as_slice(), &[1e154]].concat());
    let score = (1e154 - 2.5e153) / VARIANCE.sqrt();
    let Cell::Number(found) = scores[0] else { panic!("{scores:?}") };
    assert!((f64::from_bits(found) / score - 1.0).abs() < 1e-15);
}

#[test]
fn variance_is_within_its_bound_at_a_large_mean() {
    // n · mean / deviation · 2^-53, as docs/semantics.md says. The deviation here is about 1.25.
    let values = [1.0, 2.0, 4.0].map(|value| 1e15 + value);
    let events: Vec<Event> = (0..).zip(values).map(|(second, value)| at(second, value)).collect();
    let bound = 3.0 * 1e15 / 1.247 * (f64::EPSILON / 2.0);
    for window in [
        r#""window": "tumbling", "size": "4s""#,
        r#""window": "sliding", "size": "4s", "slide": "1s""#,
    ] {
        let found = rows(&windows(window, r#""variance", "count""#), &events);
        let whole = found.iter().find(|row| row.number("count") == 3.0).unwrap().number("variance");
        let exact = 7.0 / 3.0;
        assert!((whole - exact).abs() <= bound * exact, "{window}: {whole}");
    }
}

#[test]
fn equal_samples_are_never_outliers() {
    for value in [0.1, -1.0 / 3.0, 1e-300, 1e300] {
        let stage = |action: &str| {
            let outliers = json!({"zscore": 0.5, "window": 100, "action": action});
            json!({"type": "normalize", "interval": "1s", "outliers": outliers})
        };
        for action in ["flag", "drop", "clip"] {
            let spec = Pipeline::keyed().stage(stage(action)).spec();
            let events: Vec<_> = (0..300)
                .map(|second| crate::common::events::Event::new(second * 1_000, "a", &[value]))
                .collect();
            let found = collect(&spec, &events, EventRun { cut: 7, restore: true });
            assert_eq!(found.numbers("v"), [value; 300], "{action}");
            let marks = found.without(&["ts", "v"]).concat();
            assert!(marks.iter().all(|mark| *mark == Cell::Bool(false)), "{action} {value}");
        }
        for zscore in [
            r#"{"type": "zscore", "threshold": 0}"#,
            r#"{"type": "zscore", "threshold": 0, "window": 7}"#,
            r#"{"type": "zscore", "threshold": 0, "method": "mad"}"#,
        ] {
            let expected = [Cell::Number(0), Cell::Bool(false)];
            assert_eq!(added(zscore, &[value; 60]), expected, "{zscore} {value}");
        }
        let rolling = r#"{"type": "rolling", "size": 7, "aggregations": ["variance", "stddev"]}"#;
        assert_eq!(added(rolling, &[value; 60]), [Cell::Number(0); 2], "{value}");
    }
}

#[test]
fn p0_and_p100_equal_min_and_max_in_every_engine_and_window() {
    // 10 is the smallest value of its bucket, whose middle is 10.0625. 5,000 different values
    // exceed the window's limit.
    let value = |at: i64| 10.0 + (at * 7_919 % 5_000) as f64 / 3.0;
    let events: Vec<Event> = (0..5_000)
        .map(|place| Event {
            ts: place * 10_000,
            key: u32::try_from(place % 2).unwrap(),
            value: value(place),
        })
        .collect();
    for engine in ["sketch", "tdigest", "exact"] {
        let percentile = |p: u32| format!(r#"{{"op": "p{p}", "engine": "{engine}"}}"#);
        let asked = format!(r#""min", "max", {}, {}"#, percentile(0), percentile(100));
        for window in [
            r#""window": "tumbling", "size": "20s""#,
            r#""window": "sliding", "size": "20s", "slide": "1s""#,
            r#""window": "cumulate", "size": "30s", "step": "10s""#,
            r#""window": "session", "gap": "1s""#,
            r#""window": "count", "count": 1500"#,
            r#""window": "global""#,
        ] {
            let mut spec = windows(window, &asked);
            spec.limits.max_values = 600;
            let mut run = Run::new(spec);
            for events in events.chunks(1_700) {
                run.push(events, KeysAs::Ids);
                run.restore();
            }
            let (rows, _) = run.finish();
            for row in &rows {
                assert_eq!(row.bits("p0"), row.bits("min"), "{engine} {window}");
                assert_eq!(row.bits("p100"), row.bits("max"), "{engine} {window}");
            }
            assert!(!rows.is_empty());
        }
    }
}
