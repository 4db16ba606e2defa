//! Counters of an engine, read from the JSON of its statistics and summed over shards.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Counters of an engine, or the sum over all shards of a run. See
/// [`stream_processor_core::Stats`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Counters {
    /// Events that the source accepted.
    pub events: u64,
    /// Events that were refused before any stage.
    pub rejected: u64,
    /// Events that were late for every window they belong to.
    pub late_dropped: u64,
    /// Events that were dropped at a limit.
    pub limit_dropped: u64,
    /// Calls that a limit with the policy `refuse` ended.
    pub limit_refused: u64,
    /// Events whose state was evicted at a limit before their windows fired.
    pub evicted_events: u64,
    /// Current bytes of state of all stages.
    pub state_bytes: u64,
    /// Events that `dedup` found to be duplicates.
    pub duplicates: u64,
    /// Events that are too late for `dedup` to find their duplicates.
    pub unjudged: u64,
    /// Events further ahead of the time of day than `time.max_future_skew`.
    pub future: u64,
    /// Events that belong to no window.
    pub unassigned: u64,
    /// Rows that the last stage emitted.
    pub rows: u64,
    /// Refused events by reason.
    pub rejected_by_reason: Vec<ReasonCount>,
    /// The limits that were reached.
    pub limits_struck: Vec<String>,
    /// The counters of each stage, in order.
    pub stages: Vec<StageCounters>,
    /// The progress of each partition of the source. Empty if the stream has a single watermark.
    pub partitions: Vec<PartitionCounters>,
}

/// The progress of one partition of the source. Times are microseconds since the epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PartitionCounters {
    /// The name of the partition, or `None` if the pipeline names no field for it.
    pub partition: Option<String>,
    /// The greatest event time of the partition.
    pub greatest_time: Option<i64>,
    /// The watermark of the partition.
    pub watermark: Option<i64>,
    /// True if the partition had no events for `time.idle_timeout`.
    pub idle: bool,
    /// True if the partition holds back the watermark of the stream.
    pub holds_back: bool,
}

/// A reason and the number of events that were refused for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// The reason's name.
    pub reason: String,
    /// The number of events.
    pub count: u64,
}

/// The counters of one stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StageCounters {
    /// The type of the stage.
    pub r#type: String,
    /// Events that reached the stage.
    pub events: u64,
    /// Rows or events that the stage emitted.
    pub rows: u64,
    /// Events that were late for every window they belong to.
    pub late_dropped: u64,
    /// Events that belong to no window.
    pub unassigned: u64,
    /// Events that needed a key beyond `limits.max_keys`.
    pub key_limit: u64,
    /// Keys whose state was evicted at a limit.
    pub evicted_keys: u64,
    /// Windows that were evicted at a limit.
    pub evicted_windows: u64,
    /// Events in evicted windows, counted for each of these windows.
    pub evicted_events: u64,
    /// Events that needed a window beyond `limits.max_windows_per_key`.
    pub window_limit: u64,
    /// Events that needed state beyond `limits.max_state_bytes`.
    pub state_limit: u64,
    /// Windows with more than `limits.max_values` values of an exact percentile, which a sketch
    /// computed instead.
    pub value_limit: u64,
    /// Values in fired windows below the 64 octaves that a sketch keeps, which count as 0.
    pub folded_values: u64,
    /// Events whose identity was seen before.
    pub duplicates: u64,
    /// Events without an identity, which passed.
    pub unidentified: u64,
    /// Events whose time is a ttl or more behind the watermark and whose identity is unknown. They
    /// were passed or dropped.
    pub unjudged: u64,
    /// Identities that were evicted at a limit before they expired.
    pub evicted: u64,
    /// Current number of stored identities.
    pub entries: u64,
    /// Grid points that were filled.
    pub filled: u64,
    /// Values that were found to be outliers.
    pub outliers: u64,
    /// Gaps of more than `limits.max_fill_points` grid points. They are not filled, and the next
    /// sample begins a new series.
    pub fill_limit: u64,
    /// Grid points that were closed early, or fills that were given up, because their key had
    /// `max_buffered` buffered values.
    pub buffer_limit: u64,
    /// Current number of keys with open windows.
    pub keys: u64,
    /// Current bytes of state of the stage.
    pub state_bytes: u64,
    /// Current number of open windows, summed over keys.
    pub open_windows: u64,
}

impl Counters {
    /// Parses the statistics of an engine.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(json)
            .map_err(|error| Error::Module(format!("it reports its counters badly: {error}")))
    }

    /// Adds the counters of another shard of the same pipeline.
    pub(crate) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.rejected += other.rejected;
        self.late_dropped += other.late_dropped;
        self.limit_dropped += other.limit_dropped;
        self.limit_refused += other.limit_refused;
        self.evicted_events += other.evicted_events;
        self.state_bytes += other.state_bytes;
        self.duplicates += other.duplicates;
        self.unjudged += other.unjudged;
        self.future += other.future;
        self.unassigned += other.unassigned;
        self.rows += other.rows;
        for counted in &other.rejected_by_reason {
            self.add_rejected(&counted.reason, counted.count);
        }
        for limit in &other.limits_struck {
            if !self.limits_struck.contains(limit) {
                self.limits_struck.push(limit.clone());
            }
        }
        self.stages.resize_with(self.stages.len().max(other.stages.len()), Default::default);
        for (stage, other) in self.stages.iter_mut().zip(&other.stages) {
            stage.add(other);
        }
        // A stream with partitions has one shard.
        self.partitions.extend(other.partitions.iter().cloned());
    }

    fn add_rejected(&mut self, reason: &str, count: u64) {
        match self.rejected_by_reason.iter_mut().find(|known| known.reason == reason) {
            Some(known) => known.count += count,
            None => self.rejected_by_reason.push(ReasonCount { reason: reason.into(), count }),
        }
    }
}

impl StageCounters {
    fn add(&mut self, other: &Self) {
        self.r#type.clone_from(&other.r#type);
        self.events += other.events;
        self.rows += other.rows;
        self.late_dropped += other.late_dropped;
        self.unassigned += other.unassigned;
        self.key_limit += other.key_limit;
        self.evicted_keys += other.evicted_keys;
        self.evicted_windows += other.evicted_windows;
        self.evicted_events += other.evicted_events;
        self.window_limit += other.window_limit;
        self.state_limit += other.state_limit;
        self.value_limit += other.value_limit;
        self.folded_values += other.folded_values;
        self.duplicates += other.duplicates;
        self.unidentified += other.unidentified;
        self.unjudged += other.unjudged;
        self.evicted += other.evicted;
        self.entries += other.entries;
        self.filled += other.filled;
        self.outliers += other.outliers;
        self.fill_limit += other.fill_limit;
        self.buffer_limit += other.buffer_limit;
        self.keys += other.keys;
        self.state_bytes += other.state_bytes;
        self.open_windows += other.open_windows;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_shards_are_summed() {
        let json = br#"{"events": 3, "rows": 1, "rejected_by_reason": [{"reason": "future", "count": 1}],
            "limits_struck": ["key_limit"], "stages": [{"type": "window", "events": 3, "keys": 2}], "more": 0}"#;
        let shard = Counters::from_json(json).unwrap();
        let mut sum = shard.clone();
        sum.add(&shard);
        assert_eq!((sum.events, sum.rows, sum.stages[0].keys), (6, 2, 4));
        assert_eq!(sum.rejected_by_reason, [ReasonCount { reason: "future".into(), count: 2 }]);
        assert_eq!(sum.limits_struck, ["key_limit"]);
        assert_eq!(sum.stages[0].r#type, "window");
    }
}
