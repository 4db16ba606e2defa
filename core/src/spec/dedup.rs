//! `type = "dedup"`.

use serde::{Deserialize, Serialize};

use super::duration::Duration;
use super::strategy::Strategy;

/// `type = "dedup"`: an event passes unless one of its identity has passed before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Dedup {
    /// How to tell an event's identity: the first one that the event has the fields of counts. An event with none passes.
    pub strategies: Vec<Strategy>,
    /// How long an identity is remembered from when it was first seen; absent: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// By which time.
    #[serde(default)]
    pub clock: Clock,
    /// Whether a duplicate makes its identity's time begin anew.
    #[serde(default)]
    pub refresh: bool,
    /// What becomes of events that are a ttl behind the watermark, so that nobody knows whether they came before: `pass`
    /// unless set. For a ttl by event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unjudged: Option<OnUnjudged>,
    /// How identities are remembered.
    #[serde(default)]
    pub mode: DedupMode,
    /// `exact`: identities that are remembered, 10,000,000 unless set; with one more, the oldest is forgotten and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_entries: Option<u32>,
    /// `bloom`: identities within a ttl that it is made for, 1,000,000 unless set; with more, the oldest are forgotten and
    /// counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// `bloom`: the share of new events that may be taken for duplicates, 0.01 unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_positive_rate: Option<f64>,
    /// `bloom`: into how many parts the ttl is cut, 4 unless set; an identity is remembered for up to one part more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generations: Option<u32>,
}

/// The time by which identities are forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Clock {
    /// That of the events and their watermark.
    #[default]
    Event,
    /// That of the host as of its last tick.
    Arrival,
}

/// What becomes of events that came too late to be judged.
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

/// How identities are remembered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DedupMode {
    /// One by one: at most 40 bytes each.
    #[default]
    Exact,
    /// In Bloom filters: a byte or two each, at the price of some new events that are taken for duplicates.
    Bloom,
}
