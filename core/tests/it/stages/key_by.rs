//! A key set by `key_by` gives the rows of a source with that key.

use proptest::prelude::*;
use serde_json::{Value, json};
use stream_processor_core::{PipelineSpec, Plan};

use crate::common::Pipeline;
use crate::common::text::rows;

fn spec(key: &str, first: &str, rows: usize) -> PipelineSpec {
    let key: Value = serde_json::from_str(key).unwrap();
    Pipeline::of(json!({"key": key, "value": "v"}))
        .bound("5ms")
        .result_rows(rows)
        .stages(first)
        .window(r#""window": "tumbling", "size": "10ms""#, json!(["count", "sum", "first"]))
        .stage(json!({"type": "map", "set": [{"name": "half", "expression": "sum / 2"}]}))
        .spec()
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
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn key_by_gives_the_rows_of_a_source_with_that_key(
        text in lines(),
        piece in 1..20_usize,
        most in 1..9_usize,
        restore in any::<bool>(),
    ) {
        // The fields are those of the source's key, or of the events alone.
        for source in [r#"["a", "b"]"#, r#""a""#, r#""b""#, "[]"] {
            for by in [r#"["b"]"#, r#""a""#, r#"["b", "a"]"#, "[]"] {
                let first = format!(
                    r#"{{"type": "map", "set": [{{"name": "w", "expression": "v + 1"}}]}},
                       {{"type": "key_by", "fields": {by}}}"#
                );
                let found = rows(&spec(source, &first, most), &text, piece, restore);
                let expected = rows(&spec(by, "", 1_000), &text, 1_000, false);
                prop_assert_eq!(found, expected, "{} behind {}", by, source);
            }
        }
    }
}

#[test]
fn invalid_fields_of_key_by_are_refused() {
    for (key, fields, message) in [
        (r#"["a", "b"]"#, r#"["a", "a"]"#, "`a` is named twice"),
        (r#"["a", "b"]"#, r#"["zone", "zone"]"#, "`zone` is named twice"),
    ] {
        let spec = spec(key, &format!(r#"{{"type": "key_by", "fields": {fields}}}"#), 9);
        let error = Plan::new(&spec).unwrap_err();
        assert_eq!((error.path(), error.message()), ("stages[0].fields", message));
    }
    for (before, message) in [
        (
            r#"{"type": "ema", "span": 2}"#,
            "only the first key_by, before all stages that use the key",
        ),
        (
            r#"{"type": "key_by", "fields": "a"}"#,
            "`zone` is not a field of the key, expected one of: a;",
        ),
        (r#"{"type": "key_by", "fields": []}"#, "an earlier key_by has removed the key"),
        (
            r#"{"type": "map", "set": [{"name": "zone", "expression": "v"}]}"#,
            "`zone` is not a field of the key",
        ),
    ] {
        let first = format!(r#"{before}, {{"type": "key_by", "fields": "zone"}}"#);
        let error = Plan::new(&spec(r#""a""#, &first, 9)).unwrap_err();
        assert_eq!(error.path(), "stages[1].fields", "{error}");
        assert!(error.message().contains(message), "{error}");
    }
    let plan =
        Plan::new(&spec(r#""a""#, r#"{"type": "key_by", "fields": ["zone", "a"]}"#, 9)).unwrap();
    assert_eq!(plan.input.key, ["a", "zone"]);
    assert_eq!(plan.output.key, ["zone", "a"]);
    let sharded = spec(r#"["a", "b"]"#, "", 9);
    assert!(Plan::new(&sharded).unwrap().partitioned_by_key);
    let one = spec(r#"["a", "b"]"#, r#"{"type": "key_by", "fields": "b"}"#, 9);
    assert!(!Plan::new(&one).unwrap().partitioned_by_key);
}

#[test]
fn event_without_a_field_of_the_new_key_is_rejected() {
    let spec = spec(r#""a""#, r#"{"type": "key_by", "fields": "b"}"#, 9);
    let text = "{\"ts\":1,\"a\":1,\"v\":1}\n{\"ts\":1,\"a\":1,\"b\":null,\"v\":1}\n{\"ts\":1,\"a\":1,\"b\":\"x\",\"v\":2}\n";
    let found = rows(&spec, text, 1, true);
    assert!(found.contains(r#""b":"x""#) && found.contains(r#""count":1"#), "{found}");
    assert_eq!(found.lines().count(), 1);
}
