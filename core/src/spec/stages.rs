//! The stages of a pipeline, one struct each.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::duration::Duration;

/// `[[stages]]`: one step of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Stage {
    /// Aggregates the events of each key and window into one row.
    Window(Window),
}

/// `type = "window"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// How events are assigned to windows.
    pub window: WindowKind,
    /// The length of a window.
    pub size: Duration,
    /// From the start of one sliding window to the start of the next; not for tumbling ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slide: Option<Duration>,
    /// Where windows start, relative to the epoch.
    #[serde(default)]
    pub offset: Duration,
    /// The field that is aggregated where an aggregation names none; absent: the default value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What each row says of its window.
    pub aggregations: Vec<Aggregation>,
}

/// How events are assigned to windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WindowKind {
    /// Windows of one size, one after another.
    Tumbling,
    /// Windows of one size that start every `slide`: an event is in all that cover it, in none where they leave gaps.
    Sliding,
}

/// One aggregation: its name alone (`"avg"`), or `{ op = "max", field = "bytes", name = "peak" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregation {
    /// What is computed.
    pub op: Operation,
    /// The field it is computed from; absent: the stage's.
    pub field: Option<String>,
    /// The name of its column; absent: `avg`, or `avg_bytes` for a field that is not the default.
    pub name: Option<String>,
}

/// What an aggregation computes. Missing values are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Events whose field is not missing; all events where no field is configured.
    Count,
    /// The sum, compensated (Neumaier).
    Sum,
    /// The mean: the compensated sum over the count.
    Avg,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 5] = [Self::Count, Self::Sum, Self::Avg, Self::Min, Self::Max];

    /// The name in pipelines and rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown aggregation `{found}`, {}", super::decode::expected(found, &Operation::ALL.map(Operation::name)))]
pub struct UnknownOperation {
    found: String,
}

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(name: &str) -> Result<Self, UnknownOperation> {
        let known = Self::ALL.into_iter().find(|operation| operation.name() == name);
        known.ok_or_else(|| UnknownOperation { found: name.to_owned() })
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The written-out form of an [`Aggregation`].
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[doc(hidden)]
pub struct AggregationOptions {
    op: Operation,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl From<Operation> for Aggregation {
    fn from(op: Operation) -> Self {
        Self { op, field: None, name: None }
    }
}

impl Serialize for Aggregation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.field.is_none() && self.name.is_none() {
            return self.op.serialize(serializer);
        }
        let Self { op, field, name } = self.clone();
        AggregationOptions { op, field, name }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Aggregation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Aggregation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an aggregation, or a table with `op`, `field` and `name`")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Aggregation, E> {
                name.parse::<Operation>().map(Aggregation::from).map_err(E::custom)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<Aggregation, A::Error> {
                let table = serde::de::value::MapAccessDeserializer::new(map);
                let AggregationOptions { op, field, name } =
                    AggregationOptions::deserialize(table)?;
                Ok(Aggregation { op, field, name })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Operation {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Operation".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names = Self::ALL.map(Self::name);
        schemars::json_schema!({ "type": "string", "enum": names })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Aggregation {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Aggregation".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let name = generator.subschema_for::<Operation>();
        let table = generator.subschema_for::<AggregationOptions>();
        schemars::json_schema!({ "anyOf": [name, table] })
    }
}
