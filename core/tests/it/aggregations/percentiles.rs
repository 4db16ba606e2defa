//! Percentiles equal those of a sorted list, or stay within the sketch's bound, for all batches and
//! snapshots.

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::PipelineSpec;

use crate::common::distributions::{DISTRIBUTIONS, values_of};
use crate::common::pipeline::list;
use crate::common::{
    Cut, Event, KeysAs, Pipeline, Row, Run, cuts, events, linear, oracle_of, run_cut,
};

const PERCENTS: [&str; 8] = ["0", "1", "25", "50", "95", "99", "99.9", "100"];

/// Returns a pipeline with windows of one second, each of [`PERCENTS`], and the count.
fn pipeline(engine: &str) -> PipelineSpec {
    let each = PERCENTS.map(|percent| json!({"op": format!("p{percent}"), "engine": engine}));
    let aggregations = [&[json!("count")], &each[..]].concat();
    let window = json!({
        "type": "window", "window": "tumbling", "size": "1s", "field": "v",
        "aggregations": aggregations,
    });
    let pipeline = Pipeline::of(json!({"key": "k"})).bound("1s").result_rows(3);
    pipeline.limit("max_values", 600).stage(window).spec()
}

fn at_one_time(values: &[f64]) -> Vec<Event> {
    values.iter().map(|value| Event { ts: 0, key: 1, value: *value }).collect()
}

/// Returns the results of `engine` for one window with `values`.
fn found(engine: &str, values: &[f64]) -> Vec<f64> {
    let mut run = Run::new(pipeline(engine));
    run.push(&at_one_time(values), KeysAs::Ids);
    percentiles(&run.finish().0[0])
}

/// Returns each of [`PERCENTS`] of a row.
fn percentiles(row: &Row) -> Vec<f64> {
    PERCENTS.iter().map(|percent| row.number(&format!("p{percent}"))).collect()
}

