//! Cumulating windows compared with the oracle, for all batches, polls, key forms and snapshots.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::PipelineSpec;

use crate::common::{Event, KeysAs, Pipeline, Row, Run, bits, cuts, encoded, events, run_cut};

/// The options of a cumulating window, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Cumulating {
    size: i64,
    step: i64,
    offset: i64,
    bound: i64,
    lateness: i64,
    is_final: bool,
}

impl Cumulating {
    fn pipeline(self, result_rows: u32) -> PipelineSpec {
        let Self { size, step, offset, bound, lateness, is_final } = self;
        let us = |time: i64| format!("{time}us");
        let window = json!({
            "type": "window", "window": "cumulate", "size": us(size), "step": us(step),
            "offset": us(offset), "allowed_lateness": us(lateness),
            "emit": if is_final { "final" } else { "close" },
            "aggregations": ["count", "sum", "min", "p50"],
        });
        Pipeline::keyed().bound_us(Some(bound)).result_rows(result_rows).stage(window).spec()
    }

    fn start(self, time: i64) -> i64 {
        (time - self.offset).div_euclid(self.size) * self.size + self.offset
    }

    /// Returns the ends of the windows that cover `time`.
    fn ends(self, time: i64) -> impl Iterator<Item = i64> {
        let (start, step) = (self.start(time), self.step);
        (1..=self.size / step).map(move |nth| start + nth * step).filter(move |end| *end > time)
    }
}

struct Oracle {
    rows: Vec<Row>,
    late: u64,
}

/// Keeps the values of every window of every key, and fires before each event the windows that the
/// watermark has passed.
fn oracle(events: &[Event], with: Cumulating) -> Oracle {
    let mut open: BTreeMap<(i64, Vec<u8>), (Vec<f64>, u32)> = BTreeMap::new();
    let mut oracle = Oracle { rows: Vec::new(), late: 0 };
    let (delay, kept) = if with.is_final { (with.lateness, 0) } else { (0, with.lateness) };
    let mut greatest: Option<i64> = None;
    let end_of_input = Event { ts: i64::MAX, key: 0, value: 0.0 };
    for event in events.iter().chain([&end_of_input]) {
        let is_end = event.ts == i64::MAX;
        let watermark = greatest.map_or(i64::MIN, |greatest| greatest - with.bound - 1);
        let watermark = if is_end { i64::MAX } else { watermark };
        for ((end, key), (values, rows)) in &mut open {
            if *rows == 0 && end - 1 + delay <= watermark {
                oracle.rows.push(row(with, end - 1 + delay, *end, key, values, *rows));
                *rows += 1;
            }
        }
        if is_end {
            break;
        }
        let ends: Vec<i64> =
            with.ends(event.ts).filter(|end| end - 1 + delay + kept > watermark).collect();
        oracle.late += u64::from(ends.is_empty());
        for end in ends {
            let key = encoded(event.key);
            let (values, rows) = open.entry((end, key.clone())).or_default();
            values.push(event.value);
            if end - 1 + delay <= watermark {
                oracle.rows.push(row(with, watermark, end, &key, values, *rows));
                *rows += 1;
            }
        }
        greatest = Some(greatest.map_or(event.ts, |greatest| greatest.max(event.ts)));
    }
    oracle
}

fn row(with: Cumulating, firing: i64, end: i64, key: &[u8], values: &[f64], rows: u32) -> Row {
    let mut cells = vec![
        values.len() as f64,
        values.iter().sum(),
        values.iter().copied().fold(f64::INFINITY, f64::min),
        crate::common::linear(values, "50"),
    ];
    if with.lateness > 0 && !with.is_final {
        cells.push(f64::from(rows));
    }
    let values = cells.into_iter().map(bits).collect();
    Row { firing, end, start: with.start(end - 1), key: key.to_vec(), values, ..Row::default() }
}

fn windows() -> impl Strategy<Value = Cumulating> {
    let sizes =
        prop::sample::select(vec![(6_000, 2_000), (12_000, 1_000), (3_000, 3_000), (40_000, 500)]);
    let offset = prop::sample::select(vec![0_i64, 2_300, -700]);
    let bound = prop::sample::select(vec![0_i64, 2_000]);
    let lateness = prop::sample::select(vec![0_i64, 1_500, 20_000]);
    (sizes, offset, bound, lateness, any::<bool>()).prop_map(
        |((size, step), offset, bound, lateness, is_final)| Cumulating {
            size: size * 1_000,
            step: step * 1_000,
            offset: offset * 1_000,
            bound: bound * 1_000,
            lateness: lateness * 1_000,
            is_final,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rows_equal_the_oracle(
        events in events(),
        cuts in cuts(),
        windows in windows(),
        buffer in prop::sample::select(vec![1_u32, 3, 1000]),
        restores_when_full in prop::sample::select(vec![false, false, true]),
    ) {
        // Whole numbers have the same sum in any order.
        let events: Vec<Event> =
            events.into_iter().map(|event| Event { value: event.value.rem_euclid(1e6).floor() + 0.0, ..event }).collect();
        let expected = oracle(&events, windows);
        prop_assume!(!restores_when_full || expected.rows.len() < 200);
        let mut run = Run::new(windows.pipeline(buffer));
        run.restores_when_full = restores_when_full;
        let (rows, stats) = run_cut(run, &events, &cuts);
        prop_assert_eq!(rows, expected.rows);
        prop_assert_eq!(stats.late_dropped, expected.late);
        prop_assert_eq!((stats.stages[0].keys, stats.stages[0].open_windows), (0, 0));
    }
}

const SECOND: i64 = 1_000_000;

fn at(seconds: i64, value: f64) -> Event {
    Event { ts: seconds * SECOND, key: 1, value }
}

#[test]
fn windows_of_one_start_grow_by_one_step_each() {
    let windows = Cumulating {
        size: 6 * SECOND,
        step: 2 * SECOND,
        offset: 0,
        bound: 0,
        lateness: 0,
        is_final: false,
    };
    let mut run = Run::new(windows.pipeline(100));
    // The event at 1 arrives after the window up to 2 has fired. It counts from the next window on.
    run.push(&[at(0, 1.0), at(3, 2.0), at(1, 4.0), at(7, 8.0), at(2, 16.0)], KeysAs::Ids);
    let (rows, stats) = run.finish();
    let found: Vec<_> =
        rows.iter().map(|row| (row.start / SECOND, row.end / SECOND, row.number("sum"))).collect();
    assert_eq!(
        found,
        [(0, 2, 1.0), (0, 4, 7.0), (0, 6, 7.0), (6, 8, 8.0), (6, 10, 8.0), (6, 12, 8.0)]
    );
    assert_eq!(stats.late_dropped, 1);
}

#[test]
fn invalid_options_are_refused_with_path_and_reason() {
    let error = |fields: &str| {
        let options = format!(r#""window": "cumulate", {fields}"#);
        Pipeline::of(json!({})).window(&options, json!(["count"])).refusal()
    };
    assert!(error(r#""size": "1h""#).starts_with("stages[0].step: missing: how much longer"));
    assert_eq!(
        error(r#""size": "1h", "step": "7m""#),
        "stages[0].step: 7m: the size 1h must be a multiple of it"
    );
    assert!(
        error(r#""size": "1h", "step": "0s""#)
            .starts_with("stages[0].step: 0s: the size 1h must be")
    );
    assert!(
        error(r#""size": "1d", "step": "1s""#)
            .starts_with("stages[0].step: an event would be in 86400 windows of 1d")
    );
    assert!(error(r#""size": "1h", "step": "1m", "early": "1s""#).starts_with("stages[0].early: "));
}
