//! Normalization compared with a slow batch version, for all batches, orders of arrival and
//! snapshots.

use proptest::prelude::*;
use serde_json::json;

use super::oracle::{Field, Options, Row, oracle, spec};
use crate::common::Pipeline;
use crate::common::events::{Cell, Collected, Event, Run, collect};
use crate::common::pipeline::stage;

const WHOLE: Run = Run { cut: 10_000, restore: false };

/// Returns the rows of `collected` in the oracle's form: key, time, values, flags.
fn rows(collected: &Collected) -> Vec<Row> {
    let kind = |name: &&String| ["filled", "outlier"].into_iter().find(|end| name.ends_with(end));
    let columns = |wanted: Option<&str>| {
        let names = collected.columns.iter().skip(1).filter(|name| kind(name) == wanted);
        names.map(|name| collected.column(name)).collect::<Vec<Vec<Cell>>>()
    };
    let (values, filled, outliers) =
        (columns(None), columns(Some("filled")), columns(Some("outlier")));
    let number = |cell: Cell| match cell {
        Cell::Number(bits) => f64::from_bits(bits),
        other => panic!("no number: {other:?}"),
    };
    let times = collected.times("ts").into_iter().enumerate();
    let row = |(row, time): (usize, i64)| Row {
        key: collected.keys[row].clone(),
        time,
        values: values.iter().map(|column| number(column[row])).collect(),
        filled: filled.iter().map(|column| column[row] == Cell::Bool(true)).collect(),
        outliers: outliers.iter().map(|column| column[row] == Cell::Bool(true)).collect(),
    };
    times.map(row).collect()
}

fn close(a: f64, b: f64, scale: f64) -> bool {
    (a.is_nan() && b.is_nan()) || a == b || (a - b).abs() <= 1e-9 * scale.max(a.abs()).max(b.abs())
}

/// Asserts that both lists have the same rows. If `scale` is given, computed values may differ by
/// rounding errors relative to it.
fn assert_same_rows(found: &[Row], expected: &[Row], scale: f64) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        prop_assert_eq!((&found.key, found.time), (&expected.key, expected.time));
        prop_assert_eq!(&found.filled, &expected.filled, "at {}", found.time);
        prop_assert_eq!(&found.outliers, &expected.outliers, "at {}", found.time);
        prop_assert_eq!(found.values.len(), expected.values.len());
        for (a, b) in found.values.iter().zip(&expected.values) {
            prop_assert!(close(*a, *b, scale), "{} is not {} at {}", a, b, found.time);
        }
    }
    Ok(())
}

fn sorted_by_key(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| (&a.key, a.time).cmp(&(&b.key, b.time)));
    rows
}

fn fields() -> impl Strategy<Value = Vec<Field>> {
    let fill = prop_oneof![
        1 => prop::sample::select(vec!["linear", "forward", "backward", "zero", "mean", "none"]),
        1 => Just("spline"),
        1 => Just("polynomial"),
    ];
    let reduce = prop::sample::select(vec!["last", "first", "mean", "min", "max", "sum", "median"]);
    let max_gap = prop_oneof![Just(None), (500_i64..9_000).prop_map(Some)];
    let outliers = prop_oneof![
        3 => Just(None),
        1 => prop::sample::select(vec!["drop", "flag", "clip"]).prop_map(Some),
    ];
    let field = (fill, reduce, max_gap, 1_usize..5, outliers).prop_map(
        |(fill, reduce, max_gap, degree, outliers)| Field {
            fill,
            reduce,
            max_gap,
            degree,
            outliers,
        },
    );
    prop::collection::vec(field, 1..3)
}

prop_compose! {
    fn options()(
        interval in prop::sample::select(vec![1_i64, 7, 500, 1000, 3000]),
        offset in -2000_i64..2000,
        align in prop::sample::select(vec!["floor", "ceil", "round"]),
        samples in prop::bool::weighted(0.3),
        fields in fields(),
        max_fill_points in prop_oneof![4 => Just(100_000_i64), 1 => 0_i64..12],
    ) -> Options {
        // Short intervals give many points. Their steps are short too, see `stream`.
        Options { interval, offset, align, samples, fields, max_fill_points: max_fill_points.max(1), bound: 3000 }
    }
}

