//! Tumbling windows compared with the oracle, for all batches, polls, key forms and snapshots.

use proptest::prelude::*;
use stream_processor_core::watermark::Generator;
use stream_processor_core::{Batch, Column, KeyColumn, Pushed, RejectReason};

use crate::common::{Event, KeysAs, Row, Run, cuts, events, oracle, run_cut, spec, tumbling};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn rows_equal_the_oracle(
        events in events(),
        cuts in cuts(),
        size in prop::sample::select(vec![1_i64, 700_000, 1_000_000, 7_000_003]),
        offset in prop::sample::select(vec![0_i64, 300_000, -900_001]),
        bound in prop::sample::select(vec![Some(0_i64), Some(2_000_000), None]),
        buffer in prop::sample::select(vec![1_u32, 3, 1000]),
        restores_when_full: bool,
    ) {
        let text = |us: i64| format!("{us}us");
        let bound_text = bound.map_or("unbounded".to_owned(), text);
        let pipeline = tumbling(&text(size), &text(offset), &bound_text, buffer);
        let expected = oracle(&events, size, offset, bound);
        let mut run = Run::new(pipeline);
        run.restores_when_full = restores_when_full;
        let (rows, stats) = run_cut(run, &events, &cuts);
        prop_assert_eq!(rows, expected.rows);
        prop_assert_eq!(stats.late_dropped, expected.late as u64);
        prop_assert_eq!(stats.events, events.len() as u64);
    }

    #[test]
    fn roll_up_of_tumbling_windows_does_not_depend_on_cuts(events in events(), cuts in cuts()) {
        let pipeline = spec(
            r#"{"source": {"key": "k", "value": "v"}, "time": {"max_out_of_orderness": "1s"},
                "limits": {"max_result_rows": 2},
                "stages": [
                  {"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["sum", "count"]},
                  {"type": "window", "window": "tumbling", "size": "5s", "field": "sum",
                   "aggregations": ["count", "max", {"op": "sum", "field": "count", "name": "events"}]}]}"#,
        );
        let mut whole = Run::new(pipeline.clone());
        whole.push(&events, KeysAs::Encoded);
        let (expected, expected_stats) = whole.finish();
        let (rows, stats) = run_cut(Run::new(pipeline), &events, &cuts);
        prop_assert_eq!(&rows, &expected);
        prop_assert_eq!(stats, expected_stats);
        // The roll-up counts every event of the first stage that is not late.
        let first = oracle(&events, 1_000_000, 0, Some(1_000_000));
        let counted: f64 = rows.iter().map(|row| row.number("events")).sum();
        prop_assert_eq!(counted as usize, events.len() - first.late);
    }

    #[test]
    fn merged_shards_equal_one_engine(events in events(), batch in 1_usize..50, shards in 2_u32..5) {
        let pipeline = tumbling("1s", "0s", "1s", 1000);
        let mut generator = Generator::new(&pipeline);
        let mut runs: Vec<Run> = (0..shards).map(|_| Run::new(pipeline.clone())).collect();
        let mut merged = Vec::new();
        let mut ordinal = 0;
        for batch in events.chunks(batch) {
            let timestamps: Vec<i64> = batch.iter().map(|event| event.ts).collect();
            let mut watermarks = Vec::new();
            generator.observe_all(&timestamps, &mut watermarks);
            for (shard, run) in (0..).zip(&mut runs) {
                let mine = |at: &usize| batch[*at].key % shards == shard;
                let picked: Vec<usize> = (0..batch.len()).filter(mine).collect();
                let part: Vec<Event> = picked.iter().map(|at| batch[*at]).collect();
                let ordinals: Vec<u64> = picked.iter().map(|at| ordinal + *at as u64).collect();
                let input_watermarks: Vec<i64> = picked.iter().map(|at| watermarks[*at]).collect();
                run.push_with_watermarks(&part, Some(&ordinals), Some(&input_watermarks), KeysAs::Ids);
                run.advance(generator.watermark());
                while run.poll(100) > 0 {}
            }
            ordinal += batch.len() as u64;
            let mut round: Vec<Row> = runs.iter_mut().flat_map(|run| std::mem::take(&mut run.rows)).collect();
            round.sort_by(|a, b| (a.firing, a.end, a.start, &a.key).cmp(&(b.firing, b.end, b.start, &b.key)));
            merged.extend(round);
        }
        let mut last: Vec<Row> = runs.into_iter().flat_map(|run| run.finish().0).collect();
        last.sort_by(|a, b| (a.firing, a.end, a.start, &a.key).cmp(&(b.firing, b.end, b.start, &b.key)));
        merged.extend(last);
        prop_assert_eq!(merged, oracle(&events, 1_000_000, 0, Some(1_000_000)).rows);
    }
}

#[test]
fn window_fires_when_the_watermark_reaches_its_last_microsecond() {
    let mut run = Run::new(tumbling("10s", "0s", "0s", 100));
    let at = |ts| Event { ts, key: 1, value: 1.0 };
    run.push(&[at(0), at(9_999_999), at(9_999_999)], KeysAs::Ids);
    assert_eq!(run.poll(10), 0, "the watermark is 9.999998 s");
    run.push(&[at(10_000_000)], KeysAs::Ids);
    assert_eq!(run.poll(10), 1, "the watermark is 9.999999 s");
    assert_eq!((run.rows[0].start, run.rows[0].end), (0, 10_000_000));
    assert_eq!(run.rows[0].number("count"), 3.0);
}

