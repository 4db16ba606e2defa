//! The counters of a whole run, as `--summary-json` writes them.

use std::collections::BTreeMap;

use serde::Serialize;
use stream_processor_core::time::write_rfc3339;

use super::tally::Tally;
use crate::counters::{Counters, PartitionCounters, StageCounters};
use crate::module;

/// What a run has seen and done.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Lines of input that are events or should be: `events` and `rejected` together.
    pub lines: u64,
    /// Events that the source accepted.
    pub events: u64,
    /// Lines and events that were refused.
    pub rejected: u64,
    /// Events that came too late for every window of theirs.
    pub late_dropped: u64,
    /// Events that a limit kept out.
    pub limit_dropped: u64,
    /// Calls that a limit has ended: the run stops at the first.
    pub limit_refused: u64,
    /// Events that are in no row, because limits have taken what was kept of them.
    pub evicted_events: u64,
    /// Events that were seen before.
    pub duplicates: u64,
    /// Events so late that `dedup` could not tell whether they were seen before: passed or dropped, as its `on_unjudged` says.
    pub unjudged: u64,
    /// Events too far ahead of the clock.
    pub future: u64,
    /// Events that no window covers.
    pub unassigned: u64,
    /// Rows that were made.
    pub rows: u64,
    /// Why lines and events were refused; only reasons that occurred.
    pub rejected_by_reason: BTreeMap<String, u64>,
    /// The limits that have struck.
    pub limits_struck: Vec<String>,
    /// The stages in order.
    pub stages: Vec<StageCounters>,
    /// How far each partition of the source has come, in the order of their names; where one time says it all, none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<PartitionSummary>,
    /// Whether all input was read and every window has fired.
    pub complete: bool,
    /// Bytes of input, as stored.
    pub input_bytes: u64,
    /// Shards that the keys were split over.
    pub shards: usize,
    /// Wall-clock time, seconds.
    pub elapsed_seconds: f64,
    /// The module that did it.
    pub module_sha256: &'static str,
}

/// How far one partition of the source has come. Times are RFC 3339.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PartitionSummary {
    /// Its name, as the field of `source.partition` has it; `None`: the pipeline names no such field.
    pub partition: Option<String>,
    /// The greatest time of its events.
    pub greatest_time: Option<String>,
    /// Its own watermark.
    pub watermark: Option<String>,
    /// Whether it was silent for `time.idle_timeout`, so that nobody waits for it.
    pub idle: bool,
    /// Whether the stream's watermark waits for it.
    pub holds_back: bool,
}

impl PartitionSummary {
    fn new(of: PartitionCounters) -> Self {
        let shown = |time: i64| {
            let mut text = Vec::new();
            write_rfc3339(time, &mut text);
            String::from_utf8(text).unwrap_or_default()
        };
        Self {
            partition: of.partition,
            greatest_time: of.greatest_time.map(shown),
            watermark: of.watermark.map(shown),
            idle: of.idle,
            holds_back: of.holds_back,
        }
    }
}

impl Summary {
    pub(super) fn new(tally: &Tally, counters: Counters) -> Self {
        let mut rejected_by_reason: BTreeMap<String, u64> = tally
            .refused_by_reason()
            .map(|(reason, count)| (reason.name().into(), count))
            .collect();
        for counted in counters.rejected_by_reason {
            *rejected_by_reason.entry(counted.reason).or_default() += counted.count;
        }
        Self {
            lines: tally.accepted() + tally.refused(),
            events: match counters.limit_refused {
                0 => tally.accepted().saturating_sub(counters.rejected),
                // Lines behind the end were read for nothing.
                _ => counters.events,
            },
            rejected: tally.refused() + counters.rejected,
            late_dropped: counters.late_dropped,
            limit_dropped: counters.limit_dropped,
            limit_refused: counters.limit_refused,
            evicted_events: counters.evicted_events,
            duplicates: counters.duplicates,
            unjudged: counters.unjudged,
            future: counters.future,
            unassigned: counters.unassigned,
            rows: counters.rows,
            rejected_by_reason,
            limits_struck: counters.limits_struck,
            stages: counters.stages,
            partitions: counters.partitions.into_iter().map(PartitionSummary::new).collect(),
            input_bytes: tally.bytes(),
            module_sha256: module::SHA256,
            ..Self::default()
        }
    }

    /// Events for each second of wall-clock time.
    #[must_use]
    pub fn events_per_second(&self) -> f64 {
        self.events as f64 / self.elapsed_seconds.max(f64::MIN_POSITIVE)
    }
}
