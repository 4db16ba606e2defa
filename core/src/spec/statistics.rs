//! Stages that add statistics to the events of each key: `ema`, `rolling` and `zscore`.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::aggregation::Aggregation;
use super::duration::Duration;
use super::fields::{EmaField, Field, Named, RollingField, ZScoreField};
use super::stages::{ReadAs, StageOptions, StageOutput, StageState};

/// `type = "ema"`: adds an exponential moving average.
/// ```
/// use stream_processor_core::spec::{Ema};
/// let options: Ema = serde_json::from_str(r#"{"span": 20, "field": "cpu"}"#)?;
/// assert_eq!(options.span, Some(20.0));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ema {
    /// Span of the average: a new value has the weight 2 / (span + 1). Set one of `span`, `alpha`
    /// and `half_life`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<f64>,
    /// The weight of a new value, above 0 and at most 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// The number of values, or the time, after which a value has half its weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life: Option<HalfLife>,
    /// The averaged field; default: the default value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Several fields: each gets a column `<field>_ema`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field<EmaField>>,
    /// The name of the added column; default: `ema`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Event time after which the state of a key without events is discarded; default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_ttl: Option<Duration>,
}

/// `type = "rolling"`: adds aggregations of the last values.
/// ```
/// use stream_processor_core::spec::{Rolling};
/// let options: Rolling = serde_json::from_str(r#"{"size": 100, "field": "cpu", "aggregations": ["avg"]}"#)?;
/// assert_eq!(options.size, Some(100));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rolling {
    /// The number of values, including the current one; default: all so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// The aggregations, each of which adds a column. May be omitted if each of the `fields` has
    /// its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aggregations: Vec<Aggregation>,
    /// The field of aggregations that name none; default: the default value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Several fields: each gets columns such as `<field>_avg`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field<RollingField>>,
    /// Event time after which the state of a key without events is discarded; default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_ttl: Option<Duration>,
}

/// `type = "zscore"`: adds the distance of each value from the preceding ones, and whether it is an
/// anomaly.
/// ```
/// use stream_processor_core::spec::{ZScore};
/// let options: ZScore = serde_json::from_str(r#"{"threshold": 3, "field": "cpu"}"#)?;
/// assert_eq!(options.threshold, 3.0);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ZScore {
    /// Values more deviations away than this, in either direction, are anomalies.
    #[serde(default = "ZScore::default_threshold")]
    pub threshold: f64,
    /// The number of values of a key before the first one that is scored, at least 2.
    #[serde(default = "ZScore::default_warmup")]
    pub warmup: u32,
    /// If true, anomalies count among the values that later ones are compared with.
    #[serde(default = "ZScore::default_learn_anomalies")]
    pub learn_anomalies: bool,
    /// The reference that a value is compared with.
    #[serde(default)]
    pub method: ZScoreMethod,
    /// The number of preceding values to compare with; default: all for `stddev`, 100 for `mad`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// The scored field; default: the default value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Several fields: each gets the columns `<field>_zscore` and `<field>_anomaly`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field<ZScoreField>>,
    /// The name of the score column; the anomaly column is `<name>_anomaly`. Default: `zscore` and
    /// `anomaly`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Event time after which the state of a key without events is discarded; default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_ttl: Option<Duration>,
}

/// The center and the unit of a z-score.
/// ```
/// use stream_processor_core::spec::ZScoreMethod;
/// assert_eq!(serde_json::from_str::<ZScoreMethod>(r#""mad""#)?, ZScoreMethod::Mad);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ZScoreMethod {
    /// The mean, and the standard deviation of a sample.
    #[default]
    Stddev,
    /// The median, and the median absolute deviation, scaled to the standard deviation of normally
    /// distributed values.
    Mad,
}

/// The half-life of a value in a moving average.
/// ```
/// use stream_processor_core::spec::HalfLife;
/// assert_eq!(serde_json::from_str::<HalfLife>(r#"20"#)?, HalfLife::Values(20.0));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum HalfLife {
    /// A number of values.
    Values(f64),
    /// Event time.
    Time(Duration),
}

impl Ema {
    /// Returns the name of the column for a single field.
    #[inline]
    pub(crate) fn column(&self) -> &str {
        self.name.as_deref().unwrap_or("ema")
    }

    #[inline]
    pub(crate) fn columns(&self) -> Vec<String> {
        named(&self.fields, &[self.column()])
    }
}

impl Rolling {
    /// Returns the columns that the stage adds. `default` is the field that is used if none is
    /// named.
    #[inline]
    pub(crate) fn columns(&self, default: Option<&str>) -> Vec<String> {
        let meant = self.field.as_deref().or(default);
        let name = |one: &Aggregation| match (&one.name, one.field.as_deref()) {
            (Some(name), _) => name.clone(),
            (None, Some(field)) if Some(field) != meant && Some(field) != default => {
                format!("{}_{field}", one.op)
            }
            (None, _) => one.op.to_string(),
        };
        let mut columns = Vec::new();
        for field in &self.fields {
            let of_field = self.of_field(field).iter().map(name);
            columns.extend(of_field.map(|name| match self.fields.len() {
                1 => name,
                _ => format!("{}_{name}", field.name()),
            }));
        }
        if self.fields.is_empty() {
            columns.extend(self.aggregations.iter().map(name));
        }
        columns
    }

