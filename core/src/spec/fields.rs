//! Fields that a stage works on, each by its name or with options of its own.

use core::fmt;
use core::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::aggregation::Aggregation;
use super::statistics::{HalfLife, ZScoreMethod};

/// A field by its name, as in `"cpu"`, or by a table, as in `{ name = "cpu", span = 20 }`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Field<T> {
    /// With the options of the stage.
    Name(String),
    /// With options of its own; the stage's hold for what it leaves open.
    Table(T),
}

/// A field with options.
pub trait Named {
    /// The field.
    fn name(&self) -> &str;
}

impl<T: Named> Field<T> {
    /// The field's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Table(table) => table.name(),
        }
    }

    /// What differs from the stage.
    pub fn options(&self) -> Option<&T> {
        match self {
            Self::Name(_) => None,
            Self::Table(table) => Some(table),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrTable<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for NameOrTable<T> {
            type Value = Field<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field, or a table with its `name` and options")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Field<T>, E> {
                Ok(Field::Name(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Field::Table)
            }
        }
        deserializer.deserialize_any(NameOrTable(PhantomData))
    }
}

/// A field of [`super::Ema`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EmaField {
    /// The field's name.
    pub name: String,
    /// The weight of a new value is 2 / (span + 1). At most one of `span`, `alpha` and `half_life`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<f64>,
    /// The weight of a new value, above 0 and at most 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// After this many more values, or after this time, a value has half its weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life: Option<HalfLife>,
}

/// A field of [`super::Rolling`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RollingField {
    /// The field's name.
    pub name: String,
    /// How many values, with the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// What is added, instead of the stage's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregations: Option<Vec<Aggregation>>,
}

/// A field of [`super::ZScore`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ZScoreField {
    /// The field's name.
    pub name: String,
    /// More deviations than this either way are an anomaly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Values of a key before the first that is judged, at least 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<u32>,
    /// Whether anomalies count for the values after them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learn_anomalies: Option<bool>,
    /// What a value is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<ZScoreMethod>,
    /// How many of the values before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
}

impl Named for EmaField {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for RollingField {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for ZScoreField {
    fn name(&self) -> &str {
        &self.name
    }
}
