//! The NDJSON reader accepts and rejects the same lines as `serde_json`, and reads the same values.

use proptest::prelude::*;
use serde_json::Value;
use serde_json::de::from_slice;
use stream_processor_core::key::{KeyField, fields};
use stream_processor_core::text::ReaderOptions;
use stream_processor_core::time::{MAX_TIME, parse_rfc3339};

use crate::common::text::{read_whole, schema};

/// Generates scalars and small structures as text.
fn value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        (0_i64..2_000_000_000_000).prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        (-1e6..1e6).prop_map(|number: f64| number.to_string()),
        any::<f64>()
            .prop_filter("JSON", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        prop::sample::select(vec![
            "true", "false", "null", "-0", "1E+2", "0.5e-3", "1e999", "01", "-", "tru"
        ])
        .prop_map(String::from),
        prop::sample::select(vec![
            "2024-02-29T12:00:00Z",
            "2023-11-14 22:13:20.123456789+02:00",
            "soon",
            "",
            "plain text of some length",
        ])
        .prop_map(|text| format!("\"{text}\"")),
        "\\PC{0,12}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        prop::sample::select(vec![
            "\"\\u0061\\n\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\/\"",
            "\"\\x\"",
            "\"tab\there\"",
            "\"a\\u0000b\"",
        ])
        .prop_map(String::from),
    ];
    scalar.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(("[a-c]{0,2}", inner), 0..4).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
                format!("{{{}}}", members.join(" , "))
            }),
        ]
    })
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "ts",
        "k",
        "v",
        "w",
        "\\u0074s",
        "v\\u0020",
        "other",
        "a_name_of_more_than_thirty_two_bytes",
        "é",
    ])
}

/// Generates an object that often has the required fields, often in another order.
fn line() -> impl Strategy<Value = String> {
    let good = (0_i64..2_000_000_000_000, "[a-z]{0,20}", -1e9..1e9).prop_map(
        |(ts, key, number): (_, _, f64)| {
            vec![("ts", ts.to_string()), ("k", format!("\"{key}\"")), ("v", number.to_string())]
        },
    );
    let members = prop::collection::vec((name(), value()), 0..5);
    let space = prop::sample::select(vec!["", "", " ", "\t", "  "]);
    let object =
        (good, members, any::<bool>(), space).prop_flat_map(|(good, members, with_good, space)| {
            let mut all = members;
            if with_good {
                all.extend(good);
            }
            Just(all).prop_shuffle().prop_map(move |members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| format!("{space}\"{name}\"{space}:{space}{value}{space}"))
                    .collect();
                format!("{space}{{{}}}{space}", members.join(","))
            })
        });
    prop_oneof![8 => object, 1 => value(), 1 => Just(String::new())]
}

fn corruption() -> impl Strategy<Value = Option<(prop::sample::Index, u8, u8)>> {
    prop::option::weighted(0.3, (any::<prop::sample::Index>(), 0_u8..3, any::<u8>()))
}

fn corrupt(line: String, corruption: Option<(prop::sample::Index, u8, u8)>) -> Vec<u8> {
    let mut bytes = line.into_bytes();
    if let (Some((index, how, byte)), false) = (corruption, bytes.is_empty()) {
        let at = index.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}

/// Time, key, `v` and `w`.
type Expected = (f64, Value, f64, Option<f64>);

/// Returns the expected event of a line, or the reason of its rejection. Returns `None` if
/// serde_json cannot decide: it refuses numbers beyond f64, which are valid JSON.
fn expected(line: &[u8]) -> Option<Result<Expected, &'static str>> {
    if std::str::from_utf8(line).is_err() {
        return Some(Err("invalid_utf8"));
    }
    if from_slice::<serde::de::IgnoredAny>(line).is_err() {
        return Some(Err("invalid_json"));
    }
    let value: Value = from_slice(line).ok()?;
    let Value::Object(object) = value else { return Some(Err("not_an_object")) };
    let field = |name: &str| object.get(name).cloned().unwrap_or_default();
    let number = |name: &str| match field(name) {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(number.as_f64()),
        _ => Err("wrong_type"),
    };
    Some((|| {
        let time = match field("ts") {
            Value::Null => return Err("missing_field"),
            Value::String(text) => {
                parse_rfc3339(text.as_bytes()).map_err(|_| "invalid_timestamp")? as f64
            }
            Value::Number(number) => number.as_f64().unwrap() * 1000.0,
            _ => return Err("wrong_type"),
        };
        if time.abs() > MAX_TIME as f64 {
            return Err("timestamp_out_of_range");
        }
        let key = field("k");
        match key {
            Value::Null => return Err("missing_field"),
            Value::Array(_) | Value::Object(_) => return Err("wrong_type"),
            _ => {}
        }
        Ok((time, key, number("v")?.ok_or("missing_field")?, number("w")?))
    })())
}

fn close(found: f64, expected: f64) -> bool {
    // serde_json's own result may differ in the last bit. Other tests check exactness.
    (found - expected).abs() <= expected.abs() * 1e-15
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn lines_are_read_like_serde_json(
        lines in prop::collection::vec((line(), corruption()), 1..6),
        returns: bool,
    ) {
        let lines: Vec<_> = lines.into_iter().map(|(line, corruption)| corrupt(line, corruption)).collect();
        let text = lines.join(if returns { &b"\r\n"[..] } else { b"\n" });
        let outcome = read_whole(&text, &schema(&["k"]), ReaderOptions::default()).unwrap();
        let mut events = outcome.events.iter();
        let mut rejections = outcome.rejections.iter();
        let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
        lines.pop_if(|last| last.is_empty());
        for (number, line) in (1..).zip(lines) {
            let raw = line.strip_suffix(b"\r").unwrap_or(line);
            let shown = String::from_utf8_lossy(raw);
            let accepted = events.clone().next().is_some_and(|event| event.0 == number);
            match expected(raw) {
                Some(Ok((time, key, v, w))) => {
                    prop_assert!(accepted, "refused: {shown}");
                    let (_, found_time, found_key, columns, text) = events.next().unwrap();
                    prop_assert!((*found_time as f64 - time).abs() <= 1.0 + time.abs() * 1e-15, "{shown}");
                    prop_assert_eq!(&text[..], raw);
                    let found = fields(found_key).next();
                    match (&key, found) {
                        (Value::Bool(key), Some(KeyField::Bool(found))) => prop_assert_eq!(*key, found),
                        (Value::String(key), Some(KeyField::String(found))) => prop_assert_eq!(key, &found),
                        (Value::Number(key), Some(KeyField::Number(found))) => {
                            prop_assert!(close(found.to_f64(), key.as_f64().unwrap()), "{shown}");
                        }
                        (_, found) => prop_assert!(false, "{found:?} for {shown}"),
                    }
                    prop_assert!(close(f64::from_bits(columns[0]), v), "{shown}");
                    let found_w = f64::from_bits(columns[1]);
                    prop_assert!(w.map_or(found_w.is_nan(), |w| close(found_w, w)), "{shown}");
                }
                Some(Err(reason)) => {
                    prop_assert!(!accepted, "taken: {shown}");
                    let (line, found, text) = rejections.next().unwrap();
                    prop_assert_eq!((*line, *found), (number, reason), "{}", shown);
                    prop_assert_eq!(&text[..], raw);
                }
                None if accepted => drop(events.next()),
                None => drop(rejections.next()),
            }
        }
        prop_assert!(events.next().is_none() && rejections.next().is_none());
    }
}
