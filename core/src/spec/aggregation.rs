//! Aggregations: operations and their options.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::percentile::{Percentile, PercentileEngine};
use crate::aggregates;

/// An aggregation: an operation (`"avg"`), or `{ op = "max", field = "bytes", name = "peak" }`.
///
/// Create one from an [`Operation`] and set the options that differ; more options may be added.
/// ```
/// use stream_processor_core::spec::{Operation, Aggregation};
/// let options: Aggregation = serde_json::from_str(r#"{"op": "max", "field": "bytes", "name": "peak"}"#)?;
/// assert_eq!((options.op, options.name.as_deref()), (Operation::Max, Some("peak")));
/// assert_eq!(Aggregation::from(Operation::Avg).field, None);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Aggregation {
    /// The operation.
    pub op: Operation,
    /// The aggregated field; default: that of the stage.
    pub field: Option<String>,
    /// The column name; default: the operation, as in `avg`, or `avg_bytes` for a field that is not
    /// the default.
    pub name: Option<String>,
    /// For `variance` and `stddev`: true if the values are the whole population (n), false if they
    /// are a sample (n − 1).
    pub population: bool,
    /// For percentiles: how they are computed; default: by the sketch.
    pub engine: Option<PercentileEngine>,
}

/// The operation of an aggregation. Missing values are skipped.
/// ```
/// use stream_processor_core::spec::Operation;
/// assert_eq!("p99.9".parse::<Operation>().map(|op| op.to_string()).as_deref(), Ok("p99.9"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// The number of events whose field is not missing; of all events if no field is configured.
    Count,
    /// The sum, with Neumaier compensation.
    Sum,
    /// The mean: the compensated sum divided by the count.
    Avg,
    /// The minimum.
    Min,
    /// The maximum.
    Max,
    /// The maximum minus the minimum.
    Range,
    /// The variance of a sample (n − 1) or, with `population`, of the whole population (n).
    Variance,
    /// The square root of the variance.
    Stddev,
    /// The value of the earliest event; among equal times, of the first to arrive.
    First,
    /// The value of the latest event; among equal times, of the last to arrive.
    Last,
    /// The number of distinct values: exact up to 512, then estimated within about 1.6 % (one
    /// standard error).
    Distinct,
    /// The count per second of the window.
    Rate,
    /// A percentile of the values, with linear interpolation.
    Percentile(Percentile),
}

impl Operation {
    /// The names in pipelines and rows; `p<any>` stands for all other percentiles.
    pub const NAMES: &[&str] = aggregates::NAMES;
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Percentile(percentile) = self {
            return write!(f, "p{percentile}");
        }
        f.write_str(aggregates::definition(*self).name)
    }
}

/// Error: the name is not an operation.
/// ```
/// use stream_processor_core::spec::Operation;
/// let error = "median".parse::<Operation>().unwrap_err();
/// assert!(error.to_string().starts_with("unknown aggregation `median`"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct UnknownOperation {
    found: String,
}

impl fmt::Display for UnknownOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.found;
        write!(f, "unknown aggregation `{found}`")?;
        if found
            .strip_prefix('p')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        {
            return f.write_str(
                ": percentiles are p0 to p100, with at most six decimals, such as p99.9",
            );
        }
        write!(f, ", {}", super::decode::expected(found, Operation::NAMES))
    }
}

impl FromStr for Operation {
    type Err = UnknownOperation;

    #[inline]
    fn from_str(name: &str) -> Result<Self, UnknownOperation> {
        let mut named = aggregates::NAMED.iter();
        if let Some((operation, _)) = named.find(|(_, definition)| definition.name == name) {
            return Ok(*operation);
        }
        let percentile = name.strip_prefix('p').and_then(|number| number.parse().ok());
        percentile.map(Self::Percentile).ok_or_else(|| UnknownOperation { found: name.to_owned() })
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The serialized form of an [`Aggregation`] with options.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    engine: Option<PercentileEngine>,
}

impl From<Operation> for Aggregation {
    fn from(op: Operation) -> Self {
        Self { op, field: None, name: None, population: false, engine: None }
    }
}

impl Serialize for Aggregation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::from(self.op) {
            return self.op.serialize(serializer);
        }
        let Self { op, field, name, population, engine } = self.clone();
        AggregationOptions { op, field, name, population, engine }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Aggregation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Aggregation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an aggregation, or a table with `op` and, if need be, `field`, `name` and options")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Aggregation, E> {
                name.parse::<Operation>().map(Aggregation::from).map_err(E::custom)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<Aggregation, A::Error> {
                let table = serde::de::value::MapAccessDeserializer::new(map);
                let AggregationOptions { op, field, name, population, engine } =
                    AggregationOptions::deserialize(table)?;
                Ok(Aggregation { op, field, name, population, engine })
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
        let names = Self::NAMES.split_last().map_or(&[][..], |(_, names)| names);
        schemars::json_schema!({ "anyOf": [
            { "type": "string", "enum": names },
            {
                "type": "string",
                "description": "Any percentile, p0 to p100.",
                "pattern": format!("^p{}$", Percentile::PATTERN),
                "tsType": "`p${number}`",
            },
        ] })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_names_parse_back() {
        for name in Operation::NAMES.split_last().unwrap().1 {
            assert_eq!(name.parse::<Operation>().unwrap().to_string(), *name);
        }
        for (operation, definition) in aggregates::NAMED {
            assert_eq!(definition.name.parse(), Ok(*operation));
        }
        assert_eq!("p99.90".parse::<Operation>().unwrap().to_string(), "p99.9");
    }

    #[test]
    fn unknown_operation_error_suggests_valid_names() {
        let error = |name: &str| name.parse::<Operation>().unwrap_err().to_string();
        assert_eq!(
            error("p101"),
            "unknown aggregation `p101`: percentiles are p0 to p100, with at most six decimals, such as p99.9"
        );
        assert!(error("stdev").starts_with("unknown aggregation `stdev`, did you mean `stddev`?"));
        assert!(error("median").ends_with("p50, p95, p99, p<any>"), "{}", error("median"));
    }

    #[test]
    fn options_round_trip_and_unknown_options_are_errors() {
        for text in [
            r#""p95""#,
            r#"{"op":"p95","engine":"exact"}"#,
            r#"{"op":"stddev","name":"s","population":true}"#,
        ] {
            let aggregation: Aggregation = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&aggregation).unwrap(), text);
        }
        let error = serde_json::from_str::<Aggregation>(r#"{"op":"p95","engine":"digest"}"#);
        assert!(error.unwrap_err().to_string().contains("`digest`"));
    }
}
