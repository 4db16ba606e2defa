//! Forged numbers that steer a loop or an eviction are refused.

use serde_json::json;
use stream_processor_core::{Batch, Column, Engine, Identity, KeyColumn, Options, PipelineSpec};

use super::drive::{restored, sections, snapshot};
use super::pipelines::{self, Pipeline};

const STAGE: u8 = 4;

/// Returns the snapshot of each pipeline after its input.
fn snapshots() -> impl Iterator<Item = (Pipeline, Vec<u8>)> {
    pipelines::all().into_iter().filter_map(|pipeline| {
        let text = pipelines::lines(&pipeline.input, 900);
        let bytes = snapshot(&pipeline.spec, Options::default(), text)?;
        Some((pipeline, bytes))
    })
}

/// Returns true if `snapshot` is refused after `number` was written at `at`.
fn is_refused(spec: &PipelineSpec, snapshot: &[u8], at: usize, number: &[u8]) -> bool {
    let mut forged = snapshot.to_vec();
    forged[at..at + number.len()].copy_from_slice(number);
    super::drive::seal(&mut forged);
    restored(spec, Options::default(), &forged).is_none()
}

/// Returns the payloads of the sections of the first stage whose word after the stage number is
/// `kind`.
fn stage_sections(snapshot: &[u8], kind: u32) -> Vec<core::ops::Range<usize>> {
    let mut found = sections(snapshot);
    found.retain(|payload| {
        let words = snapshot.get(payload.start..payload.start + 8);
        let expected = [0_u32.to_le_bytes(), kind.to_le_bytes()].concat();
        snapshot[payload.start - 24] == STAGE && words == Some(&expected)
    });
    found
}

#[test]
fn source_watermark_at_the_end_of_time_is_refused() {
    for (pipeline, bytes) in snapshots() {
        let source = sections(&bytes)[1].start;
        assert!(is_refused(&pipeline.spec, &bytes, source, &i64::MAX.to_le_bytes()));
        assert!(!is_refused(&pipeline.spec, &bytes, source, &(i64::MAX - 1).to_le_bytes()));
    }
}

#[test]
fn partition_watermark_beyond_its_events_is_refused() {
    let partitioned = snapshots().filter(|(pipeline, _)| pipeline.name.starts_with("partitions"));
    let mut count = 0;
    for (pipeline, bytes) in partitioned {
        let time = sections(&bytes)[2].clone();
        // The last partition ends with its greatest time, watermark, last move and a flag.
        let watermark = time.end - 4 - 16;
        for number in [i64::MAX, i64::MAX - 1] {
            assert!(is_refused(&pipeline.spec, &bytes, watermark, &number.to_le_bytes()));
        }
        count += 1;
    }
    assert!(count >= 2);
}

#[test]
fn counters_near_their_overflow_are_refused() {
    for (pipeline, bytes) in snapshots() {
        let source = sections(&bytes)[1].start;
        // The next ordinal, the accepted events and the events rejected for the first reason.
        for at in [source + 8, source + 24, source + 44] {
            assert!(is_refused(&pipeline.spec, &bytes, at, &(u64::MAX - 1).to_le_bytes()));
        }
    }
}

#[test]
fn pending_rows_without_end_are_refused() {
    let mut count = 0;
    for (pipeline, bytes) in snapshots() {
        if !pipeline.name.starts_with("normalize") {
            continue;
        }
        for pending in stage_sections(&bytes, 2) {
            // The last number is the count of the last rows.
            let place = pending.end - 8;
            for number in [0, 1 << 40, u64::MAX] {
                assert!(is_refused(&pipeline.spec, &bytes, place, &number.to_le_bytes()));
            }
            count += 1;
        }
    }
    assert!(count > 0, "some snapshots have pending rows");
}

#[test]
fn next_row_far_before_the_last_point_is_refused() {
    let mut count = 0;
    for (pipeline, bytes) in snapshots() {
        if !pipeline.name.starts_with("normalize") {
            continue;
        }
        for series in stage_sections(&bytes, 1) {
            // The stage, the kind and the number of series; then key, interval, flag, last closed.
            let next_row = series.start + 16 + 16 + 8;
            for number in [0, i64::MIN, i64::MIN + 1, i64::MAX - 1] {
                assert!(is_refused(&pipeline.spec, &bytes, next_row, &number.to_le_bytes()));
            }
            count += 1;
        }
    }
    assert!(count > 3, "{count}");
}

