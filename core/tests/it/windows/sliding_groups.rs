//! Percentiles of many values in sliding windows: equal to those of tumbling windows, for all
//! batches, polls and snapshots.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use crate::common::distributions::{DISTRIBUTIONS, values_of};
use crate::common::pipeline::stage;
use crate::common::{Event, KeysAs, Pipeline, Run, cuts, run_cut};

const PERCENTILES: [&str; 6] = ["count", "p0", "p1", "p50", "p99.9", "p100"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn large_sliding_windows_equal_tumbling_windows(
        distribution in 0..DISTRIBUTIONS.len(),
        seed in 1_u64..1000,
        count in 300_usize..3000,
        coarse in any::<bool>(),
        slide in prop::sample::select(vec!["2s", "400ms", "10ms"]),
        cuts in cuts(),
    ) {
        let aggregations = json!([
            "count", "min", "max", "range", "first", "last", "distinct", "rate", "p0", "p1", "p25",
            "p50", "p99.9", {"op": "p95", "engine": "exact"},
        ]);
        let limited = Pipeline::keyed().bound("1s").limit("max_values", 700);
        let pipeline = |window: &str| limited.clone().window(window, aggregations.clone()).spec();
        let values = values_of(DISTRIBUTIONS[distribution], count, seed);
        let events: Vec<Event> = (0_i64..).zip(values).map(|(at, value)| Event {
            ts: at * 7_919_333 % 16_000_000 + at * 200,
            key: 1,
            value: if coarse { value.floor() } else { value },
        }).collect();
        let tumbling = run_cut(
            Run::new(pipeline(r#""window": "tumbling", "size": "8s""#)), &events, &cuts);
        let (mut rows, stats) = run_cut(
            Run::new(pipeline(&format!(r#""window": "sliding", "size": "8s", "slide": "{slide}""#))), &events, &cuts);
        let digest = json!(["sum", {"op": "p95", "engine": "tdigest"}]);
        let digest = Pipeline::keyed().bound("1s").window(r#""window": "sliding", "size": "8s", "slide": "1s""#, digest);
        let digests = || Run::new(digest.spec());
        let whole = run_cut(digests(), &events, &[]);
        prop_assert_eq!(run_cut(digests(), &events, &cuts), whole);
        rows.retain(|row| row.start % 8_000_000 == 0);
        // An event that is late for a tumbling window is late for the sliding window with the same
        // bounds.
        prop_assert_eq!(rows, tumbling.0);
        prop_assert!(stats.late_dropped <= tumbling.1.late_dropped);
    }
}

/// Returns many events of few keys, with values of one distribution, most of them in order.
fn large_stream(distribution: usize, count: usize, seed: u64, coarse: bool) -> Vec<Event> {
    let values = values_of(DISTRIBUTIONS[distribution], count, seed);
    let event = |(at, value): (i64, f64)| Event {
        ts: at * 15_000 - if at % 7 == 0 { at * 7_919_333 % 9_000_000 } else { 0 },
        key: [1, 1, 1, 2, 2, 3][usize::try_from(at % 6).unwrap()] + u32::from(at % 600 > 500) * 3,
        value: if coarse { value.floor() } else { value },
    };
    (0_i64..).zip(values).map(event).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn incremental_percentiles_do_not_depend_on_cuts(
        distribution in 0..DISTRIBUTIONS.len(),
        seed in 1_u64..1000,
        count in 1_000_usize..4_000,
        coarse in any::<bool>(),
        window in prop::sample::select(vec![
            r#""window": "sliding", "size": "20s", "slide": "1s""#,
            r#""window": "sliding", "size": "20s", "slide": "7s""#,
            r#""window": "sliding", "size": "20s", "slide": "1100ms""#,
            r#""window": "sliding", "size": "2s", "slide": "3s""#,
            r#""window": "cumulate", "size": "20s", "step": "1s""#,
        ]),
        (lateness, limits) in prop::sample::select(vec![
            ("0s", json!({"max_keys": 3, "on_max_keys": "evict"})),
            ("0s", json!({"max_keys": 100})),
            ("2s", json!({"max_keys": 3})),
            ("30s", json!({"max_keys": 100})),
        ]),
        buffer in prop::sample::select(vec![2_u32, 1000]),
        mut cuts in cuts(),
    ) {
        let window = stage("window", window, json!({"allowed_lateness": lateness, "aggregations": PERCENTILES}));
        let pipeline = Pipeline::keyed().bound("1s").limits(&limits).result_rows(buffer).stage(window).spec();
        let events = large_stream(distribution, count, seed, coarse);
        cuts.iter_mut().for_each(|cut| cut.length *= 8);
        let mut whole = Run::new(pipeline.clone());
        whole.push(&events, KeysAs::Encoded);
        let mut run = Run::new(pipeline);
        run.restores_when_full = buffer > 2;
        prop_assert_eq!(run_cut(run, &events, &cuts), whole.finish());
    }

    #[test]
    fn revised_large_sliding_windows_equal_tumbling_windows(
        distribution in 0..DISTRIBUTIONS.len(),
        seed in 1_u64..1000,
        count in 1_000_usize..4_000,
        coarse in any::<bool>(),
    ) {
        let last_rows = |window: &str| {
            let window = stage("window", window, json!({"allowed_lateness": "30s", "aggregations": PERCENTILES}));
            let pipeline = Pipeline::keyed().bound("1s").stage(window).spec();
            let events = large_stream(distribution, count, seed, coarse);
            let (rows, stats) = run_cut(Run::new(pipeline), &events, &[]);
            assert_eq!(stats.late_dropped, 0);
            let of_both = rows.into_iter().filter(|row| row.start % 20_000_000 == 0);
            of_both.map(|row| ((row.start, row.key.clone()), row.without(&["revision"]))).collect::<BTreeMap<_, _>>()
        };
        prop_assert_eq!(
            last_rows(r#""window": "sliding", "size": "20s", "slide": "1s""#),
            last_rows(r#""window": "tumbling", "size": "20s""#)
        );
    }
}
