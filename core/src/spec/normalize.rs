//! The `normalize` stage: turns irregular samples into values at regular times.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::duration::Duration;
use super::limits::Limits;
use super::stages::{ReadAs, StageOptions, StageOutput, StageState};

/// The maximum degree of a polynomial fill.
pub const MAX_DEGREE: usize = 9;

/// `type = "normalize"`: turns irregular samples into values at regular times.
/// ```
/// use stream_processor_core::spec::{Fill, Normalize};
/// let options: Normalize = serde_json::from_str(r#"{"interval": "1s", "fill": "linear", "max_gap": "10s"}"#)?;
/// assert_eq!(options.fill, Some(Fill::Linear));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Normalize {
    /// The distance between grid points, or `auto`: the median step of each key's first samples.
    pub interval: Interval,
    /// The position of a grid point, relative to the epoch.
    #[serde(default)]
    pub offset: Duration,
    /// The grid point that a sample belongs to; default: `floor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub align: Option<Align>,
    /// The basis of the values: aligned or original samples.
    #[serde(default)]
    pub basis: Basis,
    /// The method that combines several samples on one grid point; default: `last`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduce: Option<Reduce>,
    /// The method that fills grid points without samples; default: `linear`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<Fill>,
    /// The degree of a polynomial fill, from 1 to 9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degree: Option<u32>,
    /// The longest time between two known points that is filled; default: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_gap: Option<Duration>,
    /// Maximum number of grid points or samples of one key that are buffered; beyond it, the oldest
    /// is completed early.
    #[serde(default = "max_buffered")]
    pub max_buffered: u32,
    /// The rule for outliers, and their treatment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outliers: Option<Outliers>,
    /// The fields, if they are not just the default value of the pipeline. Options that a field
    /// does not set are those of the stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<NormalizeField>,
}

#[inline]
fn max_buffered() -> u32 {
    100_000
}

impl Normalize {
    /// Returns true if a field is filled across gaps of any length.
    #[inline]
    fn fills_gaps_of_any_length(&self) -> bool {
        if self.max_gap.is_some() {
            return false;
        }
        let fills = |fill: Option<Fill>| fill.unwrap_or_default().needs() != FillNeeds::Nothing;
        match self.fields.as_slice() {
            [] => fills(self.fill),
            fields => fields
                .iter()
                .any(|field| field.max_gap.is_none() && fills(field.fill.or(self.fill))),
        }
    }
}

impl StageOptions for Normalize {
    #[inline]
    fn output(&self) -> StageOutput {
        StageOutput::Rows
    }

    #[inline]
    fn state(&self) -> StageState {
        StageState::ByKey
    }

    #[inline]
    fn fields(&self, _: &[String]) -> Vec<(String, ReadAs)> {
        ReadAs::numbers(self.fields.iter().map(|field| field.name.clone()))
    }

    #[inline]
    fn identity_limit(&self, limits: &Limits) -> Option<(&'static str, u32)> {
        Some(("max_fill_points", limits.max_fill_points))
    }

    #[inline]
    fn warning(&self, is_last: bool) -> Option<(&'static str, String)> {
        let holds = if is_last { "" } else { ", and later stages wait for it" };
        let message = format!(
            "missing: gaps of any length are filled, so rows after a key's last sample wait for its next one or the end of input{holds}"
        );
        self.fills_gaps_of_any_length().then_some(("max_gap", message))
    }
}

/// A field of a [`Normalize`] stage.
/// ```
/// use stream_processor_core::spec::{NormalizeField, Reduce};
/// let options: NormalizeField = serde_json::from_str(r#"{"name": "cpu", "reduce": "mean"}"#)?;
/// assert_eq!(options.reduce, Some(Reduce::Mean));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NormalizeField {
    /// The name of the field.
    pub name: String,
    /// The method that combines several samples on one grid point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduce: Option<Reduce>,
    /// The method that fills grid points without samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<Fill>,
    /// The degree of a polynomial fill, from 1 to 9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degree: Option<u32>,
    /// The longest time between two known points that is filled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_gap: Option<Duration>,
    /// The rule for outliers, and their treatment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outliers: Option<Outliers>,
}

/// The distance between grid points.
/// ```
/// use stream_processor_core::spec::Interval;
/// assert_eq!(serde_json::from_str::<Interval>(r#""auto""#)?, Interval::Auto);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// A fixed duration.
    Every(Duration),
    /// The median step between the first samples of each key.
    Auto,
}

impl FromStr for Interval {
    type Err = super::DurationError;

    #[inline]
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::Every) }
    }
}

