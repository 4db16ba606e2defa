//! The limits that an engine has reached, by name.

use super::stats::StageStats;
use crate::plan::Limit;

/// The counters of an engine that show which limits were reached.
pub(crate) struct LimitCounters<'a> {
    pub(crate) stages: &'a [StageStats],
    /// The number of calls that each [`Limit`] has ended.
    pub(crate) refusals: [u64; 3],
    /// True if events were rejected at the limit of partitions.
    pub(crate) rejects_partitions: bool,
}

/// Returns true if a limit was reached.
type IsStruck = fn(&LimitCounters<'_>) -> bool;

/// Each name in [`Stats::limits_struck`](super::stats::Stats::limits_struck), in the order of that
/// list, and the test whether the limit was reached.
const LIMITS: [(&str, IsStruck); 9] = [
    ("key_limit", |counters| counters.has_struck(Limit::Keys)),
    ("window_limit", |counters| counters.has_struck(Limit::Windows)),
    ("state_limit", |counters| counters.has_struck(Limit::Bytes)),
    ("partition_limit", |counters| counters.rejects_partitions),
    ("value_limit", |counters| counters.any(|stage| stage.value_limit)),
    ("revision_limit", |counters| counters.any(|stage| stage.revision_limit)),
    ("entry_limit", |counters| counters.any(|stage| stage.evicted)),
    ("fill_limit", |counters| counters.any(|stage| stage.fill_limit)),
    ("buffer_limit", |counters| counters.any(|stage| stage.buffer_limit)),
];

/// Returns the names of all limits.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    LIMITS.iter().map(|(name, _)| *name)
}

impl LimitCounters<'_> {
    /// Returns the names of the limits that were reached.
    pub(crate) fn struck(&self) -> Vec<&'static str> {
        let struck = LIMITS.iter().filter(|(_, is_struck)| is_struck(self));
        struck.map(|(name, _)| *name).collect()
    }

    fn has_struck(&self, limit: Limit) -> bool {
        self.stages.iter().any(|stage| stage.has_struck(limit))
            || self.refusals.get(limit as usize).is_some_and(|times| *times > 0)
    }

    fn any(&self, counter: fn(&StageStats) -> u64) -> bool {
        self.stages.iter().any(|stage| counter(stage) > 0)
    }
}
