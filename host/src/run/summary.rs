//! The summary of a run: its counters, as `--summary-json` writes them.

use std::collections::BTreeMap;

use serde::Serialize;
use stream_processor_core::spec::Duration;
use stream_processor_core::time::write_rfc3339;
use stream_processor_core::{PartitionStats, PipelineSpec, StageStats, Stats};

use super::progress::RunProgress;
use crate::module;

/// Counters of a whole run, summed over its shards.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Input lines that should be events: the sum of `events`, `rejected` and `skipped`.
    pub lines: u64,
    /// Events that the source accepted.
    pub events: u64,
    /// Lines and events that were refused before any stage.
    pub rejected: u64,
    /// Lines that lack a key or a value, and that the filters in front removed.
    #[serde(skip_serializing_if = "is_zero")]
    pub skipped: u64,
    /// Events that were late for every window they belong to.
    pub late_dropped: u64,
    /// The furthest that an event came behind the greatest event time before it, over all keys, as
    /// text such as `1m30s`: with `time.max_out_of_orderness` of this size, no event of the source
    /// is late. `None` with `source.partition` or `time.max_future_skew`.
    pub max_behind: Option<Duration>,
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
    /// Events that passed unchecked, because the shared store of `dedup` was unavailable.
    pub unchecked: u64,
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
    pub stages: Vec<StageStats>,
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
    fn new(of: PartitionStats) -> Self {
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

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Returns the counters of a stage at the end of a run, where its watermark has no meaning.
fn without_times(mut stage: StageStats) -> StageStats {
    stage.watermark = None;
    stage.next_fire = None;
    stage
}

impl Summary {
    /// Combines the parser's counts with the counters of the engines.
    pub(crate) fn new(spec: &PipelineSpec, progress: &RunProgress, stats: Stats) -> Self {
        let mut rejected_by_reason: BTreeMap<String, u64> = progress
            .refused_by_reason()
            .map(|(reason, count)| (reason.name().into(), count))
            .collect();
        for counted in stats.rejected_by_reason {
            *rejected_by_reason.entry(counted.reason.name().into()).or_default() += counted.count;
        }
        Self {
            lines: progress.accepted() + progress.refused() + progress.skipped,
            skipped: progress.skipped,
            events: match stats.limit_refused {
                0 => progress.accepted().saturating_sub(stats.rejected),
                // The parser reads ahead; events behind the refused one were not processed.
                _ => stats.events,
            },
            rejected: progress.refused() + stats.rejected,
            late_dropped: stats.late_dropped,
            max_behind: progress.disorder.max_behind(spec),
            limit_dropped: stats.limit_dropped,
            limit_refused: stats.limit_refused,
            evicted_events: stats.evicted_events,
            duplicates: stats.duplicates,
            unjudged: stats.unjudged,
            unchecked: progress.unchecked(),
            future: stats.future,
            unassigned: stats.unassigned,
            rows: stats.rows,
            rejected_by_reason,
            limits_struck: stats.limits_struck.into_iter().map(str::to_owned).collect(),
            stages: stats.stages.into_iter().map(without_times).collect(),
            partitions: stats.partitions.into_iter().map(PartitionSummary::new).collect(),
            input_bytes: progress.bytes(),
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
