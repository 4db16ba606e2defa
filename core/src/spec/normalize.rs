//! `type = "normalize"`: samples at any time become values at regular times.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::duration::Duration;

/// The greatest degree of a polynomial fill.
pub const MAX_DEGREE: usize = 9;

/// `type = "normalize"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Normalize {
    /// From one grid point to the next, or `auto`: the median step of each key's first samples.
    pub interval: Interval,
    /// Where a grid point is, relative to the epoch.
    #[serde(default)]
    pub offset: Duration,
    /// Which grid point a sample belongs to; `floor` unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub align: Option<Align>,
    /// What values are computed from.
    #[serde(default)]
    pub basis: Basis,
    /// What becomes of several samples on one grid point; `last` unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduce: Option<Reduce>,
    /// What stands at grid points without samples; `linear` unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<Fill>,
    /// The degree of a polynomial fill, from 1 to 9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degree: Option<u32>,
    /// The longest time between two known points that is filled; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_gap: Option<Duration>,
    /// What of one key may wait for its grid point to be over; then the oldest one is over early.
    #[serde(default = "max_buffered")]
    pub max_buffered: u32,
    /// Which values count as outliers, and what becomes of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outliers: Option<Outliers>,
    /// The fields, where it is not the pipeline's default value alone; what they leave open is as above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<NormalizeField>,
}

fn max_buffered() -> u32 {
    100_000
}

/// One field of a [`Normalize`] stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NormalizeField {
    /// The field's name.
    pub name: String,
    /// What becomes of several samples on one grid point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduce: Option<Reduce>,
    /// What stands at grid points without samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<Fill>,
    /// The degree of a polynomial fill, from 1 to 9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degree: Option<u32>,
    /// The longest time between two known points that is filled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_gap: Option<Duration>,
    /// Which values count as outliers, and what becomes of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outliers: Option<Outliers>,
}

/// From one grid point to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// Always this long.
    Every(Duration),
    /// The median step between the first samples of each key.
    Auto,
}

impl FromStr for Interval {
    type Err = super::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::Every) }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(interval) => interval.fmt(f),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Interval;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, such as \"1s\", or \"auto\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Interval, E> {
                text.parse().map_err(|_| {
                    E::custom(format_args!(
                        "{text:?} is neither a duration with its unit, such as \"1s\", nor \"auto\""
                    ))
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Interval {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Interval".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let duration = generator.subschema_for::<Duration>();
        schemars::json_schema!({ "anyOf": [duration, { "const": "auto" }] })
    }
}

/// Which grid point a sample belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Align {
    /// The one before it.
    #[default]
    Floor,
    /// The one after it.
    Ceil,
    /// The nearest one; halfway, the one after it.
    Round,
}

/// What values are computed from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Samples move to their grid points, and empty ones are filled from those that are not.
    #[default]
    Aligned,
    /// Samples stay where they are, and the value at a grid point is computed from those around it.
    Samples,
}

/// What becomes of several samples on one grid point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Reduce {
    /// The latest by event time; of several at one time, the one that came last.
    #[default]
    Last,
    /// The earliest by event time; of several at one time, the one that came first.
    First,
    /// Their mean.
    Mean,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// Their sum.
    Sum,
    /// The middle one, or the mean of the two in the middle.
    Median,
}

/// What stands between two known points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    /// The straight line from one to the other.
    #[default]
    Linear,
    /// The one before.
    Forward,
    /// The one after.
    Backward,
    /// Zero.
    Zero,
    /// The mean of the two.
    Mean,
    /// The polynomial through the nearest known points.
    Polynomial,
    /// The monotone cubic through the neighbours (PCHIP), which never overshoots.
    Spline,
    /// Null.
    None,
}

/// Which values count as outliers, and what becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Outliers {
    /// How many standard deviations from the mean of the values before is too far.
    pub zscore: f64,
    /// How many values before count.
    #[serde(default = "window")]
    pub window: u32,
    /// What becomes of an outlier.
    #[serde(default)]
    pub action: OutlierAction,
}

fn window() -> u32 {
    100
}

/// What becomes of an outlier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OutlierAction {
    /// It counts as missing, and is filled.
    #[default]
    Drop,
    /// It stays, and its row says so.
    Flag,
    /// It moves to the nearest value that is none.
    Clip,
}
