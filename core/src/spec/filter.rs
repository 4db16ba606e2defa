//! The `filter` stage: conditions on events.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::stages::{ReadAs, StageOptions, StageOutput, StageState};
use crate::util::names::NameTable;

/// `type = "filter"`: passes events that satisfy all conditions of `where`.
/// ```
/// use stream_processor_core::spec::Filter;
/// let filter: Filter = serde_json::from_str(r#"{"where": [{"field": "status", "op": ">=", "value": 500}]}"#)?;
/// # assert_eq!(serde_json::to_string(&filter)?, r#"{"where":[{"field":"status","op":">=","value":500}]}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The conditions, all of which must be satisfied.
    pub r#where: Vec<Condition>,
}

/// A comparison, `{ field = "latency", op = ">", value = 100 }`, or a combination of conditions by
/// `all`, `any` or `not`.
/// ```
/// use stream_processor_core::spec::{Comparison, Condition};
/// let options: Condition = serde_json::from_str(r#"{"not": {"field": "status", "op": "missing"}}"#)?;
/// assert_eq!(options.not.and_then(|not| not.op), Some(Comparison::Missing));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// The compared field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The comparison operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op: Option<Comparison>,
    /// The value to compare with: a number, a text, true or false; a list for `in`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// All of these conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<Vec<Condition>>,
    /// At least one of these conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any: Option<Vec<Condition>>,
    /// The negation of this condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<Condition>>,
}

/// A comparison operator. A missing value satisfies only `missing`.
/// ```
/// use stream_processor_core::spec::Comparison;
/// assert_eq!(serde_json::from_str::<Comparison>(r#""<=""#)?, Comparison::LessOrEqual);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Comparison {
    /// Equal.
    #[serde(rename = "==")]
    Equal,
    /// Not equal: another value, or a value of another type.
    #[serde(rename = "!=")]
    NotEqual,
    /// Less; texts are compared by their UTF-8 bytes.
    #[serde(rename = "<")]
    Less,
    /// Less than or equal.
    #[serde(rename = "<=")]
    LessOrEqual,
    /// Greater.
    #[serde(rename = ">")]
    Greater,
    /// Greater than or equal.
    #[serde(rename = ">=")]
    GreaterOrEqual,
    /// Equal to one value of a list.
    #[serde(rename = "in")]
    In,
    /// Absent or null; takes no `value`.
    #[serde(rename = "missing")]
    Missing,
}

impl StageOptions for Filter {
    fn uses_event_time(&self) -> bool {
        false
    }

    #[inline]
    fn output(&self) -> StageOutput {
        StageOutput::SameEvents
    }

    #[inline]
    fn state(&self) -> StageState {
        StageState::None
    }

    #[inline]
    fn fields(&self, key: &[String]) -> Vec<(String, ReadAs)> {
        let mut fields = Vec::new();
        self.r#where.iter().for_each(|condition| condition.collect_fields(&mut fields));
        let key: NameTable = key.iter().map(String::as_str).collect();
        fields.retain(|(field, _)| !key.contains(field));
        fields
    }
}

impl Condition {
    #[inline]
    fn collect_fields(&self, fields: &mut Vec<(String, ReadAs)>) {
        fields.extend(self.field.clone().map(|field| (field, self.read_as())));
        let parts = self.all.iter().chain(&self.any).flatten().chain(self.not.as_deref());
        parts.for_each(|condition| condition.collect_fields(fields));
    }

    /// Returns the type that the field is read as: a text if it is compared with one.
    #[inline]
    fn read_as(&self) -> ReadAs {
        let is_text = |value: &Value| value.is_string() || value.is_boolean();
        let compares_text = match &self.value {
            Some(Value::Array(values)) => values.iter().any(is_text),
            Some(value) => is_text(value),
            None => false,
        };
        match self.op {
            // Fields of any type may be checked for absence.
            Some(Comparison::Missing) => ReadAs::Text,
            _ if compares_text => ReadAs::Text,
            Some(Comparison::Equal | Comparison::NotEqual | Comparison::In) => ReadAs::Any,
            _ => ReadAs::Number,
        }
    }
}
