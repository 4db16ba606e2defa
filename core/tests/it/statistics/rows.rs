//! Moving averages, rolling aggregations and z-scores compared with lists of earlier values, for
//! all batches, result buffers and snapshots.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stream_processor_core::PipelineSpec;

use crate::common::Pipeline;
use crate::common::events::{Cell, Event, Run, collect, number};

/// Out-of-orderness in milliseconds.
const BOUND: i64 = 5;

fn spec(stages: &str, result_rows: usize, max_keys: usize) -> PipelineSpec {
    Pipeline::keyed()
        .bound(&format!("{BOUND}ms"))
        .result_rows(result_rows)
        .limit("max_keys", max_keys)
        .stages(stages)
        .spec()
}

/// Generates streams with disorder, ties and negative times. All sums of these values are exact;
/// some values of the second field are missing.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let value = || (-40..40_i32).prop_map(|n| f64::from(n) / 8.0);
    let second = prop_oneof![4 => value(), 1 => Just(f64::NAN)];
    let key = prop::sample::select(vec!["a", "b", "c", "d"]);
    let step = prop_oneof![8 => -3..6_i64, 1 => -30..30_i64];
    let event = (step, key, value(), second);
    prop::collection::vec(event, 0..120).prop_map(|steps| {
        let mut ts = -100;
        let events = steps.into_iter().map(|(step, key, v, w)| {
            ts += step;
            Event::new(ts, key, &[v, w])
        });
        events.collect()
    })
}

fn runs() -> impl Strategy<Value = Run> {
    (1..25_usize, any::<bool>()).prop_map(|(cut, restore)| Run { cut, restore })
}

/// The times and values of one field of a key since its state was created, up to an event. `None`
/// if the event is dropped.
type History = Option<Vec<(i64, f64)>>;

/// The time of a key's latest event, and its history.
type KeyState = (i64, Vec<(i64, f64)>);

/// Returns the history of the field `field` at each event.
fn histories(
    events: &[Event],
    field: usize,
    ttl: Option<i64>,
    max_keys: usize,
    is_value: impl Fn(&Event) -> bool,
) -> Vec<History> {
    let mut alive: BTreeMap<&str, KeyState> = BTreeMap::new();
    let mut watermark = i64::MIN;
    let mut all = Vec::new();
    for event in events {
        let key = event.key.as_str();
        if let Some(ttl) = ttl {
            alive.retain(|_, (latest, _)| *latest + ttl > watermark);
            if alive.get(key).is_some_and(|(latest, _)| *latest + ttl <= event.ts) {
                alive.remove(key);
            }
        }
        // Times are in milliseconds, the watermark in microseconds: one less than the greatest time
        // minus the bound.
        watermark = watermark.max(event.ts - BOUND - 1);
        if !alive.contains_key(key) && is_value(event) {
            if alive.len() >= max_keys {
                all.push(None);
                continue;
            }
            alive.insert(key, (event.ts, Vec::new()));
        }
        let history = alive.get_mut(key).map(|(latest, history)| {
            *latest = event.ts.max(*latest);
            let value = event.values[field];
            if !value.is_nan() {
                history.push((event.ts, value));
            }
            history.clone()
        });
        all.push(Some(history.unwrap_or_default()));
    }
    all
}

/// Returns the expected rows, with the fields up to `field`: the event, and the columns that
/// `added` computes from its history, or `missing` if its value is missing.
fn expected(
    events: &[Event],
    field: usize,
    histories: &[History],
    added: impl Fn(&[(i64, f64)]) -> Vec<Cell>,
    missing: &[Cell],
) -> Vec<Vec<Cell>> {
    let rows = events.iter().zip(histories).filter_map(|(event, history)| {
        let history = history.as_ref()?;
        let base = event.values[..=field].iter().map(|value| number(*value));
        let base = std::iter::once(Cell::Time(event.ts * 1_000)).chain(base);
        let added = if event.values[field].is_nan() { missing.to_vec() } else { added(history) };
        Some(base.chain(added).collect())
    });
    rows.collect()
}

fn values(history: &[(i64, f64)]) -> Vec<f64> {
    history.iter().map(|(_, value)| *value).collect()
}

fn ema(values: &[f64], alpha: f64) -> f64 {
    values.iter().copied().reduce(|average, value| average + alpha * (value - average)).unwrap()
}

