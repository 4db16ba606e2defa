//! Identities equal those of the vectors, for every spelling of an event and after any other
//! events.
#![allow(
    clippy::disallowed_methods,
    reason = "the engine has no I/O, its tests read their vectors"
)]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use stream_processor_core::spec::Strategy as By;
use stream_processor_core::text::Identifier;
use stream_processor_core::{Identity, NO_IDENTITY};

fn hex(identity: Identity) -> Value {
    let [low, high] = identity;
    if identity == NO_IDENTITY { Value::Null } else { format!("{high:016x}{low:016x}").into() }
}

#[test]
fn identities_equal_those_of_the_vectors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/identity/identity.json");
    let vectors: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(vectors.len() >= 4, "the vectors are there");
    for vector in vectors {
        let strategies: Vec<By> = serde_json::from_value(vector["strategies"].clone()).unwrap();
        let mut identifier = Identifier::new(&strategies);
        let events = vector["events"].as_array().unwrap();
        // In the second round the reader has learned other layouts.
        for case in events.iter().chain(events.iter().rev()) {
            for _ in 0..2 {
                let event = case["event"].as_str().unwrap();
                assert_eq!(hex(identifier.of_json(event.as_bytes())), case["identity"], "{event}");
            }
        }
    }
}

#[test]
fn text_that_is_no_event_has_no_identity() {
    for strategy in [By::Content, By::Fields(vec!["a".into()])] {
        let mut identifier = Identifier::new(&[strategy]);
        for text in [
            "",
            "1",
            "[1]",
            "{",
            "{\"a\":1",
            "{\"a\":1}}",
            "{\"a\":1,}",
            "{\"a\":01}",
            "\n",
            "{\"a\":1}\n{}",
        ] {
            assert_eq!(identifier.of_json(text.as_bytes()), NO_IDENTITY, "{text}");
        }
        let deep = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_ne!(identifier.of_json(deep(127).as_bytes()), NO_IDENTITY);
        assert_eq!(identifier.of_json(deep(128).as_bytes()), NO_IDENTITY);
        assert_eq!(identifier.of_json("{\"a\":".repeat(100_000).as_bytes()), NO_IDENTITY);
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..1000).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec!["", "a", "b", "ab", "\u{0}", "\u{1}", "é", "\"\\\n"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            members(inner).prop_map(Value::Object),
        ]
    })
}

fn members(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let name = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "ab",
        "",
        "\u{0}",
        "d\"e",
        "long_name_long_name_long_name_long_name",
    ]);
    prop::collection::vec((name, value), 0..5).prop_map(|members| {
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    })
}

/// Writes the value in another spelling, selected by `salt`.
fn respelled(value: &Value, salt: u64, out: &mut String) {
    let next = salt.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let space = [" ", "", "\t", "  "][(next >> 40) as usize % 4];
    let list = |items: Vec<String>, out: &mut String| {
        for (at, item) in items.iter().enumerate() {
            out.push_str(if at > 0 { "," } else { "" });
            out.push_str(space);
            out.push_str(item);
            out.push_str(space);
        }
    };
    match value {
        Value::Number(number) => match (next >> 33) % 4 {
            0 => out.push_str(&format!("{number}.000")),
            // JSON has no numbers that begin with 00.
            1 if number.as_i64() == Some(0) => out.push_str("0e-2"),
            1 => out.push_str(&format!("{number}00e-2")),
            2 => out.push_str(&format!("{number}.0000000000000000000000E+00")),
            _ => out.push_str(&number.to_string()),
        },
        Value::String(text) if (next >> 33).is_multiple_of(2) => {
            let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            out.push_str(&format!("\"{units}\""));
        }
        Value::Array(items) => {
            out.push('[');
            let spelled = items.iter().map(|item| {
                let mut text = String::new();
                respelled(item, next, &mut text);
                text
            });
            list(spelled.collect(), out);
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            let spelled = members.iter().map(|(name, value)| {
                let mut text = String::new();
                respelled(&Value::from(name.as_str()), next, &mut text);
                text.push_str(space);
                text.push(':');
                text.push_str(space);
                respelled(value, next, &mut text);
                text
            });
            let mut spelled: Vec<String> = spelled.collect();
            let places = spelled.len().max(1);
            spelled.rotate_left((next >> 35) as usize % places);
            list(spelled, out);
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// Returns the members that count for the identity: those that are not null.
fn counted(event: &Map<String, Value>) -> Map<String, Value> {
    event
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn events_have_the_same_identity_only_if_they_are_equal(
        events in prop::collection::vec((members(value()), any::<u64>()), 1..8),
    ) {
        let mut content = Identifier::new(&[By::Content]);
        let mut fields = Identifier::new(&[By::Fields(vec!["a".into(), "ab".into()])]);
        let identities: Vec<_> = events.iter().map(|(event, salt)| {
            let mut text = String::new();
            respelled(&Value::Object(event.clone()), *salt, &mut text);
            let plain = Value::Object(event.clone()).to_string();
            let mut both = [content.of_json(text.as_bytes()), fields.of_json(text.as_bytes())];
            assert_eq!(both, [content.of_json(plain.as_bytes()), fields.of_json(plain.as_bytes())], "{text}");
            assert_eq!(both[0], Identifier::new(&[By::Content]).of_json(text.as_bytes()));
            assert_ne!(both[0], NO_IDENTITY);
            let looked_at = json!([event.get("a"), event.get("ab")]);
            let absent = looked_at.as_array().unwrap().contains(&Value::Null);
            assert_eq!(absent, both[1] == NO_IDENTITY);
            both.reverse();
            (both, counted(event), looked_at, absent)
        }).collect();
        for (ids, whole, part, absent) in &identities {
            for (other_ids, other_whole, other_part, other_absent) in &identities {
                assert_eq!(ids[1] == other_ids[1], whole == other_whole);
                if !absent && !other_absent {
                    assert_eq!(ids[0] == other_ids[0], part == other_part);
                }
            }
        }
    }

    #[test]
    fn reading_any_bytes_never_panics(bytes in prop::collection::vec(
        prop::sample::select(b"{}[]\",:\\ua1e-.0 \n\xff".to_vec()), 0..40,
    )) {
        let mut identifier = Identifier::new(&[By::Fields(vec!["a".into()]), By::Content]);
        let _ = identifier.of_json(b"{\"a\": 1}");
        let _ = identifier.of_json(&bytes);
    }
}
