//! The stages of a pipeline: the enum of all kinds, and the window stage.

use serde::{Deserialize, Serialize};

use super::aggregation::{Aggregation, Operation};
use super::dedup::Dedup;
use super::duration::Duration;
use super::fields::{Field, Named};
use super::filter::Filter;
use super::key_by::KeyBy;
use super::map::Map;
use super::normalize::Normalize;
use super::statistics::{Ema, Rolling, ZScore};

/// `[[stages]]`: one processing step of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Stage {
    /// Aggregates the events of each key and window into one row.
    Window(Window),
    /// Groups events by other fields.
    #[serde(rename = "key_by")]
    KeyBy(KeyBy),
    /// Passes events that satisfy conditions.
    Filter(Filter),
    /// Drops duplicate events.
    Dedup(Dedup),
    /// Turns irregular samples into values at regular times.
    Normalize(Normalize),
    /// Adds an exponential moving average.
    Ema(Ema),
    /// Adds aggregations of the last values.
    Rolling(Rolling),
    /// Adds z-scores, and whether values are anomalies.
    ZScore(ZScore),
    /// Computes columns from other columns.
    Map(Map),
}

impl Stage {
    /// Returns the input fields that the stage reads by name, other than those of `key`, and their
    /// types.
    pub(crate) fn fields(&self, key: &[String]) -> Vec<(String, ReadAs)> {
        let numbers = |names: Vec<String>| -> Vec<(String, ReadAs)> {
            names.into_iter().map(|name| (name, ReadAs::Number)).collect()
        };
        match self {
            Self::Window(window) => {
                let own = |one: &Aggregation| {
                    let field = one.field.clone().or(window.field.clone())?;
                    Some((field, ReadAs::of_operation(one.op)))
                };
                window.aggregations.iter().filter_map(own).collect()
            }
            Self::KeyBy(_) | Self::Dedup(_) => Vec::new(),
            Self::Filter(filter) => {
                let fields = filter.fields().into_iter();
                fields.filter(|(field, _)| !key.contains(field)).collect()
            }
            Self::Normalize(normalize) => {
                numbers(normalize.fields.iter().map(|field| field.name.clone()).collect())
            }
            Self::Ema(ema) => numbers(named(ema.field.as_ref(), &ema.fields)),
            Self::ZScore(zscore) => numbers(named(zscore.field.as_ref(), &zscore.fields)),
            Self::Rolling(rolling) => numbers(rolling.reads().map(String::from).collect()),
            Self::Map(map) => numbers(map.fields()),
        }
    }

    /// Returns the columns that the stage adds to those of its input. `default` is the field that
    /// is used if none is named.
    pub(crate) fn adds(&self, default: Option<&str>) -> Vec<String> {
        match self {
            Self::Ema(ema) => ema.columns(),
            Self::Rolling(rolling) => rolling.columns(default),
            Self::ZScore(zscore) => zscore.columns(),
            Self::Window(_)
            | Self::Filter(_)
            | Self::Dedup(_)
            | Self::KeyBy(_)
            | Self::Normalize(_) => Vec::new(),
            Self::Map(map) => map.set.iter().map(|assignment| assignment.name.clone()).collect(),
        }
    }

    /// Returns true if the stage emits none of the columns of its input.
    pub(crate) fn replaces_columns(&self) -> bool {
        matches!(self, Self::Window(_) | Self::Normalize(_))
    }

    /// Returns true if the stage keeps state for each key.
    pub(crate) fn groups_by_key(&self) -> bool {
        !matches!(self, Self::Filter(_) | Self::Dedup(_) | Self::Map(_) | Self::KeyBy(_))
    }

    /// Returns true if the stage only passes or drops events, without changing them.
    pub(crate) fn passes_events(&self) -> bool {
        matches!(self, Self::Filter(_) | Self::Dedup(_))
    }
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
    fn of_operation(op: Operation) -> Self {
        match op {
            Operation::Distinct => Self::Text,
            Operation::Count | Operation::Rate => Self::Any,
            _ => Self::Number,
        }
    }
}

/// Returns the fields of a stage that names one or several.
fn named<T: Named>(field: Option<&String>, fields: &[Field<T>]) -> Vec<String> {
    field.cloned().into_iter().chain(fields.iter().map(|field| field.name().to_owned())).collect()
}

/// `type = "window"`: aggregates the events of each key and window into one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The rule that assigns events to windows.
    pub window: WindowKind,
    /// The length of tumbling, sliding and cumulating windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Duration>,
    /// The distance between the starts of sliding windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slide: Option<Duration>,
    /// For sessions: the longest time between two events of one session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Duration>,
    /// For cumulating windows: how much longer each one is than the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Duration>,
    /// For count windows: the number of events in a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// For calendar windows: the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<CalendarUnit>,
    /// For calendar windows: an offset from UTC, as in `"+05:30"`, or the name of a time zone with
    /// `zone_offsets`; default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The offset changes of `zone`: pairs of the time of a change (seconds since the epoch) and
    /// the new offset (seconds ahead of UTC). The first also applies to all earlier times. The last
    /// applies forever, unless `zone_offsets_until` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_offsets: Option<Vec<(i64, i64)>>,
    /// The time up to which `zone_offsets` is complete, in seconds since the epoch. After it, the
    /// offsets of the preceding 400 years repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_offsets_until: Option<i64>,
    /// The start of a window, relative to the epoch.
    #[serde(default)]
    pub offset: Duration,
    /// The field of aggregations that name none; default: the default value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The aggregations in each row.
    pub aggregations: Vec<Aggregation>,
    /// Time after its end during which a window still accepts events.
    #[serde(default, skip_serializing_if = "Duration::is_zero")]
    pub allowed_lateness: Duration,
    /// Time of emission: when the window ends, with later corrections, or once when rows are
    /// final.
    #[serde(default, skip_serializing_if = "Emit::is_default")]
    pub emit: Emit,
    /// The interval of early rows: how often a window that has changed emits a row before its end,
    /// counted from its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<Duration>,
}

/// When a window emits its rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Emit {
    /// At the end of the window. Each allowed late event emits a corrected row at once.
    #[default]
    Close,
    /// Once, when the window accepts no more events. A window before another stage always does
    /// this.
    Final,
}

impl Emit {
    fn is_default(&self) -> bool {
        *self == Self::Close
    }
}

/// The rule that assigns events to windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WindowKind {
    /// Consecutive windows of one size.
    Tumbling,
    /// Windows of one size that start every `slide`. An event belongs to all that contain it, or to
    /// none if they leave gaps.
    Sliding,
    /// Windows of events at most `gap` apart, from the first event to `gap` after the last.
    Session,
    /// Windows with the same start, each `step` longer than the one before, up to `size`; then the
    /// next start.
    Cumulate,
    /// Windows of `count` events in arrival order.
    Count,
    /// One window of all events, until the end of input.
    Global,
    /// Days, weeks or months of a time zone.
    Calendar,
}

/// The unit of calendar windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CalendarUnit {
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From the first of a month to the first of the next.
    Month,
}
