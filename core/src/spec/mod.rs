//! The pipeline description: one serde type for Rust, JavaScript, the command line and the page.

mod aggregation;
mod decode;
mod dedup;
mod duration;
mod event_time;
mod fields;
mod filter;
mod key_by;
mod kinds;
mod limits;
mod map;
mod normalize;
mod percentile;
mod sections;
mod stages;
mod statistics;
mod strategy;
#[cfg(feature = "toml")]
mod toml_text;
mod warnings;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

pub use aggregation::{Aggregation, AggregationOptions, Operation};
pub use decode::SpecError;
pub(crate) use decode::expected;
pub use dedup::{Clock, Dedup, DedupMode, OnUnjudged};
pub use duration::{Duration, DurationError, MAX_DURATION_US, OutOfOrderness};
pub use event_time::{Future, Time, Watermark};
pub use fields::{EmaField, Field, Named, RollingField, ZScoreField};
pub use filter::{Comparison, Condition, Filter};
pub use key_by::KeyBy;
pub(crate) use kinds::check_options;
pub use limits::{LimitPolicy, Limits};
pub use map::{Assignment, Map};
pub use normalize::{
    Align, Basis, Fill, Interval, MAX_DEGREE, Normalize, NormalizeField, OutlierAction, Outliers,
    Reduce,
};
pub use percentile::{Percentile, PercentileEngine, PercentileError};
pub use sections::{Format, Names, OutputPath, Sink, SinkType, Source, SourceType};
pub(crate) use stages::ReadAs;
pub use stages::{CalendarUnit, Emit, Stage, Window, WindowKind};
pub use statistics::{Ema, HalfLife, Rolling, ZScore, ZScoreMethod};
pub use strategy::Strategy;

/// A pipeline: where events come from, what happens to them, where rows go.
///
/// The engine reads `source` (field names only), `time`, `stages` and `limits`; the rest is the host's.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct PipelineSpec {
    /// Where events come from and which of their fields matter.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub source: Source,
    /// How event time moves.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub time: Time,
    /// What happens to the events, in order.
    pub stages: Vec<Stage>,
    /// Where rows go.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub sink: Sink,
    /// Where late events go; without it they go to the dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late: Option<OutputPath>,
    /// Where refused events go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<OutputPath>,
    /// How far things may grow.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub limits: Limits,
}

impl PipelineSpec {
    /// Reads a pipeline from JSON text.
    ///
    /// # Errors
    /// Text that is not JSON, and unknown, missing or ill-typed fields, each with its path:
    /// ```
    /// use stream_processor_core::PipelineSpec;
    /// let error = PipelineSpec::from_json(r#"{"stages": [{"type": "window", "sise": "1m"}]}"#).unwrap_err();
    /// assert_eq!(error.path(), "stages[0].sise");
    /// assert!(error.to_string().contains("did you mean `size`"));
    /// ```
    pub fn from_json(text: &str) -> Result<Self, SpecError> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| SpecError::new("", error.to_string()).at_line(error.line()))?;
        Self::from_value(value)
    }

    /// Reads a pipeline from JSON that is parsed already.
    ///
    /// # Errors
    /// As [`PipelineSpec::from_json`].
    pub fn from_value(value: Value) -> Result<Self, SpecError> {
        decode::pipeline(value)
    }

    /// Reads a pipeline from TOML text; errors know their line.
    ///
    /// # Errors
    /// Text that is not TOML, and all that [`PipelineSpec::from_json`] refuses.
    #[cfg(feature = "toml")]
    pub fn from_toml(text: &str) -> Result<Self, SpecError> {
        toml_text::pipeline(text)
    }

    /// The pipeline as TOML text that reads back the same.
    #[cfg(feature = "toml")]
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml_text::print(self)
    }

    /// The pipeline as JSON text that reads back the same.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The JSON Schema of a pipeline.
    #[cfg(feature = "schema")]
    #[must_use]
    pub fn json_schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}

impl<'de> Deserialize<'de> for PipelineSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
