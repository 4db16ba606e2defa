//! Count windows and global windows compared with the oracle, for all batches and snapshots.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::{PipelineSpec, RejectReason, time::NULL_TIME, watermark::Generator};

use crate::common::{Event, KeysAs, Pipeline, Row, Run, bits, cuts, encoded, events, run_cut};

/// Returns a pipeline with windows of `count` events, or with one global window if `None`.
fn pipeline(count: Option<usize>, result_rows: u32) -> PipelineSpec {
    let aggregations = json!(["count", "min", "max", "last"]);
    let window = match count {
        Some(count) => format!(r#""window": "count", "count": {count}"#),
        None => r#""window": "global""#.to_owned(),
    };
    Pipeline::keyed().bound("1s").result_rows(result_rows).window(&window, aggregations).spec()
}

fn oracle(events: &[Event], count: Option<usize>) -> Vec<Row> {
    let mut open: BTreeMap<Vec<u8>, Vec<Event>> = BTreeMap::new();
    let mut rows = Vec::new();
    let mut greatest: Option<i64> = None;
    for event in events {
        let watermark = greatest.map_or(i64::MIN, |greatest| greatest - 1_000_000 - 1);
        let key = encoded(event.key);
        let group = open.entry(key.clone()).or_default();
        group.push(*event);
        if Some(group.len()) == count {
            let group = open.remove(&key).unwrap();
            rows.push(row(watermark, &key, &group, true));
        }
        greatest = Some(greatest.map_or(event.ts, |greatest| greatest.max(event.ts)));
    }
    let rest = open.iter().map(|(key, group)| row(i64::MAX, key, group, count.is_some()));
    let mut rest: Vec<Row> = rest.collect();
    rest.sort_by_key(|row| (row.end, row.start));
    rows.extend(rest);
    rows
}

fn row(firing: i64, key: &[u8], group: &[Event], has_bounds: bool) -> Row {
    let times = || group.iter().map(|event| event.ts);
    let values = || group.iter().map(|event| event.value);
    let (first, last) = (times().min().unwrap(), times().max().unwrap());
    let newest = group.iter().max_by_key(|event| event.ts).unwrap();
    let values = [
        group.len() as f64,
        values().fold(f64::INFINITY, f64::min),
        values().fold(f64::NEG_INFINITY, f64::max),
        newest.value,
    ];
    Row {
        firing,
        end: if has_bounds { last + 1 } else { NULL_TIME },
        start: if has_bounds { first } else { NULL_TIME },
        key: key.to_vec(),
        values: values.map(bits).to_vec(),
        ..Row::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rows_equal_the_oracle(
        events in events(),
        cuts in cuts(),
        count in prop::sample::select(vec![Some(1_usize), Some(2), Some(7), Some(1000), None]),
        buffer in prop::sample::select(vec![1_u32, 3, 1000]),
        restores_when_full in any::<bool>(),
    ) {
        let mut run = Run::new(pipeline(count, buffer));
        run.restores_when_full = restores_when_full;
        let (rows, stats) = run_cut(run, &events, &cuts);
        let expected = oracle(&events, count);
        prop_assert_eq!(stats.rows, expected.len() as u64);
        prop_assert_eq!(rows, expected);
        prop_assert_eq!((stats.late_dropped, stats.events), (0, events.len() as u64));
        prop_assert_eq!((stats.stages[0].keys, stats.stages[0].open_windows), (0, 0));
    }

    #[test]
    fn later_stage_does_not_depend_on_cuts_and_drops_only_late_events(
        events in events(),
        cuts in cuts(),
        first in prop::sample::select(vec![
            r#""window": "count", "count": 1"#,
            r#""window": "count", "count": 3"#,
            r#""window": "global""#,
        ]),
    ) {
        let second = r#""window": "tumbling", "size": "3s""#;
        let pipeline = Pipeline::keyed().bound("1s").result_rows(2).window(first, json!(["count"]));
        let pipeline = pipeline.window(second, json!(["sum"])).spec();
        let mut whole = Run::new(pipeline.clone());
        whole.push(&events, KeysAs::Encoded);
        let expected = whole.finish();
        prop_assert_eq!(run_cut(Run::new(pipeline), &events, &cuts), expected.clone());
        let (rows, stats) = expected;
        let counted: f64 = rows.iter().map(|row| row.number("sum")).sum();
        let late = late(&events, 3_000_000);
        if first.ends_with('1') {
            // Rows of one event each are late under the same condition as the events.
            prop_assert_eq!(stats.stages[1].late_dropped, late);
            prop_assert_eq!(counted, (events.len() as u64 - late) as f64);
        } else if late == 0 || first.contains("global") {
            prop_assert_eq!(stats.stages[1].late_dropped, 0);
            prop_assert_eq!(counted, events.len() as f64);
        }
    }

    #[test]
    fn merged_shards_equal_one_engine(
        events in events(),
        count in prop::sample::select(vec![Some(1_usize), Some(3), None]),
        shards in 2_u32..5,
    ) {
        let pipeline = pipeline(count, 1000);
        let mut generator = Generator::new(&pipeline);
        let mut watermarks = Vec::new();
        let timestamps: Vec<i64> = events.iter().map(|event| event.ts).collect();
        generator.observe_all(&timestamps, &mut watermarks);
        let mut rows = Vec::new();
        for shard in 0..shards {
            let picked: Vec<usize> =
                (0..events.len()).filter(|at| events[*at].key % shards == shard).collect();
            let part: Vec<Event> = picked.iter().map(|at| events[*at]).collect();
            let input_watermarks: Vec<i64> = picked.iter().map(|at| watermarks[*at]).collect();
            let ordinals: Vec<u64> = picked.iter().map(|at| *at as u64).collect();
            let mut run = Run::new(pipeline.clone());
            run.push_with_watermarks(&part, Some(&ordinals), Some(&input_watermarks), KeysAs::Ids);
            while run.engine.finish().unwrap() != stream_processor_core::Progress::Done {}
            while let Some(chunk) = run.engine.poll(1) {
                rows.push((chunk.firing[0], chunk.ranks[0], chunk.key(0).to_vec()));
            }
        }
        rows.sort_by_key(|(firing, rank, _)| (*firing, *rank));
        let full = |row: &Row| row.firing != i64::MAX;
        let expected: Vec<_> =
            oracle(&events, count).into_iter().filter(full).map(|row| (row.firing, row.key)).collect();
        let found: Vec<_> = rows
            .into_iter()
            .filter(|(firing, _, _)| *firing != i64::MAX)
            .map(|(firing, _, key)| (firing, key))
            .collect();
        prop_assert_eq!(found, expected);
    }
}

/// Returns the number of events that are late for tumbling windows of `size`.
fn late(events: &[Event], size: i64) -> u64 {
    let mut greatest: Option<i64> = None;
    let mut late = 0;
    for event in events {
        let watermark = greatest.map_or(i64::MIN, |greatest| greatest - 1_000_000 - 1);
        late += u64::from(event.ts.div_euclid(size) * size + size - 1 <= watermark);
        greatest = Some(greatest.map_or(event.ts, |greatest| greatest.max(event.ts)));
    }
    late
}

const SECOND: i64 = 1_000_000;

fn at(seconds: i64, key: u32) -> Event {
    Event { ts: seconds * SECOND, key, value: 1.0 }
}

#[test]
fn key_beyond_the_limit_is_dropped_until_a_window_closes() {
    let mut pipeline = pipeline(Some(2), 100);
    pipeline.limits.max_keys = 1;
    let mut run = Run::new(pipeline);
    run.push(&[at(0, 1), at(0, 2), at(1, 1), at(1, 2), at(2, 2)], KeysAs::Ids);
    let drops = run.engine.drops(10);
    assert_eq!(drops.len(), 1);
    assert_eq!((drops[0].ordinal, drops[0].reason), (1, RejectReason::KeyLimit));
    let (rows, stats) = run.finish();
    assert_eq!((rows.len(), stats.limit_dropped), (2, 1));
    assert_eq!(stats.limits_struck, ["key_limit"]);
}

#[test]
fn global_window_fires_at_the_end_of_input_with_null_times() {
    let mut run = Run::new(pipeline(None, 100));
    run.push(&[at(5, 2), at(3, 1), at(-100, 1)], KeysAs::Ids);
    run.advance(1000 * SECOND);
    assert_eq!(run.poll(10), 0);
    let (rows, _) = run.finish();
    let found: Vec<_> =
        rows.iter().map(|row| (row.start, row.key.clone(), row.number("count"))).collect();
    assert_eq!(found, [(NULL_TIME, encoded(1), 2.0), (NULL_TIME, encoded(2), 1.0)]);
}

#[test]
fn invalid_options_are_refused_with_path_and_reason() {
    let error = |fields: &str| Pipeline::of(json!({})).window(fields, json!(["count"])).refusal();
    assert_eq!(
        error(r#""window": "count""#),
        "stages[0].count: missing: the number of events of a window, such as 100"
    );
    assert_eq!(
        error(r#""window": "count", "count": 0"#),
        "stages[0].count: 0: a window has at least 1 event"
    );
    assert!(error(r#""window": "count", "count": -1"#).starts_with("stages[0].count: "));
    assert!(
        error(r#""window": "count", "count": 5, "allowed_lateness": "1s""#)
            .starts_with("stages[0].allowed_lateness: no event is late for these windows")
    );
    assert!(error(r#""window": "global", "size": "1s""#).starts_with("stages[0].size: "));
    assert!(error(r#""window": "global", "emit": "final""#).starts_with("stages[0].emit: "));
    assert!(
        error(r#""window": "tumbling", "size": "1s", "count": 5"#)
            .ends_with("remove it, or set window = \"count\"")
    );
}
