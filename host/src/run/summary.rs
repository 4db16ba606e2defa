//! The summary of a run: its counters, as `--summary-json` writes them.

use std::collections::BTreeMap;

use serde::Serialize;
use stream_processor_core::time::write_rfc3339;

use super::progress::Tally;
use crate::module;
use crate::module::counters::{Counters, PartitionCounters, StageCounters};

/// Counters of a whole run, summed over its shards.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Input lines that should be events: the sum of `events` and `rejected`.
    pub lines: u64,
    /// Events that the source accepted.
    pub events: u64,
    /// Lines and events that were refused before any stage.
    pub rejected: u64,
    /// Events that were late for every window they belong to.
    pub late_dropped: u64,
    /// Events that were dropped at a limit.
    pub limit_dropped: u64,
    /// Calls that a limit with the policy `refuse` ended. The run stops at the first.
    pub limit_refused: u64,
    /// Events whose state was evicted at a limit before their windows fired.
    pub evicted_events: u64,
    /// Events that `dedup` found to be duplicates.
    pub duplicates: u64,
    /// Events that are too late for `dedup` to find their duplicates. `on_unjudged` passes or drops
    /// them.
    pub unjudged: u64,
    /// Events further ahead of the time of day than `time.max_future_skew`.
    pub future: u64,
    /// Events that belong to no window.
    pub unassigned: u64,
    /// Rows that the last stage emitted.
    pub rows: u64,
    /// Refused lines and events by reason. Contains only reasons that occurred.
    pub rejected_by_reason: BTreeMap<String, u64>,
    /// The limits that were reached.
    pub limits_struck: Vec<String>,
    /// The counters of each stage, in order.
    pub stages: Vec<StageCounters>,
    /// The progress of each partition of the source, in the order of their names. Empty if the
    /// stream has a single watermark.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<PartitionSummary>,
    /// True if all input was read and every window fired.
    pub complete: bool,
    /// Bytes of input, before decompression.
    pub input_bytes: u64,
    /// The number of shards that the keys were split over.
    pub shards: usize,
    /// Wall-clock time of the run, in seconds.
    pub elapsed_seconds: f64,
    /// The SHA-256 of the module, in hexadecimal digits.
    pub module_sha256: &'static str,
}

/// The progress of one partition of the source. Times are RFC 3339.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PartitionSummary {
    /// The value of the field `source.partition`, or `None` if the pipeline names no such field.
    pub partition: Option<String>,
    /// The greatest event time of the partition.
    pub greatest_time: Option<String>,
    /// The watermark of the partition.
    pub watermark: Option<String>,
    /// True if the partition had no events for `time.idle_timeout`, so that it no longer holds back
    /// the watermark of the stream.
    pub idle: bool,
    /// True if the partition holds back the watermark of the stream.
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
    /// Combines the parser's counts with the counters of the engines.
    pub(crate) fn new(tally: &Tally, counters: Counters) -> Self {
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
                // The parser reads ahead; events behind the refused one were not processed.
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

    /// Returns the events per second of wall-clock time.
    #[must_use]
    pub fn events_per_second(&self) -> f64 {
        self.events as f64 / self.elapsed_seconds.max(f64::MIN_POSITIVE)
    }
}
