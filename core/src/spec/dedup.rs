//! The `dedup` stage.

use serde::{Deserialize, Serialize};

#[cfg(feature = "shared-dedup")]
use super::SpecError;
use super::duration::Duration;
use super::shared::SharedStore;
use super::stages::{StageOptions, StageOutput, StageState};
use super::strategy::Strategy;

/// `type = "dedup"`: drops events whose identity has been seen before.
/// ```
/// use stream_processor_core::spec::{Dedup, DedupMode};
/// let options: Dedup = serde_json::from_str(r#"{"strategies": ["event_id"], "ttl": "1h"}"#)?;
/// assert_eq!((options.mode, options.strategies.len()), (DedupMode::Exact, 1));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Dedup {
    /// Identification of an event: by the first strategy whose fields the event has. Events without
    /// an identity pass. A list, or a text in which `|` separates strategies.
    #[serde(deserialize_with = "super::strategy::list")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::strategy::list_schema"))]
    pub strategies: Vec<Strategy>,
    /// Time for which an identity is remembered after it was first seen; default: forever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// The clock that `ttl` refers to.
    #[serde(default)]
    pub clock: Clock,
    /// If true, a duplicate restarts the `ttl` of its identity.
    #[serde(default)]
    pub refresh: bool,
    /// Treatment of events that are more than a `ttl` behind the watermark and can no longer be
    /// judged; default: `pass`. Requires a `ttl` in event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unjudged: Option<OnUnjudged>,
    /// Storage of identities.
    #[serde(default)]
    pub mode: DedupMode,
    /// For `exact`: the maximum number of stored identities; default: 10,000,000. Beyond it, the
    /// oldest is forgotten and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_entries: Option<u32>,
    /// For `bloom`: the expected number of identities within a `ttl`; default: 1,000,000. Beyond
    /// it, the oldest are forgotten and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// For `bloom`: the share of new events that may be mistaken for duplicates; default: 0.01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_positive_rate: Option<f64>,
    /// For `bloom`: the number of parts that the `ttl` is divided into; default: 4. An identity is
    /// remembered for up to one part longer than the `ttl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generations: Option<u32>,
    /// A store of identities that several processes share, for the first stage of the program
    /// `stream-processor`, with `clock = "arrival"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(all(feature = "schema", not(feature = "shared-dedup")), schemars(skip))]
    pub shared: Option<SharedStore>,
}

impl StageOptions for Dedup {
    #[inline]
    fn output(&self) -> StageOutput {
        StageOutput::SameEvents
    }

    #[inline]
    fn state(&self) -> StageState {
        StageState::OfStream
    }

    #[inline]
    fn strategies(&self) -> Option<&[Strategy]> {
        Some(&self.strategies)
    }

    #[inline]
    fn uses_host_clock(&self) -> bool {
        self.clock == Clock::Arrival
    }

    fn uses_event_time(&self) -> bool {
        self.ttl.is_some() && self.clock == Clock::Event
    }

    #[inline]
    fn sizes_state_by_bytes(&self) -> bool {
        true
    }

    #[cfg(feature = "shared-dedup")]
    fn check(&self, path: &str) -> Result<(), SpecError> {
        match &self.shared {
            Some(shared) => self.check_shared(shared, path),
            None => Ok(()),
        }
    }

    #[cfg(feature = "shared-dedup")]
    fn warning(&self, _is_last: bool) -> Option<(&'static str, String)> {
        let keeps_all = self.shared.is_some() && self.ttl.is_none();
        let message =
            "unset: identities stay in the shared store for ever, which grows without limit";
        keeps_all.then(|| ("ttl", message.to_owned()))
    }
}

#[cfg(feature = "shared-dedup")]
impl Dedup {
    /// Checks that the options fit a shared store.
    fn check_shared(&self, shared: &SharedStore, path: &str) -> Result<(), SpecError> {
        let error =
            |field: &str, message: &str| Err(SpecError::new(format!("{path}.{field}"), message));
        if self.clock == Clock::Event {
            let message = "a shared store forgets identities by the clock of the host, as processes \
                           have no watermark in common: set clock = \"arrival\"";
            return error("clock", message);
        }
        if self.mode != DedupMode::Exact {
            return error("mode", "a shared store is exact: remove `mode`");
        }
        let unsupported = [
            ("refresh", self.refresh, "a shared store keeps the first time of an identity"),
            ("max_entries", self.max_entries.is_some(), "the shared store has its own limits"),
        ];
        for (field, is_set, reason) in unsupported {
            if is_set {
                return error(field, &format!("{reason}: remove `{field}`"));
            }
        }
        shared.check(&format!("{path}.shared"))
    }
}

/// The clock by which identities expire.
/// ```
/// use stream_processor_core::spec::Clock;
/// assert_eq!(serde_json::from_str::<Clock>(r#""arrival""#)?, Clock::Arrival);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Clock {
    /// Event time: the watermark.
    #[default]
    Event,
    /// Host time: the time of the last tick.
    Arrival,
}

/// Treatment of events that arrive too late to be judged.
/// ```
/// use stream_processor_core::spec::OnUnjudged;
/// assert_eq!(serde_json::from_str::<OnUnjudged>(r#""drop""#)?, OnUnjudged::Drop);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OnUnjudged {
    /// They pass, and are counted.
    #[default]
    Pass,
    /// They are dropped with the reason `unjudged`.
    Drop,
}

/// Storage of identities.
/// ```
/// use stream_processor_core::spec::DedupMode;
/// assert_eq!(serde_json::from_str::<DedupMode>(r#""bloom""#)?, DedupMode::Bloom);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DedupMode {
    /// Individually, with at most 40 bytes each.
    #[default]
    Exact,
    /// In Bloom filters, with one or two bytes each; some new events are mistaken for duplicates.
    Bloom,
}
