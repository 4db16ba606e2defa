//! The stages of a pipeline, one struct each.

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

/// `[[stages]]`: one step of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Stage {
    /// Aggregates the events of each key and window into one row.
    Window(Window),
    /// Keeps events apart by other fields of their key.
    #[serde(rename = "key_by")]
    KeyBy(KeyBy),
    /// Lets the events pass that meet conditions.
    Filter(Filter),
    /// Lets the events pass that have not come before.
    Dedup(Dedup),
    /// Turns samples at any time into values at regular times.
    Normalize(Normalize),
    /// Adds an exponential moving average.
    Ema(Ema),
    /// Adds aggregations of the last values.
    Rolling(Rolling),
    /// Adds z-scores, and whether they are anomalies.
    ZScore(ZScore),
    /// Computes columns from others.
    Map(Map),
}

impl Stage {
    /// The fields of its input that it reads by name, other than those of the `key`, and as what.
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

    /// The columns that it adds to those of its input, of which `default` is the one that is meant where none is named.
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

    /// Whether its rows have none of the columns of its input.
    pub(crate) fn replaces_columns(&self) -> bool {
        matches!(self, Self::Window(_) | Self::Normalize(_))
    }

    /// Whether it keeps a state of each key.
    pub(crate) fn goes_by_key(&self) -> bool {
        !matches!(self, Self::Filter(_) | Self::Dedup(_) | Self::Map(_) | Self::KeyBy(_))
    }

    /// Whether it passes events on as they are, or drops them.
    pub(crate) fn passes_events(&self) -> bool {
        matches!(self, Self::Filter(_) | Self::Dedup(_))
    }
}

/// What a stage takes a field for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadAs {
    /// A number, and nothing else.
    Number,
    /// A text, a number, true or false: only whether two are the same counts.
    Text,
    /// Either.
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

/// The fields of a stage that names one, or several.
fn named<T: Named>(field: Option<&String>, fields: &[Field<T>]) -> Vec<String> {
    field.cloned().into_iter().chain(fields.iter().map(|field| field.name().to_owned())).collect()
}

/// `type = "window"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// How events are assigned to windows.
    pub window: WindowKind,
    /// The length of a window; for tumbling, sliding and cumulating ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Duration>,
    /// From the start of one sliding window to the start of the next; only for these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slide: Option<Duration>,
    /// The longest time between two events of one session; only for these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Duration>,
    /// How much longer each cumulating window is than the one before; only for these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Duration>,
    /// The events of a window of `window = "count"`; only for these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The unit of calendar windows; only for these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<CalendarUnit>,
    /// The offset from UTC that calendar windows go by, as in `"+05:30"`, or the name of a time zone with `zone_offsets`;
    /// absent: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The rules of `zone`: since when, in seconds since the epoch, how many seconds it is ahead of UTC. The first holds
    /// before that, too; the last holds for good, unless there is `zone_offsets_until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_offsets: Option<Vec<(i64, i64)>>,
    /// Until when `zone_offsets` has the rules, in seconds since the epoch: from then on, those of the 400 years before repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_offsets_until: Option<i64>,
    /// Where windows start, relative to the epoch.
    #[serde(default)]
    pub offset: Duration,
    /// The field that is aggregated where an aggregation names none; absent: the default value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What each row says of its window.
    pub aggregations: Vec<Aggregation>,
    /// How long after its end a window still takes events.
    #[serde(default, skip_serializing_if = "Duration::is_zero")]
    pub allowed_lateness: Duration,
    /// Whether rows come when their window ends, to be corrected by late events, or once and for all.
    #[serde(default, skip_serializing_if = "Emit::is_default")]
    pub emit: Emit,
    /// How often, from its start on, a window that has changed gives a row before it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<Duration>,
}

/// When the rows of a window come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Emit {
    /// At the end of the window; each late event that is still allowed gives the corrected row at once.
    #[default]
    Close,
    /// Once, when the window takes no more events. A window before another stage always does this.
    Final,
}

impl Emit {
    fn is_default(&self) -> bool {
        *self == Self::Close
    }
}

/// How events are assigned to windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WindowKind {
    /// Windows of one size, one after another.
    Tumbling,
    /// Windows of one size that start every `slide`: an event is in all that cover it, in none where they leave gaps.
    Sliding,
    /// Windows of events that follow one another within `gap`, each from its first event to `gap` after its last.
    Session,
    /// Windows with the same start, each `step` longer than the one before, up to `size`; then the next start.
    Cumulate,
    /// Windows of `count` events, in the order in which they come.
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
    /// From the first to the first.
    Month,
}