fn exactly(values: &[f64]) -> Vec<f64> {
    PERCENTS.iter().map(|percent| linear(values, percent)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn small_windows_are_exact_in_every_engine(mut events in events(), cuts in cuts(), every in 2_usize..9) {
        for event in events.iter_mut().step_by(every) {
            event.value = f64::NAN;
        }
        let due = oracle_of(&events, 1_000_000, 0, Some(1_000_000), |events| {
            let values: Vec<f64> =
                events.iter().map(|event| event.value).filter(|value| !value.is_nan()).collect();
            let mut row = vec![values.len() as f64];
            row.extend(exactly(&values));
            row
        });
        prop_assert_eq!(&run_cut(Run::new(pipeline("exact")), &events, &cuts).0, &due.rows);
        prop_assert_eq!(&run_cut(Run::new(pipeline("sketch")), &events, &cuts).0, &due.rows);
        prop_assert_eq!(&run_cut(Run::new(pipeline("tdigest")), &events, &cuts).0, &due.rows);
    }

    #[test]
    fn large_windows_do_not_depend_on_cuts_and_order(
        distribution in 0..DISTRIBUTIONS.len(),
        seed in 1_u64..1000,
        count in 400_usize..1500,
        cuts in cuts(),
        keys in 1_u32..4,
    ) {
        let values = values_of(DISTRIBUTIONS[distribution], count, seed);
        let of = |values: &[f64]| -> Vec<Event> {
            let events = (0..).zip(values);
            events.map(|(at, value)| Event { ts: 0, key: at % keys, value: *value }).collect()
        };
        for engine in ["sketch", "tdigest", "exact"] {
            let mut whole = Run::new(pipeline(engine));
            whole.push(&of(&values), KeysAs::Ids);
            let due = whole.finish();
            prop_assert_eq!(&run_cut(Run::new(pipeline(engine)), &of(&values), &cuts), &due);
            if keys == 1 && engine != "tdigest" {
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                prop_assert_eq!(&run_cut(Run::new(pipeline(engine)), &of(&sorted), &cuts), &due);
            }
        }
    }

    #[test]
    fn order_statistics_of_the_sketch_are_within_one_percent(
        distribution in 0..DISTRIBUTIONS.len(),
        seed in 1_u64..1000,
        count in 513_usize..5000,
    ) {
        let values = values_of(DISTRIBUTIONS[distribution], count, seed);
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        for (percent, found) in PERCENTS.iter().zip(found("sketch", &values)) {
            let place = (count as f64 - 1.0) * (percent.parse::<f64>().unwrap() / 100.0);
            let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            let fraction = place - place.floor();
            let tolerance = 0.01 * (low.abs() * (1.0 - fraction) + high.abs() * fraction);
            let due = linear(&values, percent);
            prop_assert!((found - due).abs() <= tolerance, "p{percent}: {found} for {due}");
            prop_assert!(sorted[0] <= found && found <= sorted[count - 1]);
            match *percent {
                "0" => prop_assert_eq!(found, sorted[0]),
                "100" => prop_assert_eq!(found, sorted[count - 1]),
                _ => {}
            }
        }
    }

    #[test]
    fn tdigest_error_in_rank_is_within_its_bound(
        distribution in 0..DISTRIBUTIONS.len(),
        seed in 1_u64..1000,
        count in 513_usize..6000,
    ) {
        let values = values_of(DISTRIBUTIONS[distribution], count, seed);
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        for (percent, found) in PERCENTS.iter().zip(found("tdigest", &values)) {
            let share = percent.parse::<f64>().unwrap() / 100.0;
            let below = sorted.partition_point(|value| *value < found) as f64;
            let not_above = sorted.partition_point(|value| *value <= found) as f64;
            // A centroid holds at most 4 / 200 of the ranks in the middle, and less towards both
            // ends. The error is smaller.
            let rank = share * count as f64;
            let tolerance = (0.02 * (share * (1.0 - share)).sqrt() + 0.0005) * count as f64 + 1.0;
            prop_assert!(
                below - tolerance <= rank && rank <= not_above + tolerance,
                "p{percent} of {count}: {found} stands at {below}..{not_above}, not {rank}"
            );
        }
    }

    #[test]
    fn few_different_values_are_exact_for_any_count(seed in 1_u64..1000, count in 1_usize..4000) {
        let values: Vec<f64> =
            values_of("uniform", count, seed).iter().map(|value| (value * 0.255).floor() - 100.0).collect();
        prop_assert_eq!(found("sketch", &values), exactly(&values));
        prop_assert_eq!(found("exact", &values), exactly(&values));
    }
}

#[test]
fn sketch_is_exact_only_up_to_512_values() {
    let values = values_of("lognormal", 513, 7);
    assert_eq!(found("sketch", &values[..512]), exactly(&values[..512]));
    assert_ne!(found("sketch", &values), exactly(&values));
}

#[test]
fn sketch_is_exact_only_up_to_256_different_values() {
    let values: Vec<f64> = (0..2570_u32).map(|at| f64::from(at % 257) * 1.37 + 5.0).collect();
    let fewer: Vec<f64> = values.iter().copied().filter(|value| *value != 5.0).collect();
    assert_eq!(found("sketch", &fewer), exactly(&fewer));
    assert_ne!(found("sketch", &values), exactly(&values));
}

#[test]
fn exact_window_beyond_its_value_limit_becomes_a_sketch_and_is_counted() {
    let values = values_of("lognormal", 601, 3);
    assert_eq!(found("exact", &values[..600]), exactly(&values[..600]));
    let run = |values: &[f64]| {
        let cut = Cut { length: 550, poll: 0, restore: true, keys: KeysAs::Ids };
        let mut events = at_one_time(values);
        events.push(Event { ts: 9_000_000, ..events[0] });
        run_cut(Run::new(pipeline("exact")), &events, &[cut])
    };
    let (rows, stats) = run(&values);
    assert_eq!(percentiles(&rows[0]), found("sketch", &values));
    assert_eq!((stats.stages[0].value_limit, stats.limits_struck), (1, vec!["value_limit"]));
    let (_, stats) = run(&values[..600]);
    assert_eq!((stats.stages[0].value_limit, stats.limits_struck), (0, vec![]));
}

#[test]
fn values_64_octaves_below_the_greatest_count_as_zero_and_are_counted() {
    let values: Vec<f64> = (0..1000).map(|at| f64::from_bits((at + 200) << 52)).collect();
    let mut run = Run::new(pipeline("sketch"));
    run.push(&at_one_time(&values), KeysAs::Ids);
    run.restore();
    let (rows, stats) = run.finish();
    assert_eq!(stats.stages[0].folded_values, 1000 - 64);
    assert_eq!(rows[0].number("p50"), values[0], "0, but not below the least value");
    assert_eq!(rows[0].number("p100"), values[999]);
}

#[test]
fn zeros_of_both_signs_are_the_same_value() {
    let mut values = vec![0.0, -0.0, 0.0, -0.0, 1.0, -1.0];
    assert_eq!(found("sketch", &values)[3].to_bits(), 0);
    values.extend(values_of("mixed", 2000, 5));
    values.extend([-0.0; 5000]);
    assert_eq!(found("sketch", &values)[3].to_bits(), 0);
}

#[test]
fn unknown_engines_and_percentiles_are_refused_by_name() {
    let error = |aggregation: &str| {
        let window = r#""window": "tumbling", "size": "1s""#;
        Pipeline::of(json!({"value": "v"})).window(window, list(aggregation)).refusal()
    };
    assert_eq!(
        error(r#""p101""#),
        "stages[0].aggregations[0]: unknown aggregation `p101`: percentiles are p0 to p100, with at most six decimals, \
         such as p99.9"
    );
    assert_eq!(
        error(r#"{"op": "p50", "engine": "digest"}"#),
        "stages[0].aggregations[0].engine: unknown name `digest`, did you mean `tdigest`? (expected one of: sketch, \
         tdigest, exact)"
    );
    assert_eq!(
        error(r#"{"op": "max", "engine": "exact"}"#),
        "stages[0].aggregations[0].engine: `max` has no engine: only percentiles have, such as `p95`"
    );
    assert!(error(r#""p99.9", "p99.90""#).contains("a second column `p99.9`"));
}
