//! Fields that a stage processes, each with its name only or with options.

use core::fmt;
use core::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::aggregation::Aggregation;
use super::statistics::{HalfLife, ZScoreMethod};

/// A field: its name, as in `"cpu"`, or a table, as in `{ name = "cpu", span = 20 }`.
/// ```
/// use stream_processor_core::spec::{EmaField, Field};
/// let fields: Vec<Field<EmaField>> = serde_json::from_str(r#"["cpu", {"name": "load", "span": 60}]"#)?;
/// assert_eq!((fields[0].name(), fields[1].name()), ("cpu", "load"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Field<T> {
    /// A field with the options of the stage.
    Name(String),
    /// A field with options of its own; those of the stage apply where it sets none.
    Table(T),
}

/// A field with options.
/// ```
/// use stream_processor_core::spec::{EmaField, Field};
/// let field: Field<EmaField> = serde_json::from_str(r#"{"name": "load", "span": 60}"#)?;
/// assert_eq!(field.name(), "load");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub trait Named {
    /// Returns the name of the field.
    fn name(&self) -> &str;
}

impl<T: Named> Field<T> {
    /// Returns the name of the field.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Table(table) => table.name(),
        }
    }

    /// Returns the options of the field, if it has any.
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
/// ```
/// use stream_processor_core::spec::{EmaField};
/// let options: EmaField = serde_json::from_str(r#"{"name": "load", "span": 60}"#)?;
/// assert_eq!(options.span, Some(60.0));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EmaField {
    /// The name of the field.
    pub name: String,
    /// Span of the average: a new value has the weight 2 / (span + 1). Set at most one of `span`,
    /// `alpha` and `half_life`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<f64>,
    /// The weight of a new value, above 0 and at most 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// The number of values, or the time, after which a value has half its weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life: Option<HalfLife>,
}

/// A field of [`super::Rolling`].
/// ```
/// use stream_processor_core::spec::{RollingField};
/// let options: RollingField = serde_json::from_str(r#"{"name": "load", "size": 100}"#)?;
/// assert_eq!(options.size, Some(100));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RollingField {
    /// The name of the field.
    pub name: String,
    /// The number of values, including the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// The aggregations, instead of those of the stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregations: Option<Vec<Aggregation>>,
}

/// A field of [`super::ZScore`].
/// ```
/// use stream_processor_core::spec::{ZScoreField};
/// let options: ZScoreField = serde_json::from_str(r#"{"name": "load", "threshold": 4}"#)?;
/// assert_eq!(options.threshold, Some(4.0));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ZScoreField {
    /// The name of the field.
    pub name: String,
    /// Values more deviations away than this, in either direction, are anomalies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The number of values of a key before the first one that is scored, at least 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<u32>,
    /// If true, anomalies count among the values that later ones are compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learn_anomalies: Option<bool>,
    /// The reference that a value is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<ZScoreMethod>,
    /// The number of preceding values to compare with.
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
