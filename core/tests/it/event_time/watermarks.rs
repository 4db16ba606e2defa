//! Partitions, kinds of watermark and host time, compared with an oracle that computes everything
//! from all events at each step.

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::{KeyDefinitions, PipelineSpec, RejectReason, Stats};

use super::oracle::{self, Kind, Oracle, Rules, Step, steps};
use crate::common::{BatchExtras, Event, KeysAs, Pipeline, Row, Run, concat, encoded, spec};

const SIZE: i64 = 1_000_000;

fn pipeline(rules: &Rules, result_rows: u32) -> PipelineSpec {
    let mut source = json!({"key": "k", "value": "v"});
    if rules.partitioned {
        source["partition"] = "p".into();
    }
    let us = |time: i64| format!("{time}us");
    let pipeline = match rules.kind {
        Kind::Bounded => Pipeline::of(source).time("watermark", "bounded"),
        Kind::Periodic(step) => {
            let pipeline = Pipeline::of(source).time("watermark", "periodic");
            pipeline.time("watermark_interval", us(step))
        }
        Kind::Punctuated => {
            let pipeline = Pipeline::of(source).time("watermark", "punctuated");
            pipeline.time("watermark_field", "mark")
        }
        Kind::Manual => Pipeline::of(source).time("watermark", "manual"),
    };
    let durations = [
        ("max_out_of_orderness", (rules.kind != Kind::Manual).then_some(rules.bound)),
        ("idle_timeout", rules.idle_timeout),
        ("close_after_idle", rules.close_after_idle),
        ("max_future_skew", rules.skew),
    ];
    let with = |pipeline: Pipeline, (name, time): (&str, Option<i64>)| match time {
        Some(time) => pipeline.time(name, us(time)),
        None => pipeline,
    };
    let pipeline = durations.into_iter().fold(pipeline, with);
    let pipeline = if rules.keeps_future { pipeline.time("future", "keep") } else { pipeline };
    let window = json!({
        "type": "window", "window": "tumbling", "size": us(SIZE), "aggregations": ["count", "sum"],
    });
    pipeline
        .limit("max_partitions", rules.max_partitions)
        .result_rows(result_rows)
        .stage(window)
        .spec()
}

/// Defines partitions. Partition `p` has the id `10 − p` and the name `k<p>`.
fn define(run: &mut Run, partitions: &[u32], known: bool) -> bool {
    let ids: Vec<u32> = partitions.iter().map(|partition| 10 - partition).collect();
    let (offsets, bytes) = concat(partitions.iter().map(|partition| encoded(*partition)));
    let definitions = KeyDefinitions { reset: false, ids: &ids, offsets: &offsets, bytes: &bytes };
    run.engine.define_partitions(&definitions, known).is_ok()
}

fn push(run: &mut Run, rules: &Rules, steps: &[Step]) {
    let events = steps.iter().filter_map(|step| match step {
        Step::Event { ts, key, .. } => Some(Event { ts: *ts, key: *key, value: 1.5 }),
        _ => None,
    });
    let extras = steps.iter().filter_map(|step| match step {
        Step::Event { partition, mark, .. } => Some((10 - *partition, *mark)),
        _ => None,
    });
    let events: Vec<Event> = events.collect();
    let (ids, marks): (Vec<u32>, Vec<f64>) = extras.unzip();
    if rules.partitioned {
        define(run, &[0, 1, 2, 3, 4], false);
    }
    let extras = BatchExtras {
        partitions: rules.partitioned.then_some(&ids),
        marks: (rules.kind == Kind::Punctuated).then_some(&marks),
        ..BatchExtras::default()
    };
    run.push_with(&events, extras, KeysAs::Encoded);
}

fn apply(run: &mut Run, rules: &Rules, step: &Step) {
    match step {
        Step::Event { .. } => push(run, rules, core::slice::from_ref(step)),
        Step::Tick(now) => run.tick(*now),
        Step::Advance(watermark) => run.advance(*watermark),
        Step::Restore => run.restore(),
        Step::Declare(partition) if rules.partitioned => {
            define(run, &[*partition], true);
        }
        Step::Declare(_) => {}
    }
}

