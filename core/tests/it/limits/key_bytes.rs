//! `limits.max_key_bytes`: long keys, partitions and sources of partial state.

use serde_json::json;
use stream_processor_core::text::{EventBuffer, Feed, Reader, ReaderOptions};
use stream_processor_core::{
    Batch, BatchBuilder, Column, Engine, Error, KeyColumn, KeyDefinitions, Options, PipelineSpec,
    Plan, Pushed, RejectReason, key,
};

use crate::common::{Pipeline, concat};

/// Keys of up to 8 characters fit, since a text has 2 more bytes as a key.
const MAX_KEY_BYTES: usize = 10;
const KEYS: [&str; 4] = ["a", "12345678", "123456789", "a"];

fn spec(source: &str) -> PipelineSpec {
    let source = serde_json::from_str(source).unwrap();
    let window = r#""window": "tumbling", "size": "1s""#;
    let pipeline = Pipeline::of(source).limit("max_key_bytes", MAX_KEY_BYTES);
    pipeline.window(window, json!(["count"])).spec()
}

fn open(spec: &PipelineSpec) -> Engine {
    Engine::open(spec, Options { report_drops: true, ..Options::default() }).unwrap()
}

fn encoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    key::push_str(&mut bytes, text);
    bytes
}

/// Asserts that only the third of four events was rejected, and returns the rows.
fn rows(mut engine: Engine) -> Vec<(String, f64)> {
    let stats = engine.stats();
    assert_eq!((stats.events, stats.rejected), (3, 1));
    assert_eq!(stats.rejected_by_reason[0].reason, RejectReason::KeyTooLong);
    for dropped in engine.drops(10) {
        assert_eq!((dropped.ordinal, dropped.reason), (2, RejectReason::KeyTooLong));
    }
    engine.finish().unwrap();
    let rows = engine.poll(10).unwrap();
    let row = |row| (rows.text(row, "k").unwrap().into_owned(), rows.number(row, "count").unwrap());
    (0..rows.len()).map(row).collect()
}