#[test]
fn late_event_is_reported_with_watermark_and_window_end() {
    let mut run = Run::new(tumbling("10s", "0s", "0s", 100));
    let at = |ts| Event { ts, key: 1, value: 1.0 };
    run.push(&[at(25_000_000), at(19_999_999), at(20_000_000)], KeysAs::Ids);
    let drops = run.engine.drops(10);
    assert_eq!(drops.len(), 1);
    assert_eq!(drops[0].ordinal, 1);
    assert_eq!(drops[0].reason, RejectReason::Late);
    assert_eq!(drops[0].stage, Some(0));
    assert_eq!(drops[0].watermark, 24_999_999);
    assert_eq!(drops[0].window_end, Some(20_000_000));
    assert!(run.engine.drops(10).is_empty());
}

#[test]
fn rows_of_one_firing_are_in_key_order() {
    let mut run = Run::new(tumbling("10s", "0s", "0s", 1000));
    let keys = [5, 3, 11, 2, 30, 1];
    let events: Vec<Event> =
        keys.iter().map(|key| Event { ts: 0, key: *key, value: 1.0 }).collect();
    run.push(&events, KeysAs::Ids);
    let (rows, _) = run.finish();
    assert!(rows.is_sorted_by(|a, b| a.key < b.key));
    assert_eq!(rows.len(), keys.len());
}

#[test]
fn times_at_the_ends_of_the_range_fall_into_windows() {
    let end = 8_640_000_000_000_000_000;
    let mut run = Run::new(tumbling("10000d", "0s", "0s", 10));
    run.push(
        &[Event { ts: -end, key: 1, value: 1.0 }, Event { ts: end, key: 1, value: 2.0 }],
        KeysAs::Ids,
    );
    let (rows, stats) = run.finish();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.end - row.start == 864_000_000_000_000));
    assert_eq!(stats.rejected, 0);
}

#[test]
fn events_beyond_key_and_window_limits_are_dropped_and_reported() {
    let mut pipeline = tumbling("1s", "0s", "unbounded", 100);
    pipeline.limits.max_keys = 2;
    pipeline.limits.max_windows_per_key = 3;
    let mut run = Run::new(pipeline);
    let of = |ts: i64, key| Event { ts: ts * 1_000_000, key, value: 1.0 };
    run.push(&[of(0, 1), of(0, 2), of(0, 3), of(1, 1), of(2, 1), of(3, 1), of(0, 1)], KeysAs::Ids);
    let reasons: Vec<_> =
        run.engine.drops(10).iter().map(|drop| (drop.ordinal, drop.reason)).collect();
    assert_eq!(reasons, [(2, RejectReason::KeyLimit), (5, RejectReason::WindowLimit)]);
    run.restore();
    let (rows, stats) = run.finish();
    assert_eq!(rows.len(), 4);
    assert_eq!(stats.limit_dropped, 2);
    assert_eq!(stats.limits_struck, ["key_limit", "window_limit"]);
}

#[test]
fn engine_is_full_until_dropped_events_are_fetched() {
    let mut pipeline = tumbling("1s", "0s", "0s", 100);
    pipeline.limits.max_dropped_events = 5;
    let mut run = Run::new(pipeline);
    let late = |key| Event { ts: 0, key, value: 1.0 };
    run.push(&[Event { ts: 10_000_000, key: 1, value: 1.0 }], KeysAs::Encoded);
    run.push(&(0..5).map(late).collect::<Vec<_>>(), KeysAs::Encoded);
    let (offsets, bytes) = crate::common::concat([crate::common::encoded(1)].into_iter());
    let batch = Batch {
        timestamps: &[11_000_000],
        keys: KeyColumn::Encoded { offsets: &offsets, bytes: &bytes },
        columns: &[Column::F64(&[1.0])],
        identities: &[],
        ordinals: None,
        watermarks: None,
        partitions: None,
    };
    assert_eq!(run.engine.push(&batch).unwrap(), Pushed { consumed: 0, full: true });
    assert_eq!(run.engine.drops(100).len(), 5);
    assert_eq!(run.engine.push(&batch).unwrap(), Pushed { consumed: 1, full: false });
}

#[test]
fn keys_of_closed_windows_make_room_for_a_million_new_ones() {
    let mut run = Run::new(tumbling("1s", "0s", "0s", 10_000));
    for round in 0..200 {
        let events: Vec<Event> = (0..5_000)
            .map(|key| Event {
                ts: round * 1_000_000,
                key: u32::try_from(round).unwrap() * 5_000 + key,
                value: 1.0,
            })
            .collect();
        run.push(&events, KeysAs::Encoded);
        while run.poll(10_000) > 0 {}
        if round % 50 == 0 {
            run.restore();
        }
    }
    let (rows, stats) = run.finish();
    assert_eq!(rows.len(), 1_000_000);
    assert_eq!(stats.limit_dropped, 0);
    assert!(rows.chunks(5_000).all(|window| window.is_sorted_by(|a, b| a.key < b.key)));
}
