//! The `dedup` stage: passes an event unless one with the same identity has passed before.

mod snapshot;

use core::ops::Range;

use super::{Context, Stage};
use crate::data::batch::Identity;
use crate::data::frame::{Events, Frame};
use crate::data::reject::RejectReason;
use crate::data::stats::StageStats;
use crate::dedup::{BloomSet, ExactSet, Verdict};
use crate::error::SnapshotError;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;
use crate::plan::{DedupPlan, ENTRY_BYTES, MemoryPlan};
use crate::snapshot::{StateReader, StateWriter};
use crate::spec::{Clock, OnUnjudged};

/// State of one `dedup` stage.
pub(crate) struct DedupStage {
    index: u32,
    plan: DedupPlan,
    memory: Memory,
    /// Time up to which identities have expired: the watermark, or the host's time with `clock =
    /// "arrival"`.
    time: i64,
    /// Verdict on each event of the batch.
    verdicts: Vec<Verdict>,
    /// Indices of the events that pass.
    passing: Vec<u32>,
    stats: StageStats,
}

/// The set of identities.
enum Memory {
    Exact(ExactSet),
    Bloom(BloomSet),
}

impl Memory {
    /// Looks up and records `identities`; `times_of` gives time and watermark of each.
    fn check_all(
        &mut self,
        identities: &[Identity],
        times_of: impl Fn(usize) -> (i64, i64),
        report: impl FnMut(usize, Verdict),
    ) {
        match self {
            Self::Exact(memory) => memory.check_all(identities, times_of, report),
            Self::Bloom(memory) => memory.check_all(identities, times_of, report),
        }
    }

    /// Removes what has expired at `time`.
    fn expire(&mut self, time: i64) {
        match self {
            Self::Exact(memory) => {
                memory.expire(time);
                memory.compact();
            }
            Self::Bloom(memory) => memory.expire(time),
        }
    }

    /// Returns the number of remembered identities, and of those evicted by a limit.
    fn counts(&self) -> (u64, u64) {
        match self {
            Self::Exact(memory) => (memory.len() as u64, memory.evicted()),
            Self::Bloom(memory) => (memory.len(), memory.evicted()),
        }
    }

    /// Sets the number of evicted identities.
    fn restore_evicted(&mut self, evicted: u64) {
        match self {
            Self::Exact(memory) => memory.restore_evicted(evicted),
            Self::Bloom(memory) => memory.restore_evicted(evicted),
        }
    }
}

impl DedupStage {
    #[inline]
    pub(crate) fn new(index: u32, plan: DedupPlan, seed: u64) -> Self {
        let memory = match plan.memory {
            MemoryPlan::Exact { max_entries } => {
                Memory::Exact(ExactSet::new(plan.ttl_us, plan.refresh, max_entries, seed))
            }
            MemoryPlan::Bloom(sizes) => {
                Memory::Bloom(BloomSet::new(sizes, plan.ttl_us, plan.refresh))
            }
        };
        Self {
            index,
            plan,
            memory,
            time: NO_WATERMARK,
            verdicts: Vec::new(),
            passing: Vec::new(),
            stats: StageStats { r#type: "dedup", ..StageStats::default() },
        }
    }

    /// Looks up and records the events of `range`.
    fn look_up(&mut self, events: &Events<'_>, range: Range<usize>, now: i64) {
        let Self { memory, verdicts, .. } = self;
        let identities = events
            .identities
            .column(self.plan.identity_column)
            .get(range.clone())
            .unwrap_or_default();
        verdicts.clear();
        verdicts.resize(identities.len(), Verdict::Unidentified);
        let found = |event: usize, found| {
            if let Some(verdict) = verdicts.get_mut(event) {
                *verdict = found;
            }
        };
        match self.plan.clock {
            Clock::Event => {
                let times = events.timestamps.get(range.clone()).unwrap_or_default();
                let watermarks = events.watermarks.get(range).unwrap_or_default();
                let at = |column: &[i64], event| column.get(event).copied().unwrap_or(NO_WATERMARK);
                memory.check_all(
                    identities,
                    |event| (at(times, event), at(watermarks, event)),
                    found,
                );
            }
            Clock::Arrival => memory.check_all(identities, |_| (now, now), found),
        }
    }

    /// Passes the new events of `range`; `out` must have room for them. Reports the others as
    /// dropped.
    fn emit(
        &mut self,
        events: &Events<'_>,
        range: Range<usize>,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) {
        self.passing.clear();
        let (mut unidentified, mut unjudged, mut duplicates) = (0, 0, 0);
        for (event, verdict) in range.clone().zip(&self.verdicts) {
            match verdict {
                Verdict::New => {}
                Verdict::Duplicate => {
                    duplicates += 1;
                    let reason = RejectReason::Duplicate;
                    context.report_drop(self.index, events, event, reason, None);
                    continue;
                }
                Verdict::Unidentified => unidentified += 1,
                Verdict::Unjudged => {
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

    /// Advances time to `watermark` or, by arrival, to `now`, and expires identities.
    fn advance(&mut self, watermark: i64, now: i64) {
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
        let processed_end = end.min(cursor.saturating_add(out.room()));
        let range = *cursor..processed_end;
        self.look_up(events, range.clone(), context.now);
        self.emit(events, range, context, out);
        *cursor = processed_end;
        let done = processed_end == end;
        let last_watermark =
            processed_end.checked_sub(1).and_then(|last| events.watermarks.get(last));
        let watermark =
            if done { events.watermark } else { last_watermark.copied().unwrap_or(NO_WATERMARK) };
        self.advance(watermark, context.now);
        if done {
            out.watermark = events.watermark;
        }
        done
    }

    #[inline]
    fn stats(&self, _keys: &Keys) -> StageStats {
        let (entries, evicted) = self.memory.counts();
        let state_bytes = match &self.memory {
            Memory::Exact(_) => entries.saturating_mul(ENTRY_BYTES),
            Memory::Bloom(memory) => memory.bytes(),
        };
        StageStats { entries, evicted, state_bytes, ..self.stats.clone() }
    }

    #[inline]
    fn save(
        &mut self,
        from: Option<i64>,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<i64>, SnapshotError> {
        self.save_section(from, writer)
    }

    #[inline]
    fn load(&mut self, reader: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        self.load_section(reader)
    }
}
