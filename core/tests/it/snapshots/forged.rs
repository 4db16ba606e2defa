//! Snapshots of windows that were changed, with valid checksums, are refused or read. They never
//! cause a panic or an endless loop.

use proptest::prelude::*;
use serde_json::{Value, json};
use stream_processor_core::{Batch, Column, Engine, KeyColumn, Options, Progress};

use super::drive::seal;
use crate::common::late::{Setup, pipeline};
use crate::common::{Event, KeysAs, Pipeline, Run, events};

const HEADER_BYTES: usize = 24;
const STAGE: u32 = 4;
/// Bytes of the stage number, the part, the watermark and the counters. The bytes after them decide
/// what happens next.
const COMMON_BYTES: usize = 56;

/// Returns the start and end of the payload of each stage section.
fn stages(snapshot: &[u8]) -> Vec<(usize, usize)> {
    let word = |at: usize| u32::from_le_bytes(snapshot[at..at + 4].try_into().unwrap());
    let (mut at, mut found) = (0, Vec::new());
    while at < snapshot.len() {
        let start = at + HEADER_BYTES;
        let end = start + word(at + 8) as usize;
        if word(at) == STAGE {
            found.push((start + if word(start + 4) == 0 { COMMON_BYTES } else { 4 }, end));
        }
        at = end.next_multiple_of(8);
    }
    found.retain(|(start, end)| start + 8 <= *end);
    found
}

/// Writes `value` to a random place in the state of a stage, and recomputes the checksum.
fn forge(snapshot: &mut [u8], place: prop::sample::Index, value: &[u8]) {
    let sections = stages(snapshot);
    forge_in(&sections, snapshot, place, value);
}

fn forge_in(
    sections: &[(usize, usize)],
    snapshot: &mut [u8],
    place: prop::sample::Index,
    value: &[u8],
) {
    let places: Vec<usize> =
        sections.iter().flat_map(|&(start, end)| (start..=end - 8).step_by(4)).collect();
    if places.is_empty() {
        return;
    }
    let at = *place.get(&places);
    snapshot[at..at + value.len()].copy_from_slice(value);
    seal(snapshot);
}

/// Runs the engine for a while and ignores its rows.
fn run_on(engine: &mut Engine, events: &[Event]) {
    let timestamps: Vec<i64> = events.iter().map(|event| event.ts).collect();
    let values: Vec<f64> = events.iter().map(|event| event.value).collect();
    let (offsets, bytes) =
        crate::common::concat(events.iter().map(|event| crate::common::encoded(event.key)));
    for _ in 0..events.len().max(1) {
        let pushed = engine.push(&Batch {
            timestamps: &timestamps,
            keys: KeyColumn::Encoded { offsets: &offsets, bytes: &bytes },
            columns: &[Column::F64(&values)],
            ..Batch::default()
        });
        let _ = engine.poll(1000);
        if pushed.is_ok_and(|pushed| !pushed.full) {
            break;
        }
    }
    let mut polls = 0;
    while engine.finish() == Ok(Progress::Full) && polls < 1000 {
        let _ = engine.poll(1000);
        polls += 1;
    }
    assert!(polls < 1000, "the engine never finishes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn forged_state_of_grid_windows_never_panics(
        events in events(),
        cut in 0_usize..200,
        place: prop::sample::Index,
        value in prop_oneof![
            prop::sample::select(vec![0_i64, 1, -1, 5, i64::MAX, i64::MIN, i64::MAX - 1_000]),
            any::<i64>(),
            any::<i32>().prop_map(i64::from),
        ],
        whole: bool,
        windows in prop::sample::select(vec![(1_000_000_i64, 1_000_000_i64), (10_000_000, 3_000_000), (7_000_000, 7_000_000)]),
        early in prop::sample::select(vec![None, Some(300_000_i64)]),
        buffer in prop::sample::select(vec![1_u32, 1000]),
    ) {
        let setup = Setup { early, ..Setup::sliding(windows.0, windows.1).lateness(20_000_000) };
        let spec = pipeline(&[setup.stage("v")], Some(0), buffer);
        let mut run = Run::new(spec.clone());
        let (taken, rest) = events.split_at(cut.min(events.len()));
        run.push(taken, KeysAs::Encoded);
        // One more watermark, whose rows may not fit into the result buffer.
        let _ = run.engine.advance_watermark(taken.last().map_or(0, |event| event.ts + 1_500_000));
        let mut snapshot = run.engine.snapshot().unwrap();
        forge(&mut snapshot, place, &value.to_le_bytes()[..if whole { 8 } else { 4 }]);
        if let Ok(mut engine) = Engine::restore(&spec, run.engine.options(), &snapshot) {
            run_on(&mut engine, rest);
        }
    }

    #[test]
    fn forged_state_of_other_windows_never_panics(
        events in events(),
        cut in 0_usize..200,
        place: prop::sample::Index,
        value in prop_oneof![
            prop::sample::select(vec![0_i64, 1, 2, 3, -1, i64::MAX, i64::MIN, i64::MAX - 1_000]),
            any::<i64>(),
            any::<i32>().prop_map(i64::from),
        ],
        whole: bool,
        window in prop::sample::select(vec![
            r#""window": "session", "gap": "1s""#,
            r#""window": "session", "gap": "2s", "allowed_lateness": "20s""#,
            r#""window": "cumulate", "size": "10s", "step": "2s", "allowed_lateness": "20s""#,
            r#""window": "count", "count": 3"#,
            r#""window": "global""#,
            r#""window": "calendar", "unit": "day""#,
        ]),
        limits in prop::sample::select(vec![json!({}), evicting()]),
        buffer in prop::sample::select(vec![1_u32, 1000]),
    ) {
        let pipeline = Pipeline::keyed().limits(&limits).result_rows(buffer);
        let spec = pipeline.window(window, json!(["count", "sum", "last"])).spec();
        let mut run = Run::new(spec.clone());
        let (taken, rest) = events.split_at(cut.min(events.len()));
        run.push(taken, KeysAs::Encoded);
        let _ = run.engine.advance_watermark(taken.last().map_or(0, |event| event.ts + 1_500_000));
        let mut snapshot = run.engine.snapshot().unwrap();
        forge(&mut snapshot, place, &value.to_le_bytes()[..if whole { 8 } else { 4 }]);
        if let Ok(mut engine) = Engine::restore(&spec, run.engine.options(), &snapshot) {
            run_on(&mut engine, rest);
        }
    }
}

