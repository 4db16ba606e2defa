//! Windows with allowed lateness, early rows or final rows: compared with the oracle for all ways
//! to run them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::watermark::Generator;

use crate::common::late::{Oracle, Setup, pipeline, with_watermarks};
use crate::common::{Event, KeysAs, Row, Run, cuts, events, run_cut};

fn whole_numbers() -> impl Strategy<Value = Vec<Event>> {
    events().prop_map(|mut events| {
        for (nth, event) in (0..).zip(&mut events) {
            event.value = f64::from(nth * 37 % 101);
        }
        events
    })
}

fn setups() -> impl Strategy<Value = Setup> {
    let windows = vec![
        (1_000, 1_000),
        (7_000, 7_000),
        (20_000, 20_000),
        (10_000, 3_000),
        (3_000, 10_000),
        (2_500, 1_000),
        (4_000, 6_000),
        (8_000, 1_000),
        (7_000, 3_010),
    ];
    let offset = prop::sample::select(vec![0_i64, 300_000, -900_001]);
    let lateness = prop::sample::select(vec![0_i64, 1, 400_000, 3_000_000, 40_000_000]);
    let early = prop::sample::select(vec![None, Some(300_000), Some(1_000_000), Some(999_999)]);
    let windows = prop::sample::select(windows);
    (windows, offset, lateness, early, any::<bool>()).prop_map(
        |((size, slide), offset, lateness, early, is_final)| Setup {
            size: size * 1000,
            slide: slide * 1000,
            offset,
            lateness,
            early: early.filter(|early| !is_final && *early < size * 1000),
            is_final,
        },
    )
}

