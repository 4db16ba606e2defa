//! What an engine has seen and done, in numbers.

use serde::Serialize;

use crate::data::reject::RejectReason;
use crate::error::SnapshotError;
use crate::plan::{Caps, Limit};
use crate::snapshot::{SectionReader, SectionWriter};

/// Counters of one engine since it was opened (kept over snapshot and restore). All are numbers of events or rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Events that the source accepted.
    pub events: u64,
    /// Events that were refused before any stage.
    pub rejected: u64,
    /// Events that came too late for every window of theirs.
    pub late_dropped: u64,
    /// Events that a limit kept out.
    pub limit_dropped: u64,
    /// Calls that a limit has ended, with the error `limit_reached`.
    pub limit_refused: u64,
    /// Events that are in no row, because limits have taken what was kept of them.
    pub evicted_events: u64,
    /// Bytes of state that all stages keep now, by the rule in docs/semantics.md.
    pub state_bytes: u64,
    /// Events that came before.
    pub duplicates: u64,
    /// Events so late that `dedup` could not tell whether they came before: passed or dropped, as its `on_unjudged` says.
    pub unjudged: u64,
    /// Events that no window covers.
    pub unassigned: u64,
    /// Events further ahead of the host's time than `time.max_future_skew`, dropped or kept.
    pub future: u64,
    /// Rows that the last stage has made.
    pub rows: u64,
    /// Why events were refused, each reason with its number.
    pub rejected_by_reason: Vec<ReasonCount>,
    /// The limits that have struck, by the name of the reason.
    pub limits_struck: Vec<&'static str>,
    /// The stages in order.
    pub stages: Vec<StageStats>,
    /// The stream's watermark, microseconds; `None` before the first event and after the end.
    pub watermark: Option<i64>,
    /// How far each partition of the source has come, in the order of their names: why the watermark is where it is. Empty
    /// where the greatest event time of the stream says it all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<PartitionStats>,
}

/// How far one partition of the source has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PartitionStats {
    /// Its name, as `source.partition` has it; `None`: the pipeline names no such field.
    pub partition: Option<String>,
    /// The greatest time of its events, microseconds; those too far in the future do not count.
    pub greatest_time: Option<i64>,
    /// Its own watermark, microseconds.
    pub watermark: Option<i64>,
    /// Whether it was silent for `time.idle_timeout`, so that nobody waits for it.
    pub idle: bool,
    /// Whether the stream's watermark waits for it: of those that are not idle it has come least far.
    pub holds_back: bool,
}

/// A reason and how often it applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReasonCount {
    /// The reason.
    pub reason: RejectReason,
    /// Events.
    pub count: u64,
}

/// Counters of one stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StageStats {
    /// The stage's type.
    pub r#type: &'static str,
    /// Events that reached it.
    pub events: u64,
    /// Rows or events that it passed on.
    pub rows: u64,
    /// Events that came too late for every window of theirs.
    pub late_dropped: u64,
    /// Events that no window covers: sliding windows that start further apart than they are long leave gaps.
    pub unassigned: u64,
    /// Events that found `limits.max_keys` keys with open windows.
    pub key_limit: u64,
    /// Keys that lost all of their state, to make room at `limits.max_keys` or `limits.max_state_bytes`.
    pub evicted_keys: u64,
    /// Windows that made room, those of such keys and those at `limits.max_windows_per_key`: slices of them where they
    /// slide, grid points of `normalize`.
    pub evicted_windows: u64,
    /// Events that were in windows which made room, and will not be in a row of each.
    pub evicted_events: u64,
    /// How often something made room at each limit, in the order of their declaration.
    #[serde(skip)]
    pub(crate) made_room: [u64; 3],
    /// Events that found `limits.max_windows_per_key` open windows of their key.
    pub window_limit: u64,
    /// Events that found no room in `limits.max_state_bytes`.
    pub state_limit: u64,
    /// Windows that fired with more than `limits.max_values` values of an exact percentile: they were answered by the sketch.
    pub value_limit: u64,
    /// Values in fired windows that lay below the 64 octaves that a sketch keeps: they count as 0.
    pub folded_values: u64,
    /// Events that came before, by their identity.
    pub duplicates: u64,
    /// Events without an identity: they passed.
    pub unidentified: u64,
    /// Events whose time is a ttl behind the watermark, and which are not remembered: passed or dropped.
    pub unjudged: u64,
    /// Identities that `max_entries` or `capacity` has pushed out before their time.
    pub evicted: u64,
    /// Identities that are remembered now.
    pub entries: u64,
    /// Grid points that were filled.
    pub filled: u64,
    /// Values that were found to be outliers.
    pub outliers: u64,
    /// Series that were silent for more than `limits.max_fill_points` grid points: what came later began a new one.
    pub fill_limit: u64,
    /// Grid points that were over early, or fills that were given up, because `max_buffered` values of their key waited.
    pub buffer_limit: u64,
    /// Keys with open windows now.
    pub keys: u64,
    /// Bytes of state that it keeps now, by the rule in docs/semantics.md.
    pub state_bytes: u64,
    /// Open windows now, each key for itself, with those that are kept for late events; slices of them where they slide.
    pub open_windows: u64,
    /// The watermark that a stage with windows has seen, microseconds; behind the stream's where a stage before it waits
    /// for late events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<i64>,
    /// The watermark at which its next window with events fires, microseconds: until then no row is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_fire: Option<i64>,
}

