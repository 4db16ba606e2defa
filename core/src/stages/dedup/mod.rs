//! Deduplication: an event passes unless one of its identity has passed before.

mod state;

use core::ops::Range;

use super::{Context, Stage};
use crate::data::batch::Identity;
use crate::data::frame::{Events, Frame};
use crate::data::reject::RejectReason;
use crate::data::stats::StageStats;
use crate::dedup::{Bloom, Exact, Seen};
use crate::error::SnapshotError;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;
use crate::plan::{DedupPlan, ENTRY_BYTES, MemoryPlan};
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::{Clock, OnUnjudged};

/// A deduplication.
pub(super) struct DedupStage {
    index: u32,
    plan: DedupPlan,
    memory: Memory,
    /// The time up to which what was remembered is over: the last watermark or, by arrival, the host's time.
    time: i64,
    /// What was found of each event of the batch.
    seen: Vec<Seen>,
    /// The places of those that pass.
    passing: Vec<u32>,
    stats: StageStats,
}

enum Memory {
    Exact(Exact),
    Bloom(Bloom),
}

impl Memory {
    fn see_all(
        &mut self,
        identities: &[Identity],
        moments: impl Fn(usize) -> (i64, i64),
        seen: impl FnMut(usize, Seen),
    ) {
        match self {
            Self::Exact(memory) => memory.see_all(identities, moments, seen),
            Self::Bloom(memory) => memory.see_all(identities, moments, seen),
        }
    }

    /// Forgets what is over at `time`.
    fn expire(&mut self, time: i64) {
        match self {
            Self::Exact(memory) => {
                memory.expire(time);
                memory.tidy();
            }
            Self::Bloom(memory) => memory.expire(time),
        }
    }

    /// Identities that are remembered, and those that a limit has pushed out.
    fn counts(&self) -> (u64, u64) {
        match self {
            Self::Exact(memory) => (memory.len() as u64, memory.evicted()),
            Self::Bloom(memory) => (memory.len(), memory.evicted()),
        }
    }
}

impl DedupStage {
    pub(super) fn new(index: u32, plan: DedupPlan, seed: u64) -> Self {
        let memory = match plan.memory {
            MemoryPlan::Exact { max_entries } => {
                Memory::Exact(Exact::new(plan.ttl_us, plan.refresh, max_entries, seed))
            }
            MemoryPlan::Bloom(sizes) => Memory::Bloom(Bloom::new(sizes, plan.ttl_us, plan.refresh)),
        };
        Self {
            index,
            plan,
            memory,
            time: NO_WATERMARK,
            seen: Vec::new(),
            passing: Vec::new(),
            stats: StageStats { r#type: "dedup", ..StageStats::default() },
        }
    }

    /// Looks up the events of `range`.
    fn look_up(&mut self, events: &Events<'_>, range: Range<usize>, now: i64) {
        let Self { memory, seen, .. } = self;
        let identities = events.identities.of(self.plan.way).get(range.clone()).unwrap_or_default();
        seen.clear();
        seen.resize(identities.len(), Seen::Unidentified);
        let found = |event: usize, found| {
            if let Some(seen) = seen.get_mut(event) {
                *seen = found;
            }
        };
        match self.plan.clock {
            Clock::Event => {
                let times = events.timestamps.get(range.clone()).unwrap_or_default();
                let watermarks = events.watermarks.get(range).unwrap_or_default();
                let at = |column: &[i64], event| column.get(event).copied().unwrap_or(NO_WATERMARK);
                memory.see_all(
                    identities,
                    |event| (at(times, event), at(watermarks, event)),
                    found,
                );
            }
            Clock::Arrival => memory.see_all(identities, |_| (now, now), found),
        }
    }

    /// Passes on the events of `range` that are new, which `out` has room for.
    fn pass(
        &mut self,
        events: &Events<'_>,
        range: Range<usize>,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) {
        self.passing.clear();
        let (mut unidentified, mut unjudged, mut duplicates) = (0, 0, 0);
        for (event, seen) in range.clone().zip(&self.seen) {
            match seen {
                Seen::First => {}
                Seen::Before => {
                    duplicates += 1;
                    let reason = RejectReason::Duplicate;
                    context.report_drop(self.index, events, event, reason, None);
                    continue;
                }
                Seen::Unidentified => unidentified += 1,
                Seen::Unjudged => {
                    unjudged += 1;
                    if self.plan.on_unjudged == OnUnjudged::Drop {
                        let reason = RejectReason::Unjudged;
                        context.report_drop(self.index, events, event, reason, None);
                        continue;
                    }
                }
            }
            self.passing.push(u32::try_from(event).unwrap_or(u32::MAX));
        }
        self.stats.unidentified += unidentified;
        self.stats.unjudged += unjudged;
        self.stats.duplicates += duplicates;
        self.stats.events += range.len() as u64;
        self.stats.rows += self.passing.len() as u64;
        if self.passing.len() == range.len() {
            out.push_run(events, range, context.keys);
        } else {
            out.push_events(events, &self.passing, context.keys);
        }
    }

    /// Goes on to `watermark`.
    fn move_to(&mut self, watermark: i64, now: i64) {
        self.time = match self.plan.clock {
            Clock::Event => self.time.max(watermark),
            Clock::Arrival => now,
        };
        self.memory.expire(self.time);
    }
}

impl Stage for DedupStage {
    fn process(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let end = events.timestamps.len();
        let behind = end.min(cursor.saturating_add(out.room()));
        let range = *cursor..behind;
        self.look_up(events, range.clone(), context.now);
        self.pass(events, range, context, out);
        *cursor = behind;
        let done = behind == end;
        let met = behind.checked_sub(1).and_then(|last| events.watermarks.get(last));
        let watermark = if done { events.watermark } else { met.copied().unwrap_or(NO_WATERMARK) };
        self.move_to(watermark, context.now);
        if done {
            out.watermark = events.watermark;
        }
        done
    }

    fn stats(&self, _keys: &Keys) -> StageStats {
        let (entries, evicted) = self.memory.counts();
        let state_bytes = match &self.memory {
            Memory::Exact(_) => entries.saturating_mul(ENTRY_BYTES),
            Memory::Bloom(memory) => memory.bytes(),
        };
        StageStats { entries, evicted, state_bytes, ..self.stats.clone() }
    }

    fn save(
        &self,
        from: Option<i64>,
        _positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64> {
        self.save_part(from, writer)
    }

    fn load(
        &mut self,
        reader: &mut SectionReader<'_>,
        _ids: &[u32],
        _keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        self.load_part(reader)
    }
}