/// Generates samples with ties and disorder; some are late, some come after long silences.
fn stream(interval: i64) -> impl Strategy<Value = Vec<Event>> {
    let scale = interval.min(1000);
    let step = prop_oneof![
        8 => -scale..3 * scale,
        2 => Just(0),
        1 => -8 * scale..15 * scale,
    ];
    let value = prop_oneof![8 => -100.0..100.0, 1 => Just(f64::NAN), 1 => Just(50.0)];
    prop::collection::vec((step, 0_usize..3, value.clone(), value), 0..80).prop_map(|steps| {
        let mut ts = -5_000;
        let events = steps.into_iter().map(|(step, key, a, b)| {
            ts += step;
            Event::new(ts, ["a", "b", "c"][key], &[a, b])
        });
        events.collect()
    })
}

/// Maximum number of samples in the runs of [`runs`].
const LONG: usize = 2100;

/// Generates long runs of one key each, nearly all in order.
fn runs(interval: i64) -> impl Strategy<Value = Vec<Event>> {
    let scale = interval.min(1000);
    let step = prop_oneof![40 => 0..2 * scale, 1 => -scale..15 * scale];
    let value = prop_oneof![60 => -100.0..100.0, 1 => Just(f64::NAN)];
    // Some runs are longer than the batch that the stage processes at once.
    let length = prop_oneof![3 => 1..150_usize, 1 => 500..LONG / 3];
    let sample = (step, value.clone(), value);
    let run = length.prop_flat_map(move |length| prop::collection::vec(sample.clone(), length));
    prop::collection::vec((0_usize..3, run), 1..=3).prop_map(|runs| {
        let mut ts = -5_000;
        let events = runs.into_iter().flat_map(|(key, run)| {
            run.into_iter().map(move |sample| (["a", "b", "c"][key], sample))
        });
        let events = events.map(|(key, (step, a, b))| {
            ts += step;
            Event::new(ts, key, &[a, b])
        });
        events.collect()
    })
}

