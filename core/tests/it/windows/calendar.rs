//! Calendar windows compared with the oracle: days, weeks and months, across all changes of the
//! clock.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::PipelineSpec;

use crate::common::{
    Event, KeysAs, Pipeline, Row, Run, bits, cuts, encoded, events, run_cut, spec,
};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// The offsets of Berlin in 2023 and 2024.
const BERLIN: &[(i64, i64)] = &[
    (1_667_091_600, 3_600),
    (1_679_792_400, 7_200),
    (1_698_541_200, 3_600),
    (1_711_846_800, 7_200),
    (1_729_990_800, 3_600),
];
/// Clocks that are set forward at midnight, back across midnight, forward by a day, and back by a
/// day.
const ODD: &[(i64, i64)] = &[
    (0, 0),
    (10 * 86_400, 3_600),
    (20 * 86_400 + 1_800 - 3_600, 0),
    (30 * 86_400 + 7_200, 86_400),
    (40 * 86_400 - 3_600, 0),
    (50 * 86_400, -39_600),
    (60 * 86_400 + 900, 46_800),
];

fn pipeline(unit: &str, zone: &[(i64, i64)], lateness: &str, result_rows: u32) -> PipelineSpec {
    let window = json!({
        "type": "window", "window": "calendar", "unit": unit, "zone": "here", "zone_offsets": zone,
        "allowed_lateness": lateness, "emit": "final",
        "aggregations": ["count", "min", "last", "rate"],
    });
    Pipeline::keyed().bound("2h").result_rows(result_rows).stage(window).spec()
}

/// Returns the greatest local date up to `time`, in days.
fn date(zone: &[(i64, i64)], time: i64) -> i64 {
    let mut offset = zone[0].1;
    let mut reached = i64::MIN;
    for (since, next) in zone.iter().skip(1).filter(|(since, _)| since * SECOND <= time) {
        reached = reached.max((since * SECOND - 1 + offset * SECOND).div_euclid(DAY));
        offset = *next;
    }
    reached.max((time + offset * SECOND).div_euclid(DAY))
}

/// Returns the number of the week or month that contains the local date.
fn number(unit: &str, date: i64) -> i64 {
    match unit {
        "day" => date,
        "week" => (date + 3).div_euclid(7),
        _ => {
            // Counts day by day.
            let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = |month: i64| match month.rem_euclid(12) {
                1 => 28 + i64::from(is_leap(1970 + month.div_euclid(12))),
                3 | 5 | 8 | 10 => 30,
                _ => 31,
            };
            let (mut month, mut left) = (0, date);
            while left < 0 {
                month -= 1;
                left += length(month);
            }
            while left >= length(month) {
                left -= length(month);
                month += 1;
            }
            month
        }
    }
}

/// Returns the bounds of the window that contains `time`, to a quarter of an hour.
fn bounds(unit: &str, zone: &[(i64, i64)], time: i64) -> (i64, i64) {
    const QUARTER: i64 = 900 * SECOND;
    let here = number(unit, date(zone, time));
    let first = |from: i64, to: i64, reached: &dyn Fn(i64) -> bool| {
        let (mut low, mut high) = (from.div_euclid(QUARTER), to.div_euclid(QUARTER));
        while low < high {
            let middle = low + (high - low).div_euclid(2);
            if reached(middle * QUARTER) { high = middle } else { low = middle + 1 }
        }
        low * QUARTER
    };
    let at = |time| number(unit, date(zone, time));
    let start = first(time - 40 * DAY, time, &|at_time| at(at_time) >= here);
    let end = first(time, time + 40 * DAY, &|at_time| at(at_time) > here);
    (start, end)
}

fn oracle(events: &[Event], unit: &str, zone: &[(i64, i64)], lateness: i64) -> (Vec<Row>, u64) {
    let mut windows: BTreeMap<(i64, i64, Vec<u8>), Vec<Event>> = BTreeMap::new();
    let mut late = 0;
    let mut greatest: Option<i64> = None;
    for event in events {
        let watermark = greatest.map_or(i64::MIN, |greatest| greatest - 2 * HOUR - 1);
        let (start, end) = bounds(unit, zone, event.ts);
        if end - 1 + lateness <= watermark {
            late += 1;
        } else {
            windows.entry((end, start, encoded(event.key))).or_default().push(*event);
        }
        greatest = Some(greatest.map_or(event.ts, |greatest| greatest.max(event.ts)));
    }
    let row = |((end, start, key), group): ((i64, i64, Vec<u8>), Vec<Event>)| {
        let newest = group.iter().max_by_key(|event| event.ts).unwrap();
        let count = group.len() as f64;
        let values = [
            count,
            group.iter().map(|event| event.value).fold(f64::INFINITY, f64::min),
            newest.value,
            count * 1e6 / (end - start) as f64,
        ];
        Row {
            firing: end - 1 + lateness,
            end,
            start,
            key,
            values: values.map(bits).to_vec(),
            ..Row::default()
        }
    };
    (windows.into_iter().map(row).collect(), late)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn rows_equal_the_oracle(
        events in events(),
        cuts in cuts(),
        unit in prop::sample::select(vec!["day", "week", "month"]),
        (zone, from) in prop::sample::select(vec![(BERLIN, 1_698_300_000), (ODD, 500_000), (ODD, -2_000_000)]),
        lateness in prop::sample::select(vec![0_i64, 5]),
        buffer in prop::sample::select(vec![1_u32, 1000]),
    ) {
        // Seconds become hours, so that the stream extends over weeks.
        let place = |event: Event| Event { ts: from * SECOND + event.ts * 3_600, ..event };
        let events: Vec<Event> = events.into_iter().map(place).collect();
        let (expected, late) = oracle(&events, unit, zone, lateness * HOUR);
        let mut run = Run::new(pipeline(unit, zone, &format!("{lateness}h"), buffer));
        run.restores_when_full = buffer == 1 && expected.len() < 100;
        let (rows, stats) = run_cut(run, &events, &cuts);
        prop_assert_eq!(rows, expected);
        prop_assert_eq!(stats.late_dropped, late);
    }

    #[test]
    fn roll_up_of_days_does_not_depend_on_cuts(events in events(), cuts in cuts()) {
        let place = |event: Event| Event { ts: 1_698_300_000 * SECOND + event.ts * 3_600, ..event };
        let events: Vec<Event> = events.into_iter().map(place).collect();
        let pipeline = spec(
            r#"{"source": {"key": "k", "value": "v"}, "time": {"max_out_of_orderness": "2h"},
                "limits": {"max_result_rows": 2},
                "stages": [
                  {"type": "window", "window": "calendar", "unit": "day", "zone": "+02:00", "allowed_lateness": "3h",
                   "aggregations": ["count"]},
                  {"type": "window", "window": "calendar", "unit": "month", "zone": "+02:00",
                   "aggregations": ["sum", "count"]}]}"#,
        );
        let mut whole = Run::new(pipeline.clone());
        whole.push(&events, KeysAs::Encoded);
        let expected = whole.finish();
        prop_assert_eq!(run_cut(Run::new(pipeline), &events, &cuts), expected.clone());
        let (rows, stats) = expected;
        prop_assert_eq!(stats.stages[1].late_dropped, 0);
        let counted: f64 = rows.iter().map(|row| row.number("sum")).sum();
        prop_assert_eq!(counted, (events.len() as u64 - stats.late_dropped) as f64);
    }
}