fn summary(stats: &Stats) -> (u64, u64, u64, u64) {
    (stats.events, stats.future, stats.late_dropped, stats.rejected)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn watermarks_rows_and_counters_equal_the_oracle_after_every_step(rules in oracle::rules(), steps in steps(), buffer in 1_u32..9) {
        let mut oracle = Oracle::new(rules, SIZE);
        let mut run = Run::new(pipeline(&rules, buffer));
        for step in &steps {
            oracle.step(step);
            apply(&mut run, &rules, step);
            while run.poll(100) > 0 {}
            prop_assert_eq!(run.engine.watermark(), oracle.watermark, "{:?}", step);
            prop_assert_eq!(run.engine.next_deadline(), oracle.next_deadline(), "{:?}", step);
            prop_assert_eq!(run.rows.len(), oracle.fired(), "{:?}", step);
            let drops: Vec<RejectReason> = run.engine.drops(9).iter().map(|drop| drop.reason).collect();
            prop_assert_eq!(&drops, &oracle.take_drops());
            let partitions: Vec<_> = run.engine.stats().partitions.into_iter()
                .map(|stats| (stats.partition, stats.greatest_time, stats.watermark, stats.idle)).collect();
            prop_assert_eq!(partitions, oracle.partition_stats());
        }
        let (rows, stats) = run.finish();
        prop_assert_eq!(rows, oracle.rows());
        prop_assert_eq!(summary(&stats), oracle.summary());
    }

    #[test]
    fn rows_and_counters_do_not_depend_on_batches(
        rules in oracle::rules(), steps in steps(), cuts in prop::collection::vec(1_usize..30, 1..20),
        buffer in 1_u32..9, restores_when_full: bool,
    ) {
        // A restored engine restarts its timers, so engines are restored in the middle only without
        // timers.
        let timers = rules.idle_timeout.or(rules.close_after_idle).or(rules.skew).is_some();
        let mut oracle = Oracle::new(rules, SIZE);
        steps.iter().for_each(|step| oracle.step(step));
        let mut run = Run::new(pipeline(&rules, buffer));
        run.restores_when_full = restores_when_full && !timers && !rules.partitioned;
        let mut cuts = cuts.into_iter().cycle();
        let is_event = |step: &Step| matches!(step, Step::Event { .. });
        for steps in steps.chunk_by(|a, b| is_event(a) && is_event(b)) {
            let mut rest = steps;
            while is_event(&steps[0]) && !rest.is_empty() {
                let (batch, later) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                push(&mut run, &rules, batch);
                prop_assert!(run.engine.snapshot().is_ok());
                rest = later;
            }
            if !is_event(&steps[0]) {
                apply(&mut run, &rules, &steps[0]);
            }
        }
        prop_assert_eq!(run.engine.watermark(), oracle.watermark);
        let (rows, stats) = run.finish();
        prop_assert_eq!(rows, oracle.rows());
        prop_assert_eq!(summary(&stats), oracle.summary());
    }
}

fn rules() -> Rules {
    Rules {
        kind: Kind::Bounded,
        bound: 0,
        partitioned: true,
        idle_timeout: None,
        close_after_idle: None,
        skew: None,
        keeps_future: false,
        max_partitions: 8,
    }
}

fn event(ts: i64, partition: u32) -> Step {
    Step::Event { ts, key: 1, partition, mark: 0.0 }
}

fn fired(run: &mut Run) -> Vec<Row> {
    while run.poll(100) > 0 {}
    core::mem::take(&mut run.rows)
}

#[test]
fn slowest_partition_holds_the_watermark_until_it_is_idle() {
    let rules = Rules { idle_timeout: Some(10), ..rules() };
    let mut run = Run::new(pipeline(&rules, 100));
    run.tick(1_000);
    push(&mut run, &rules, &[event(100_000, 1), event(500_000, 0), event(5_000_000, 0)]);
    assert_eq!(run.engine.watermark(), 99_999);
    assert!(fired(&mut run).is_empty());
    let stats = run.engine.stats();
    let held: Vec<_> =
        stats.partitions.iter().map(|stats| (stats.idle, stats.holds_back)).collect();
    assert_eq!(held, [(false, false), (false, true)]);
    assert_eq!(run.engine.next_deadline(), Some(1_010));
    run.tick(1_005);
    push(&mut run, &rules, &[event(5_500_000, 0)]);
    run.tick(1_009);
    assert_eq!(run.engine.watermark(), 99_999);
    run.tick(1_010);
    assert_eq!(run.engine.watermark(), 5_499_999);
    assert_eq!(fired(&mut run).len(), 1);
    // Both partitions are idle: the greatest watermark holds. A partition that returns holds the
    // watermark again, but does not move it back.
    run.tick(1_015);
    assert_eq!(run.engine.next_deadline(), None);
    push(&mut run, &rules, &[event(200_000, 1), event(9_000_000, 0)]);
    assert_eq!(run.engine.watermark(), 5_499_999);
    assert_eq!(run.engine.stats().late_dropped, 1);
}