#[test]
fn event_with_long_key_is_rejected_in_every_form_of_input() {
    let spec = spec(r#"{"key": "k", "value": "v"}"#);
    let expected = [("12345678".to_owned(), 1.0), ("a".to_owned(), 2.0)];
    let (texts, text_bytes) = concat(KEYS.map(|text| text.as_bytes().to_vec()).into_iter());
    let (offsets, bytes) = concat(KEYS.map(encoded).into_iter());
    let keys = [
        KeyColumn::Text { offsets: &texts, bytes: &text_bytes },
        KeyColumn::Encoded { offsets: &offsets, bytes: &bytes },
        KeyColumn::Ids(&[0, 1, 2, 3]),
    ];
    for keys in keys {
        let mut engine = open(&spec);
        let definitions =
            KeyDefinitions { reset: false, ids: &[0, 1, 2, 3], offsets: &offsets, bytes: &bytes };
        engine.define_keys(&definitions).unwrap();
        let columns = [Column::F64(&[1.0; 4])];
        let batch = Batch { timestamps: &[0; 4], keys, columns: &columns, ..Batch::default() };
        assert_eq!(engine.push(&batch), Ok(Pushed { consumed: 4, full: false }));
        assert_eq!(rows(engine), expected);
    }

    let mut engine = open(&spec);
    let mut events = BatchBuilder::new(engine.plan());
    KEYS.iter().for_each(|key| events.push(0, *key, &[1.0]).unwrap());
    assert_eq!(events.push_to(&mut engine).unwrap().consumed, 4);
    assert_eq!(rows(engine), expected);

    let json = KEYS.map(|key| format!("{{\"ts\":0,\"k\":\"{key}\",\"v\":1}}\n")).concat();
    let csv = format!("ts,k,v\n{}", KEYS.map(|key| format!("0,{key},1\n")).concat());
    for (format, text) in [("ndjson", json), ("csv", csv)] {
        let mut spec = spec.clone();
        spec.source.format = serde_json::from_value(json!(format)).unwrap();
        let mut engine = open(&spec);
        Feed::new(&spec, engine.plan(), 0).push(&mut engine, text.as_bytes()).unwrap();
        assert_eq!(rows(engine), expected, "{format}");
    }
}

#[test]
fn fields_of_a_key_count_together() {
    let spec = spec(r#"{"key": ["k", "l"], "value": "v"}"#);
    let mut engine = open(&spec);
    let text = "{\"ts\":0,\"k\":\"123\",\"l\":\"456\",\"v\":1}\n{\"ts\":0,\"k\":\"123\",\"l\":\"4567\",\"v\":1}\n";
    Feed::new(&spec, engine.plan(), 0).push(&mut engine, text.as_bytes()).unwrap();
    assert_eq!((engine.stats().events, engine.stats().rejected), (1, 1));
}

#[test]
fn event_of_partition_with_long_name_is_rejected() {
    let spec = spec(r#"{"key": "k", "partition": "p", "value": "v"}"#);
    let (offsets, bytes) = concat([encoded("p"), encoded("123456789")].into_iter());
    let definitions =
        KeyDefinitions { reset: false, ids: &[0, 1], offsets: &offsets, bytes: &bytes };
    let mut engine = open(&spec);
    let error = engine.define_partitions(&definitions, true).unwrap_err();
    assert_eq!(error, Error::KeyTooLong { found: 11, limit: 10 });
    assert!(engine.stats().partitions.is_empty());
    engine.define_partitions(&definitions, false).unwrap();
    let (texts, text_bytes) = concat(["a", "12345678", "b", "a"].map(|key| key.into()).into_iter());
    let pushed = engine.push(&Batch {
        timestamps: &[0; 4],
        keys: KeyColumn::Text { offsets: &texts, bytes: &text_bytes },
        columns: &[Column::F64(&[1.0; 4])],
        partitions: Some(&[0, 0, 1, 0]),
        ..Batch::default()
    });
    assert_eq!(pushed.unwrap().consumed, 4);
    assert_eq!(engine.stats().partitions.len(), 1);
    rows(engine);

    let mut engine = open(&spec);
    let line = |partition| format!("{{\"ts\":0,\"k\":\"a\",\"v\":1,\"p\":\"{partition}\"}}\n");
    let text = [line("p"), line("q"), line("123456789"), line("p")].concat();
    Feed::new(&spec, engine.plan(), 0).push(&mut engine, text.as_bytes()).unwrap();
    rows(engine);
}

#[test]
fn partial_state_with_long_key_or_source_is_refused() {
    let limited = spec(r#"{"key": "k", "value": "v"}"#);
    let mut wide = limited.clone();
    wide.limits.max_key_bytes = 11;
    let edge = |source: &str, key: &str| {
        let options = Options { emits_partials: true, ..Options::default() };
        let mut engine = Engine::open(&wide, options).unwrap();
        let mut events = BatchBuilder::new(engine.plan());
        events.push(0, key, &[1.0]).unwrap();
        events.push_to(&mut engine).unwrap();
        engine.partial(source)
    };
    let too_long = |found, limit| Error::KeyTooLong { found, limit };
    let mut engine = open(&limited);
    for partial in [edge("edge", "123456789"), edge("elevenbytes", "a")] {
        assert_eq!(engine.merge(&partial.unwrap()), Err(too_long(11, 10)));
        assert_eq!(engine.stats().events, 0);
    }
    assert_eq!(edge("twelve bytes", "a"), Err(too_long(12, 11)));
    assert!(engine.merge(&edge("edge", "12345678").unwrap()).unwrap().is_new);
}

#[test]
fn ids_are_bounded_by_what_is_defined() {
    let mut spec = spec(r#"{"key": "k", "partition": "p", "value": "v"}"#);
    spec.limits.max_dictionary_keys = 10;
    let define = |ids: &[u32]| {
        let mut engine = open(&spec);
        let (offsets, bytes) = concat(ids.iter().map(|id| encoded(&id.to_string())));
        let definitions = KeyDefinitions { reset: false, ids, offsets: &offsets, bytes: &bytes };
        let keys = engine.define_keys(&definitions).map_err(|error| error.code());
        let partitions = engine.define_partitions(&definitions, false);
        assert_eq!(partitions.map_err(|error| error.code()), keys);
        keys
    };
    assert_eq!(define(&[23]), Ok(()));
    assert_eq!(define(&[24]), Err("malformed_block"));
    assert_eq!(define(&[27, 0]), Ok(()));
    assert_eq!(define(&[1 << 28]), Err("malformed_block"));
}

#[test]
fn dictionary_of_reader_that_starts_over_removes_its_definitions() {
    let mut spec = spec(r#"{"key": "k", "value": "v"}"#);
    spec.limits.max_dictionary_keys = 3;
    let mut engine = open(&spec);
    let mut feed = Feed::new(&spec, engine.plan(), 0);
    let mut push = |engine: &mut Engine, keys: &str| {
        let line = |key| format!("{{\"ts\":0,\"k\":\"{key}\",\"v\":1}}\n");
        feed.push(engine, keys.chars().map(line).collect::<String>().as_bytes()).unwrap();
    };
    let is_defined = |engine: &mut Engine, id: u32| {
        let columns = [Column::F64(&[1.0])];
        let keys = KeyColumn::Ids(&[id]);
        let batch = Batch { timestamps: &[0], keys, columns: &columns, ..Batch::default() };
        engine.push(&batch).is_ok()
    };
    push(&mut engine, "abc");
    assert_eq!([0, 1, 2].map(|id| is_defined(&mut engine, id)), [true; 3]);
    push(&mut engine, "d");
    assert_eq!([0, 1, 2].map(|id| is_defined(&mut engine, id)), [true, false, false]);
}

#[test]
fn dictionary_of_reader_starts_over_at_16_mib_of_keys() {
    let options = ReaderOptions::of(&spec(r#"{"key": "k", "value": "v"}"#));
    let options = ReaderOptions { max_key_bytes: 65_536, ..options };
    let plan = Plan::new(&spec(r#"{"key": "k", "value": "v"}"#)).unwrap();
    let mut reader = Reader::new(&plan.input, options);
    let line = |key: u32| format!("{{\"ts\":0,\"k\":\"{key:060000}\",\"v\":1}}\n");
    let text: String = (0..300).map(line).collect();
    let (mut rest, mut events, mut keys) = (text.as_bytes(), EventBuffer::new(), Vec::new());
    while !rest.is_empty() {
        let taken = reader.read(rest, true, 1_000, &mut events).unwrap();
        rest = &rest[taken..];
        keys.push((events.new_keys().ids.len(), events.reset()));
    }
    assert_eq!(keys, [(280, false), (20, true)]);
}
