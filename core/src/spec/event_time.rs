//! `[time]`: progress of event time.

use serde::{Deserialize, Serialize};

use super::duration::{Duration, OutOfOrderness};

/// `[time]`: progress of event time.
/// ```
/// use stream_processor_core::spec::{Time, Watermark};
/// let options: Time = serde_json::from_str(r#"{"max_out_of_orderness": "5s", "idle_timeout": "1m"}"#)?;
/// assert_eq!(options.watermark, Watermark::Bounded);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Time {
    /// The rule by which the watermark advances.
    #[serde(skip_serializing_if = "is_default")]
    pub watermark: Watermark,
    /// Maximum distance behind the greatest event time at which an event is still on time;
    /// `unbounded` for finite sources in any order.
    pub max_out_of_orderness: OutOfOrderness,
    /// For `watermark = "periodic"`: how far event time must advance before the watermark advances
    /// again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark_interval: Option<Duration>,
    /// For `watermark = "punctuated"`: the field that marks events which advance the watermark, by
    /// a non-zero number or by true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark_field: Option<String>,
    /// Host time after which a silent partition no longer holds back the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
    /// Host time without any event after which all windows fire that have an end in event time.
    /// Count windows and global windows wait for the end of input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_after_idle: Option<Duration>,
    /// Maximum distance of an event ahead of the host's time. Events beyond that do not advance the
    /// watermark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_future_skew: Option<Duration>,
    /// Treatment of events beyond `max_future_skew`; default: `drop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub future: Option<Future>,
}

/// The rule by which the watermark advances.
/// ```
/// use stream_processor_core::spec::Watermark;
/// assert_eq!(serde_json::from_str::<Watermark>(r#""manual""#)?, Watermark::Manual);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Watermark {
    /// Every event: the watermark follows the greatest event time at the distance
    /// `max_out_of_orderness`.
    #[default]
    Bounded,
    /// Every event of a source whose event times never decrease.
    Ascending,
    /// As `bounded`, but only once event time has advanced by `watermark_interval` since the last
    /// advance.
    Periodic,
    /// Only events that `watermark_field` marks.
    Punctuated,
    /// Only the host.
    Manual,
}

/// Treatment of events that are too far ahead of the host's time.
/// ```
/// use stream_processor_core::spec::Future;
/// assert_eq!(serde_json::from_str::<Future>(r#""keep""#)?, Future::Keep);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Future {
    /// They are dropped with the reason `future`.
    #[default]
    Drop,
    /// They are processed, but do not advance the watermark.
    Keep,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
