//! Counters of an engine, its stages and its partitions.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::data::limits_struck;
use crate::data::reject::RejectReason;
use crate::error::SnapshotError;
use crate::plan::{Caps, Limit};
use crate::snapshot::Codec;
use crate::spec::Stage;

/// The type of a stage. An alias, because serde takes a field `&'static str` for borrowed data.
type StageType = &'static str;

/// Counters of one engine since it was opened, kept across snapshot and restore. All count events
/// or rows.
/// ```
/// use stream_processor_core::{BatchBuilder, Engine, Options, PipelineSpec};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options { report_drops: true, ..Options::default() })?;
/// let mut events = BatchBuilder::new(engine.plan());
/// events.push(12_000_000, "api", &[31.0])?;
/// events.push(9_000_000, "api", &[45.0])?; // its window has ended
/// events.push_to(&mut engine)?;
/// let stats = engine.stats();
/// assert_eq!((stats.events, stats.late_dropped), (2, 1));
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Stats {
    /// Events that the source accepted.
    pub events: u64,
    /// Events that were rejected before any stage.
    pub rejected: u64,
    /// Events that arrived too late for all of their windows.
    pub late_dropped: u64,
    /// Events that a limit dropped.
    pub limit_dropped: u64,
    /// Calls that a limit has ended, with the error `limit_reached`.
    pub limit_refused: u64,
    /// Events that are in no row, because a limit evicted their state.
    pub evicted_events: u64,
    /// Bytes of state that all stages hold now, by the rule in docs/semantics.md.
    pub state_bytes: u64,
    /// Events that repeat an earlier identity.
    pub duplicates: u64,
    /// Events too late for `dedup` to decide whether they are duplicates: passed or dropped, by its
    /// `on_unjudged`.
    pub unjudged: u64,
    /// Events that no window covers.
    pub unassigned: u64,
    /// Events further ahead of the host's time than `time.max_future_skew`, dropped or kept.
    pub future: u64,
    /// Rows that the last stage has emitted.
    pub rows: u64,
    /// The number of rejected events by reason.
    pub rejected_by_reason: Vec<ReasonCount>,
    /// The limits that were reached, by the name of the reason.
    #[serde(deserialize_with = "limit_names")]
    pub limits_struck: Vec<&'static str>,
    /// The stages in order.
    pub stages: Vec<StageStats>,
    /// The stream's watermark, microseconds; `None` before the first event and after the end.
    pub watermark: Option<i64>,
    /// The progress of each partition of the source, sorted by name; it explains the watermark.
    /// Empty if the watermark follows the stream's greatest event time alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<PartitionStats>,
}

/// The progress of one partition of the source.
/// ```
/// use stream_processor_core::{Engine, Options, PipelineSpec};
/// let spec = PipelineSpec::from_json(r#"{"source": {"partition": "shard"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count"]}]}"#)?;
/// let engine = Engine::open(&spec, Options::default())?;
/// for partition in engine.stats().partitions {
///     println!("{:?} is idle: {}", partition.partition, partition.idle);
/// }
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PartitionStats {
    /// Its name, as in the field `source.partition`; `None` if the pipeline names no such field.
    pub partition: Option<String>,
    /// The greatest time of its events, microseconds, without those too far in the future.
    pub greatest_time: Option<i64>,
    /// Its own watermark, microseconds.
    pub watermark: Option<i64>,
    /// True if it was silent for `time.idle_timeout`, so that the watermark does not wait for it.
    pub idle: bool,
    /// True if the stream's watermark waits for it: of the active partitions, it has the least
    /// watermark.
    pub holds_back: bool,
}

/// A rejection reason and its number of events.
/// ```
/// use stream_processor_core::{Engine, Options, PipelineSpec, RejectReason};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options::default())?;
/// engine.count_rejected(RejectReason::InvalidJson);
/// assert_eq!(engine.stats().rejected_by_reason[0].count, 1);
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// The reason.
    pub reason: RejectReason,
    /// The number of events.
    pub count: u64,
}

