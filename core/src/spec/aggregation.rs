//! What a window says of its events: operations and their options.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One aggregation: its name alone (`"avg"`), or `{ op = "max", field = "bytes", name = "peak" }`.
///
/// Make one of an [`Operation`] and set what differs, as options may be added.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Aggregation {
    /// What is computed.
    pub op: Operation,
    /// The field it is computed from; absent: the stage's.
    pub field: Option<String>,
    /// The name of its column; absent: `avg`, or `avg_bytes` for a field that is not the default.
    pub name: Option<String>,
    /// For `variance` and `stddev`: whether the values are all there are (n), not a sample of them (n − 1).
    pub population: bool,
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
    /// The greatest value less the least.
    Range,
    /// The variance of a sample (n − 1), or with `population` of all (n).
    Variance,
    /// The square root of the variance.
    Stddev,
    /// The value of the earliest event; of several at one time, the one that came first.
    First,
    /// The value of the latest event; of several at one time, the one that came last.
    Last,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 10] = [
        Self::Count,
        Self::Sum,
        Self::Avg,
        Self::Min,
        Self::Max,
        Self::Range,
        Self::Variance,
        Self::Stddev,
        Self::First,
        Self::Last,
    ];

    /// The name in pipelines and rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Range => "range",
            Self::Variance => "variance",
            Self::Stddev => "stddev",
            Self::First => "first",
            Self::Last => "last",
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
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    population: bool,
}

impl From<Operation> for Aggregation {
    fn from(op: Operation) -> Self {
        Self { op, field: None, name: None, population: false }
    }
}

impl Serialize for Aggregation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::from(self.op) {
            return self.op.serialize(serializer);
        }
        let Self { op, field, name, population } = self.clone();
        AggregationOptions { op, field, name, population }.serialize(serializer)
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
                let AggregationOptions { op, field, name, population } =
                    AggregationOptions::deserialize(table)?;
                Ok(Aggregation { op, field, name, population })
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
