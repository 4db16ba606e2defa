//! Calendar windows in years after the given rules: the rules of 400 years repeat.

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::spec::{Stage, Window};
use stream_processor_core::{Engine, Options, PipelineSpec};

use crate::common::partials::{edge, merge};
use crate::common::{Event, KeysAs, Pipeline, Row, Run, assert_refused};

const SECOND: i64 = 1_000_000;
const DAY_S: i64 = 86_400;
/// Number of days in 400 years.
const CYCLE_DAYS: i64 = 146_097;

/// Returns the days from the epoch to the first of January of `year`.
fn new_year(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

/// Returns the last Sunday of a month with 31 days, in days since the epoch. `rest` is the number
/// of days of the year after that month.
fn last_sunday(year: i64, rest: i64) -> i64 {
    let last = new_year(year + 1) - rest - 1;
    // The epoch was a Thursday.
    last - (last + 4).rem_euclid(7)
}

/// Returns the rules of Central European time from the year `from` to before `until`, with the rule
/// of today.
fn european(from: i64, until: i64) -> Vec<(i64, i64)> {
    let of_year = |year| {
        let [march, october] = [275, 61].map(|rest| last_sunday(year, rest) * DAY_S + 3_600);
        [(march, 7_200), (october, 3_600)]
    };
    let first = (new_year(from) * DAY_S, 3_600);
    core::iter::once(first).chain((from..until).flat_map(of_year)).collect()
}

fn pipeline(unit: &str, rules: &[(i64, i64)], until: Option<i64>) -> PipelineSpec {
    let mut window = json!({
        "type": "window", "window": "calendar", "unit": unit, "zone": "Europe/Berlin",
        "zone_offsets": rules, "aggregations": ["count", "rate"],
    });
    if let Some(until) = until {
        window["zone_offsets_until"] = until.into();
    }
    Pipeline::keyed().bound("unbounded").stage(window).spec()
}

fn rows(spec: &PipelineSpec, seconds: &[i64]) -> Vec<Row> {
    let events: Vec<Event> =
        seconds.iter().map(|time| Event { ts: time * SECOND, key: 1, value: 1.0 }).collect();
    let (whole, cut) = seconds.split_at(seconds.len() / 2);
    let mut run = Run::new(spec.clone());
    run.push(&events[..whole.len()], KeysAs::Ids);
    run.restore();
    run.push(&events[events.len() - cut.len()..], KeysAs::Ids);
    run.finish().0
}

fn repeating(unit: &str) -> PipelineSpec {
    pipeline(unit, &european(2090, 2500), Some(new_year(2500) * DAY_S))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn repeated_rules_give_the_windows_of_rules_for_all_years(
        unit in prop::sample::select(vec!["day", "week", "month"]),
        times in prop::collection::vec((2_090..3_350_i64, -40..400 * 24_i64), 1..40),
    ) {
        let mut seconds: Vec<i64> =
            times.iter().map(|(year, hours)| new_year(*year) * DAY_S + hours * 3_600).collect();
        // The last year of the given rules, and the last year of their first repetition.
        seconds.extend([0, CYCLE_DAYS].map(|days| (new_year(2500) + days) * DAY_S - 3_600));
        let all = pipeline(unit, &european(2090, 3400), None);
        prop_assert_eq!(rows(&repeating(unit), &seconds), rows(&all, &seconds));
    }
}

#[test]
fn summer_time_applies_in_years_far_away() {
    for year in [2_210, 2_499, 2_500, 2_710, 9_999, 79_000] {
        let noon = |days: i64| (new_year(year) + days) * DAY_S + 43_200;
        let found = rows(&repeating("day"), &[noon(10), noon(190)]);
        let starts: Vec<i64> =
            found.iter().map(|row| (row.start / SECOND).rem_euclid(DAY_S) / 3_600).collect();
        assert_eq!(starts, [23, 22], "{year}");
    }
}

#[test]
fn last_offset_holds_without_a_limit() {
    let noon = (new_year(2600) + 190) * DAY_S + 43_200;
    let found = rows(&pipeline("day", &european(2090, 2500), None), &[noon]);
    assert_eq!((found[0].start / SECOND).rem_euclid(DAY_S) / 3_600, 23);
}

#[test]
fn rules_that_cannot_repeat_are_refused_with_the_reason() {
    let until = new_year(2500) * DAY_S;
    let refused = |rules: &str, until: i64, message: &str| {
        let stage = format!(
            r#"{{"type": "window", "window": "calendar", "unit": "day", "aggregations": ["count"], {rules}
                "zone_offsets_until": {until}}}"#
        );
        assert_refused(&stage, "stages[0].zone_offsets_until", message);
    };
    let changing = r#""zone_offsets": [[0, 3600], [9999999999, 7200]],"#;
    refused("", until, "it needs `zone_offsets`");
    refused(
        r#""zone_offsets": [[4102444801, 3600]],"#,
        until,
        "must begin at 4102444800 or earlier",
    );
    refused(changing, until, "the same offset at their begin and end");
    refused(changing, 9_000_000_000_000, "80,000 years");
    refused(changing, i64::MAX, "80,000 years");
    let tumbling = r#"{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["count"], "zone_offsets_until": 0}"#;
    assert_refused(tumbling, "stages[0].zone_offsets_until", "do not depend on it");
}

#[test]
fn snapshot_restores_under_other_rules_of_its_zone() {
    let known = pipeline("day", &european(2020, 2100), None);
    let mut run = Run::new(known.clone());
    let time = (new_year(2024) + 190) * DAY_S + 43_200;
    run.push(&[Event { ts: time * SECOND, key: 1, value: 1.0 }], KeysAs::Ids);
    let snapshot = run.engine.snapshot().unwrap();
    let expected = run.finish().0;

    let extended = pipeline("day", &european(2020, 2500), Some(new_year(2500) * DAY_S));
    let mut later = Run::new(extended.clone());
    later.engine = Engine::restore(&extended, Options::default(), &snapshot).unwrap();
    assert_eq!(later.finish().0, expected);

    let mut sender = edge(&known);
    sender.push(&[Event { ts: time * SECOND, key: 1, value: 1.0 }], KeysAs::Ids);
    let mut receiver = Run::new(extended.clone());
    assert!(merge(&mut receiver, &sender.engine.partial("edge").unwrap()));
    assert_eq!(receiver.finish().0, expected);

    let restored = |spec: &PipelineSpec| Engine::restore(spec, Options::default(), &snapshot).err();
    let Stage::Window(window) = &known.stages[0] else { unreachable!() };
    let mut other = window.clone();
    other.zone = Some("Europe/Paris".to_owned());
    let of_other_zone =
        PipelineSpec { stages: vec![Stage::Window(other.clone())], ..known.clone() };
    assert!(restored(&of_other_zone).is_some(), "another zone is another pipeline");
    other = Window { zone: None, zone_offsets: Some(european(2020, 2099)), ..other };
    let unnamed = PipelineSpec { stages: vec![Stage::Window(other)], ..known.clone() };
    assert!(restored(&unnamed).is_some());
    let edges = Options { emits_partials: true, ..Options::default() };
    assert!(Engine::restore(&extended, edges, &snapshot).is_err(), "an edge holds other state");
}
