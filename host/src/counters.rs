//! The engine's counters, read from its own JSON and added up over shards.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What an engine, or all shards of a run together, have counted. See [`stream_processor_core::Stats`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Counters {
    /// Events that the source accepted.
    pub events: u64,
    /// Events that were refused before any stage.
    pub rejected: u64,
    /// Events that came too late for every window of theirs.
    pub late_dropped: u64,
    /// Events that a limit kept out.
    pub limit_dropped: u64,
    /// Calls that a limit has ended.
    pub limit_refused: u64,
    /// Events that are in no row, because limits have taken what was kept of them.
    pub evicted_events: u64,
    /// Bytes of state that all stages keep now.
    pub state_bytes: u64,
    /// Events that were seen before.
    pub duplicates: u64,
    /// Events so late that `dedup` could not tell whether they were seen before.
    pub unjudged: u64,
    /// Events too far ahead of the clock.
    pub future: u64,
    /// Events that no window covers.
    pub unassigned: u64,
    /// Rows that the last stage has made.
    pub rows: u64,
    /// Why events were refused, each reason with its number.
    pub rejected_by_reason: Vec<ReasonCount>,
    /// The limits that have struck.
    pub limits_struck: Vec<String>,
    /// The stages in order.
    pub stages: Vec<StageCounters>,
    /// How far each partition of the source has come, where that is more than one time.
    pub partitions: Vec<PartitionCounters>,
}

/// How far one partition of the source has come. Times are microseconds since the epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PartitionCounters {
    /// Its name; `None`: the pipeline names no field for it.
    pub partition: Option<String>,
    /// The greatest time of its events.
    pub greatest_time: Option<i64>,
    /// Its own watermark.
    pub watermark: Option<i64>,
    /// Whether it was silent for `time.idle_timeout`.
    pub idle: bool,
    /// Whether the stream's watermark waits for it.
    pub holds_back: bool,
}

/// A reason and how often it applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// The reason's name.
    pub reason: String,
    /// Events.
    pub count: u64,
}

/// Counters of one stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StageCounters {
    /// The stage's type.
    pub r#type: String,
    /// Events that reached it.
    pub events: u64,
    /// Rows or events that it passed on.
    pub rows: u64,
    /// Events that came too late for every window of theirs.
    pub late_dropped: u64,
    /// Events that no window covers.
    pub unassigned: u64,
    /// Events that found `limits.max_keys` keys with open windows.
    pub key_limit: u64,
    /// Keys that lost all of their state to make room.
    pub evicted_keys: u64,
    /// Windows that made room.
    pub evicted_windows: u64,
    /// Events that were in them, and will not be in a row of each.
    pub evicted_events: u64,
    /// Events that found `limits.max_windows_per_key` open windows of their key.
    pub window_limit: u64,
    /// Events that found no room in `limits.max_state_bytes`.
    pub state_limit: u64,
    /// Windows with more than `limits.max_values` values of an exact percentile.
    pub value_limit: u64,
    /// Values too small for the octaves that a sketch keeps.
    pub folded_values: u64,
    /// Events that came before, by their identity.
    pub duplicates: u64,
    /// Events without an identity: they passed.
    pub unidentified: u64,
    /// Events whose time is a ttl behind the watermark, and which are not remembered: passed or dropped.
    pub unjudged: u64,
    /// Identities that a limit has pushed out before their time.
    pub evicted: u64,
    /// Identities that are remembered now.
    pub entries: u64,
    /// Grid points that were filled.
    pub filled: u64,
    /// Values that were found to be outliers.
    pub outliers: u64,
    /// Series that were silent for more than `limits.max_fill_points` grid points.
    pub fill_limit: u64,
    /// Grid points that were over early because too many values of their key waited.
    pub buffer_limit: u64,
    /// Keys with open windows now.
    pub keys: u64,
    /// Bytes of state that it keeps now.
    pub state_bytes: u64,
    /// Open windows now, each key for itself.
    pub open_windows: u64,
}

impl Counters {
    /// Reads what the engine reports.
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
        // Where there are partitions, there is one shard.
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
    fn shards_add_up() {
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