/// Counters of one stage.
/// ```
/// use stream_processor_core::{BatchBuilder, Engine, Options, PipelineSpec};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options { report_drops: true, ..Options::default() })?;
/// let mut events = BatchBuilder::new(engine.plan());
/// events.push(12_000_000, "api", &[31.0])?;
/// events.push(9_000_000, "api", &[45.0])?; // its window has ended
/// events.push_to(&mut engine)?;
/// let stage = &engine.stats().stages[0];
/// assert_eq!((stage.events, stage.late_dropped, stage.keys), (2, 1, 1));
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StageStats {
    /// The stage's type.
    #[serde(deserialize_with = "stage_type")]
    pub r#type: StageType,
    /// Events that reached the stage.
    pub events: u64,
    /// Rows or events that the stage emitted.
    pub rows: u64,
    /// Events that arrived too late for all of their windows.
    pub late_dropped: u64,
    /// Events that no window covers: sliding windows leave gaps if their slide exceeds their size.
    pub unassigned: u64,
    /// Events dropped because `limits.max_keys` keys had open windows.
    pub key_limit: u64,
    /// Keys whose whole state was evicted at `limits.max_keys` or `limits.max_state_bytes`.
    pub evicted_keys: u64,
    /// Windows evicted with such keys or at `limits.max_windows_per_key`. Sliding windows count
    /// slices, `normalize` counts grid points.
    pub evicted_windows: u64,
    /// Events that were in evicted windows, and so are missing in some rows.
    pub evicted_events: u64,
    /// The number of evictions at each limit, in the order of [`Limit`].
    #[serde(skip)]
    pub(crate) made_room: [u64; 3],
    /// Events dropped because their key had `limits.max_windows_per_key` open windows.
    pub window_limit: u64,
    /// Events dropped because `limits.max_state_bytes` was reached.
    pub state_limit: u64,
    /// Windows that fired with more than `limits.max_values` values of an exact percentile: the
    /// sketch answered them.
    pub value_limit: u64,
    /// Rows whose number was not remembered because `limits.max_state_bytes` was reached: a later row
    /// of their key and window has `revision` 0 again.
    pub revision_limit: u64,
    /// Values in fired windows below the 64 octaves that a sketch keeps: they count as 0.
    pub folded_values: u64,
    /// Events that repeat an earlier identity.
    pub duplicates: u64,
    /// Events without an identity: they passed.
    pub unidentified: u64,
    /// Events whose time is a ttl or more behind the watermark and which are not remembered: passed
    /// or dropped.
    pub unjudged: u64,
    /// Identities evicted by `max_entries` or `capacity` before their ttl.
    pub evicted: u64,
    /// Identities remembered now.
    pub entries: u64,
    /// Grid points that were filled.
    pub filled: u64,
    /// Values that were found to be outliers.
    pub outliers: u64,
    /// Series that were silent for more than `limits.max_fill_points` grid points. Later samples
    /// began a new series.
    pub fill_limit: u64,
    /// Grid points closed early, or fills abandoned, because `max_buffered` values of their key
    /// waited.
    pub buffer_limit: u64,
    /// Keys with open windows now.
    pub keys: u64,
    /// Bytes of state that the stage holds now, by the rule in docs/semantics.md.
    pub state_bytes: u64,
    /// Open windows now, per key, with those kept for late events. Sliding windows count slices.
    pub open_windows: u64,
    /// The input watermark of a stage with windows, microseconds. It is behind the stream's if an
    /// earlier stage waits for late events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<i64>,
    /// The watermark at which the next window with events fires, microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_fire: Option<i64>,
}

