//! Moments, range, first and last of windows compared with simple formulas, for all batches and
//! snapshots.

use proptest::prelude::*;
use serde_json::{Value, json};
use stream_processor_core::{PipelineSpec, Plan};

use crate::common::{Event, KeysAs, Pipeline, Run, cuts, events, oracle_of, run_cut, spec};

/// Returns a pipeline with windows of one second and `aggregations` of a field that may be missing.
fn pipeline(aggregations: Value) -> PipelineSpec {
    let window = json!({
        "type": "window", "window": "tumbling", "size": "1s", "field": "v",
        "aggregations": aggregations,
    });
    Pipeline::of(json!({"key": "k"})).bound("1s").result_rows(3).stage(window).spec()
}

/// Generates events, some of which have no value.
fn with_gaps() -> impl Strategy<Value = Vec<Event>> {
    (events(), 2_usize..9).prop_map(|(mut events, every)| {
        for event in events.iter_mut().step_by(every) {
            event.value = f64::NAN;
        }
        events
    })
}

fn values(events: &[Event]) -> Vec<f64> {
    events.iter().map(|event| event.value).filter(|value| !value.is_nan()).collect()
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::NAN }
}

/// Returns the variance by Welford's update as textbooks print it, which allows only one way to
/// round.
fn welford(values: &[f64], population: bool) -> f64 {
    let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for x in values {
        n += 1.0;
        let before = x - mean;
        mean += before / n;
        squares += before * (x - mean);
    }
    let divisor = if population { n } else { n - 1.0 };
    if divisor > 0.0 { finite(squares / divisor) } else { f64::NAN }
}

/// Returns the variance computed in two passes, the mean first.
fn two_pass(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn moments_equal_those_of_welfords_update(events in with_gaps(), cuts in cuts()) {
        let pipeline = pipeline(json!(["variance", "stddev", {"op": "variance", "population": true, "name": "all"},
                {"op": "stddev", "population": true, "name": "root"}, "count"]));
        let expected = oracle_of(&events, 1_000_000, 0, Some(1_000_000), |events| {
            let values = values(events);
            let (sample, all) = (welford(&values, false), welford(&values, true));
            vec![sample, sample.sqrt(), all, all.sqrt(), values.len() as f64]
        });
        prop_assert_eq!(run_cut(Run::new(pipeline), &events, &cuts).0, expected.rows);
    }

    #[test]
    fn variance_is_within_its_bound_of_a_two_pass_variance(
        values in prop::collection::vec(-1000.0..1000.0, 2..300),
        mean in prop::sample::select(vec![0.0, 1e6, -1e9]),
    ) {
        let events: Vec<Event> =
            values.iter().map(|value| Event { ts: 0, key: 1, value: value + mean }).collect();
        let mut run = Run::new(pipeline(json!(["variance"])));
        run.push(&events, KeysAs::Ids);
        let found = run.finish().0[0].number("variance");
        let expected = two_pass(&events.iter().map(|event| event.value).collect::<Vec<_>>());
        // The bound of Welford's update is about n ulps times the condition number sqrt(1 + mean^2
        // / variance), where the mean is that of the events.
        let found_mean = events.iter().map(|event| event.value).sum::<f64>() / events.len() as f64;
        let condition = (1.0 + found_mean * found_mean / expected).sqrt();
        // The two passes have the same bound.
        let tolerance = 2.0 * values.len() as f64 * f64::EPSILON * condition * expected;
        prop_assert!((found - expected).abs() <= tolerance, "{found} {expected} {tolerance}");
    }

    #[test]
    fn range_first_and_last_equal_those_of_a_sorted_list(events in with_gaps(), cuts in cuts()) {
        let pipeline = pipeline(json!(["first", "last", "range", "max"]));
        let expected = oracle_of(&events, 1_000_000, 0, Some(1_000_000), |events| {
            let mut there: Vec<&Event> = events.iter().filter(|event| !event.value.is_nan()).collect();
            let values = values(events);
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            there.sort_by_key(|event| event.ts);
            let end = |event: Option<&&Event>| event.map_or(f64::NAN, |event| event.value);
            vec![end(there.first()), end(there.last()), finite(greatest - least), finite(greatest)]
        });
        prop_assert_eq!(run_cut(Run::new(pipeline), &events, &cuts).0, expected.rows);
    }
}

