//! `[time]`: how event time moves.

use serde::{Deserialize, Serialize};

use super::duration::{Duration, OutOfOrderness};

/// `[time]`: how event time moves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Time {
    /// What moves the watermark.
    #[serde(skip_serializing_if = "is_default")]
    pub watermark: Watermark,
    /// How far behind the greatest event time an event may come; `unbounded` for finite sources in any order.
    pub max_out_of_orderness: OutOfOrderness,
    /// For `watermark = "periodic"`: how far event time must advance before the watermark moves again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark_interval: Option<Duration>,
    /// For `watermark = "punctuated"`: the field that marks events which move the watermark, by a number other than 0 or
    /// by true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark_field: Option<String>,
    /// The host time after which a silent partition no longer holds the others back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
    /// The host time without any event after which all windows fire that have an end in event time; count windows and global
    /// ones wait for the end of input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_after_idle: Option<Duration>,
    /// How far beyond the host's time an event may be; one further ahead does not move the watermark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_future_skew: Option<Duration>,
    /// What becomes of events beyond `max_future_skew`; they are dropped unless this says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub future: Option<Future>,
}

/// What moves the watermark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Watermark {
    /// Every event: it follows the greatest event time at the distance `max_out_of_orderness`.
    #[default]
    Bounded,
    /// Every event, of a source whose event times never go back.
    Ascending,
    /// As bounded, but only once event time has advanced by `watermark_interval` since it last moved.
    Periodic,
    /// Only the events that `watermark_field` marks.
    Punctuated,
    /// Only the host.
    Manual,
}

/// What becomes of events that are too far ahead of the host's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Future {
    /// They are dropped with the reason `future`.
    #[default]
    Drop,
    /// They are processed, but do not move the watermark.
    Keep,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
