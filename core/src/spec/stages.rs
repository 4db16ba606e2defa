//! The stages of a pipeline, one struct each.

use serde::{Deserialize, Serialize};

use super::aggregation::Aggregation;
use super::dedup::Dedup;
use super::duration::Duration;
use super::filter::Filter;

/// `[[stages]]`: one step of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Stage {
    /// Aggregates the events of each key and window into one row.
    Window(Window),
    /// Lets the events pass that meet conditions.
    Filter(Filter),
    /// Lets the events pass that have not come before.
    Dedup(Dedup),
}

impl Stage {
    /// The fields of its input that it reads by name, other than those of the `key`.
    pub(crate) fn fields<'a>(&'a self, key: &[String]) -> Vec<&'a str> {
        match self {
            Self::Window(window) => {
                let own = |one: &'a Aggregation| one.field.as_deref().or(window.field.as_deref());
                window.aggregations.iter().filter_map(own).collect()
            }
            Self::Dedup(_) => Vec::new(),
            Self::Filter(filter) => {
                let is_key = |field: &&str| key.iter().any(|key| key == field);
                filter.fields().into_iter().filter(|field| !is_key(field)).collect()
            }
        }
    }

    /// The columns that it adds to those of its input.
    pub(crate) fn adds(&self) -> Vec<String> {
        match self {
            Self::Window(_) | Self::Filter(_) | Self::Dedup(_) => Vec::new(),
        }
    }

    /// Whether its rows have none of the columns of its input.
    pub(crate) fn replaces_columns(&self) -> bool {
        matches!(self, Self::Window(_))
    }

    /// Whether it passes events on as they are, or drops them.
    pub(crate) fn passes_events(&self) -> bool {
        matches!(self, Self::Filter(_) | Self::Dedup(_))
    }
}

/// `type = "window"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// How events are assigned to windows.
    pub window: WindowKind,
    /// The length of a window.
    pub size: Duration,
    /// From the start of one sliding window to the start of the next; not for tumbling ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slide: Option<Duration>,
    /// Where windows start, relative to the epoch.
    #[serde(default)]
    pub offset: Duration,
    /// The field that is aggregated where an aggregation names none; absent: the default value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What each row says of its window.
    pub aggregations: Vec<Aggregation>,
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
}