fn bounds() -> impl Strategy<Value = Option<i64>> {
    prop::sample::select(vec![Some(0), Some(0), Some(700_000), Some(2_000_000), None])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn rows_equal_the_oracle(
        events in whole_numbers(),
        cuts in cuts(),
        setup in setups(),
        bound in bounds(),
        buffer in prop::sample::select(vec![1_u32, 3, 1000]),
        restores_when_full in prop::sample::select(vec![false, false, true]),
    ) {
        let expected = Oracle::of(setup, &with_watermarks(&events, bound));
        prop_assume!(!restores_when_full || expected.rows.len() < 300);
        let mut run = Run::new(pipeline(&[setup.stage("v")], bound, buffer));
        run.restores_when_full = restores_when_full;
        let (rows, stats) = run_cut(run, &events, &cuts);
        prop_assert_eq!(rows, expected.plain_rows());
        prop_assert_eq!(stats.late_dropped, expected.late);
        prop_assert_eq!(stats.unassigned, expected.unassigned);
        prop_assert_eq!(stats.events, events.len() as u64);
        prop_assert_eq!((stats.stages[0].keys, stats.stages[0].open_windows), (0, 0));
    }

    #[test]
    fn roll_up_reads_final_rows_and_drops_none(
        events in whole_numbers(),
        cuts in cuts(),
        first in setups(),
        second in setups(),
        bound in bounds(),
        buffer in prop::sample::select(vec![1_u32, 3, 1000]),
        restores_when_full in prop::sample::select(vec![false, false, true]),
    ) {
        let first = Setup { early: None, is_final: true, ..first };
        let stream = with_watermarks(&events, bound);
        let between = Oracle::of(first, &stream);
        let expected = Oracle::of(second, &between.output_stream(stream.watermark));
        prop_assume!(!restores_when_full || expected.rows.len() < 300);
        // The emit option of the first stage makes no difference, because another stage follows.
        let first_stage = Setup { is_final: false, ..first };
        let mut run = Run::new(pipeline(&[first_stage.stage("v"), second.stage("count")], bound, buffer));
        run.restores_when_full = restores_when_full;
        let (rows, stats) = run_cut(run, &events, &cuts);
        prop_assert_eq!(expected.late, 0);
        prop_assert_eq!(stats.stages[1].late_dropped, 0);
        prop_assert_eq!(stats.stages[0].late_dropped, between.late);
        prop_assert_eq!(rows, expected.plain_rows());
    }

    #[test]
    fn last_revision_equals_the_final_row(
        events in events(),
        setup in setups(),
        bound in bounds(),
    ) {
        let aggregations = json!([
            "count", "sum", "avg", "min", "max", "range", "variance", "first", "last", "p50",
            {"op": "stddev", "population": true}, {"op": "p99", "engine": "exact"},
            {"op": "p99", "engine": "tdigest", "name": "t"}, "distinct", "rate",
        ]);
        let rows = |setup: Setup| {
            let stage = setup.stage_of("v", aggregations.clone());
            run_cut(Run::new(pipeline(&[stage], bound, 100_000)), &events, &[]).0
        };
        let mut last = BTreeMap::new();
        for row in rows(Setup { is_final: false, ..setup }) {
            last.insert((row.end, row.key.clone()), row.without(&["revision", "early"]));
        }
        let once = rows(Setup { early: None, is_final: true, ..setup });
        prop_assert_eq!(once.len(), last.len());
        for row in once {
            prop_assert_eq!(Some(&row.values), last.get(&(row.end, row.key)));
        }
    }

    #[test]
    fn dropped_events_of_limits_do_not_depend_on_cuts(
        events in whole_numbers(),
        cuts in cuts(),
        setup in setups(),
        bound in bounds(),
        windows in 20_u32..60,
        restores_when_full: bool,
    ) {
        let mut pipeline = pipeline(&[setup.stage("v")], bound, 3);
        pipeline.limits.max_keys = 3;
        pipeline.limits.max_windows_per_key = windows;
        prop_assume!(setup.max_open_slices() <= i64::from(windows));
        let mut whole = Run::new(pipeline.clone());
        whole.push(&events, KeysAs::Ids);
        let expected = whole.finish();
        let mut run = Run::new(pipeline);
        run.restores_when_full = restores_when_full && expected.0.len() < 300;
        prop_assert_eq!(run_cut(run, &events, &cuts), expected);
    }

    #[test]
    fn merged_shards_equal_one_engine(
        events in whole_numbers(),
        setup in setups(),
        bound in bounds(),
        batch in 1_usize..50,
        shards in 2_u32..5,
    ) {
        let pipeline = pipeline(&[setup.stage("v")], bound, 1000);
        let mut generator = Generator::new(&pipeline);
        let mut runs: Vec<Run> = (0..shards).map(|_| Run::new(pipeline.clone())).collect();
        let mut ordinal = 0;
        for batch in events.chunks(batch) {
            let timestamps: Vec<i64> = batch.iter().map(|event| event.ts).collect();
            let mut watermarks = Vec::new();
            generator.observe_all(&timestamps, &mut watermarks);
            for (shard, run) in (0..).zip(&mut runs) {
                let mine = |at: &usize| batch[*at].key % shards == shard;
                let picked: Vec<usize> = (0..batch.len()).filter(mine).collect();
                let part: Vec<Event> = picked.iter().map(|at| batch[*at]).collect();
                let input_watermarks: Vec<i64> = picked.iter().map(|at| watermarks[*at]).collect();
                let ordinals: Vec<u64> = picked.iter().map(|at| ordinal + *at as u64).collect();
                run.push_with_watermarks(&part, Some(&ordinals), Some(&input_watermarks), KeysAs::Ids);
                run.advance(generator.watermark());
            }
            ordinal += batch.len() as u64;
        }
        let mut rows = Vec::new();
        for mut run in runs {
            run.end();
            rows.extend(run.ranks.into_iter().zip(run.rows));
        }
        let order = |(rank, row): &(u64, Row)| (row.firing, *rank, row.end, row.key.clone());
        rows.sort_by_key(order);
        let expected = Oracle::of(setup, &with_watermarks(&events, bound)).rows;
        prop_assert!(expected.is_sorted_by_key(order));
        prop_assert_eq!(rows, expected);
    }
}