#[test]
fn order_of_use_with_a_key_twice_or_without_state_is_refused() {
    let spec = json!({
        "source": {"key": "k", "value": "v"},
        "limits": {"max_keys": 3, "on_max_keys": "evict"},
        "stages": [{"type": "rolling", "size": 3, "aggregations": ["avg"]}, {"type": "ema", "span": 3}],
    });
    let spec = PipelineSpec::from_value(spec).unwrap();
    let lines = ["a", "b", "c"].map(|key| format!("{{\"ts\":1,\"k\":\"{key}\",\"v\":1}}\n"));
    let bytes = snapshot(&spec, Options::default(), lines.concat().as_bytes()).unwrap();
    let common = stage_sections(&bytes, 0)[0].clone();
    // The section ends with the positions of the keys, the least recently used first.
    assert_eq!(bytes[common.end - 12..common.end], [0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
    assert!(is_refused(&spec, &bytes, common.end - 4, &1_u32.to_le_bytes()));
    assert!(is_refused(&spec, &bytes, common.end - 4, &3_u32.to_le_bytes()));
    // The first stage loses the section with the states of its keys; the second has all three.
    let states = stage_sections(&bytes, 1)[0].clone();
    let (before, after) = (states.start - 24, states.end.next_multiple_of(8));
    let mut forged = [&bytes[..before], &bytes[after..]].concat();
    let end = sections(&forged).last().unwrap().clone();
    let count = sections(&forged).len() as u64 - 1;
    forged[end].copy_from_slice(&count.to_le_bytes());
    super::drive::seal(&mut forged);
    assert!(restored(&spec, Options::default(), &forged).is_none());
}

#[test]
fn waiting_events_with_identities_and_the_first_ordinal_are_restored() {
    let spec = json!({
        "source": {"value": "v"},
        "limits": {"max_result_rows": 1},
        "stages": [
            {"type": "filter", "where": [{"field": "v", "op": ">", "value": 0}]},
            {"type": "dedup", "strategies": ["id"]},
        ],
    });
    let spec = PipelineSpec::from_value(spec).unwrap();
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    let identities: [Identity; 3] = [[1, 2], [3, 4], [5, 6]];
    let pushed = engine.push(&Batch {
        timestamps: &[1, 2, 3],
        keys: KeyColumn::Unkeyed,
        columns: &[Column::F64(&[1.0, 1.0, 1.0])],
        identities: &[&identities],
        ordinals: Some(&[0, 0, 0]),
        ..Batch::default()
    });
    assert!(pushed.unwrap().full);
    let bytes = engine.snapshot().unwrap();
    let mut again = restored(&spec, Options::default(), &bytes).unwrap();
    assert_eq!(again.snapshot().unwrap(), bytes);
}

#[test]
fn greatest_ordinal_is_followed_by_events_without_one() {
    let spec = json!({
        "source": {"value": "v"},
        "stages": [{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["first", "last"]}],
    });
    let spec = PipelineSpec::from_value(spec).unwrap();
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    for ordinals in [Some(&[u64::MAX, u64::MAX][..]), None, None] {
        let batch = Batch {
            timestamps: &[1, 2],
            columns: &[Column::F64(&[1.0, 2.0])],
            ordinals,
            ..Batch::default()
        };
        assert!(!engine.push(&batch).unwrap().full);
    }
    let bytes = engine.snapshot().unwrap();
    assert!(restored(&spec, Options::default(), &bytes).is_some());
}

#[test]
fn counters_at_their_bound_count_on_and_are_restored_again() {
    const SOURCE: u8 = 2;
    let spec = json!({
        "source": {"value": "v"},
        "stages": [{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["count"]}],
    });
    let spec = PipelineSpec::from_value(spec).unwrap();
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    let batch =
        Batch { timestamps: &[1, 2], columns: &[Column::F64(&[1.0, 2.0])], ..Batch::default() };
    engine.push(&batch).unwrap();
    let mut bytes = engine.snapshot().unwrap();
    let source = sections(&bytes).into_iter().find(|payload| bytes[payload.start - 24] == SOURCE);
    // Behind the watermark, the next ordinal and the time of the host.
    let accepted = source.unwrap().start + 24;
    assert_eq!(bytes[accepted..accepted + 8], 2_u64.to_le_bytes());
    bytes[accepted..accepted + 8].copy_from_slice(&(1_u64 << 62).to_le_bytes());
    super::drive::seal(&mut bytes);
    let mut engine = restored(&spec, Options::default(), &bytes).unwrap();
    engine.push(&batch).unwrap();
    let bytes = engine.snapshot().unwrap();
    let mut again = restored(&spec, Options::default(), &bytes).unwrap();
    assert_eq!(again.snapshot().unwrap(), bytes);
}