fn cases() -> impl Strategy<Value = (Options, Vec<Event>)> {
    options().prop_flat_map(|options| {
        let interval = options.interval;
        (Just(options), prop_oneof![2 => stream(interval), 1 => runs(interval)])
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn rows_equal_the_oracle(
        (options, events) in cases(),
        cut in prop_oneof![1_usize..30, 30..LONG],
        restore: bool,
        result_rows in prop_oneof![1_u32..40, 40..400_u32],
    ) {
        let expected = oracle(&options, &events);
        let whole = collect(&spec(&options, 100_000), &events, WHOLE);
        assert_same_rows(&sorted_by_key(rows(&whole)), &expected, 300.0)?;
        // Rows are in their defined order.
        let times = whole.times("ts").into_iter().enumerate();
        let order: Vec<_> = times
            .map(|(row, time)| (whole.firing[row], whole.ranks[row], time, whole.keys[row].clone()))
            .collect();
        prop_assert!(order.is_sorted());
        // The rows do not depend on the batches, bit by bit.
        let run = Run { cut, restore };
        prop_assert_eq!(collect(&spec(&options, result_rows), &events, run), whole);
    }

    #[test]
    fn arrival_order_within_the_bound_changes_no_row(
        (options, mut events) in cases(),
        jitter in prop::collection::vec(0_i64..3000, LONG),
    ) {
        // The times differ, so that no order among ties is lost. The samples are generated in
        // order.
        events.sort_by_key(|event| event.ts);
        let mut last = i64::MIN;
        for event in &mut events {
            event.ts = event.ts.max(last.saturating_add(1));
            last = event.ts;
        }
        let ordered = collect(&spec(&options, 100), &events, WHOLE);
        let mut shuffled: Vec<(i64, Event)> = events
            .iter()
            .zip(&jitter)
            .map(|(event, jitter)| (event.ts + jitter, event.clone()))
            .collect();
        shuffled.sort_by_key(|(arrival, _)| *arrival);
        let shuffled: Vec<Event> = shuffled.into_iter().map(|(_, event)| event).collect();
        prop_assert_eq!(collect(&spec(&options, 100), &shuffled, WHOLE), ordered);
    }
}

/// Returns the rows of one field for samples of the key `k`.
fn run(options: &str, samples: &[(i64, f64)]) -> Vec<(i64, f64, bool)> {
    let normalize = stage("normalize", options, json!({}));
    let spec = Pipeline::of(json!({"value": "v"})).bound("1h").stage(normalize).spec();
    let events: Vec<Event> = samples.iter().map(|(ts, v)| Event::new(*ts, "k", &[*v])).collect();
    let all = collect(&spec, &events, WHOLE);
    rows(&all).into_iter().map(|row| (row.time / 1000, row.values[0], row.filled[0])).collect()
}

fn values(options: &str, samples: &[(i64, f64)]) -> Vec<f64> {
    run(options, samples).into_iter().map(|(_, value, _)| value).collect()
}

/// The samples of the picture on the front page.
const PICTURE: [(i64, f64); 4] = [(0, 10.0), (300, 12.0), (1700, 18.0), (4900, 35.0)];

#[test]
fn front_page_picture_matches_the_engine() {
    let rounded = values(r#""interval": "1s", "align": "round", "reduce": "first""#, &PICTURE);
    let expected = [10.0, 14.0, 18.0, 18.0 + 17.0 / 3.0, 18.0 + 34.0 / 3.0, 35.0];
    assert_eq!(rounded, expected);
    let raw = values(r#""interval": "1s", "basis": "samples""#, &PICTURE);
    assert_eq!(raw, [10.0, 15.0, 19.59375, 24.90625, 30.21875]);
}

#[test]
fn each_fill_computes_its_defined_values() {
    let samples = [(0, 0.0), (1000, 1.0), (4000, 7.0), (5000, 8.0)];
    let filled = |fill: &str| {
        values(&format!(r#""interval": "1s", "fill": {fill}"#), &samples)[2..4].to_vec()
    };
    assert_eq!(filled(r#""linear""#), [3.0, 5.0]);
    assert_eq!(filled(r#""forward""#), [1.0, 1.0]);
    assert_eq!(filled(r#""backward""#), [7.0, 7.0]);
    assert_eq!(filled(r#""zero""#), [0.0, 0.0]);
    assert_eq!(filled(r#""mean""#), [4.0, 4.0]);
    assert!(filled(r#""none""#).iter().all(|value| value.is_nan()));
    assert_eq!(filled(r#""polynomial", "degree": 1"#), [3.0, 5.0]);
    let cubic = filled(r#""polynomial", "degree": 3"#);
    assert!(cubic.iter().zip([2.9, 5.1]).all(|(value, expected)| (value - expected).abs() < 1e-12));
    let flags: Vec<bool> =
        run(r#""interval": "1s""#, &samples).into_iter().map(|(_, _, filled)| filled).collect();
    assert_eq!(flags, [false, false, true, true, false, false]);
}

#[test]
fn every_interpolating_fill_reproduces_a_straight_line() {
    let line = |at: i64| (at * 1000, 3.0 * at as f64 - 20.0);
    let samples: Vec<_> = [0, 1, 2, 5, 6, 9, 15, 16, 17, 20].into_iter().map(line).collect();
    for fill in [
        r#""linear""#,
        r#""spline""#,
        r#""polynomial", "degree": 1"#,
        r#""polynomial", "degree": 2"#,
        r#""polynomial", "degree": 5"#,
        r#""polynomial", "degree": 9"#,
    ] {
        for basis in ["aligned", "samples"] {
            let options = format!(r#""interval": "1s", "basis": "{basis}", "fill": {fill}"#);
            let found = run(&options, &samples);
            assert_eq!(found.len(), 21, "{options}");
            for (time, value, _) in found {
                let expected = line(time / 1000).1;
                assert!((value - expected).abs() < 1e-9, "{options}: {value} at {time}");
            }
        }
    }
}

#[test]
fn gap_longer_than_max_gap_stays_null() {
    let samples = [(0, 0.0), (3000, 3.0), (7000, 7.0), (8000, 8.0)];
    let filled = |fill: &str| {
        values(&format!(r#""interval": "1s", "max_gap": "3s", "fill": {fill}"#), &samples)
    };
    for fill in [r#""linear""#, r#""spline""#, r#""polynomial", "degree": 3"#] {
        let found = filled(fill);
        assert_eq!(found[..4], [0.0, 1.0, 2.0, 3.0], "equal is filled: {fill}");
        assert!(found[4..7].iter().all(|value| value.is_nan()));
        assert_eq!(found[7..], [7.0, 8.0]);
    }
}

#[test]
fn interpolation_between_extremes_stays_finite() {
    let all =
        [r#""linear""#, r#""forward""#, r#""mean""#, r#""spline""#, r#""polynomial", "degree": 1"#];
    let huge = [(0, 1e308), (4000, -1e308), (8000, 1e308), (12000, 1.7e308)];
    for fill in all {
        for basis in ["aligned", "samples"] {
            let options = format!(r#""interval": "1s", "basis": "{basis}", "fill": {fill}"#);
            let found = values(&options, &huge);
            assert_eq!(found.len(), 13);
            assert!(found.iter().all(|value| value.is_finite()), "{options}: {found:?}");
        }
    }
    for fill in [r#""linear""#, r#""spline""#, r#""polynomial", "degree": 4"#] {
        let options = format!(r#""interval": "1s", "fill": {fill}"#);
        assert_eq!(run(&options, &[(500, 4.0)]), [(0, 4.0, false)]);
        assert_eq!(run(&options, &[(500, 4.0), (500, 5.0)]), [(0, 5.0, false)]);
        assert_eq!(
            run(&options, &[(500, 4.0), (2500, 8.0)]),
            [(0, 4.0, false), (1000, 6.0, true), (2000, 8.0, false)]
        );
    }
    assert_eq!(run(r#""interval": "1s", "basis": "samples""#, &[(500, 4.0)]), []);
    // The parabola through these points exceeds the range of doubles between the last two.
    let steep = [(0, 1.7e308), (1000, -1.7e308), (4000, 1.7e308)];
    let found = values(r#""interval": "1s", "fill": "polynomial", "degree": 2"#, &steep);
    assert!(found[2].is_nan() || found[2].is_finite());
    let ends = [(-8_640_000_000_000_000, 1.0), (8_640_000_000_000_000, 2.0)];
    assert_eq!(run(r#""interval": "1s""#, &ends).len(), 2, "too far apart for rows between");
    assert_eq!(run(r#""interval": "3650000d""#, &ends).len(), 2);
}

#[test]
fn pchip_stays_between_its_neighbours() {
    let samples: Vec<(i64, f64)> =
        (0..200_i64).map(|at| (at * at % 7919 * 100, (at * 31 % 17) as f64 * 1e-3)).collect();
    let mut known = samples.clone();
    known.sort_by_key(|(ts, _)| *ts);
    for (time, value, _) in
        run(r#""interval": "30ms", "basis": "samples", "fill": "spline""#, &samples)
    {
        let right = known.iter().position(|(ts, _)| *ts >= time).unwrap();
        let left = right.saturating_sub(usize::from(known[right].0 != time));
        let (a, b) = (known[left].1, known[right].1);
        assert!((a.min(b)..=a.max(b)).contains(&value), "{value} at {time}");
    }
}
