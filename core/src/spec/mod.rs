//! The pipeline description: one serde type for Rust, JavaScript, the command line and the web
//! page.
//!
//! [`PipelineSpec`] has a section for each TOML table: `sections` defines `[source]` and `[sink]`,
//! `event_time` `[time]`, `limits` `[limits]`. `stages` lists the kinds of `[[stages]]`, each of
//! which has a file with its options. `decode` and `toml_text` read and write the two text
//! forms, `value_reader` reads parsed JSON, and `explain` rewords the errors of serde. Names are
//! not resolved here: [`crate::Plan::new`] checks a description as a whole.

mod aggregation;
mod decode;
mod dedup;
mod duration;
mod event_time;
mod explain;
mod fields;
mod filter;
mod key_by;
mod kinds;
mod limits;
mod map;
mod normalize;
mod percentile;
mod sections;
mod shared;
pub(crate) mod stages;
mod statistics;
mod strategy;
#[cfg(feature = "toml")]
mod toml_text;
mod value_reader;
mod warnings;
mod window;

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
pub use limits::{LimitPolicy, Limits, MAX_COLUMNS, MAX_DESCRIPTION_BYTES, MAX_STAGES};
pub use map::{Assignment, Map};
pub(crate) use normalize::FillNeeds;
pub use normalize::{
    Align, Basis, Fill, Interval, MAX_DEGREE, Normalize, NormalizeField, OutlierAction, Outliers,
    Reduce,
};
pub use percentile::{Percentile, PercentileEngine, PercentileError};
pub use sections::{
    Delimiter, Format, Names, OnNullKey, OutputPath, Require, Sink, SinkType, Source, SourceType,
};
pub(crate) use shared::ONLY_THE_PROGRAM;
pub use shared::SharedStore;
#[cfg(feature = "shared-dedup")]
pub use shared::{OnUnavailable, StoreType};
pub use stages::Stage;
pub(crate) use stages::{ReadAs, StageOutput, StageState};
pub use statistics::{Ema, HalfLife, Rolling, ZScore, ZScoreMethod};
pub use strategy::Strategy;
pub use window::{CalendarUnit, Emit, Window, WindowKind};

/// A pipeline: where events come from, how they are processed, and where rows go.
///
/// The engine reads `source` (field names only), `time`, `stages` and `limits`. Everything else is
/// for the host.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct PipelineSpec {
    /// The source of events, and the fields that are used.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub source: Source,
    /// Progress of event time.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub time: Time,
    /// The processing steps, in order.
    pub stages: Vec<Stage>,
    /// The sink of rows.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub sink: Sink,
    /// The file of late events; default: they are dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late: Option<OutputPath>,
    /// The file of rejected events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<OutputPath>,
    /// The limits of the engine.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub limits: Limits,
}

impl PipelineSpec {
    /// Parses a pipeline from JSON.
    ///
    /// # Errors
    /// Returns an error with its path for invalid JSON, and for unknown, missing or mistyped
    /// fields:
    /// ```
    /// use stream_processor_core::PipelineSpec;
    /// let error = PipelineSpec::from_json(r#"{"stages": [{"type": "window", "sise": "1m"}]}"#).unwrap_err();
    /// assert_eq!(error.path(), "stages[0].sise");
    /// assert!(error.to_string().contains("did you mean `size`"));
    /// ```
    #[inline]
    pub fn from_json(text: &str) -> Result<Self, SpecError> {
        Self::from_value(Self::value_of_json(text)?)
    }

    /// Parses JSON to a value, for [`PipelineSpec::from_value`].
    ///
    /// # Errors
    /// Returns an error for invalid JSON.
    pub fn value_of_json(text: &str) -> Result<Value, SpecError> {
        serde_json::from_slice(text.as_bytes()).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let message = error.to_string();
            let problem = message.split(" at line ").next().unwrap_or_default();
            let message = format!("invalid JSON at column {column}: {problem}");
            SpecError::new("", message).at_line(line)
        })
    }

    /// Decodes a pipeline from a JSON value.
    ///
    /// # Errors
    /// As [`PipelineSpec::from_json`].
    #[inline]
    pub fn from_value(value: Value) -> Result<Self, SpecError> {
        decode::pipeline(value)
    }

    /// Parses a pipeline from TOML. Errors contain the line.
    ///
    /// # Errors
    /// Returns an error for invalid TOML, and as [`PipelineSpec::from_json`].
    #[cfg(feature = "toml")]
    pub fn from_toml(text: &str) -> Result<Self, SpecError> {
        toml_text::pipeline(text)
    }

    /// Parses TOML to a JSON value, for [`PipelineSpec::from_value`].
    ///
    /// # Errors
    /// Returns an error for invalid TOML.
    #[cfg(feature = "toml")]
    pub fn value_of_toml(text: &str) -> Result<Value, SpecError> {
        toml_text::value(text)
    }

    /// Returns the pipeline as TOML. Parsing it gives an equal pipeline.
    #[cfg(feature = "toml")]
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml_text::print(self)
    }

    /// Returns the pipeline as JSON. Parsing it gives an equal pipeline.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns the JSON Schema of a pipeline.
    #[cfg(feature = "schema")]
    #[must_use]
    pub fn json_schema() -> Value {
        let mut schema = schemars::schema_for!(Self).to_value();
        remove_examples(&mut schema);
        schema
    }
}

/// Cuts the examples in Rust off the descriptions of `schema`, which are doc comments.
#[cfg(feature = "schema")]
fn remove_examples(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name == "description" => {
                        if let Some(example) = text.find("```") {
                            text.truncate(example);
                            text.truncate(text.trim_end().len());
                        }
                    }
                    value => remove_examples(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(remove_examples),
        _ => {}
    }
}

impl<'de> Deserialize<'de> for PipelineSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