impl fmt::Display for Interval {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(interval) => interval.fmt(f),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl Serialize for Interval {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Interval {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Interval;

            #[inline]
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, such as \"1s\", or \"auto\"")
            }

            #[inline]
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
    #[inline]
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Interval".into()
    }

    #[inline]
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let duration = generator.subschema_for::<Duration>();
        schemars::json_schema!({ "anyOf": [duration, { "const": "auto" }] })
    }
}

/// The grid point that a sample belongs to.
/// ```
/// use stream_processor_core::spec::Align;
/// assert_eq!(serde_json::from_str::<Align>(r#""round""#)?, Align::Round);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Align {
    /// The preceding one.
    #[default]
    Floor,
    /// The following one.
    Ceil,
    /// The nearest one; the following one in the middle between two.
    Round,
}

/// The samples that values are computed from.
/// ```
/// use stream_processor_core::spec::Basis;
/// assert_eq!(serde_json::from_str::<Basis>(r#""samples""#)?, Basis::Samples);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Samples are moved to their grid points, and empty points are filled from the others.
    #[default]
    Aligned,
    /// Samples keep their times, and the value at a grid point is computed from the samples around
    /// it.
    Samples,
}

/// The method that combines several samples on one grid point.
/// ```
/// use stream_processor_core::spec::Reduce;
/// assert_eq!(serde_json::from_str::<Reduce>(r#""median""#)?, Reduce::Median);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Reduce {
    /// The latest by event time; among equal times, the last to arrive.
    #[default]
    Last,
    /// The earliest by event time; among equal times, the first to arrive.
    First,
    /// The mean.
    Mean,
    /// The minimum.
    Min,
    /// The maximum.
    Max,
    /// The sum.
    Sum,
    /// The median: the middle value, or the mean of the two in the middle.
    Median,
}

/// The method that fills points between two known points.
/// ```
/// use stream_processor_core::spec::Fill;
/// assert_eq!(serde_json::from_str::<Fill>(r#""forward""#)?, Fill::Forward);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    /// By the straight line between the two.
    #[default]
    Linear,
    /// With the preceding value.
    Forward,
    /// With the following value.
    Backward,
    /// With zero.
    Zero,
    /// With the mean of the two.
    Mean,
    /// By the polynomial through the nearest known points.
    Polynomial,
    /// By the monotone cubic through the neighbours (PCHIP), which never overshoots.
    Spline,
    /// Not at all: the value is null.
    None,
}

/// The known points that the values of a gap depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FillNeeds {
    /// None: gaps stay empty.
    Nothing,
    /// The two points at the ends of the gap. Values lie between theirs, or are a constant.
    GapEnds,
    /// The points at the ends of the gap, and the next one on each side. Values lie between those
    /// at the ends.
    OneMorePoint,
    /// As many of the nearest points as the option `degree` says, and one more. A value that is not
    /// finite is null.
    DegreePoints,
}

impl Fill {
    /// Returns what the fill depends on. Everything else that the stage does for a fill, apart from
    /// computing its values, follows from it.
    #[inline]
    pub(crate) fn needs(self) -> FillNeeds {
        match self {
            Self::None => FillNeeds::Nothing,
            Self::Linear | Self::Forward | Self::Backward | Self::Zero | Self::Mean => {
                FillNeeds::GapEnds
            }
            Self::Spline => FillNeeds::OneMorePoint,
            Self::Polynomial => FillNeeds::DegreePoints,
        }
    }
}

/// The rule for outliers, and their treatment.
/// ```
/// use stream_processor_core::spec::{Outliers};
/// let options: Outliers = serde_json::from_str(r#"{"zscore": 3, "window": 100}"#)?;
/// assert_eq!(options.zscore, 3.0);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Outliers {
    /// The distance from the mean of the preceding values, in standard deviations, beyond which a
    /// value is an outlier.
    pub zscore: f64,
    /// The number of preceding values to compare with.
    #[serde(default = "window")]
    pub window: u32,
    /// Treatment of an outlier.
    #[serde(default)]
    pub action: OutlierAction,
}

#[inline]
fn window() -> u32 {
    100
}

/// Treatment of an outlier.
/// ```
/// use stream_processor_core::spec::OutlierAction;
/// assert_eq!(serde_json::from_str::<OutlierAction>(r#""clip""#)?, OutlierAction::Clip);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OutlierAction {
    /// It is treated as missing, and filled.
    #[default]
    Drop,
    /// It is kept, and flagged in its row.
    Flag,
    /// It is replaced by the nearest value that is not an outlier.
    Clip,
}
