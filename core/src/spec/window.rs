//! The `window` stage: aggregations over the events of each key and window.

use serde::{Deserialize, Serialize};

use super::aggregation::{Aggregation, Operation};
use super::duration::Duration;
use super::limits::Limits;
use super::percentile::PercentileEngine;
use super::stages::{ReadAs, StageOptions, StageOutput, StageState};
use super::{SpecError, check_options};
use crate::aggregates::{Input, definition};

/// `type = "window"`: aggregates the events of each key and window into one row.
/// ```
/// use stream_processor_core::spec::{Window, WindowKind};
/// let options: Window = serde_json::from_str(r#"{"window": "sliding", "size": "10m", "slide": "30s", "aggregations": ["avg"]}"#)?;
/// assert_eq!(options.window, WindowKind::Sliding);
/// # Ok::<(), serde_json::Error>(())
/// ```
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
    /// A secret text that the hash of `distinct` depends on, so that its estimates cannot be
    /// steered by the choice of values. Engines that exchange state need the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct_seed: Option<String>,
}

impl StageOptions for Window {
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
        let own = |one: &Aggregation| {
            let field = one.field.clone().or(self.field.clone())?;
            Some((field, ReadAs::of_operation(one.op)))
        };
        // Without aggregations, the program's own aggregators read the field.
        let field = self.field.iter().filter(|_| self.aggregations.is_empty());
        let field = field.map(|field| (field.clone(), ReadAs::Number));
        self.aggregations.iter().filter_map(own).chain(field).collect()
    }

    #[inline]
    fn check(&self, path: &str) -> Result<(), SpecError> {
        check_options(path, self)?;
        let Some(seed) = &self.distinct_seed else { return Ok(()) };
        let has_distinct = self.aggregations.iter().any(|one| one.op == Operation::Distinct);
        let message = match (seed.is_empty(), has_distinct) {
            (true, _) => "empty: choose a random text, such as 32 hexadecimal digits",
            (false, false) => "no aggregation is `distinct`: remove it",
            (false, true) => return Ok(()),
        };
        Err(SpecError::new(format!("{path}.distinct_seed"), message))
    }

    #[inline]
    fn identity_limit(&self, limits: &Limits) -> Option<(&'static str, u32)> {
        let is_exact = |one: &Aggregation| one.engine == Some(PercentileEngine::Exact);
        let keeps_values = self.aggregations.iter().any(is_exact);
        keeps_values.then_some(("max_values", limits.max_values))
    }
}

impl ReadAs {
    #[inline]
    fn of_operation(op: Operation) -> Self {
        match definition(op).input {
            Input::Numbers => Self::Number,
            Input::Values => Self::Text,
            Input::ValuesOrEvents => Self::Any,
        }
    }
}

/// The times at which a window emits its rows.
/// ```
/// use stream_processor_core::spec::Emit;
/// assert_eq!(serde_json::from_str::<Emit>(r#""final""#)?, Emit::Final);
/// # Ok::<(), serde_json::Error>(())
/// ```
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
    #[inline]
    fn is_default(&self) -> bool {
        *self == Self::Close
    }
}

/// The rule that assigns events to windows.
/// ```
/// use stream_processor_core::spec::WindowKind;
/// assert_eq!(serde_json::from_str::<WindowKind>(r#""session""#)?, WindowKind::Session);
/// # Ok::<(), serde_json::Error>(())
/// ```
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
/// ```
/// use stream_processor_core::spec::CalendarUnit;
/// assert_eq!(serde_json::from_str::<CalendarUnit>(r#""month""#)?, CalendarUnit::Month);
/// # Ok::<(), serde_json::Error>(())
/// ```
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