#[test]
fn silent_stream_closes_its_open_windows() {
    let rules =
        Rules { bound: 30_000_000, close_after_idle: Some(60), partitioned: false, ..rules() };
    let mut run = Run::new(pipeline(&rules, 100));
    run.tick(0);
    push(&mut run, &rules, &[event(1_200_000, 0), event(700_000, 0)]);
    assert_eq!(run.engine.next_deadline(), Some(60));
    run.tick(59);
    assert!(fired(&mut run).is_empty());
    run.tick(60);
    assert_eq!(fired(&mut run).len(), 2);
    assert_eq!(run.engine.watermark(), 1_999_999, "the last microsecond of the last window");
    assert_eq!(run.engine.next_deadline(), None);
    push(&mut run, &rules, &[event(1_300_000, 0), event(2_000_000, 0)]);
    assert_eq!(run.engine.stats().late_dropped, 1);
    run.tick(120);
    assert_eq!(fired(&mut run).len(), 1);
}

#[test]
fn event_ahead_of_the_hosts_time_does_not_move_the_watermark() {
    for keeps_future in [false, true] {
        let rules = Rules { skew: Some(1_000_000), keeps_future, partitioned: false, ..rules() };
        let mut run = Run::new(pipeline(&rules, 100));
        assert_eq!(run.engine.next_deadline(), Some(stream_processor_core::time::MIN_TIME));
        run.tick(10_000_000);
        let far = 10_000_000_000;
        push(&mut run, &rules, &[event(11_000_000, 0), event(11_000_001, 0), event(far, 0)]);
        assert_eq!(run.engine.watermark(), 10_999_999);
        let reasons: Vec<_> = run
            .engine
            .drops(9)
            .iter()
            .map(|drop| (drop.ordinal, drop.reason, drop.stage))
            .collect();
        let dropped = [(1, RejectReason::Future, None), (2, RejectReason::Future, None)];
        assert_eq!(reasons, if keeps_future { &[][..] } else { &dropped[..] });
        let stats = run.engine.stats();
        assert_eq!((stats.events, stats.future, stats.rejected), (3, 2, 0));
        assert_eq!(run.finish().0.len(), if keeps_future { 2 } else { 1 });
    }
}

#[test]
fn event_of_a_partition_beyond_the_limit_is_rejected() {
    let rules = Rules { max_partitions: 2, ..rules() };
    let mut run = Run::new(pipeline(&rules, 100));
    push(&mut run, &rules, &[event(0, 0), event(5, 3), event(7, 1), event(9, 3)]);
    let stats = run.engine.stats();
    assert_eq!((stats.events, stats.rejected, stats.partitions.len()), (3, 1, 2));
    assert_eq!(stats.rejected_by_reason[0].reason, RejectReason::PartitionLimit);
    assert_eq!(stats.limits_struck, ["partition_limit"]);
    assert!(!define(&mut run, &[4], true));
    assert!(define(&mut run, &[3], true), "it is known already");
}

#[test]
fn close_after_idle_closes_all_stages() {
    let pipeline = spec(
        r#"{"source": {"key": "k", "value": "v"}, "time": {"close_after_idle": "1s"}, "stages": [
          {"type": "window", "window": "sliding", "size": "10s", "slide": "3s", "aggregations": ["sum"]},
          {"type": "window", "window": "tumbling", "size": "1m", "aggregations": ["max"]}]}"#,
    );
    let mut run = Run::new(pipeline);
    run.tick(0);
    run.push(&[Event { ts: 58_000_000, key: 1, value: 2.0 }], KeysAs::Ids);
    run.tick(1_000_000);
    // Windows of the first stage end at 61, 64 and 67 s, so the window of the second stage ends at
    // 120 s.
    assert_eq!(fired(&mut run).len(), 1);
    assert_eq!(run.engine.watermark(), 119_999_999);
}

#[test]
fn close_after_idle_closes_stages_with_allowed_lateness() {
    let pipeline = spec(
        r#"{"source": {"key": "k", "value": "v"}, "time": {"close_after_idle": "1s"}, "stages": [
          {"type": "window", "window": "tumbling", "size": "10s", "allowed_lateness": "7s", "aggregations": ["sum"]},
          {"type": "window", "window": "session", "gap": "5s", "allowed_lateness": "3s", "aggregations": ["max"]},
          {"type": "window", "window": "tumbling", "size": "1m", "aggregations": ["max"]}]}"#,
    );
    let mut run = Run::new(pipeline);
    run.tick(0);
    run.push(&[Event { ts: 8_000_000, key: 1, value: 2.0 }], KeysAs::Ids);
    run.tick(1_000_000);
    assert_eq!(fired(&mut run).len(), 1);
    // The session stage holds the watermark back by 1 us, since a session fires when the watermark
    // reaches its end.
    assert_eq!(run.engine.watermark(), 70_000_000);
}
