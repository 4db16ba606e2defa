//! Session windows: the events of a key that follow one another within a gap.

mod assign;
mod evict;
mod fire;
mod others;
mod parts;
mod state;
mod table;

use core::ops::Range;

use self::assign::{Gap, Stop};
use self::fire::Cause;
use self::table::{Status, Table};
use super::accumulator::Accumulators;
use super::staging::Staging;
use super::{Context, Stage};
use crate::data::frame::{Events, Frame};
use crate::data::reject::RejectReason;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::{Keys, NONE};
use crate::plan::SessionPlan;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::stages::parts::Parts;

/// A keyed session aggregation.
///
/// Every session has a slot, and the accumulators are lists by slot. Nearly every event belongs to the last session of its
/// key: a batch is cut into runs of those and the few that open, join or drop something. Within a run each event first gets
/// its slot, then each field is added in one loop.
pub(crate) struct SessionStage {
    index: u32,
    plan: SessionPlan,
    accumulators: Accumulators,
    table: Table,
    /// Sessions that have ended and wait for room in the output, the next one last. They are still in the table.
    due: Vec<u32>,
    /// The session whose row an event has just changed, and that event.
    late: Option<(u32, Cause)>,
    /// What has come from other engines and is not added yet.
    staging: Staging,
    /// The watermark that the event before the next one met.
    met: i64,
    /// The slot of each event of the frame, as far as they are assigned.
    run: Vec<u32>,
    stats: StageStats,
}

impl SessionStage {
    pub(crate) fn new(index: u32, plan: SessionPlan) -> Self {
        let aggregates = &plan.aggregates;
        let mut accumulators =
            Accumulators::new(&aggregates.outputs, aggregates.fields.len(), aggregates.max_values);
        if plan.caps.evicts() {
            accumulators.count_events();
        }
        Self {
            index,
            table: Table::new(&plan.caps, accumulators.slot_bytes()),
            plan,
            accumulators,
            due: Vec::new(),
            late: None,
            staging: Staging::default(),
            met: NO_WATERMARK,
            run: Vec::new(),
            stats: StageStats { r#type: "window", ..StageStats::default() },
        }
    }

    /// Returns the watermark at which the session in `slot` fires, unless an event changes it before.
    fn fires_at(&self, slot: u32) -> i64 {
        self.plan.fires_at(self.table.bounds(slot).end).min(END_OF_TIME - 1)
    }

    /// The watermark at which the first of the sessions fires.
    fn next_fire(&self) -> Option<i64> {
        let waits = |slot: &u32| self.table.info(*slot).status == Status::Open;
        let sessions = self.table.slots().filter(waits).map(|slot| self.fires_at(slot));
        sessions.chain(self.staged_fire()).min()
    }

    /// Adds the events of `range` to the slots that they were given.
    fn apply(&mut self, events: &Events<'_>, range: Range<usize>) {
        let slots = self.run.get(range.clone()).unwrap_or_default();
        if slots.is_empty() {
            return;
        }
        self.accumulators.count(slots);
        for (field, column) in self.plan.aggregates.fields.iter().enumerate() {
            let values = events.numbers(*column).get(range.clone()).unwrap_or_default();
            self.accumulators.add(field, slots, values, events.order(range.clone()));
        }
        self.stats.events += range.len() as u64;
        self.met = events.watermarks.get(range.end - 1).copied().unwrap_or(self.met);
    }

    /// Adds what the session in `later`, which is out of the table, holds to the one in `slot`.
    fn join(&mut self, slot: u32, later: u32, key: u32, keys: &mut Keys) {
        self.accumulators.join(slot, later);
        self.measure_slot(slot);
        keys.release(key);
    }

    #[cold]
    fn drop_event(
        &mut self,
        events: &Events<'_>,
        at: usize,
        reason: RejectReason,
        context: &mut Context<'_>,
    ) {
        self.stats.count_dropped(reason, 1);
        let gap = Gap::new(self.plan.gap_us);
        let end = events.timestamps.get(at).map(|time| gap.behind(*time));
        context.report_drop(self.index, events, at, reason, end);
        self.stats.events += 1;
        self.met = events.watermarks.get(at).copied().unwrap_or(self.met);
    }

    /// Returns the watermark of the next stage while this one is at `watermark`.
    fn passed_on(&self, watermark: i64) -> i64 {
        match watermark {
            NO_WATERMARK | END_OF_TIME => watermark,
            watermark => watermark.saturating_sub(self.plan.lag_us()),
        }
    }
}

impl Stage for SessionStage {
    fn process(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        if self.run.len() < events.timestamps.len() {
            self.run.resize(events.timestamps.len(), NONE);
        }
        if !self.staging.is_empty() && !self.add_parts(events.watermark, context, out) {
            return false;
        }
        loop {
            if !self.revise(context.keys, out) || !self.emit(context.keys, out) {
                return false;
            }
            let mut run = core::mem::take(&mut self.run);
            let (at, stop) = self.assign(events, *cursor, &mut run, context.keys);
            self.run = run;
            self.apply(events, *cursor..at);
            self.measure(*cursor..at);
            self.table.touch(events.keys.get(*cursor..at).unwrap_or_default());
            *cursor = at;
            match stop {
                Stop::Advance(watermark) => {
                    if !self.advance(watermark, context.keys, out) {
                        return false;
                    }
                }
                Stop::Retract(slot) => {
                    let cause = Cause::of(events, at);
                    if !self.retract(slot, cause, context.keys, out) {
                        return false;
                    }
                }
                Stop::Join(left, right) => {
                    let key = self.table.info(left).key;
                    self.join(left, right, key, context.keys);
                }
                Stop::Limit(limit) => {
                    if !self.at_limit(limit, events, cursor, context) {
                        return false;
                    }
                }
                Stop::Revise | Stop::Settle => {}
                Stop::Drop(reason) => {
                    self.drop_event(events, at, reason, context);
                    *cursor += 1;
                }
                Stop::End => break,
            }
        }
        let done = self.advance(events.watermark, context.keys, out);
        if done {
            self.met = self.met.max(events.watermark);
            out.watermark = self.passed_on(self.met);
        }
        done
    }

    fn stats(&self, keys: &Keys) -> StageStats {
        let extra = |slot| self.accumulators.variable_bytes(slot);
        StageStats {
            keys: u64::from(self.table.open_keys),
            state_bytes: self.table.state_bytes(keys, extra),
            open_windows: self.table.len() as u64,
            watermark: Some(self.met)
                .filter(|watermark| *watermark != NO_WATERMARK && *watermark != END_OF_TIME),
            next_fire: self.next_fire(),
            ..self.stats.clone()
        }
    }

    fn save(
        &self,
        from: Option<i64>,
        positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64> {
        self.save_part(from, positions, writer)
    }

    fn load(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        self.load_part(reader, ids, keys)
    }

    fn parts(&mut self) -> Option<&mut dyn Parts> {
        Some(self)
    }
}
