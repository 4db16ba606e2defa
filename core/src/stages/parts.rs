//! State of windows on its way from one engine to another: what the stages that can do it have in common.

use super::{Context, Stage};
use crate::data::frame::{Events, Frame};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;
use crate::snapshot::{SectionReader, SectionWriter};

/// Where parts come from, and so where they stand among others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) source: &'a [u8],
    pub(crate) sequence: u64,
    /// The place in the stream of the first of them.
    pub(crate) ordinal: u64,
}

/// A stage whose open windows can be taken out of one engine and be added to those of another.
pub(crate) trait Parts {
    /// Has every window count its events, whatever its results need.
    fn count_events(&mut self);

    /// Names the keys with open windows, some more than once.
    fn part_keys(&self, name: &mut dyn FnMut(u32));

    /// Writes the open windows; keys are written as `positions[id]`.
    fn write_parts(&self, positions: &[u32], writer: &mut SectionWriter<'_>);

    /// Forgets the open windows.
    fn clear_parts(&mut self, keys: &mut Keys);

    /// Takes what [`Parts::write_parts`] wrote, to be added at the next [`Stage::process`]. Returns how many parts these are;
    /// where it fails, nothing has changed.
    fn take_parts(
        &mut self,
        origin: Origin<'_>,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<u64, SnapshotError>;

    /// Adds to its counters what another engine has counted.
    fn add_counters(&mut self, counters: [u64; COUNTERS]);
}

/// The counters of a window stage that come with its state.
pub(crate) const COUNTERS: usize = 11;

/// Those of `stats`: events, those that did not get into any window, and what has made room for others.
pub(crate) fn counters_of(stats: &StageStats) -> [u64; COUNTERS] {
    let mut stats = stats.clone();
    counters(&mut stats).map(|counter| *counter)
}

pub(crate) fn add_counters(stats: &mut StageStats, more: [u64; COUNTERS]) {
    for (known, more) in counters(stats).into_iter().zip(more) {
        *known = known.saturating_add(more);
    }
}

fn counters(stats: &mut StageStats) -> [&mut u64; COUNTERS] {
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

/// A window stage whose state is taken out by [`crate::Engine::partial`]: no watermark reaches it, so nothing fires and
/// nothing is late.
pub(crate) struct EdgeStage {
    windows: Box<dyn Stage>,
    /// The watermark that has come here.
    watermark: i64,
    /// No watermark, for each event of the frame.
    none: Vec<i64>,
}

impl EdgeStage {
    pub(crate) fn new(mut windows: Box<dyn Stage>) -> Self {
        if let Some(parts) = windows.parts() {
            parts.count_events();
        }
        Self { windows, watermark: NO_WATERMARK, none: Vec::new() }
    }
}

impl Stage for EdgeStage {
    fn process(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let count = events.timestamps.len();
        if self.none.len() < count {
            self.none.resize(count, NO_WATERMARK);
        }
        let watermarks = self.none.get(..count).unwrap_or_default();
        let unjudged = Events { watermarks, watermark: NO_WATERMARK, ..*events };
        let done = self.windows.process(&unjudged, cursor, context, out);
        if done {
            // Not before: events that a limit refuses have moved this watermark, and are as good as never seen.
            self.watermark = self.watermark.max(events.watermark);
        }
        done
    }

    fn stats(&self, keys: &Keys) -> StageStats {
        let watermark = Some(self.watermark).filter(|watermark| *watermark != NO_WATERMARK);
        StageStats { watermark, next_fire: None, ..self.windows.stats(keys) }
    }

    fn save(
        &self,
        from: Option<i64>,
        positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64> {
        // In front of every part, for parts say nothing about their place.
        writer.i64(self.watermark);
        self.windows.save(from, positions, writer)
    }

    fn load(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        self.watermark = reader.i64()?;
        self.windows.load(reader, ids, keys)
    }

    fn parts(&mut self) -> Option<&mut dyn Parts> {
        self.windows.parts()
    }

    fn reached(&self) -> i64 {
        self.watermark
    }
}
