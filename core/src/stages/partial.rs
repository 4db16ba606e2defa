//! Partial state: the open windows of one engine, exported to be merged into those of another.
//!
//! The exporting engine runs its first window stage inside a [`PartialStage`]; the importing one
//! adds the partials to the windows of the same stage, before any of those fires.

use super::{Context, Stage};
use crate::data::frame::{Events, Frame};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;
use crate::snapshot::{Codec, MAX_COUNT, StateReader, StateWriter};

/// The source of a partial, which decides its place in the order of merging.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartialOrigin<'a> {
    pub(crate) source: &'a [u8],
    pub(crate) sequence: u64,
    /// The position in the stream of its first key.
    pub(crate) ordinal: u64,
}

/// A stage whose open windows can be exported from one engine and merged into those of another.
pub(crate) trait PartialState {
    /// Counts the events of every window, even if no output needs the count.
    fn count_events(&mut self);

    /// Calls `name` with the key of each open window; a key with several windows is named several
    /// times.
    fn for_each_key(&self, name: &mut dyn FnMut(u32));

    /// Writes the open windows.
    fn write_partial(&mut self, writer: &mut StateWriter<'_>) -> Result<(), SnapshotError>;

    /// Removes the open windows, keeping watermark and counters.
    fn clear_windows(&mut self, keys: &mut Keys);

    /// Reads what [`PartialState::write_partial`] wrote and stages it; the next [`Stage::process`]
    /// merges it.
    ///
    /// Returns the number of partials, one for each key and window.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are damaged; the stage is unchanged then.
    fn stage_partial(
        &mut self,
        origin: PartialOrigin<'_>,
        reader: &mut StateReader<'_>,
    ) -> Result<u64, SnapshotError>;

    /// Adds the counters of another engine to its own.
    fn add_counters(&mut self, counters: [u64; COUNTER_COUNT]);
}

/// Number of counters of a window stage that travel with its partial state.
pub(crate) const COUNTER_COUNT: usize = 11;

/// Returns the counters of `stats` that travel: events taken, events dropped by reason, and
/// evictions.
pub(crate) fn counters_of(stats: &StageStats) -> [u64; COUNTER_COUNT] {
    let mut stats = stats.clone();
    counters(&mut stats).map(|counter| *counter)
}

/// Adds the counters `more` of another engine to `stats`.
pub(crate) fn add_counters(stats: &mut StageStats, more: [u64; COUNTER_COUNT]) {
    for (known, more) in counters(stats).into_iter().zip(more) {
        *known = known.saturating_add(more).min(MAX_COUNT);
    }
}

/// Returns the counters of `stats` in the order in which they travel.
fn counters(stats: &mut StageStats) -> [&mut u64; COUNTER_COUNT] {
    let [keys, windows, bytes] = &mut stats.made_room;
    [
        &mut stats.events,
        &mut stats.key_limit,
        &mut stats.window_limit,
        &mut stats.unassigned,
        &mut stats.state_limit,
        &mut stats.evicted_keys,
        &mut stats.evicted_windows,
        &mut stats.evicted_events,
        keys,
        windows,
        bytes,
    ]
}

/// A window stage that exports its state through [`crate::Engine::partial`]. It withholds every
/// watermark from the windows, so none of them fires and no event is late.
pub(crate) struct PartialStage {
    windows: Box<dyn Stage>,
    /// The watermark that has reached this stage.
    watermark: i64,
    /// [`NO_WATERMARK`] for each event of the frame.
    no_watermarks: Vec<i64>,
    /// True if the head of a section was read.
    is_restored: bool,
}

impl PartialStage {
    /// Wraps `windows`, a stage that can export its state.
    pub(crate) fn new(mut windows: Box<dyn Stage>) -> Self {
        if let Some(parts) = windows.partial_state() {
            parts.count_events();
        }
        Self { windows, watermark: NO_WATERMARK, no_watermarks: Vec::new(), is_restored: false }
    }

    /// Writes or reads the fields at the start of every section: a section does not know its index.
    fn head(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        codec.number(&mut self.watermark)
    }
}

impl Stage for PartialStage {
    fn process(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let count = events.timestamps.len();
        if self.no_watermarks.len() < count {
            self.no_watermarks.resize(count, NO_WATERMARK);
        }
        let watermarks = self.no_watermarks.get(..count).unwrap_or_default();
        let unjudged = Events { watermarks, watermark: NO_WATERMARK, ..*events };
        let done = self.windows.process(&unjudged, cursor, context, out);
        if done {
            // Only after success: a refused event counts as never seen, so the watermark it caused
            // does not count either.
            self.watermark = self.watermark.max(events.watermark);
        }
        done
    }

    fn event_work(&self) -> u64 {
        self.windows.event_work()
    }

    #[inline]
    fn stats(&self, keys: &Keys) -> StageStats {
        let watermark = Some(self.watermark).filter(|watermark| *watermark != NO_WATERMARK);
        StageStats { watermark, next_fire: None, ..self.windows.stats(keys) }
    }

    #[inline]
    fn save(
        &mut self,
        from: Option<i64>,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<i64>, SnapshotError> {
        self.head(writer)?;
        self.windows.save(from, writer)
    }

    #[inline]
    fn load(&mut self, reader: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        let before = self.watermark;
        self.head(reader)?;
        if core::mem::replace(&mut self.is_restored, true) && self.watermark != before {
            return Err(SnapshotError::Damaged("sections of a stage have different watermarks"));
        }
        self.windows.load(reader)
    }

    fn check_restored(&self, keys: &Keys) -> Result<(), SnapshotError> {
        self.windows.check_restored(keys)
    }

    fn partial_state(&mut self) -> Option<&mut dyn PartialState> {
        self.windows.partial_state()
    }

    fn input_watermark(&self) -> i64 {
        self.watermark
    }
}