/// Returns the mean and the deviation of a sample by Welford's update, which allows only one way to
/// round.
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        n += 1.0;
        let before = value - mean;
        mean += before / n;
        squares += before * (value - mean);
    }
    (mean, (squares / (n - 1.0)).sqrt())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}

fn median_and_deviation(values: &[f64]) -> (f64, f64) {
    let centre = median(values);
    let distances: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    (centre, median(&distances) / 0.674_489_750_196_081_7)
}

/// Returns the score of the last value, and whether it is an anomaly.
fn zscore(
    values: &[f64],
    threshold: f64,
    warmup: usize,
    learn: bool,
    window: usize,
    measure: fn(&[f64]) -> (f64, f64),
) -> Vec<Cell> {
    let mut learned: Vec<f64> = Vec::new();
    let mut found = (f64::NAN, false);
    for value in values {
        let last = &learned[learned.len().saturating_sub(window)..];
        found = (f64::NAN, false);
        if last.len() >= warmup {
            let (centre, deviation) = measure(last);
            let score = (value - centre) / deviation;
            found = match deviation == 0.0 {
                true => (if *value == centre { 0.0 } else { f64::NAN }, *value != centre),
                false => (score, score.abs() > threshold),
            };
        }
        if learn || !found.1 {
            learned.push(*value);
        }
    }
    vec![number(found.0), Cell::Bool(found.1)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn averages_equal_those_of_a_list(events in events(), run in runs(), rows in 1..9_usize, max_keys in 2..5_usize) {
        for (stage, alpha) in [(r#""span": 4"#, 0.4), (r#""alpha": 0.25"#, 0.25), (r#""half_life": 1"#, 0.5)] {
            let stage = format!(r#"{{"type": "ema", "field": "w", {stage}}}"#);
            let found = collect(&spec(&stage, rows, max_keys), &events, run);
            let histories = histories(&events, 1, None, max_keys, |event| !event.values[1].is_nan());
            let added = |history: &[_]| vec![number(ema(&values(history), alpha))];
            prop_assert_eq!(found.rows, expected(&events, 1, &histories, added, &[number(f64::NAN)]));
        }
    }

    #[test]
    fn fields_with_own_options_equal_separate_stages(
        events in events(), run in runs(), rows in 1..9_usize,
    ) {
        for (together, alone) in [
            (
                r#"{"type": "ema", "span": 4, "fields": ["v", {"name": "w", "half_life": "8ms"}]}"#,
                r#"{"type": "ema", "field": "v", "span": 4, "name": "v_ema"},
                   {"type": "ema", "field": "w", "half_life": "8ms", "name": "w_ema"}"#,
            ),
            (
                r#"{"type": "rolling", "size": 5, "aggregations": ["avg", "p50"], "fields": [
                    {"name": "v", "aggregations": ["max", {"op": "stddev", "name": "spread"}]}, {"name": "w", "size": 3}]}"#,
                r#"{"type": "rolling", "size": 5, "field": "v", "aggregations": [
                    {"op": "max", "name": "v_max"}, {"op": "stddev", "name": "v_spread"}]},
                   {"type": "rolling", "size": 3, "field": "w", "aggregations": [
                    {"op": "avg", "name": "w_avg"}, {"op": "p50", "name": "w_p50"}]}"#,
            ),
            (
                r#"{"type": "rolling", "fields": [
                    {"name": "w", "size": 4, "aggregations": ["p95"]}, {"name": "v", "aggregations": ["sum", "count"]}]}"#,
                r#"{"type": "rolling", "size": 4, "field": "w", "aggregations": [{"op": "p95", "name": "w_p95"}]},
                   {"type": "rolling", "field": "v", "aggregations": [
                    {"op": "sum", "name": "v_sum"}, {"op": "count", "name": "v_count"}]}"#,
            ),
            (
                r#"{"type": "zscore", "threshold": 1, "warmup": 3, "fields": [
                    {"name": "w", "method": "mad", "window": 6}, "v", {"name": "ts2", "threshold": 0.5, "window": 4, "learn_anomalies": false}]}"#,
                r#"{"type": "zscore", "field": "w", "threshold": 1, "warmup": 3, "method": "mad", "window": 6, "name": "w_zscore"},
                   {"type": "zscore", "field": "v", "threshold": 1, "warmup": 3, "name": "v_zscore"},
                   {"type": "zscore", "field": "ts2", "threshold": 0.5, "warmup": 3, "window": 4, "learn_anomalies": false, "name": "ts2_zscore"}"#,
            ),
        ] {
            // The third field is the one that both columns add.
            let map = r#"{"type": "map", "set": [{"name": "ts2", "expression": "v - coalesce(w, 1)"}]},"#;
            let spec = |stages: &str| spec(&format!("{map}{stages}"), rows, 9);
            let found = collect(&spec(together), &events, run);
            let expected = collect(&spec(alone), &events, Run { cut: 1_000, restore: false });
            prop_assert_eq!(found.rows, expected.rows, "{}", together);
        }
    }

    #[test]
    fn half_life_average_decays_by_time(events in events(), run in runs(), rows in 1..9_usize) {
        let found = collect(&spec(r#"{"type": "ema", "half_life": "8ms"}"#, rows, 9), &events, run);
        let histories = histories(&events, 0, None, 9, |_| true);
        let added = |history: &[(i64, f64)]| {
            let (mut average, mut latest) = (history[0].1, history[0].0);
            for (ts, value) in &history[1..] {
                let passed = (ts - latest).max(0) as f64;
                let weight = if passed == 0.0 { 0.0 } else { -libm::expm1(-passed / 8.0 * std::f64::consts::LN_2) };
                average += weight * (value - average);
                latest = latest.max(*ts);
            }
            vec![number(average)]
        };
        prop_assert_eq!(found.rows, expected(&events, 0, &histories, added, &[]));
    }

    #[test]
    fn rolling_aggregations_equal_those_of_the_last_values(
        events in events(), run in runs(), rows in 1..9_usize, size in prop::sample::select(vec![None, Some(1_usize), Some(3), Some(16)]),
    ) {
        let of_size = size.map_or(String::new(), |size| format!(r#""size": {size}, "#));
        let ordered = if size.is_some() { r#", "p50", "p90""# } else { "" };
        let stage = format!(
            r#"{{"type": "rolling", "field": "w", {of_size}"aggregations": ["count", "sum", "avg", "min", "max", "range"{ordered}]}}"#
        );
        let found = collect(&spec(&stage, rows, 9), &events, run);
        let histories = histories(&events, 1, None, 9, |event| !event.values[1].is_nan());
        let added = |history: &[_]| {
            let all = values(history);
            let last = &all[all.len().saturating_sub(size.unwrap_or(usize::MAX))..];
            let (n, sum) = (last.len() as f64, last.iter().sum::<f64>());
            let mut sorted = last.to_vec();
            sorted.sort_by(f64::total_cmp);
            let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
            let mut expected = vec![n, sum, sum / n, min, max, max - min];
            if size.is_some() {
                let place = (n - 1.0) * 0.9;
                let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
                let share = place.fract();
                let between = if share >= 0.5 { high - (high - low) * (1.0 - share) } else { low + (high - low) * share };
                expected.extend([median(last), between]);
            }
            // −0 and 0 are the same value if values are ordered or added.
            expected.into_iter().map(|value| number(value + 0.0)).collect()
        };
        let missing = vec![number(f64::NAN); if size.is_some() { 8 } else { 6 }];
        let plain = |rows: Vec<Vec<Cell>>| -> Vec<Vec<Cell>> {
            let plain = |cell| if cell == number(-0.0) { number(0.0) } else { cell };
            rows.into_iter().map(|row| row.into_iter().map(plain).collect()).collect()
        };
        prop_assert_eq!(plain(found.rows), plain(expected(&events, 1, &histories, added, &missing)));
    }

    #[test]
    fn rolling_moments_are_within_their_bound_of_two_passes(events in events(), run in runs(), size in prop::sample::select(vec![None, Some(2_usize), Some(7)])) {
        let of_size = size.map_or(String::new(), |size| format!(r#""size": {size}, "#));
        let stage = format!(
            r#"{{"type": "rolling", {of_size}"aggregations": ["variance", "stddev", {{"op": "variance", "population": true, "name": "all"}}]}}"#
        );
        let found = collect(&spec(&stage, 5, 9), &events, run);
        let column = |name| found.numbers(name);
        let (samples, deviations, whole) = (column("variance"), column("stddev"), column("all"));
        for (row, history) in histories(&events, 0, None, 9, |_| true).into_iter().enumerate() {
            let all = values(&history.unwrap());
            let last = &all[all.len().saturating_sub(size.unwrap_or(usize::MAX))..];
            let n = last.len() as f64;
            let mean = last.iter().sum::<f64>() / n;
            let squares = last.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
            let near = |found: f64, expected: f64| match n < 2.0 && expected.is_nan() {
                true => found.is_nan(),
                false => (found - expected).abs() <= 1e-13 * (1.0 + squares),
            };
            let sample = if n < 2.0 { f64::NAN } else { squares / (n - 1.0) };
            prop_assert!(near(samples[row], sample), "{:?} {last:?}", found.rows[row]);
            prop_assert!(near(whole[row], squares / n), "{:?} {last:?}", found.rows[row]);
            prop_assert_eq!(number(samples[row].sqrt()), number(deviations[row]));
        }
    }

    #[test]
    fn scores_use_the_values_before_the_event(
        events in events(), run in runs(), rows in 1..9_usize, max_keys in 2..5_usize, learn in any::<bool>(), warmup in 2..5_usize,
    ) {
        let stage = format!(
            r#"{{"type": "zscore", "threshold": 1.5, "warmup": {warmup}, "learn_anomalies": {learn}, "field": "w"}}"#
        );
        let found = collect(&spec(&stage, rows, max_keys), &events, run);
        let histories = histories(&events, 1, None, max_keys, |event| !event.values[1].is_nan());
        let added = |history: &[_]| zscore(&values(history), 1.5, warmup, learn, usize::MAX, mean_and_deviation);
        prop_assert_eq!(found.rows, expected(&events, 1, &histories, added, &[number(f64::NAN), Cell::Bool(false)]));
    }

    #[test]
    fn robust_scores_use_the_last_values(events in events(), run in runs(), rows in 1..9_usize, learn in any::<bool>(), window in 2..9_usize) {
        let stage = format!(
            r#"{{"type": "zscore", "method": "mad", "threshold": 2, "learn_anomalies": {learn}, "window": {window}}}"#
        );
        let found = collect(&spec(&stage, rows, 9), &events, run);
        let histories = histories(&events, 0, None, 9, |_| true);
        let added = |history: &[_]| zscore(&values(history), 2.0, 2, learn, window, median_and_deviation);
        prop_assert_eq!(found.rows, expected(&events, 0, &histories, added, &[]));
    }

    #[test]
    fn key_without_events_for_a_state_ttl_starts_with_new_state(events in events(), run in runs(), rows in 1..9_usize, max_keys in 1..5_usize, ttl in 1..20_i64) {
        let stage = format!(
            r#"{{"type": "rolling", "aggregations": ["count", "sum"], "field": "w", "state_ttl": "{ttl}ms"}}"#
        );
        let found = collect(&spec(&stage, rows, max_keys), &events, run);
        let histories = histories(&events, 1, Some(ttl), max_keys, |event| !event.values[1].is_nan());
        let added = |history: &[_]| {
            let all = values(history);
            vec![number(all.len() as f64), number(all.iter().sum::<f64>() + 0.0)]
        };
        prop_assert_eq!(found.rows, expected(&events, 1, &histories, added, &[number(f64::NAN); 2]));
    }

    #[test]
    fn statistics_do_not_depend_on_cuts(
        events in events(), wild in prop::collection::vec(prop::sample::select(vec![0.1, 1e16, -1e308, 1e308, 5e-324, -0.0]), 0..40),
        run in runs(), rows in 1..9_usize,
    ) {
        let mut events = events;
        events.iter_mut().zip(wild).for_each(|(event, value)| event.values[1] = value);
        let stages = r#"{"type": "ema", "fields": ["v", "w"], "span": 3},
            {"type": "zscore", "field": "w_ema", "window": 5, "state_ttl": "40ms"},
            {"type": "rolling", "size": 4, "fields": ["v", "w"], "aggregations": ["avg", "stddev", "max", "p95"]},
            {"type": "zscore", "fields": ["v", "w"], "threshold": 2},
            {"type": "ema", "half_life": "10ms", "field": "w", "name": "slow"},
            {"type": "rolling", "field": "w", "aggregations": ["avg", "variance", {"op": "min", "field": "v"}]}"#;
        let whole = collect(&spec(stages, 1_000, 9), &events, Run { cut: 1_000, restore: false });
        prop_assert_eq!(&collect(&spec(stages, rows, 9), &events, run), &whole);
        let finite = |cell: &Cell| !matches!(cell, Cell::Number(bits) if f64::from_bits(*bits).is_infinite());
        prop_assert!(whole.rows.iter().flatten().all(finite));
    }
}
