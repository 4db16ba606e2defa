//! Tests the fast paths to identities against the canonical one.

use proptest::prelude::*;

use super::hash::hash_of;
use super::{CONTENT, Canonical, FIELDS, Identifier};
use crate::data::batch::{Identity, NO_IDENTITY};
use crate::key::push_str;

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[ -!#-\\[\\]-~]{0,40}".prop_map(|text| format!("\"{text}\"")),
        2 => "[a-zé😀]{0,20}".prop_map(|text| format!("\"{text}\"")),
        1 => "[a-z]{0,20}\\\\(n|u0000|u0001|\"|ud83d\\\\ude00)[a-z]{0,3}".prop_map(|text| format!("\"{text}\"")),
        4 => "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,4})?",
        1 => prop_oneof!["true", "false", "null"],
        1 => prop_oneof![
            Just(r#"{"b":1,"a":[1.50,"x"]}"#.to_owned()),
            Just(r#"{ "a" : null , "b" : "y" }"#.to_owned()),
            Just("[]".to_owned()),
        ],
    ]
}

/// Members of an event, and the white space between them.
fn event() -> impl Strategy<Value = (Vec<(&'static str, String)>, &'static str)> {
    let name = prop::sample::select(vec![
        "event_id",
        "id",
        "ts",
        "é",
        "a name of more than thirty-two bytes",
    ]);
    (prop::collection::vec((name, value()), 1..5), prop::sample::select(vec!["", "", " ", " \t"]))
}

fn line(members: &[(&str, String)], space: &str) -> String {
    let member = |(name, value): &(&str, String)| format!("\"{name}\":{space}{value}{space}");
    let members: Vec<String> = members.iter().map(member).collect();
    format!("{{{}}}{space}", members.join(","))
}

/// Computes an identity by the canonical path: from the forms of all fields, with the last value of
/// each name. None if a field is missing or null.
fn canonical_identity(members: &[(&str, String)], fields: &[&str]) -> Identity {
    let mut canonical = Canonical::default();
    canonical.bytes.push(FIELDS);
    for field in fields {
        let found = members.iter().rfind(|(name, _)| name == field);
        let Some((_, value)) = found.filter(|(_, value)| value != "null") else {
            return NO_IDENTITY;
        };
        push_str(&mut canonical.bytes, field);
        assert!(canonical.push_text(value.as_bytes()));
    }
    hash_of(&canonical.bytes).identity()
}

fn canonical_content_identity(line: &str) -> Identity {
    let mut canonical = Canonical::default();
    canonical.bytes.push(CONTENT);
    canonical.push_event(line.as_bytes(), 0, true).unwrap();
    hash_of(&canonical.bytes).identity()
}

proptest! {
    #[test]
    fn fast_paths_agree_with_canonical_path(events in prop::collection::vec(event(), 1..8)) {
        let strategies_to_test: [&[&str]; 4] =
            [&["event_id"], &["é"], &["a name of more than thirty-two bytes"], &["id", "ts"]];
        let strategy = |fields: &[&str]| {
            crate::spec::Strategy::Fields(fields.iter().map(|field| (*field).to_owned()).collect())
        };
        let mut identifiers = strategies_to_test.map(|fields| Identifier::new(&[strategy(fields)]));
        let mut by_content = Identifier::new(&[crate::spec::Strategy::Content]);
        // Each event twice, so that the second time its layout is known.
        for (members, space) in events.iter().flat_map(|event| [event, event]) {
            let line = line(members, space);
            for (identifier, fields) in identifiers.iter_mut().zip(strategies_to_test) {
                let expected = canonical_identity(members, fields);
                prop_assert_eq!(identifier.of_json(line.as_bytes()), expected, "{}", line);
            }
            prop_assert_eq!(by_content.of_json(line.as_bytes()), canonical_content_identity(&line), "{}", line);
            // A truncated line, or one continued on the next line, is not an event.
            for end in (0..line.trim_end().len()).filter(|end| line.is_char_boundary(*end)) {
                let cut = &line.as_bytes()[..end];
                prop_assert_eq!(by_content.of_json(cut), NO_IDENTITY);
                prop_assert_eq!(identifiers[0].of_json(cut), NO_IDENTITY);
            }
            for end in ["\n", "\n{}", "x", "}"] {
                let more = format!("{line}{end}");
                prop_assert_eq!(by_content.of_json(more.as_bytes()), NO_IDENTITY);
                prop_assert_eq!(identifiers[0].of_json(more.as_bytes()), NO_IDENTITY);
            }
        }
    }

    #[test]
    fn of_strings_agrees_with_single_field_events(
        ids in prop::collection::vec("[ -~é\u{0}\u{1}\n\"]{0,40}", 1..8),
    ) {
        let fields = |names: &[&str]| {
            crate::spec::Strategy::Fields(names.iter().map(|name| (*name).to_owned()).collect())
        };
        let strategies_to_test = [
            vec![fields(&["id"])],
            vec![fields(&["id", "ts"]), fields(&["id"])],
            vec![fields(&["ts"]), crate::spec::Strategy::Content],
            vec![crate::spec::Strategy::Content],
            vec![fields(&["ts"])],
        ];
        for strategies in strategies_to_test {
            let mut identifier = Identifier::new(&strategies);
            let mut found = vec![];
            identifier.of_strings("id", ids.iter().map(String::as_str), &mut found);
            let events = ids.iter().map(|id| serde_json::json!({"id": id}).to_string());
            let expected: Vec<_> = events.map(|event| identifier.of_json(event.as_bytes())).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