    /// Returns the aggregations of `field`.
    #[inline]
    pub(crate) fn of_field<'a>(&'a self, field: &'a Field<RollingField>) -> &'a [Aggregation] {
        let own = field.options().and_then(|options| options.aggregations.as_deref());
        own.unwrap_or(&self.aggregations)
    }

    /// Returns the fields that the stage reads by name.
    #[inline]
    pub(crate) fn reads(&self) -> impl Iterator<Item = &str> {
        let own = |one: &'_ Aggregation| one.field.is_some();
        let stage = self.field.as_deref().filter(|_| !self.aggregations.iter().all(own));
        let each = self.aggregations.iter().filter_map(|one| one.field.as_deref());
        each.chain(stage).chain(self.fields.iter().map(Field::name))
    }
}

/// Returns `names` for a single field; for several, the names prefixed with each field.
#[inline]
fn named<T: Named>(fields: &[Field<T>], names: &[&str]) -> Vec<String> {
    if fields.len() < 2 {
        return names.iter().map(|name| (*name).to_owned()).collect();
    }
    let of =
        |field: &Field<T>| names.iter().map(|name| format!("{}_{name}", field.name())).collect();
    fields.iter().flat_map(|field| -> Vec<String> { of(field) }).collect()
}

impl ZScore {
    #[inline]
    pub(crate) fn columns(&self) -> Vec<String> {
        let name = self.name.as_deref().unwrap_or("zscore");
        let anomaly = match &self.name {
            Some(name) => format!("{name}_anomaly"),
            None => "anomaly".to_owned(),
        };
        named(&self.fields, &[name, &anomaly])
    }

    #[inline]
    fn default_threshold() -> f64 {
        3.0
    }

    #[inline]
    fn default_warmup() -> u32 {
        2
    }

    #[inline]
    fn default_learn_anomalies() -> bool {
        true
    }
}

impl StageOptions for Ema {
    #[inline]
    fn output(&self) -> StageOutput {
        StageOutput::ChangedEvents
    }

    #[inline]
    fn state(&self) -> StageState {
        StageState::ByKey
    }

    #[inline]
    fn fields(&self, _: &[String]) -> Vec<(String, ReadAs)> {
        ReadAs::numbers(named_fields(self.field.as_ref(), &self.fields))
    }

    #[inline]
    fn added_columns(&self, _: Option<&str>) -> Vec<String> {
        self.columns()
    }
}

impl StageOptions for Rolling {
    #[inline]
    fn output(&self) -> StageOutput {
        StageOutput::ChangedEvents
    }

    #[inline]
    fn state(&self) -> StageState {
        StageState::ByKey
    }

    #[inline]
    fn fields(&self, _: &[String]) -> Vec<(String, ReadAs)> {
        ReadAs::numbers(self.reads().map(String::from))
    }

    #[inline]
    fn added_columns(&self, default: Option<&str>) -> Vec<String> {
        self.columns(default)
    }
}

impl StageOptions for ZScore {
    #[inline]
    fn output(&self) -> StageOutput {
        StageOutput::ChangedEvents
    }

    #[inline]
    fn state(&self) -> StageState {
        StageState::ByKey
    }

    #[inline]
    fn fields(&self, _: &[String]) -> Vec<(String, ReadAs)> {
        ReadAs::numbers(named_fields(self.field.as_ref(), &self.fields))
    }

    #[inline]
    fn added_columns(&self, _: Option<&str>) -> Vec<String> {
        self.columns()
    }
}

/// Returns the fields of a stage that names one or several.
#[inline]
fn named_fields<T: Named>(
    field: Option<&String>,
    fields: &[Field<T>],
) -> impl Iterator<Item = String> {
    field.cloned().into_iter().chain(fields.iter().map(|field| field.name().to_owned()))
}

impl<'de> Deserialize<'de> for HalfLife {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = HalfLife;

            #[inline]
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of values, or a duration with its unit, such as \"10s\"")
            }

            #[inline]
            fn visit_f64<E: serde::de::Error>(self, values: f64) -> Result<HalfLife, E> {
                Ok(HalfLife::Values(values))
            }

            #[inline]
            fn visit_u64<E: serde::de::Error>(self, values: u64) -> Result<HalfLife, E> {
                u32::try_from(values)
                    .map(|values| HalfLife::Values(values.into()))
                    .map_err(|_| E::custom("at most 4294967295 values"))
            }

            #[inline]
            fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<HalfLife, E> {
                Err(E::custom("must be more than 0"))
            }

            #[inline]
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<HalfLife, E> {
                text.parse().map(HalfLife::Time).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
