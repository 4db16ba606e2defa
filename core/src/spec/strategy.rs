//! Deduplication strategies: what makes two events equal.

use core::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::util::names::first_repeated;

/// The name of [`Strategy::Content`].
const CONTENT: &str = "@content";

/// A strategy to identify an event. If an event lacks one of its fields, or has null there, the
/// next strategy is tried.
/// ```
/// use stream_processor_core::spec::Strategy;
/// assert_eq!(serde_json::from_str::<Strategy>(r#""@content""#)?, Strategy::Content);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// By the combined values of these fields, of any type.
    Fields(Vec<String>),
    /// By all content of the event. The order of fields, white space and the spelling of numbers
    /// are ignored.
    Content,
}

impl Strategy {
    fn field<E: Error>(name: &str) -> Result<String, E> {
        match name {
            "" => Err(E::custom("empty: name a field of the events")),
            name => Ok(name.to_owned()),
        }
    }
}

/// Checks that the fields of a strategy are distinct.
fn check_names<E: Error>(names: &[String]) -> Result<(), E> {
    let repeated = first_repeated(names.iter().map(String::as_str));
    match repeated.and_then(|place| names.get(place)) {
        Some(name) => Err(E::custom(format_args!("the field {name:?} is named twice"))),
        None => Ok(()),
    }
}

/// Returns the fields that `+` joins in `text`. A text such as `c++` is one name.
fn joined<E: Error>(text: &str) -> Result<Vec<String>, E> {
    let parts = || text.split('+').map(str::trim);
    if parts().any(str::is_empty) {
        return Ok(vec![Strategy::field(text)?]);
    }
    let names = parts().map(Strategy::field).collect::<Result<Vec<String>, E>>()?;
    check_names(&names)?;
    Ok(names)
}

/// Decodes strategies: a list, or a text in which `|` separates them.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Strategy>, D::Error> {
    deserializer.deserialize_any(ListVisitor)
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Vec<Strategy>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strategies, or a text such as \"event_id|tenant+order_id\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        text.split('|').map(|text| StrategyVisitor.visit_str(text.trim())).collect()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut strategies = Vec::new();
        while let Some(strategy) = seq.next_element()? {
            strategies.push(strategy);
        }
        Ok(strategies)
    }
}

#[cfg(feature = "schema")]
pub(super) fn list_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let strategy = generator.subschema_for::<Strategy>();
    schemars::json_schema!({
        "anyOf": [{ "type": "array", "items": strategy }, { "type": "string", "minLength": 1 }],
    })
}

/// Returns true if the field `name` is read back from a text, and needs no list.
fn is_read_alone(name: &str) -> bool {
    !name.starts_with('@') && !name.contains('+') && name.trim() == name
}

impl Serialize for Strategy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Content => CONTENT.serialize(serializer),
            Self::Fields(names) => match names.as_slice() {
                [name] if is_read_alone(name) => name.serialize(serializer),
                names => names.serialize(serializer),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Strategy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrategyVisitor)
    }
}

struct StrategyVisitor;

impl<'de> Visitor<'de> for StrategyVisitor {
    type Value = Strategy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field, fields joined by `+`, a list of fields, or \"@content\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Strategy, E> {
        match text {
            CONTENT => Ok(Strategy::Content),
            text if text.starts_with('@') => Err(E::custom(format_args!(
                "unknown strategy {text:?}: expected a field, a list of fields, or \"@content\" \
                 (a field of this name: [{text:?}])"
            ))),
            name => Ok(Strategy::Fields(joined(name)?)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Strategy, A::Error> {
        let mut names: Vec<String> = Vec::new();
        while let Some(name) = seq.next_element::<String>()? {
            names.push(Strategy::field(&name)?);
        }
        check_names(&names)?;
        if names.is_empty() {
            return Err(A::Error::custom(
                "an empty list: name the fields that identify an event together",
            ));
        }
        Ok(Strategy::Fields(names))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Strategy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Strategy".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A field, several fields together (`a+b`, or a list), or \"@content\": the whole event.",
            "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1, "uniqueItems": true },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_joins_fields_and_bar_separates_strategies() {
        let strategies = |text: &str| {
            let json = format!(r#"{{"strategies": {text}}}"#);
            let dedup: Result<crate::spec::Dedup, _> = serde_json::from_str(&json);
            dedup.map(|dedup| serde_json::to_string(&dedup.strategies).unwrap())
        };
        let several = r#"["id",["tenant","order"],"@content"]"#;
        assert_eq!(strategies(r#""id | tenant+order|@content""#).unwrap(), several);
        assert_eq!(strategies(r#"["id", "tenant + order", "@content"]"#).unwrap(), several);
        assert_eq!(strategies(r#"["c++", ["a+b"], "a|b"]"#).unwrap(), r#"[["c++"],["a+b"],"a|b"]"#);
        for text in [r#""""#, r#""a||b""#, r#"["a+a"]"#, "1", r#""@all""#] {
            assert!(strategies(text).is_err(), "{text}");
        }
    }

    #[test]
    fn displayed_strategy_parses_back() {
        for (text, strategy) in [
            ("\"@content\"", Strategy::Content),
            ("\"event_id\"", Strategy::Fields(vec!["event_id".into()])),
            (
                "[\"tenant\",\"order_id\"]",
                Strategy::Fields(vec!["tenant".into(), "order_id".into()]),
            ),
            ("[\"@content\"]", Strategy::Fields(vec!["@content".into()])),
            ("[\" id\"]", Strategy::Fields(vec![" id".into()])),
        ] {
            assert_eq!(serde_json::from_str::<Strategy>(text).unwrap(), strategy);
            assert_eq!(serde_json::to_string(&strategy).unwrap(), text);
        }
        for text in ["\"\"", "\"@contents\"", "[]", "[\"a\",\"a\"]", "[\"\"]", "1", "[1]", "null"] {
            assert!(serde_json::from_str::<Strategy>(text).is_err(), "{text}");
        }
    }
}
