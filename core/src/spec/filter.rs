//! Conditions on events.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::stages::ReadAs;

/// `type = "filter"`: lets the events pass that meet all conditions of `where`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// What an event must meet, all of it.
    pub r#where: Vec<Condition>,
}

/// A comparison, `{ field = "latency", op = ">", value = 100 }`, or several put together by `all`, `any` or `not`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// The field that is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// How it is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op: Option<Comparison>,
    /// What it is compared with: a number, a text, true or false; for `in` a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// All of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<Vec<Condition>>,
    /// At least one of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any: Option<Vec<Condition>>,
    /// The contrary of this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<Condition>>,
}

/// How a field is compared. A missing number meets `missing` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Comparison {
    /// Equal.
    #[serde(rename = "==")]
    Equal,
    /// Another value, or a value of another type.
    #[serde(rename = "!=")]
    NotEqual,
    /// Less; texts by their UTF-8 bytes.
    #[serde(rename = "<")]
    Less,
    /// Less or equal.
    #[serde(rename = "<=")]
    LessOrEqual,
    /// Greater.
    #[serde(rename = ">")]
    Greater,
    /// Greater or equal.
    #[serde(rename = ">=")]
    GreaterOrEqual,
    /// Equal to one of a list.
    #[serde(rename = "in")]
    In,
    /// Not there, or null; without `value`.
    #[serde(rename = "missing")]
    Missing,
}

impl Filter {
    /// Every field that is compared, and as what.
    pub(crate) fn fields(&self) -> Vec<(String, ReadAs)> {
        let mut fields = Vec::new();
        self.r#where.iter().for_each(|condition| condition.collect_fields(&mut fields));
        fields
    }
}

impl Condition {
    fn collect_fields(&self, fields: &mut Vec<(String, ReadAs)>) {
        fields.extend(self.field.clone().map(|field| (field, self.read_as())));
        let parts = self.all.iter().chain(&self.any).flatten().chain(self.not.as_deref());
        parts.for_each(|condition| condition.collect_fields(fields));
    }

    /// What its field is taken for: a text where it is compared with one.
    fn read_as(&self) -> ReadAs {
        let is_text = |value: &Value| value.is_string() || value.is_boolean();
        let compares_text = match &self.value {
            Some(Value::Array(values)) => values.iter().any(is_text),
            Some(value) => is_text(value),
            None => false,
        };
        match self.op {
            // That something is there can be told of everything.
            Some(Comparison::Missing) => ReadAs::Text,
            _ if compares_text => ReadAs::Text,
            Some(Comparison::Equal | Comparison::NotEqual | Comparison::In) => ReadAs::Any,
            _ => ReadAs::Number,
        }
    }
}
