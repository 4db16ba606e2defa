//! Another key behind `key_by` gives what a source with that key gives.
#![cfg(feature = "text")]

use proptest::prelude::*;
use stream_processor_core::text::{Feed, Format, write_rows};
use stream_processor_core::{Engine, Options, PipelineSpec, Plan, Progress};

/// The rows of `text` through a pipeline, in pieces, from a snapshot again and again.
fn rows(spec: &PipelineSpec, text: &str, piece: usize, restore: bool) -> String {
    let mut engine = Engine::open(spec, Options::default()).unwrap();
    let mut feed = Feed::new(spec, engine.plan(), 0);
    let mut out = Vec::new();
    let mut poll = |engine: &mut Engine| {
        let schema = engine.plan().output.clone();
        while let Some(rows) = engine.poll(3) {
            write_rows(Format::Ndjson, &schema, &rows, &mut out);
        }
    };
    for lines in text.split_inclusive('\n').collect::<Vec<_>>().chunks(piece) {
        let mut progress = feed.push(&mut engine, lines.concat().as_bytes()).unwrap();
        while progress == Progress::Full {
            poll(&mut engine);
            progress = feed.resume(&mut engine).unwrap();
        }
        if restore {
            let snapshot = engine.snapshot().unwrap();
            engine = Engine::restore(spec, Options::default(), &snapshot).unwrap();
            assert_eq!(engine.snapshot().unwrap(), snapshot, "equal state, equal bytes");
            feed = Feed::new(spec, engine.plan(), 0);
        }
    }
    while engine.finish().unwrap() == Progress::Full {
        poll(&mut engine);
    }
    poll(&mut engine);
    String::from_utf8(out).unwrap()
}

fn spec(key: &str, first: &str, rows: usize) -> PipelineSpec {
    let json = format!(
        r#"{{"source": {{"key": {key}, "value": "v"}}, "time": {{"max_out_of_orderness": "5ms"}},
            "limits": {{"max_result_rows": {rows}}}, "stages": [{first}
            {{"type": "window", "window": "tumbling", "size": "10ms", "aggregations": ["count", "sum", "first"]}},
            {{"type": "map", "set": [{{"name": "half", "expression": "sum / 2"}}]}}]}}"#
    );
    PipelineSpec::from_json(&json).unwrap()
}

fn lines() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        prop::sample::select(vec!["\"x\"", "\"y\"", "1", "true", "\"\""]).prop_map(str::to_owned),
        (0..4_u8).prop_map(|n| n.to_string()),
    ];
    let event = (0..60_i64, key, 0..3_u8, 0..9_u8);
    let line = |(ts, a, b, v): (i64, String, u8, u8)| {
        format!("{{\"ts\":{ts},\"a\":{a},\"b\":{b},\"v\":{v}}}\n")
    };
    prop::collection::vec(event.prop_map(line), 0..60).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn a_later_key_is_as_good_as_one_of_the_source(
        text in lines(),
        piece in 1..20_usize,
        most in 1..9_usize,
        restore in any::<bool>(),
    ) {
        for (by, key) in [(r#"["b"]"#, r#"["b"]"#), (r#""a""#, r#""a""#), (r#"["b", "a"]"#, r#"["b", "a"]"#), ("[]", "[]")] {
            let first = format!(r#"{{"type": "key_by", "fields": {by}}},"#);
            let found = rows(&spec(r#"["a", "b"]"#, &first, most), &text, piece, restore);
            let due = rows(&spec(key, "", 1_000), &text, 1_000, false);
            prop_assert_eq!(found, due, "{}", by);
        }
    }
}

#[test]
fn what_is_no_field_of_the_key_is_an_error() {
    for (key, fields, message) in [
        (
            r#"["a", "b"]"#,
            r#""zone""#,
            "`zone` is no field of the key, expected one of: a, b; name it in source.key as well",
        ),
        (r#"["a", "b"]"#, r#"["a", "a"]"#, "`a` is named twice"),
        ("[]", r#""c""#, "the events have no key: name `c` in source.key"),
    ] {
        let spec = spec(key, &format!(r#"{{"type": "key_by", "fields": {fields}}},"#), 9);
        let error = Plan::new(&spec).unwrap_err();
        assert_eq!((error.path(), error.message()), ("stages[0].fields", message));
    }
    let sharded = spec(r#"["a", "b"]"#, "", 9);
    assert!(Plan::new(&sharded).unwrap().partitioned_by_key);
    let one = spec(r#"["a", "b"]"#, r#"{"type": "key_by", "fields": "b"},"#, 9);
    assert!(!Plan::new(&one).unwrap().partitioned_by_key);
}