/// Returns small limits that evict.
fn evicting() -> Value {
    json!({
        "max_keys": 3, "on_max_keys": "evict",
        "max_windows_per_key": 15, "on_max_windows_per_key": "evict",
        "max_state_bytes": 4500, "on_max_state_bytes": "evict",
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn forged_state_of_evicting_stages_never_panics(
        events in events(),
        cut in 0_usize..200,
        place: prop::sample::Index,
        value in any::<u32>(),
        is_small: bool,
        stage in prop::sample::select(vec![
            r#"{"type": "rolling", "size": 3, "aggregations": ["avg", "p50"], "state_ttl": "5s"}"#,
            r#"{"type": "ema", "span": 3}"#,
        ]),
    ) {
        let pipeline = Pipeline::keyed().limits(&evicting()).result_rows(1000);
        let spec = pipeline.stages(stage).spec();
        let mut run = Run::new(spec.clone());
        let (taken, rest) = events.split_at(cut.min(events.len()));
        run.push(taken, KeysAs::Encoded);
        let mut snapshot = run.engine.snapshot().unwrap();
        let value = if is_small { value % 8 } else { value };
        forge(&mut snapshot, place, &value.to_le_bytes());
        if let Ok(mut engine) = Engine::restore(&spec, run.engine.options(), &snapshot) {
            run_on(&mut engine, rest);
        }
    }
}

/// Returns the payload of the only stage section of a partial.
fn windows_of(partial: &[u8]) -> (usize, usize) {
    let word = |at: usize| u32::from_le_bytes(partial[at..at + 4].try_into().unwrap());
    let mut at = 0;
    while word(at) != STAGE {
        at = (at + HEADER_BYTES + word(at + 8) as usize).next_multiple_of(8);
    }
    (at + HEADER_BYTES, at + HEADER_BYTES + word(at + 8) as usize)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn forged_partial_state_is_refused_or_merged(
        events in events(),
        window in prop::sample::select(vec![
            r#""window": "tumbling", "size": "2s""#,
            r#""window": "session", "gap": "1s", "allowed_lateness": "3s""#,
            r#""window": "global""#,
        ]),
        forgeries in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>(), any::<bool>()), 1..4),
    ) {
        let aggregations = json!(["count", "sum", "last", "distinct", "p50"]);
        let spec = Pipeline::keyed().window(window, aggregations).spec();
        let options = Options { emits_partials: true, ..Options::default() };
        let mut edge = Run { engine: Engine::open(&spec, options).unwrap(), ..Run::new(spec.clone()) };
        edge.push(&events, KeysAs::Encoded);
        let mut partial = edge.engine.partial("a").unwrap();
        let section = windows_of(&partial);
        prop_assume!(section.0 + 8 <= section.1);
        for (place, value, is_small) in forgeries {
            let value = if is_small { value % 8 } else { value };
            forge_in(&[section], &mut partial, place, &value.to_le_bytes());
        }
        let mut receiver = Run::new(spec);
        let before = receiver.engine.snapshot().unwrap();
        match receiver.engine.merge(&partial) {
            Ok(_) => receiver.end(),
            Err(_) => prop_assert_eq!(receiver.engine.snapshot().unwrap(), before),
        }
    }
}
