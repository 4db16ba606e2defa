//! Deduplication compared with a list, for all batches, result buffers, hash seeds and snapshots.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::{
    Batch, Engine, FOUND_DUPLICATE, FOUND_NEW, Identity, KeyColumn, NO_IDENTITY, Options,
    PipelineSpec, Plan, Progress, RejectReason,
};

use crate::common::Pipeline;
use crate::snapshots::drive::seal;

fn spec(options: &str, bound_us: i64, result_rows: usize) -> PipelineSpec {
    PipelineSpec::from_json(&format!(
        r#"{{"time": {{"max_out_of_orderness": "{bound_us}us"}}, "limits": {{"max_result_rows": {result_rows}}},
            "stages": [{{"type": "dedup", "strategies": ["id"]{options}}}]}}"#
    ))
    .unwrap()
}

/// A time and an identity as a small number; 0 is no identity.
type Event = (i64, u64);

fn identity(id: u64) -> Identity {
    if id == 0 { [0, 0] } else { [id.wrapping_mul(0x9e37_79b9_7f4a_7c15), id] }
}

/// Returns the positions of the events that pass, and the engine at the end. The host's time is
/// that of the last event of a batch.
fn run(
    spec: &PipelineSpec,
    events: &[Event],
    cut: usize,
    restore: bool,
    seed: u64,
) -> (Vec<u64>, Engine) {
    let options = Options { table_seed: seed, report_drops: true, ..Options::default() };
    let mut engine = Engine::open(spec, options).unwrap();
    let mut passed = Vec::new();
    let mut poll = |engine: &mut Engine| {
        while let Some(rows) = engine.poll(3) {
            passed.extend_from_slice(rows.ranks);
        }
    };
    for batch in events.chunks(cut) {
        let timestamps: Vec<i64> = batch.iter().map(|(time, _)| *time).collect();
        let identities: Vec<Identity> = batch.iter().map(|(_, id)| identity(*id)).collect();
        let mut at = 0;
        loop {
            let batch = Batch {
                timestamps: &timestamps[at..],
                keys: KeyColumn::Unkeyed,
                columns: &[],
                identities: &[&identities[at..]],
                ordinals: None,
                watermarks: None,
                partitions: None,
            };
            let pushed = engine.push(&batch).unwrap();
            at += pushed.consumed;
            if restore {
                let snapshot = engine.snapshot().unwrap();
                let options = Options { table_seed: seed + 1, ..options };
                let mut restored = Engine::restore(spec, options, &snapshot).unwrap();
                assert_eq!(restored.snapshot().unwrap(), snapshot, "equal state, equal bytes");
                assert_eq!(restored.stats(), engine.stats());
                engine = restored;
            }
            poll(&mut engine);
            if !pushed.full {
                break;
            }
        }
    }
    while engine.finish().unwrap() == Progress::Full {
        poll(&mut engine);
    }
    poll(&mut engine);
    (passed, engine)
}

#[derive(Default)]
struct Expected {
    passed: Vec<u64>,
    duplicates: Vec<u64>,
    unjudged: Vec<u64>,
    evicted: u64,
}

/// Keeps a list of identities, the least recently touched first. `passed` does not contain unjudged
/// events.
fn oracle(events: &[Event], bound: i64, ttl: Option<i64>, refresh: bool, most: usize) -> Expected {
    let mut list: Vec<(u64, i64)> = Vec::new();
    let (mut expected, mut watermark) = (Expected::default(), i64::MIN);
    for (place, (time, id)) in (0..).zip(events) {
        let over = |since: i64, now: i64| ttl.is_some_and(|ttl| now >= since + ttl);
        let known = list.iter().position(|(known, _)| known == id);
        let there = known.filter(|at| !over(list[*at].1, watermark.max(*time)));
        if *id == 0 {
            expected.passed.push(place);
        } else if there.is_none() && over(*time, watermark) {
            expected.unjudged.push(place);
        } else if there.is_none() || refresh {
            let since = there.map_or(*time, |at| list[at].1.max(*time));
            if let Some(at) = known {
                list.remove(at);
            }
            list.retain(|(_, since)| !over(*since, watermark));
            while list.len() >= most {
                list.remove(0);
                expected.evicted += 1;
            }
            list.push((*id, since));
            match there {
                None => expected.passed.push(place),
                Some(_) => expected.duplicates.push(place),
            }
        } else {
            expected.duplicates.push(place);
        }
        watermark = watermark.max(time - bound - 1);
    }
    expected
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((prop_oneof![9 => -6_i64..10, 1 => -60_i64..90], 0_u64..14), 0..150)
        .prop_map(|steps| {
            let mut time = -100;
            let event = |(step, id)| {
                time += step;
                (time, id)
            };
            steps.into_iter().map(event).collect()
        })
}

