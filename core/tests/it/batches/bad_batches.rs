//! Malformed batches, keys and snapshots are refused with an error that names the fault, and change
//! no state.

use proptest::prelude::*;
use stream_processor_core::{
    Batch, Column, Engine, Error, KeyColumn, KeyDefinitions, Options, RejectReason, wire,
};

use crate::common::{Event, KeysAs, Run, concat, encoded, tumbling};

fn engine() -> Engine {
    let options = Options { report_drops: true, ..Options::default() };
    Engine::open(&tumbling("1s", "0s", "0s", 100), options).unwrap()
}

fn push(
    engine: &mut Engine,
    timestamps: &[i64],
    keys: KeyColumn<'_>,
    values: &[f64],
) -> Result<usize, Error> {
    let columns = [Column::F64(values)];
    let batch = Batch {
        timestamps,
        keys,
        columns: &columns,
        identities: &[],
        ordinals: None,
        watermarks: None,
        partitions: None,
    };
    engine.push(&batch).map(|pushed| pushed.consumed)
}

#[test]
fn column_with_another_length_is_refused_by_name() {
    let mut engine = engine();
    let (offsets, bytes) = concat([encoded(1)].into_iter());
    let keys = KeyColumn::Encoded { offsets: &offsets, bytes: &bytes };
    let error = push(&mut engine, &[1], keys, &[1.0, 2.0]).unwrap_err();
    assert_eq!(error.to_string(), "column `v` has 2 entries, but the batch has 1 events");
    assert_eq!(error.code(), "column_length");
    let error = push(&mut engine, &[1], KeyColumn::Ids(&[0]), &[1.0]).unwrap_err();
    assert_eq!(error, Error::UnknownKeyId { id: 0, event: 0 });
    let error = push(&mut engine, &[1], KeyColumn::Unkeyed, &[1.0]).unwrap_err();
    assert_eq!(error.code(), "keys_mismatch");
    assert_eq!(engine.stats().events, 0);
}

#[test]
fn malformed_keys_are_refused() {
    let mut engine = engine();
    for (offsets, bytes) in
        [(vec![0, 1], vec![7]), (vec![0, 9], vec![7]), (vec![1, 0], vec![]), (vec![0], vec![])]
    {
        let definitions =
            KeyDefinitions { reset: false, ids: &[0], offsets: &offsets, bytes: &bytes };
        engine.define_keys(&definitions).unwrap_err();
        push(&mut engine, &[1], KeyColumn::Encoded { offsets: &offsets, bytes: &bytes }, &[1.0])
            .unwrap_err();
    }
}

#[test]
fn invalid_events_are_rejected_one_by_one() {
    let mut run = Run::new(tumbling("1s", "0s", "0s", 100));
    let of = |ts, value| Event { ts, key: 1, value };
    run.push(
        &[
            of(0, 1.0),
            of(i64::MIN, 1.0),
            of(1, f64::NAN),
            of(2, f64::INFINITY),
            of(3, 2.0),
            of(i64::MAX, 1.0),
        ],
        KeysAs::Ids,
    );
    let drops = run.engine.drops(10);
    let reasons: Vec<_> = drops.iter().map(|drop| (drop.ordinal, drop.reason)).collect();
    assert_eq!(
        reasons,
        [
            (1, RejectReason::TimestampOutOfRange),
            (2, RejectReason::MissingField),
            (3, RejectReason::NonFinite),
            (5, RejectReason::TimestampOutOfRange)
        ]
    );
    assert!(drops.iter().all(|drop| drop.stage.is_none()));
    let (rows, stats) = run.finish();
    assert_eq!(rows.len(), 1);
    assert_eq!((stats.events, stats.rejected), (2, 4));
}

#[test]
fn finished_stream_accepts_no_events() {
    let mut engine = engine();
    engine.finish().unwrap();
    assert_eq!(push(&mut engine, &[], KeyColumn::Unkeyed, &[]).unwrap_err(), Error::Finished);
}