impl Stats {
    /// Adds the counters of another engine of the same pipeline, such as another shard. The
    /// watermark becomes the smaller one.
    pub fn add(&mut self, other: &Self) {
        let Self {
            events,
            rejected,
            late_dropped,
            limit_dropped,
            limit_refused,
            evicted_events,
            state_bytes,
            duplicates,
            unjudged,
            unassigned,
            future,
            rows,
            rejected_by_reason,
            limits_struck,
            stages,
            watermark,
            partitions,
        } = other;
        self.events += events;
        self.rejected += rejected;
        self.late_dropped += late_dropped;
        self.limit_dropped += limit_dropped;
        self.limit_refused += limit_refused;
        self.evicted_events += evicted_events;
        self.state_bytes += state_bytes;
        self.duplicates += duplicates;
        self.unjudged += unjudged;
        self.unassigned += unassigned;
        self.future += future;
        self.rows += rows;
        for ReasonCount { reason, count } in rejected_by_reason {
            match self.rejected_by_reason.iter_mut().find(|known| known.reason == *reason) {
                Some(known) => known.count += count,
                None => {
                    self.rejected_by_reason.push(ReasonCount { reason: *reason, count: *count })
                }
            }
        }
        for name in limits_struck {
            if !self.limits_struck.contains(name) {
                self.limits_struck.push(name);
            }
        }
        self.stages.resize_with(self.stages.len().max(stages.len()), StageStats::default);
        for (stage, other) in self.stages.iter_mut().zip(stages) {
            stage.add(other);
        }
        self.watermark = earlier(self.watermark, *watermark);
        self.partitions.extend(partitions.iter().cloned());
    }
}

/// Returns the earlier of two times, of which each may be unknown.
fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}

/// Reads one of [`Stage::NAMES`], or the empty name of [`StageStats::default`].
fn stage_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StageType, D::Error> {
    let name = String::deserialize(deserializer)?;
    let known = Stage::NAMES.iter().chain(&[""]).find(|known| **known == name);
    known.copied().ok_or_else(|| D::Error::custom(format!("{name:?} is no type of a stage")))
}

/// Reads names of limits.
fn limit_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'static str>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let known = names.iter().map(|name| {
        let known = limits_struck::names().find(|known| known == name);
        known.ok_or_else(|| D::Error::custom(format!("{name:?} is no name of a limit")))
    });
    known.collect()
}

impl StageStats {
    /// Adds the counters of the same stage in another engine. The times become the smaller ones.
    fn add(&mut self, other: &Self) {
        let Self {
            r#type,
            events,
            rows,
            late_dropped,
            unassigned,
            key_limit,
            evicted_keys,
            evicted_windows,
            evicted_events,
            made_room,
            window_limit,
            state_limit,
            value_limit,
            revision_limit,
            folded_values,
            duplicates,
            unidentified,
            unjudged,
            evicted,
            entries,
            filled,
            outliers,
            fill_limit,
            buffer_limit,
            keys,
            state_bytes,
            open_windows,
            watermark,
            next_fire,
        } = other;
        self.r#type = r#type;
        self.events += events;
        self.rows += rows;
        self.late_dropped += late_dropped;
        self.unassigned += unassigned;
        self.key_limit += key_limit;
        self.evicted_keys += evicted_keys;
        self.evicted_windows += evicted_windows;
        self.evicted_events += evicted_events;
        for (times, other) in self.made_room.iter_mut().zip(made_room) {
            *times += other;
        }
        self.window_limit += window_limit;
        self.state_limit += state_limit;
        self.value_limit += value_limit;
        self.revision_limit += revision_limit;
        self.folded_values += folded_values;
        self.duplicates += duplicates;
        self.unidentified += unidentified;
        self.unjudged += unjudged;
        self.evicted += evicted;
        self.entries += entries;
        self.filled += filled;
        self.outliers += outliers;
        self.fill_limit += fill_limit;
        self.buffer_limit += buffer_limit;
        self.keys += keys;
        self.state_bytes += state_bytes;
        self.open_windows += open_windows;
        self.watermark = earlier(self.watermark, *watermark);
        self.next_fire = earlier(self.next_fire, *next_fire);
    }

