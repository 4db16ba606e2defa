//! Key columns: batches with ids, encoded keys or texts give the same rows.

use proptest::prelude::*;
use serde_json::{Value, json};
use stream_processor_core::{
    Batch, Column, Engine, Error, KeyColumn, KeyDefinitions, Options, Progress, RowColumn, key,
    wire,
};

use crate::common::{Pipeline, concat};

#[derive(Debug, Clone, Copy, PartialEq)]
enum KeyForm {
    Ids,
    Encoded,
    Text,
}

fn open(key: &str, seed: u64) -> Engine {
    let key: Value = serde_json::from_str(key).unwrap();
    let pipeline = Pipeline::of(json!({"key": key, "value": "v"}));
    let window = r#""window": "tumbling", "size": "10us""#;
    let spec = pipeline.window(window, json!(["count", "sum"])).spec();
    Engine::open(&spec, Options { table_seed: seed, ..Options::default() }).unwrap()
}

fn encoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    key::push_str(&mut bytes, text);
    bytes
}

/// Returns the rows of `texts`, each the key of an event 1 µs after the previous one: key, start,
/// count and sum.
fn rows(texts: &[String], form: KeyForm, cut: usize, seed: u64) -> Vec<(Vec<u8>, i64, [f64; 2])> {
    let mut engine = open(r#""k""#, seed);
    let mut found = Vec::new();
    for (batch, texts) in texts.chunks(cut).enumerate() {
        let first = i64::try_from(batch * cut).unwrap();
        let times: Vec<i64> = (first..).take(texts.len()).collect();
        let values: Vec<f64> = times.iter().map(|time| *time as f64).collect();
        let ids: Vec<u32> = (0..).take(texts.len()).collect();
        let (offsets, bytes) = match form {
            KeyForm::Text => concat(texts.iter().map(|text| text.as_bytes().to_vec())),
            KeyForm::Ids | KeyForm::Encoded => concat(texts.iter().map(|text| encoded(text))),
        };
        let (offsets, bytes) = (&offsets[..], &bytes[..]);
        if form == KeyForm::Ids {
            let definitions = KeyDefinitions { reset: true, ids: &ids, offsets, bytes };
            engine.define_keys(&definitions).unwrap();
        }
        let batch = Batch {
            timestamps: &times,
            keys: match form {
                KeyForm::Ids => KeyColumn::Ids(&ids),
                KeyForm::Encoded => KeyColumn::Encoded { offsets, bytes },
                KeyForm::Text => KeyColumn::Text { offsets, bytes },
            },
            columns: &[Column::F64(&values)],
            ..Batch::default()
        };
        // Through a block, as the module receives it.
        let mut words = vec![0_u64; wire::batch_len(&batch) / 8];
        let block: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        wire::encode_batch(&batch, block);
        let decoded = wire::decode_batch(block).unwrap();
        assert_eq!(engine.push(&decoded.batch()).unwrap().consumed, texts.len());
    }
    assert_eq!(engine.finish().unwrap(), Progress::Done);
    while let Some(rows) = engine.poll(7) {
        let [RowColumn::Time(starts), _, RowColumn::Number(counts), RowColumn::Number(sums)] =
            rows.columns[..]
        else {
            panic!("{:?}", rows.columns);
        };
        found.extend(
            (0..rows.len())
                .map(|row| (rows.key(row).to_vec(), starts[row], [counts[row], sums[row]])),
        );
    }
    found
}

/// Generates strings of all lengths around the limit of short keys, few enough to occur again.
fn texts() -> impl Strategy<Value = Vec<String>> {
    let text = prop_oneof![
        "[ab]{0,2}",
        "svc-[0-9]{1,2}",
        "[a]{12,18}",
        "https://example\\.com/a/long/path/[0-9]",
        "[\u{0}\u{1}\u{2}é€😀]{0,3}",
    ];
    prop::collection::vec(text, 1..200)
}

proptest! {
    #[test]
    fn rows_do_not_depend_on_the_key_form(
        texts in texts(),
        cuts: [prop::sample::Index; 3],
        seed: u64,
    ) {
        let whole = rows(&texts, KeyForm::Encoded, texts.len(), 0);
        prop_assert!(whole.is_sorted_by_key(|(key, start, _)| (*start, key.clone())));
        prop_assert_eq!(whole.iter().map(|(_, _, [count, _])| *count as usize).sum::<usize>(), texts.len());
        for (form, cut) in [KeyForm::Ids, KeyForm::Encoded, KeyForm::Text].into_iter().zip(cuts) {
            let cut = 1 + cut.index(texts.len());
            prop_assert_eq!(&rows(&texts, form, cut, seed), &whole, "{:?}", form);
        }
    }
}

fn push_text(engine: &mut Engine, offsets: &[u32], bytes: &[u8]) -> Result<usize, Error> {
    let events = offsets.len() - 1;
    let pushed = engine.push(&Batch {
        timestamps: &vec![0; events],
        keys: KeyColumn::Text { offsets, bytes },
        columns: &[Column::F64(&vec![1.0; events])],
        ..Batch::default()
    });
    pushed.map(|pushed| pushed.consumed)
}

#[test]
fn keys_with_invalid_numbers_are_refused() {
    let mut engine = open(r#""k""#, 0);
    for (number, is_taken) in [
        ("1", true),
        ("9007199254740993", true),
        ("123456789012345678901234567890", true),
        ("0.1", true),
        ("1e400", false),
        ("0.1234567890123456789", false),
    ] {
        let mut bytes = Vec::new();
        assert!(key::push_number_text(&mut bytes, number.as_bytes()));
        let offsets = [0, u32::try_from(bytes.len()).unwrap()];
        let pushed = engine.push(&Batch {
            timestamps: &[0],
            keys: KeyColumn::Encoded { offsets: &offsets, bytes: &bytes },
            columns: &[Column::F64(&[1.0])],
            ..Batch::default()
        });
        let definitions =
            KeyDefinitions { reset: false, ids: &[0], offsets: &offsets, bytes: &bytes };
        let defined = engine.define_keys(&definitions);
        assert_eq!((pushed.is_ok(), defined.is_ok()), (is_taken, is_taken), "{number}");
        if let Err(error) = pushed {
            assert_eq!(error, Error::InvalidKey { index: 0, fields: 1 });
            assert!(error.to_string().contains("shortest decimals of doubles"), "{error}");
        }
    }
}

#[test]
fn malformed_key_texts_are_refused() {
    let mut engine = open(r#""k""#, 0);
    let é = "aéb".as_bytes();
    assert_eq!(push_text(&mut engine, &[0, 1, 3, 4], é), Ok(3));
    assert_eq!(
        push_text(&mut engine, &[0, 1, 2, 4], é),
        Err(Error::InvalidKey { index: 1, fields: 1 })
    );
    assert_eq!(
        push_text(&mut engine, &[0, 1, 2], b"a\xff"),
        Err(Error::InvalidKey { index: 1, fields: 1 })
    );
    for (offsets, bytes) in [(&[0, 2][..], &b"a"[..]), (&[1, 1], b"a"), (&[0, 1, 0, 1], b"a")] {
        let error = push_text(&mut engine, offsets, bytes).unwrap_err();
        assert_eq!(error.code(), "malformed_block");
    }
    // The encoding of a string with an escape is not the encoding of a plain text.
    let rows = rows(&["a\0".into(), "a\u{1}\u{1}".into()], KeyForm::Text, 1, 0);
    assert_eq!(rows.len(), 2);
}

#[test]
fn text_keys_require_a_single_key_field() {
    let mut engine = open(r#"["a", "b"]"#, 0);
    let error = push_text(&mut engine, &[0, 1], b"a").unwrap_err();
    assert_eq!(error.code(), "keys_mismatch");
}

#[test]
fn block_has_only_one_key_form() {
    let batch = Batch {
        timestamps: &[0],
        keys: KeyColumn::Text { offsets: &[0, 1], bytes: b"a" },
        ..Batch::default()
    };
    let mut words = vec![0_u64; wire::batch_len(&batch) / 8];
    let block: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    wire::encode_batch(&batch, block);
    assert!(wire::decode_batch(block).is_ok());
    for flags in [3, 33, 34, 35, 64] {
        block[12] = flags;
        assert!(wire::decode_batch(block).is_err(), "{flags}");
    }
}