fn snapshot() -> Vec<u8> {
    let mut run = Run::new(tumbling("1s", "0s", "5s", 2));
    let events: Vec<Event> =
        (0..50).map(|at| Event { ts: at * 300_000, key: at as u32 % 4, value: 0.5 }).collect();
    run.push(&events, KeysAs::Ids);
    run.engine.snapshot().unwrap()
}

#[test]
fn snapshot_of_another_pipeline_is_refused() {
    let other = tumbling("2s", "0s", "5s", 2);
    let error = Engine::restore(&other, Options::default(), &snapshot()).err().unwrap();
    assert_eq!(error.code(), "snapshot_other_pipeline");
    let error =
        Engine::restore(&other, Options::default(), b"something else altogether").err().unwrap();
    assert_eq!(error.code(), "snapshot_not_a_snapshot");
}

#[test]
fn truncated_snapshot_is_refused_at_every_length() {
    let (spec, whole) = (tumbling("1s", "0s", "5s", 2), snapshot());
    assert!(Engine::restore(&spec, Options::default(), &whole).is_ok());
    for end in 0..whole.len() {
        assert!(Engine::restore(&spec, Options::default(), &whole[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn snapshot_with_any_changed_byte_is_refused() {
    let (spec, mut bytes) = (tumbling("1s", "0s", "5s", 2), snapshot());
    for at in 0..bytes.len() {
        for change in [1, 0x80, 0xFF] {
            bytes[at] ^= change;
            assert!(
                Engine::restore(&spec, Options::default(), &bytes).is_err(),
                "byte {at} ^ {change}"
            );
            bytes[at] ^= change;
        }
    }
}

proptest! {
    #[test]
    fn reading_any_block_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), magic in 0_usize..5) {
        let magics = [b"SPB1", b"SPK1", b"SPR1", b"SPD1", b"SPP1"];
        let mut words = vec![0_u64; bytes.len().div_ceil(8) + 1];
        let block: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        block[..4].copy_from_slice(magics[magic]);
        block[4..4 + bytes.len()].copy_from_slice(&bytes);
        let block = &block[..4 + bytes.len()];
        let mut engine = engine();
        if let Ok(decoded) = wire::decode_batch(block) {
            let _ = engine.push(&decoded.batch());
        }
        if let Ok(definitions) = wire::decode_key_definitions(block) {
            let _ = engine.define_keys(&definitions);
        }
        if let Ok((definitions, known)) = wire::decode_partition_definitions(block) {
            let _ = engine.define_partitions(&definitions, known);
        }
        let _ = wire::decode_rows(block);
        let _ = wire::decode_drops(block);
    }

    #[test]
    fn blocks_round_trip(
        events in crate::common::events(),
        ids in any::<bool>(),
        extra in any::<bool>(),
    ) {
        let timestamps: Vec<i64> = events.iter().map(|event| event.ts).collect();
        let values: Vec<f64> = events.iter().map(|event| event.value).collect();
        let key_ids: Vec<u32> = events.iter().map(|event| event.key).collect();
        let (offsets, bytes) = concat(key_ids.iter().map(|id| encoded(*id)));
        let ordinals: Vec<u64> = (0..events.len() as u64).collect();
        let columns = [Column::F64(&values)];
        let batch = Batch {
            timestamps: &timestamps,
            keys: if ids { KeyColumn::Ids(&key_ids) } else { KeyColumn::Encoded { offsets: &offsets, bytes: &bytes } },
            columns: &columns,
            identities: &[],
            ordinals: extra.then_some(&ordinals),
            watermarks: extra.then_some(&timestamps),
            partitions: extra.then_some(&key_ids),
        };
        let len = wire::batch_len(&batch);
        let mut words = vec![0_u64; len.div_ceil(8)];
        let block: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        wire::encode_batch(&batch, block);
        let decoded = wire::decode_batch(block).unwrap();
        prop_assert_eq!(format!("{:?}", decoded.batch()), format!("{batch:?}"));
        for end in 0..len {
            prop_assert!(wire::decode_batch(&block[..end]).is_err());
        }
    }
}