    /// Counts `events` dropped for `reason`.
    pub(crate) fn count_dropped(&mut self, reason: RejectReason, events: u64) {
        let counter = match reason {
            RejectReason::KeyLimit => &mut self.key_limit,
            RejectReason::WindowLimit => &mut self.window_limit,
            RejectReason::StateLimit => &mut self.state_limit,
            _ => &mut self.late_dropped,
        };
        *counter = counter.saturating_add(events);
    }

    /// Returns the number of events that a limit dropped.
    pub(crate) fn limit_dropped(&self) -> u64 {
        self.key_limit + self.window_limit + self.state_limit
    }

    /// Returns whether the limit has dropped events or evicted state.
    pub(crate) fn has_struck(&self, limit: Limit) -> bool {
        let dropped = match limit {
            Limit::Keys => self.key_limit,
            Limit::Windows => self.window_limit,
            Limit::Bytes => self.state_limit,
        };
        dropped > 0 || self.made_room.get(limit as usize).is_some_and(|times| *times > 0)
    }

    /// Counts a key whose whole state was evicted.
    pub(crate) fn count_evicted_key(&mut self) {
        self.evicted_keys = self.evicted_keys.saturating_add(1);
    }

    /// Counts `windows` of one key evicted at `limit`, with `events` that are in no row yet.
    pub(crate) fn count_evicted(&mut self, limit: Limit, windows: u64, events: u64) {
        self.evicted_windows = self.evicted_windows.saturating_add(windows);
        self.evicted_events = self.evicted_events.saturating_add(events);
        if let Some(times) = self.made_room.get_mut(limit as usize) {
            *times = times.saturating_add(1);
        }
    }

    /// Writes or reads the counters of limits that the pipeline's policies use.
    pub(crate) fn limit_fields(
        &mut self,
        caps: &Caps,
        codec: &mut dyn Codec,
    ) -> Result<(), SnapshotError> {
        if caps.evicts() {
            codec.counters([
                &mut self.evicted_keys,
                &mut self.evicted_windows,
                &mut self.evicted_events,
            ])?;
            codec.counters(&mut self.made_room)?;
        }
        if caps.limits_bytes() {
            codec.counters([&mut self.state_limit])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_shards_are_summed() {
        let json = r#"{"events": 3, "rows": 1, "rejected_by_reason": [{"reason": "future", "count": 1}],
            "limits_struck": ["key_limit"], "stages": [{"type": "window", "events": 3, "keys": 2,
            "next_fire": 7}], "watermark": 5, "added_later": 0}"#;
        let shard: Stats = serde_json::from_str(json).unwrap();
        let mut sum = Stats { watermark: Some(4), ..Stats::default() };
        sum.add(&shard);
        sum.add(&shard);
        assert_eq!((sum.events, sum.rows, sum.stages[0].keys), (6, 2, 4));
        assert_eq!(sum.rejected_by_reason[0].count, 2);
        assert_eq!((sum.limits_struck, sum.stages[0].r#type), (vec!["key_limit"], "window"));
        assert_eq!((sum.watermark, sum.stages[0].next_fire), (Some(4), Some(7)));
    }

    #[test]
    fn written_counters_are_read_again() {
        let stages =
            Stage::NAMES.iter().map(|r#type| StageStats { r#type, ..StageStats::default() });
        let stats = Stats {
            limits_struck: limits_struck::names().collect(),
            stages: stages.collect(),
            ..Stats::default()
        };
        let json = serde_json::to_string(&stats).unwrap();
        assert_eq!(serde_json::from_str::<Stats>(&json).unwrap(), stats);
        let unknown = json.replace("\"zscore\"", "\"z\"");
        assert!(serde_json::from_str::<Stats>(&unknown).is_err());
    }
}
