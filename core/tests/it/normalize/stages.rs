//! Normalize stages before other stages, and at their limits.

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::{Engine, PipelineSpec, Progress, RejectReason, RowColumn, Stats};

use super::oracle::{Field, Options, oracle, spec};
use crate::common::Pipeline;
use crate::common::events::{Cell, Collected, Event, Run, collect, push, restored};
use crate::common::pipeline::stage;

const WHOLE: Run = Run { cut: 10_000, restore: false };

/// Returns a pipeline of the field `v` by the key `k`: a normalize stage and `later` stages.
fn pipeline(bound: &str, normalize: &str, later: &str) -> PipelineSpec {
    let normalize = stage("normalize", normalize, json!({}));
    Pipeline::keyed().bound(bound).stage(normalize).stages(later).spec()
}

const SUMS: &str =
    r#"{"type": "window", "window": "tumbling", "size": "5s", "aggregations": ["count", "sum"]}"#;

/// Returns the key, the first time in seconds and the numbers of each row.
fn rows(all: &Collected) -> Vec<(String, i64, Vec<f64>)> {
    let keys = all.keys.iter().zip(&all.rows).zip(all.times(&all.columns[0]));
    keys.map(|((key, cells), time)| {
        let numbers = cells.iter().filter_map(|cell| match cell {
            Cell::Number(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        });
        let key = String::from_utf8_lossy(&key[1..key.len() - 1]).into_owned();
        (key, time / 1_000_000, numbers.collect())
    })
    .collect()
}

fn at(seconds: f64, key: &str, value: f64) -> Event {
    Event::new((seconds * 1000.0) as i64, key, &[value])
}

/// Returns the number of emitted rows after each event, and the counters after the last event and
/// before the end of input.
fn emitted_counts(spec: &PipelineSpec, events: &[Event]) -> (Vec<usize>, Stats, Engine) {
    let options = stream_processor_core::Options { report_drops: true, ..Default::default() };
    let mut engine = Engine::open(spec, options).unwrap();
    let mut counts = Vec::new();
    for event in events {
        push(&mut engine, std::slice::from_ref(event));
        engine = restored(spec, &mut engine);
        counts.push(engine.waiting_rows());
    }
    let stats = engine.stats();
    (counts, stats, engine)
}

prop_compose! {
    fn cases()(
        fill in prop::sample::select(vec!["linear", "zero", "none", "spline", "polynomial"]),
        align in prop::sample::select(vec!["floor", "ceil", "round"]),
        samples: bool,
        max_gap in prop_oneof![Just(None), (1000_i64..9000).prop_map(Some)],
        steps in prop::collection::vec((-1000_i64..3000, 0_usize..3, -100.0..100.0), 0..80),
    ) -> (Options, Vec<Event>) {
        let field = Field { fill, reduce: "last", max_gap, degree: 3, outliers: None };
        let options = Options {
            interval: 1000, offset: 300, align, samples, fields: vec![field], max_fill_points: 20, bound: 2000,
        };
        let mut ts = -3000;
        let events = steps.into_iter().map(|(step, key, value)| {
            ts += step;
            Event::new(ts, ["a", "b", "c"][key], &[value])
        });
        (options, events.collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Checks that a window after a normalize stage reads every point that has a value, and none of
    /// them late.
    #[test]
    fn window_after_normalize_reads_every_point_in_time(
        (options, events) in cases(),
        cut in 1_usize..20,
        restore: bool,
        result_rows in 1_u32..5,
    ) {
        let mut pipeline = spec(&options, result_rows);
        let window = r#"{"source": {}, "stages": [{"type": "window", "window": "sliding", "size": "4s", "slide": "2s", "aggregations": ["count", "sum"]}]}"#;
        pipeline.stages.extend(crate::common::spec(window).stages);
        let found = collect(&pipeline, &events, Run { cut, restore });
        let mut expected: std::collections::BTreeMap<(i64, Vec<u8>), (f64, f64)> = Default::default();
        for row in oracle(&options, &events).into_iter().filter(|row| !row.values[0].is_nan()) {
            let last = row.time.div_euclid(2_000_000) * 2_000_000;
            for start in [last - 2_000_000, last] {
                let entry = expected.entry((start + 4_000_000, row.key.clone())).or_default();
                *entry = (entry.0 + 1.0, entry.1 + row.values[0]);
            }
        }
        prop_assert_eq!(found.rows.len(), expected.len());
        let (ends, counts, sums) = (found.times("window_end"), found.numbers("count"), found.numbers("sum"));
        for (row, ((end, key), (count, sum))) in expected.into_iter().enumerate() {
            prop_assert_eq!((ends[row], &found.keys[row], counts[row]), (end, &key, count));
            prop_assert!((sums[row] - sum).abs() < 1e-6);
        }
        prop_assert_eq!(collect(&pipeline, &events, WHOLE), found);
    }
}

#[test]
fn row_is_emitted_as_soon_as_it_is_certain() {
    let samples = [0.0, 1.0, 2.0, 5.0, 6.0, 7.0].map(|second| at(second, "a", second));
    let counts = |options: &str| emitted_counts(&pipeline("0s", options, ""), &samples).0;
    // The watermark is just below each sample, so each grid point closes with the next sample.
    assert_eq!(counts(r#""interval": "1s""#), [0, 1, 2, 3, 6, 7]);
    // A slope needs one more point.
    assert_eq!(counts(r#""interval": "1s", "fill": "spline""#), [0, 1, 2, 3, 3, 7]);
    assert_eq!(
        counts(r#""interval": "1s", "fill": "polynomial", "degree": 3"#),
        [0, 1, 2, 3, 3, 7]
    );
    assert_eq!(counts(r#""interval": "1s", "fill": "none""#), [0, 1, 2, 3, 6, 7]);
    // A gap longer than `max_gap` is certain before the next sample arrives.
    assert_eq!(
        counts(r#""interval": "1s", "fill": "spline", "max_gap": "1s""#),
        [0, 1, 2, 3, 6, 7]
    );
}

#[test]
fn output_watermark_is_held_until_a_silence_is_certain() {
    let mut events = vec![at(0.0, "quiet", 1.0)];
    events.extend((1..40).map(|second| at(f64::from(second), "busy", 1.0)));
    let held = emitted_counts(&pipeline("0s", r#""interval": "1s""#, SUMS), &events).0;
    assert_eq!(held.last(), Some(&0), "a sample of the quiet key may still fill them");
    let freed =
        emitted_counts(&pipeline("0s", r#""interval": "1s", "max_gap": "10s""#, SUMS), &events).0;
    assert_eq!(freed[10..13], [0, 3, 3], "two windows of the busy key, one of the quiet one");
    assert_eq!(freed.last(), Some(&8));
}

#[test]
fn points_without_a_value_reach_only_the_sink() {
    let events = [at(0.0, "a", 1.0), at(6.0, "a", 2.0)];
    let null = r#""interval": "1s", "fill": "none""#;
    assert_eq!(collect(&pipeline("0s", null, ""), &events, WHOLE).rows.len(), 7);
    let summed = rows(&collect(&pipeline("0s", null, SUMS), &events, WHOLE));
    let counts: Vec<f64> = summed.iter().map(|row| row.2[0]).collect();
    assert_eq!(counts, [1.0, 1.0]);
}

#[test]
fn late_samples_are_dropped_and_reported() {
    let events = [
        at(0.0, "a", 1.0),
        at(2.5, "a", 2.0),
        at(0.9, "a", 9.0),
        at(1.5, "b", 9.0),
        at(2.1, "b", 3.0),
    ];
    let (_, stats, mut engine) =
        emitted_counts(&pipeline("0s", r#""interval": "1s""#, ""), &events);
    assert_eq!((stats.late_dropped, stats.events), (2, 5));
    assert_eq!((stats.stages[0].keys, stats.stages[0].rows), (2, 1));
    let drops = engine.drops(10);
    let told: Vec<_> =
        drops.iter().map(|drop| (drop.ordinal, drop.reason, drop.window_end)).collect();
    assert_eq!(
        told,
        [(2, RejectReason::Late, Some(1_000_000)), (3, RejectReason::Late, Some(2_000_000))]
    );
}

#[test]
fn samples_beyond_the_key_limit_are_dropped_until_a_key_falls_silent() {
    let mut spec = pipeline("0s", r#""interval": "1s""#, "");
    spec.limits.max_keys = 2;
    spec.limits.max_fill_points = 5;
    let events = ["a", "b", "c"].map(|key| at(0.0, key, 1.0));
    let later = [at(20.0, "d", 1.0), at(20.0, "c", 1.0), at(20.0, "b", 1.0)];
    let (_, stats, _) = emitted_counts(&spec, &[events.to_vec(), later.to_vec()].concat());
    assert_eq!((stats.stages[0].key_limit, stats.stages[0].keys), (2, 2));
    assert_eq!(stats.stages[0].fill_limit, 2, "two keys were silent for too long");
    assert_eq!(stats.limits_struck, ["key_limit", "fill_limit"]);
}

#[test]
fn silence_beyond_max_fill_points_starts_a_new_series() {
    let mut spec = pipeline("0s", r#""interval": "1s""#, "");
    spec.limits.max_fill_points = 3;
    let seconds = |samples: &[f64]| {
        let events: Vec<Event> = samples.iter().map(|second| at(*second, "a", 1.0)).collect();
        rows(&collect(&spec, &events, WHOLE)).into_iter().map(|row| row.1).collect::<Vec<_>>()
    };
    assert_eq!(seconds(&[0.0, 4.0]), [0, 1, 2, 3, 4]);
    assert_eq!(seconds(&[0.0, 5.0, 1e9]), [0, 5, 1_000_000_000]);
}

#[test]
fn full_buffer_closes_the_oldest_point_early() {
    let spec = pipeline("1h", r#""interval": "1s", "max_buffered": 2"#, "");
    let seconds = [3.0, 5.0, 4.0, 2.0, 6.0];
    let events: Vec<Event> = seconds.iter().map(|second| at(*second, "a", *second)).collect();
    let (counts, stats, mut engine) = emitted_counts(&spec, &events);
    // 4 closes 3, so 2 is late; 6 closes 4.
    assert_eq!(counts, [0, 0, 1, 1, 2]);
    assert_eq!((stats.stages[0].buffer_limit, stats.late_dropped), (2, 1));
    assert_eq!(engine.finish().unwrap(), Progress::Done);
    assert_eq!(engine.waiting_rows(), 4);
    let firing = engine.poll(10).unwrap().firing.to_vec();
    assert!(firing.is_sorted());
    for run in [Run { cut: 1, restore: true }, Run { cut: 3, restore: false }] {
        assert_eq!(collect(&spec, &events, run), collect(&spec, &events, WHOLE));
    }
    // `sum` keeps every sample.
    let spec = pipeline("1h", r#""interval": "10s", "reduce": "sum", "max_buffered": 3"#, "");
    let events: Vec<Event> = (0..5).map(|second| at(f64::from(second), "a", 1.0)).collect();
    let (_, stats, _) = emitted_counts(&spec, &events);
    assert_eq!((stats.stages[0].buffer_limit, stats.late_dropped), (1, 2));
}

#[test]
fn silent_field_delays_the_other_fields_by_at_most_the_buffer() {
    let spec = crate::common::spec(
        r#"{"source": {"key": "k", "value": ["v", "w"]}, "stages": [{"type": "normalize", "interval": "1s",
            "max_buffered": 20, "fields": [{"name": "v"}, {"name": "w"}]}]}"#,
    );
    let mut spec = spec;
    spec.source.value.0.truncate(1);
    let event = |second: i64| {
        let w = if second == 0 { 7.0 } else { f64::NAN };
        Event::new(second * 1000, "a", &[1.0, w])
    };
    let events: Vec<Event> = (0..100).map(event).collect();
    let (counts, stats, _) = emitted_counts(&spec, &events);
    assert_eq!(counts[20], 1, "the second field may still come");
    assert_eq!(counts.last(), Some(&99));
    assert_eq!(stats.stages[0].buffer_limit, 1);
}

#[test]
fn auto_interval_is_the_median_step() {
    let spec = pipeline("10s", r#""interval": "auto", "align": "round""#, "");
    let mut events: Vec<Event> =
        (0..50).map(|nth| at(f64::from(nth) * 2.0, "a", f64::from(nth))).collect();
    events.extend((0..5).map(|nth| at(100.0 + f64::from(nth) * 0.5, "b", 1.0)));
    events.push(at(100.0, "c", 1.0));
    events.remove(20);
    let whole = collect(&spec, &events, WHOLE);
    let found = rows(&whole);
    let of = |key: &str| found.iter().filter(|row| row.0 == key).count();
    assert_eq!((of("a"), of("b"), of("c")), (50, 5, 1), "one is filled");
    assert!(found.iter().filter(|row| row.0 == "a").all(|row| row.2[0] * 2.0 == row.1 as f64));
    for cut in [1, 7, 33] {
        assert_eq!(collect(&spec, &events, Run { cut, restore: true }), whole);
    }
    let mut spec = spec;
    spec.limits.max_result_rows = 3;
    assert_eq!(collect(&spec, &events, Run { cut: 5, restore: true }), whole);
}

/// Checks that a key determines its interval again after a silence, for all batches: silence
/// depends on each event alone.
#[test]
fn auto_interval_is_determined_again_after_silence() {
    let mut spec = pipeline("1s", r#""interval": "auto""#, "");
    spec.limits.max_fill_points = 5;
    let (mut before, mut after) = (0, 0);
    for gap in 1..20_u32 {
        let mut events: Vec<Event> = (0..40).map(|nth| at(f64::from(nth), "a", 1.0)).collect();
        events.extend((0..gap).map(|nth| at(39.0 + f64::from(nth), "b", 2.0)));
        let start = 39.0 + f64::from(gap);
        events.extend((0..40).map(|nth| at(start + 2.0 * f64::from(nth), "a", 3.0)));
        let one_by_one = collect(&spec, &events, Run { cut: 1, restore: false });
        for (cut, restore) in [(10_000, false), (7, true), (45, false)] {
            assert_eq!(collect(&spec, &events, Run { cut, restore }), one_by_one, "{gap}");
        }
        let of_a = rows(&one_by_one).iter().filter(|row| row.0 == "a").count();
        // The interval between rows stays 1 s, or becomes 2 s.
        before += usize::from(of_a > 100);
        after += usize::from(of_a == 80);
    }
    assert!(before > 5 && after > 5, "{before} keep the interval, {after} determine it again");
}

#[test]
fn outliers_are_dropped_flagged_or_clipped() {
    let values = [1.0, 3.0, 1.0, 3.0, 99.0, 2.0, 2.0];
    let events: Vec<Event> =
        (0..).zip(values).map(|(second, value)| at(f64::from(second), "a", value)).collect();
    let found = |action: &str| {
        let options = format!(
            r#""interval": "1s", "outliers": {{"zscore": 3.0, "window": 4, "action": "{action}"}}"#
        );
        let all = collect(&pipeline("0s", &options, ""), &events, WHOLE);
        all.rows[4].clone()
    };
    let bits = |value: f64| Cell::Number(value.to_bits());
    assert_eq!(found("drop")[1..], [bits(2.5), Cell::Bool(true)]);
    assert_eq!(found("flag")[1..], [bits(99.0), Cell::Bool(false), Cell::Bool(true)]);
    assert_eq!(found("clip")[1..], [bits(2.0 + 3.0 * (4.0_f64 / 3.0).sqrt()), Cell::Bool(false)]);
}

#[test]
fn damaged_snapshots_are_refused() {
    let spec = pipeline("5s", r#""interval": "1s", "fill": "spline""#, "");
    let events: Vec<Event> = (0..20).map(|nth| at(f64::from(nth) * 1.7, "a", 1.0)).collect();
    let (_, _, mut engine) = emitted_counts(&spec, &events);
    let snapshot = engine.snapshot().unwrap();
    for at in 0..snapshot.len() {
        let mut damaged = snapshot.clone();
        damaged[at] ^= 0x55;
        assert!(Engine::restore(&spec, Default::default(), &damaged).is_err());
        assert!(Engine::restore(&spec, Default::default(), &snapshot[..at]).is_err());
    }
}

#[test]
fn rows_of_many_keys_are_in_the_defined_order() {
    let spec = pipeline("3s", r#""interval": "1s""#, "");
    let events: Vec<Event> = (0..3000_i64)
        .map(|nth| {
            Event::new(
                nth * 13 + nth * 7919 % 2500,
                &format!("k{:03}", nth * 31 % 97),
                &[nth as f64],
            )
        })
        .collect();
    let whole = collect(&spec, &events, WHOLE);
    let times = whole.times("ts").into_iter().enumerate();
    let order: Vec<_> =
        times.map(|(row, time)| (whole.firing[row], time, whole.keys[row].clone())).collect();
    assert!(order.is_sorted() && order.len() > 3000);
    let mut small = spec.clone();
    small.limits.max_result_rows = 11;
    assert_eq!(collect(&small, &events, Run { cut: 500, restore: true }), whole);
    let mut engine = Engine::open(&spec, Default::default()).unwrap();
    push(&mut engine, &events);
    let rows = engine.poll(1).unwrap();
    assert!(matches!(
        rows.columns[..],
        [RowColumn::Time(_), RowColumn::Number(_), RowColumn::Bool(_)]
    ));
}