proptest! {
    #[test]
    fn duplicates_equal_those_of_a_list(
        events in events(),
        bound in 0_i64..20,
        ttl in prop::option::of(1_i64..60),
        refresh in any::<bool>(),
        drops_unjudged in any::<bool>(),
        most in prop_oneof![Just(1000_usize), 1_usize..8],
        cut in 1_usize..40,
        rows in 1_usize..9,
        restore in any::<bool>(),
        seed in 0_u64..1000,
    ) {
        let mut options = format!(r#", "refresh": {refresh}, "max_entries": {most}"#);
        if let Some(ttl) = ttl {
            options += &format!(r#", "ttl": "{ttl}us""#);
            let action = if drops_unjudged { "drop" } else { "pass" };
            options += &format!(r#", "on_unjudged": "{action}""#);
        }
        let spec = spec(&options, bound, rows);
        let mut expected = oracle(&events, bound, ttl, refresh, most);
        let (passed, mut engine) = run(&spec, &events, cut, restore, seed);
        let unjudged = expected.unjudged.len() as u64;
        let mut dropped: Vec<_> =
            expected.duplicates.iter().map(|place| (*place, RejectReason::Duplicate)).collect();
        if drops_unjudged {
            dropped.extend(expected.unjudged.iter().map(|place| (*place, RejectReason::Unjudged)));
            dropped.sort_unstable();
        } else {
            expected.passed.append(&mut expected.unjudged);
            expected.passed.sort_unstable();
        }
        prop_assert_eq!(&passed, &expected.passed);
        let stats = engine.stats();
        let duplicates = expected.duplicates.len() as u64;
        prop_assert_eq!((stats.duplicates, stats.stages[0].duplicates), (duplicates, duplicates));
        prop_assert_eq!((stats.unjudged, stats.stages[0].unjudged), (unjudged, unjudged));
        prop_assert_eq!(stats.stages[0].evicted, expected.evicted);
        let unidentified = events.iter().filter(|(_, id)| *id == 0).count() as u64;
        prop_assert_eq!(stats.stages[0].unidentified, unidentified);
        let drops = engine.drops(usize::MAX);
        let drops: Vec<_> = drops.iter().map(|drop| (drop.ordinal, drop.reason)).collect();
        prop_assert_eq!(drops, dropped);
    }

    #[test]
    fn bloom_filter_remembers_for_a_ttl_and_at_most_a_generation_more(
        events in events(),
        bound in 0_i64..20,
        ttl in 5_i64..60,
        generations in 1_i64..5,
        cut in 1_usize..40,
        restore in any::<bool>(),
    ) {
        let options = format!(
            r#", "ttl": "{ttl}us", "mode": "bloom", "capacity": 1000, "generations": {generations}, "false_positive_rate": 1e-6"#
        );
        let (passed, engine) = run(&spec(&options, bound, 1000), &events, cut, restore, 1);
        // An identity that passed is remembered for at least the ttl, and for at most one
        // generation more.
        let (mut since, mut unjudged) = (BTreeMap::new(), 0);
        let mut watermark = i64::MIN;
        let passed_set: BTreeSet<u64> = passed.iter().copied().collect();
        for (place, (time, id)) in (0_u64..).zip(&events) {
            let now = watermark.max(*time);
            if *id != 0 {
                if passed_set.contains(&place) {
                    let forgotten = since.get(id).is_none_or(|since| now >= since + ttl);
                    prop_assert!(forgotten || engine.stats().stages[0].evicted > 0);
                    if watermark != i64::MIN && *time <= watermark - ttl {
                        unjudged += 1;
                    } else {
                        since.insert(*id, *time);
                    }
                } else {
                    prop_assert!(now < since[id] + ttl + (ttl / generations).max(1));
                }
            }
            watermark = watermark.max(time - bound - 1);
        }
        prop_assert_eq!(engine.stats().unjudged, unjudged);
    }
}

#[test]
fn event_one_ttl_behind_the_watermark_is_unjudged_unless_remembered() {
    const DAY: i64 = 86_400_000_000;
    // The first event is on day 0. The watermark is the greatest time less 1 us.
    for (events, judged) in [
        // Day 1 is more than a ttl behind the watermark of day 152, so the second event of 1 is
        // unjudged.
        (vec![(0, 1), (152 * DAY, 2), (DAY, 1)], "first first unjudged"),
        // The watermark is 1 us less than a ttl ahead, so identity 1 is still remembered.
        (vec![(0, 1), (30 * DAY, 2), (0, 1)], "first first duplicate"),
        (vec![(0, 1), (39 * DAY, 2), (0, 1)], "first first unjudged"),
        // An event of an unknown identity is unjudged too.
        (vec![(0, 1), (40 * DAY, 2), (9 * DAY, 3)], "first first unjudged"),
        // An event of a remembered identity is a duplicate, however late it arrives.
        (vec![(40 * DAY, 1), (41 * DAY, 2), (0, 1)], "first first duplicate"),
        // Unjudged events are not remembered.
        (vec![(0, 1), (152 * DAY, 2), (DAY, 3), (DAY, 3)], "first first unjudged unjudged"),
        (vec![(0, 1), (152 * DAY, 2), (DAY, 0)], "first first unidentified"),
    ] {
        for mode in ["", r#", "mode": "bloom""#] {
            for action in ["pass", "drop"] {
                let options = format!(r#", "ttl": "30d", "on_unjudged": "{action}"{mode}"#);
                let (passed, mut engine) = run(&spec(&options, 0, 9), &events, 2, true, 1);
                let judged: Vec<_> = judged.split(' ').collect();
                let passes = |kind: &str| match kind {
                    "unjudged" => action == "pass",
                    kind => kind != "duplicate",
                };
                let expected: Vec<u64> =
                    (0..).zip(&judged).filter(|(_, kind)| passes(kind)).map(|(at, _)| at).collect();
                assert_eq!(passed, expected, "{options} {events:?}");
                let count = |kind: &str| judged.iter().filter(|judged| **judged == kind).count();
                let stats = engine.stats();
                assert_eq!(stats.unjudged, count("unjudged") as u64);
                assert_eq!(stats.duplicates, count("duplicate") as u64);
                assert_eq!(engine.drops(9).len(), judged.len() - expected.len());
            }
        }
    }
}

#[test]
fn unjudged_event_evicts_no_identity() {
    let spec = spec(r#", "ttl": "10us", "max_entries": 2"#, 0, 9);
    let events = [(100, 1), (101, 2), (5, 3), (101, 1), (101, 2)];
    let (passed, engine) = run(&spec, &events, 9, false, 1);
    assert_eq!((passed, engine.stats().stages[0].evicted), (vec![0, 1, 2], 0));
}

#[test]
fn dedup_without_ttl_remembers_every_identity() {
    let events: Vec<Event> = (0..60_000).map(|n| (n as i64, 1 + n * n % 30_011)).collect();
    let mut set = BTreeSet::new();
    let expected: Vec<u64> =
        (0..).zip(&events).filter(|(_, (_, id))| set.insert(*id)).map(|(n, _)| n).collect();
    let (passed, engine) = run(&spec("", 0, 100_000), &events, 8192, false, 5);
    assert_eq!(passed, expected);
    assert_eq!(engine.stats().stages[0].entries, set.len() as u64);
}

#[test]
fn bloom_filter_keeps_its_false_positive_rate() {
    for (rate, generations) in [(0.01, 4), (0.001, 1), (0.05, 8)] {
        let count = 40_000_u64;
        let options = format!(
            r#", "ttl": "1s", "mode": "bloom", "capacity": {count}, "generations": {generations}, "false_positive_rate": {rate}"#
        );
        // The load is steady: one ttl has as many new identities as the capacity. Only the last
        // third is counted.
        let events: Vec<Event> = (0..3 * count).map(|n| ((n * 25) as i64, n + 1)).collect();
        let (passed, _) = run(&spec(&options, 0, 1_000_000), &events, 8192, false, 0);
        let in_last = passed.iter().filter(|place| **place >= 2 * count).count() as f64;
        let found = 1.0 - in_last / count as f64;
        assert!(found <= 1.2 * rate, "{found} instead of {rate}");
    }
}

#[test]
fn arrival_clock_uses_the_hosts_time() {
    let spec = spec(r#", "ttl": "10us", "clock": "arrival""#, 0, 100);
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    let mut push = |now| {
        engine.tick(now).unwrap();
        let batch = Batch {
            timestamps: &[5],
            keys: KeyColumn::Unkeyed,
            columns: &[],
            identities: &[&[identity(1)]],
            ordinals: None,
            watermarks: None,
            partitions: None,
        };
        engine.push(&batch).unwrap();
        engine.poll(9).is_some()
    };
    assert_eq!(
        [100, 109, 110, 119, 105, 120].map(&mut push),
        [true, false, true, false, false, true]
    );
}

#[test]
fn invalid_options_are_refused_with_path_and_remedy() {
    for (options, path) in [
        (r#""strategies": []"#, "stages[0].strategies"),
        (r#""strategies": ["a", "a"]"#, "stages[0].strategies[1]"),
        (r#""strategies": ["@contents"]"#, "stages[0].strategies[0]"),
        (r#""strategies": ["a"], "ttl": "0s""#, "stages[0].ttl"),
        (r#""strategies": ["a"], "max_entries": 0"#, "stages[0].max_entries"),
        (r#""strategies": ["a"], "capacity": 5"#, "stages[0].capacity"),
        (r#""strategies": ["a"], "mode": "bloom", "max_entries": 5"#, "stages[0].max_entries"),
        (
            r#""strategies": ["a"], "mode": "bloom", "false_positive_rate": 1"#,
            "stages[0].false_positive_rate",
        ),
        (r#""strategies": ["a"], "mode": "bloom", "generations": 0"#, "stages[0].generations"),
        (r#""strategies": ["a"], "mode": "blom""#, "stages[0].mode"),
        (r#""strategies": ["a"], "on_unjudged": "drop""#, "stages[0].on_unjudged"),
        (
            r#""strategies": ["a"], "ttl": "1s", "clock": "arrival", "on_unjudged": "pass""#,
            "stages[0].on_unjudged",
        ),
        (r#""strategies": ["a"], "ttl": "1s", "on_unjudged": "keep""#, "stages[0].on_unjudged"),
    ] {
        let json = format!(r#"{{"stages": [{{"type": "dedup", {options}}}]}}"#);
        let error =
            PipelineSpec::from_json(&json).and_then(|spec| Plan::new(&spec).map(drop)).unwrap_err();
        assert_eq!(error.path(), path, "{error}");
    }
}

#[test]
fn dedup_is_partitioned_by_key_if_every_identity_contains_the_key() {
    for (strategies, apart) in [
        (r#"["id"]"#, false),
        (r#"["@content"]"#, true),
        (r#"[["k", "id"], "@content"]"#, true),
        (r#"[["k", "id"], "id"]"#, false),
    ] {
        let stage = format!(r#"{{"type": "dedup", "strategies": {strategies}}}"#);
        let pipeline = Pipeline::of(json!({"key": "k"})).stages(&stage);
        let plan = Plan::new(&pipeline.spec()).unwrap();
        assert_eq!(plan.partitioned_by_key, apart, "{strategies}");
    }
}

#[test]
fn damaged_snapshot_is_refused_or_gives_a_valid_state() {
    // Every restore chooses the sizes of Bloom filters again: 4 ms without optimization.
    for (options, step) in [
        (r#", "ttl": "50us""#, 1),
        (r#", "ttl": "50us", "mode": "bloom", "capacity": 20, "generations": 2"#, 16),
        (r#", "mode": "bloom", "capacity": 20, "generations": 1"#, 16),
    ] {
        let spec = spec(options, 5, 1000);
        let mut engine = Engine::open(&spec, Options::default()).unwrap();
        let timestamps: Vec<i64> = (0..60).collect();
        let identities: Vec<Identity> = (0..60).map(|n| identity(1 + n % 25)).collect();
        let batch =
            Batch { timestamps: &timestamps, identities: &[&identities], ..Batch::default() };
        engine.push(&batch).unwrap();
        let snapshot = engine.snapshot().unwrap();
        for at in (0..snapshot.len()).step_by(step) {
            let mut damaged = snapshot.clone();
            damaged[at] ^= 0x55;
            assert!(Engine::restore(&spec, Options::default(), &damaged).is_err(), "{at}");
            if at % 3 != 0 {
                continue;
            }
            assert!(Engine::restore(&spec, Options::default(), &snapshot[..at]).is_err(), "{at}");
            // With valid checksums, the change is refused or gives another state.
            let mut forged = snapshot.clone();
            forged[at] = [0, 1, 0x7f, 0x80, 0xff][at % 5];
            seal(&mut forged);
            if let Ok(mut engine) = Engine::restore(&spec, Options::default(), &forged) {
                let _ = engine.push(&batch);
                let _ = engine.snapshot();
                let _ = engine.finish();
            }
        }
    }
}

#[test]
fn verdicts_of_the_host_are_counted_and_not_remembered() {
    for mode in ["exact", "bloom"] {
        let spec = spec(&format!(r#", "mode": "{mode}""#), 0, 100);
        let options = Options { report_drops: true, ..Options::default() };
        let mut engine = Engine::open(&spec, options).unwrap();
        let known = identity(7);
        let identities =
            [FOUND_NEW, FOUND_NEW, FOUND_DUPLICATE, NO_IDENTITY, known, FOUND_DUPLICATE, known];
        let batch = Batch {
            timestamps: &[1, 2, 3, 4, 5, 6, 7],
            keys: KeyColumn::Unkeyed,
            columns: &[],
            identities: &[&identities],
            ordinals: None,
            watermarks: None,
            partitions: None,
        };
        assert_eq!(engine.push(&batch).unwrap().consumed, 7);
        assert_eq!(engine.poll(100).unwrap().ranks, [0, 1, 3, 4]);
        let stage = &engine.stats().stages[0];
        assert_eq!((stage.duplicates, stage.unidentified, stage.entries), (3, 1, 1), "{mode}");
        let drops = engine.drops(100);
        assert!(drops.iter().all(|drop| drop.reason == RejectReason::Duplicate));
        assert_eq!(drops.iter().map(|drop| drop.ordinal).collect::<Vec<_>>(), [2, 5, 6]);
    }
}

#[test]
fn engine_refuses_a_shared_store() {
    let shared = r#", "clock": "arrival", "shared": {"type": "redis", "url": "redis://cache"}"#;
    let error = Plan::new(&spec(shared, 0, 100)).unwrap_err();
    assert_eq!(error.path(), "stages[0].shared");
    assert!(error.message().contains("with the program stream-processor"), "{error}");
}
