//! The list of all kinds of stages, and what a stage says about its options.

use serde::Serialize;
use serde_json::Value;

use super::decode::table;
use super::dedup::Dedup;
use super::filter::Filter;
use super::key_by::KeyBy;
use super::limits::Limits;
use super::map::Map;
use super::normalize::Normalize;
use super::statistics::{Ema, Rolling, ZScore};
use super::strategy::Strategy;
use super::window::Window;
use super::{SpecError, expected};
use crate::plan::PlanStage;

/// Defines [`Stage`] from the list of kinds: documentation, type of the options, name.
macro_rules! stages {
    ($($(#[$doc:meta])* $kind:ident = $name:tt,)*) => {
        /// `[[stages]]`: one processing step of a pipeline.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(tag = "type")]
        #[non_exhaustive]
        pub enum Stage {
            $($(#[$doc])* #[serde(rename = $name)] $kind($kind),)*
        }

        impl Stage {
            /// The names of all kinds.
            pub(crate) const NAMES: &[&'static str] = &[$($name),*];

            /// Returns the options of the stage.
            #[inline]
            pub(crate) fn options(&self) -> &dyn StageOptions {
                match self {
                    $(Self::$kind(options) => options,)*
                }
            }

            /// Decodes the options of the stage at `path`, of the kind `name`.
            #[inline]
            fn decode_kind(name: &str, path: &str, options: &Value) -> Result<Self, SpecError> {
                match name {
                    $($name => table(path, options).map(Self::$kind),)*
                    _ => {
                        let message = format!("unknown stage type `{name}`, {}", expected(name, Self::NAMES));
                        Err(SpecError::new(format!("{path}.type"), message))
                    }
                }
            }
        }
    };
}

stages! {
    /// Aggregates the events of each key and window into one row.
    Window = "window",
    /// Passes events that satisfy conditions.
    Filter = "filter",
    /// Drops duplicate events.
    Dedup = "dedup",
    /// Computes columns from other columns.
    Map = "map",
    /// Turns irregular samples into values at regular times.
    Normalize = "normalize",
    /// Adds an exponential moving average.
    Ema = "ema",
    /// Adds aggregations of the last values.
    Rolling = "rolling",
    /// Adds z-scores, and whether values are anomalies.
    ZScore = "zscore",
    /// Groups events by other fields.
    KeyBy = "key_by",
}

impl Stage {
    /// Decodes the stage at `path` from its table.
    #[inline]
    pub(super) fn decode(path: &str, value: Value) -> Result<Self, SpecError> {
        let Value::Object(mut options) = value else {
            return Err(SpecError::new(path, "expected a table with the `type` of the stage"));
        };
        let name = match options.remove("type") {
            Some(Value::String(name)) => name,
            Some(_) => {
                return Err(SpecError::new(format!("{path}.type"), "expected a name in quotes"));
            }
            None => {
                let message = format!("missing: {}", expected("", Self::NAMES));
                return Err(SpecError::new(format!("{path}.type"), message));
            }
        };
        let stage = Self::decode_kind(&name, path, &Value::Object(options))?;
        stage.options().check(path)?;
        Ok(stage)
    }

    /// Returns true if the stage emits rows of its own, with none of the columns of its input.
    #[must_use]
    #[inline]
    pub fn emits_rows(&self) -> bool {
        self.options().output() == StageOutput::Rows
    }
}

/// Properties of a stage that follow from its options, before names are resolved.
pub(crate) trait StageOptions: PlanStage {
    /// Returns what the stage emits.
    fn output(&self) -> StageOutput;

    /// Returns what the stage keeps between events.
    fn state(&self) -> StageState;

    /// Returns the input fields that the stage reads by name, and their types. Fields of `key` that
    /// it reads as part of the key are left out.
    #[inline]
    fn fields(&self, _key: &[String]) -> Vec<(String, ReadAs)> {
        Vec::new()
    }

    /// Returns the columns that the stage adds to those of its input. `default` is the field that
    /// is used if none is named.
    #[inline]
    fn added_columns(&self, _default: Option<&str>) -> Vec<String> {
        Vec::new()
    }

    /// Returns the fields of the new key, for a stage that changes the key.
    #[inline]
    fn new_key(&self) -> Option<&[String]> {
        None
    }

    /// Returns the strategies of the identities that the stage reads, if any.
    #[inline]
    fn strategies(&self) -> Option<&[Strategy]> {
        None
    }

    /// Returns true if the results of the stage depend on event time.
    fn uses_event_time(&self) -> bool {
        true
    }

    /// Returns true if results depend on the host's time.
    #[inline]
    fn uses_host_clock(&self) -> bool {
        false
    }

    /// Checks, before names are resolved, that the options fit together.
    #[inline]
    fn check(&self, _path: &str) -> Result<(), SpecError> {
        Ok(())
    }

    /// Returns the name and value of a limit that results depend on: engines that exchange state
    /// must agree on it.
    #[inline]
    fn identity_limit(&self, _limits: &Limits) -> Option<(&'static str, u32)> {
        None
    }

    /// Returns true if the size of the state, and therefore results, follow from
    /// `limits.max_state_bytes` under every policy.
    #[inline]
    fn sizes_state_by_bytes(&self) -> bool {
        false
    }

    /// Returns an option whose value is valid but may have an unintended effect, and that effect.
    #[inline]
    fn warning(&self, _is_last: bool) -> Option<(&'static str, String)> {
        None
    }
}

/// The output of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StageOutput {
    /// Events of its input, unchanged.
    SameEvents,
    /// The events of its input, with changed or added columns, or with another key.
    ChangedEvents,
    /// Rows of its own, with none of the columns of its input.
    Rows,
}

/// The state that a stage keeps between events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StageState {
    /// Nothing.
    None,
    /// State of the stream, whatever the keys of its events are.
    OfStream,
    /// State of each key.
    ByKey,
}

/// The type that a stage reads a field as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadAs {
    /// A number.
    Number,
    /// A text, a number, true or false; used only for equality.
    Text,
    /// Any type.
    Any,
}

impl ReadAs {
    /// Returns `names`, each read as a number.
    #[inline]
    pub(super) fn numbers(names: impl IntoIterator<Item = String>) -> Vec<(String, Self)> {
        names.into_iter().map(|name| (name, Self::Number)).collect()
    }
}