fn at(ts: i64) -> Event {
    Event { ts: ts * SECOND, key: 1, value: 1.0 }
}

#[test]
fn day_has_25_hours_if_clocks_are_set_back() {
    let mut run = Run::new(pipeline("day", BERLIN, "0s", 100));
    // 2023-10-29, from midnight at +02:00 to midnight at +01:00.
    let (start, end) = (1_698_530_400, 1_698_620_400);
    run.push(&[at(start - 1), at(start), at(end - 1), at(end)], KeysAs::Ids);
    let (rows, _) = run.finish();
    let found: Vec<_> = rows.iter().map(|row| (row.start / SECOND, row.end / SECOND)).collect();
    assert_eq!(found, [(start - 86_400, start), (start, end), (end, end + 86_400)]);
    assert_eq!(end - start, 25 * 3_600);
}

#[test]
fn late_event_is_reported_with_watermark_and_window_end() {
    let mut run = Run::new(pipeline("day", BERLIN, "1h", 100));
    let end = 1_698_620_400;
    run.push(&[at(end + 3 * 3_600), at(end - 1)], KeysAs::Ids);
    let drops = run.engine.drops(10);
    assert_eq!((drops.len(), drops[0].window_end), (1, Some(end * SECOND)));
    assert_eq!(drops[0].watermark, (end + 3_600) * SECOND - 1);
    assert_eq!(drops[0].late_by(run.engine.plan()), Some(0));
    let stats = run.engine.stats();
    assert_eq!(stats.stages[0].next_fire, Some((end + 25 * 3_600) * SECOND - 1));
}

#[test]
fn times_at_the_ends_of_the_range_are_accepted() {
    let end = 8_640_000_000_000_000_000;
    for unit in ["day", "week", "month"] {
        let mut run = Run::new(pipeline(unit, ODD, "1h", 2));
        run.restores_when_full = true;
        let events = [-end, 0, end].map(|ts| Event { ts, key: 1, value: 1.0 });
        run.push(&events, KeysAs::Ids);
        assert_eq!(run.finish().0.len(), 3);
    }
}

#[test]
fn invalid_options_are_refused_with_path_and_reason() {
    let error = |fields: &str| {
        let options = format!(r#""window": "calendar", {fields}"#);
        Pipeline::of(json!({})).window(&options, json!(["count"])).refusal()
    };
    assert_eq!(error(r#""unit": "day""#), "");
    assert_eq!(error(r#""unit": "week", "zone": "-03:30""#), "");
    assert!(error(r#""zone": "UTC""#).starts_with("stages[0].unit: missing: \"day\""));
    assert!(error(r#""unit": "year""#).starts_with("stages[0].unit: unknown name `year`"));
    for zone in ["Europe/Berlin", "+5:30", "+24:00", "+05:60", "", "é"] {
        let found = error(&format!(r#""unit": "day", "zone": "{zone}""#));
        assert!(found.starts_with(&format!("stages[0].zone: `{zone}` needs its rules")), "{found}");
    }
    let rules = |rules: &str| error(&format!(r#""unit": "day", "zone_offsets": {rules}"#));
    assert!(rules("[]").starts_with("stages[0].zone_offsets: empty"));
    assert!(rules("[[1, 0], [1, 0]]").starts_with("stages[0].zone_offsets: out of order"));
    assert!(rules("[[1, 86401]]").starts_with("stages[0].zone_offsets: 86401 seconds"));
    assert!(
        error(r#""unit": "day", "allowed_lateness": "1h""#)
            .starts_with("stages[0].allowed_lateness: calendar windows give no corrected rows")
    );
    assert!(error(r#""unit": "day", "size": "1d""#).starts_with("stages[0].size: "));
}