impl StageStats {
    /// Counts `events` that `reason` has dropped.
    pub(crate) fn count_dropped(&mut self, reason: RejectReason, events: u64) {
        let counter = match reason {
            RejectReason::KeyLimit => &mut self.key_limit,
            RejectReason::WindowLimit => &mut self.window_limit,
            RejectReason::StateLimit => &mut self.state_limit,
            _ => &mut self.late_dropped,
        };
        *counter = counter.saturating_add(events);
    }

    /// Events that a limit kept out.
    pub(crate) fn limit_dropped(&self) -> u64 {
        self.key_limit + self.window_limit + self.state_limit
    }

    /// Whether the limit of keys, of windows or of bytes has struck.
    pub(crate) fn has_struck(&self, limit: Limit) -> bool {
        let dropped = match limit {
            Limit::Keys => self.key_limit,
            Limit::Windows => self.window_limit,
            Limit::Bytes => self.state_limit,
        };
        dropped > 0 || self.made_room.get(limit as usize).is_some_and(|times| *times > 0)
    }

    /// Counts a key that lost all of its state.
    pub(crate) fn count_evicted_key(&mut self) {
        self.evicted_keys = self.evicted_keys.saturating_add(1);
    }

    /// Takes note that `windows` of one key, with `events` that are in no row yet, made room at `limit`.
    pub(crate) fn count_evicted(&mut self, limit: Limit, windows: u64, events: u64) {
        self.evicted_windows = self.evicted_windows.saturating_add(windows);
        self.evicted_events = self.evicted_events.saturating_add(events);
        if let Some(times) = self.made_room.get_mut(limit as usize) {
            *times = times.saturating_add(1);
        }
    }

    /// Writes what limits have done that others have not to say.
    pub(crate) fn save_limits(&self, caps: &Caps, writer: &mut SectionWriter<'_>) {
        if caps.evicts() {
            writer.u64s([self.evicted_keys, self.evicted_windows, self.evicted_events].into_iter());
            writer.u64s(self.made_room.into_iter());
        }
        if caps.limits_bytes() {
            writer.u64(self.state_limit);
        }
    }

    /// Reads what [`StageStats::save_limits`] wrote.
    pub(crate) fn load_limits(
        &mut self,
        caps: &Caps,
        reader: &mut SectionReader<'_>,
    ) -> Result<(), SnapshotError> {
        if caps.evicts() {
            self.evicted_keys = reader.u64()?;
            self.evicted_windows = reader.u64()?;
            self.evicted_events = reader.u64()?;
            for times in &mut self.made_room {
                *times = reader.u64()?;
            }
        }
        if caps.limits_bytes() {
            self.state_limit = reader.u64()?;
        }
        Ok(())
    }
}