#[test]
fn rate_is_the_count_per_second_of_the_window() {
    let pipeline = |aggregations: Value| {
        let window = json!({
            "type": "window", "window": "sliding", "size": "1m", "slide": "30s",
            "aggregations": aggregations,
        });
        Pipeline::of(json!({"key": "k"})).stage(window)
    };
    let event = |second: i64, value| Event { ts: second * 1_000_000, key: 1, value };
    let events = [event(0, 1.0), event(1, f64::NAN), event(29, 2.0)];
    let of = |aggregations: Value| {
        let mut run = Run::new(pipeline(aggregations).spec());
        run.push(&events, KeysAs::Ids);
        run.finish().0.remove(1).numbers()
    };
    let aggregations = json!(["rate", "count", {"op": "rate", "field": "v"}]);
    assert_eq!(of(aggregations), [0.05, 3.0, 2.0 / 60.0]);
    let error = pipeline(json!(["distinct"])).plan().map(drop).unwrap_err();
    assert!(error.message().starts_with("`distinct` needs a field"), "{error}");
}

#[test]
fn distinct_is_exact_up_to_512_values_and_an_estimate_beyond() {
    let count = |values: u32| {
        let mut run = Run::new(pipeline(json!(["distinct", "count"])));
        let event = |at: u32| Event { ts: 0, key: 1, value: f64::from(at % values) / 8.0 };
        let events: Vec<Event> = (0..3 * values).map(event).collect();
        events.chunks(700).for_each(|events| {
            run.push(events, KeysAs::Ids);
            run.restore();
        });
        let row = run.finish().0.remove(0);
        assert_eq!(row.number("count"), f64::from(3 * values));
        row.number("distinct")
    };
    assert_eq!((count(1), count(512)), (1.0, 512.0));
    for values in [513, 2000, 9000] {
        assert!((count(values) / f64::from(values) - 1.0).abs() < 0.05);
    }
}

#[test]
fn first_and_last_of_one_time_follow_the_ordinals() {
    let mut run = Run::new(pipeline(json!(["first", "last"])));
    let event = |value| Event { ts: 5, key: 1, value };
    let events = [event(1.0), event(2.0), event(3.0)];
    run.push_with_watermarks(&events, Some(&[30, 10, 20]), None, KeysAs::Ids);
    run.restore();
    run.push_with_watermarks(&[event(4.0)], Some(&[15]), None, KeysAs::Ids);
    let row = run.finish().0.remove(0);
    assert_eq!((row.number("first"), row.number("last")), (2.0, 1.0));
}

#[test]
fn roll_up_takes_first_and_last_of_its_input_rows() {
    let pipeline = spec(
        r#"{"source": {"value": "v", "key": "k"}, "time": {"max_out_of_orderness": "unbounded"}, "stages": [
            {"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["sum"]},
            {"type": "window", "window": "tumbling", "size": "1m", "aggregations": ["first", "last", "stddev"]}]}"#,
    );
    let mut run = Run::new(pipeline);
    let event = |second: i64, value| Event { ts: second * 1_000_000, key: 1, value };
    run.push(&[event(7, 5.0), event(3, 1.0), event(5, 3.0), event(3, 0.5)], KeysAs::Ids);
    let row = run.finish().0.remove(0);
    let expected = [1.5, 5.0, welford(&[1.5, 3.0, 5.0], false).sqrt()];
    assert_eq!(row.values, expected.map(f64::to_bits));
}

#[test]
fn options_without_effect_and_duplicate_columns_are_refused() {
    let error = |aggregations: Value| Plan::new(&pipeline(aggregations)).unwrap_err();
    let found = error(json!(["count", {"op": "avg", "population": true}]));
    assert_eq!(found.path(), "stages[0].aggregations[1].population");
    assert_eq!(found.message(), "`avg` has no population: only `variance` and `stddev` have");
    let found = error(json!(["stddev", {"op": "stddev", "population": true}]));
    assert!(found.message().starts_with("a second column `stddev`"), "{found}");
}
