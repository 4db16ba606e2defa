//! Session windows: a session contains the events of a key that follow one another within a gap.
//!
//! An event at time t reaches from t to t + gap. It extends the sessions that it touches, and
//! merges two of them into one:
//!
//! ```text
//! session 1   [--------)                       each session ends one gap
//! session 2                  [-------)         after its last event
//! event               [--------)
//! merged      [----------------------)
//! ```
//!
//! [`SessionStage`] owns the [`SessionTable`] (`table.rs`), which holds the bounds and the status
//! of every session in a slot and finds the sessions of a key; `sorted_lists.rs` holds those that
//! are not the latest open one. The accumulators are columns indexed by slot.
//!
//! A session is [`SessionStatus::Open`] until the watermark reaches its end, then `Fired` until the
//! allowed lateness has passed, then it expires. A late event within that time emits the row again
//! (`Late`); one that changes the bounds first retracts the row (`Retracted`).
//!
//! Order of a call: `add_partials` (`partial.rs`); then for each run `assign` (`assign.rs`),
//! `apply`, and what [`SessionStop`] asks for: `advance`, `retract`, `revise` (`fire.rs`),
//! `merge_sessions`, or `at_limit` (`evict.rs`).

mod assign;
mod evict;
mod fire;
mod partial;
mod snapshot;
mod sorted_lists;
mod table;

use core::ops::Range;

use self::assign::SessionStop;
use self::fire::RowTrigger;
use self::table::{SessionStatus, SessionTable};
use crate::aggregates::Accumulators;
#[cfg(feature = "custom-aggregators")]
use crate::aggregation::AggregatorFactory;
use crate::data::frame::{Events, Frame};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::{Keys, NONE};
use crate::plan::SessionPlan;
use crate::snapshot::{StateReader, StateWriter};
use crate::stages::keyed::limits::Limited;
use crate::stages::partial::PartialState;
use crate::stages::window::staging::Staging;
use crate::stages::window::windows::{Run, Windows, held_back};
use crate::stages::{Context, Stage};

/// A keyed session aggregation.
///
/// Nearly every event belongs to the latest session of its key. A batch is cut into runs of such
/// events, between the few that drop, merge or retract something. In a run, each event first gets
/// its slot, then each field is added in one loop.
pub(crate) struct SessionStage {
    index: u32,
    plan: SessionPlan,
    accumulators: Accumulators,
    table: SessionTable,
    /// Sessions that have ended and wait for room in the output, the next one last. They are still
    /// in the table.
    due: Vec<u32>,
    /// The session whose row the last event has changed, and the trigger of the new row.
    late: Option<(u32, RowTrigger)>,
    /// Partial state from other engines, not merged yet.
    staging: Staging,
    /// The watermark under which the last event arrived.
    input_watermark: i64,
    run: Run,
    stats: StageStats,
}

impl SessionStage {
    #[inline]
    pub(crate) fn new(index: u32, plan: SessionPlan) -> Self {
        let aggregates = &plan.aggregates;
        let mut accumulators =
            Accumulators::new(&aggregates.outputs, aggregates.fields.len(), aggregates.max_values);
        if plan.caps.evicts() {
            accumulators.count_events();
        }
        Self {
            index,
            table: SessionTable::new(&plan.caps, accumulators.slot_bytes()),
            plan,
            accumulators,
            due: Vec::new(),
            late: None,
            staging: Staging::default(),
            input_watermark: NO_WATERMARK,
            run: Run::default(),
            stats: StageStats { r#type: "window", ..StageStats::default() },
        }
    }

    /// Returns the watermark at which the session in `slot` fires, unless an event changes it
    /// before.
    fn fires_at(&self, slot: u32) -> i64 {
        self.plan.fires_at(self.table.bounds(slot).end).min(END_OF_TIME - 1)
    }

    /// Returns the watermark at which the next session fires.
    fn next_fire(&self) -> Option<i64> {
        let waits = |slot: &u32| self.table.info(*slot).status == SessionStatus::Open;
        let sessions = self.table.slots().filter(waits).map(|slot| self.fires_at(slot));
        sessions.chain(self.next_staged_fire()).min()
    }

    /// Adds the events of `range` to their assigned slots.
    fn apply(&mut self, events: &Events<'_>, range: Range<usize>, keys: &Keys) {
        let Self { run, plan, accumulators, stats, .. } = self;
        let fields = &plan.aggregates.fields;
        stats.events += range.len() as u64;
        if let Some(watermark) = run.apply(events, range, fields, accumulators, keys) {
            self.input_watermark = watermark;
        }
    }

    /// Merges the values of `later`, which is already removed from the table, into the session in
    /// `slot`.
    fn merge_sessions(&mut self, slot: u32, later: u32, keys: &mut Keys) {
        self.accumulators.join(slot, later);
        self.measure_slot(slot);
        keys.release(self.table.info(slot).key);
    }

    /// Returns the watermark of the next stage while this one is at `watermark`.
    fn output_watermark(&self, watermark: i64) -> i64 {
        held_back(watermark, self.plan.lag_us())
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
        if !self.staging.is_empty() && !self.add_partials(events.watermark, context, out) {
            return false;
        }
        loop {
            if !self.revise(context.keys, out) || !self.emit(context, out) {
                return false;
            }
            let mut run = self.run.take(events.timestamps.len());
            let (at, stop) = self.assign(events, *cursor, &mut run, context.keys);
            self.run.put_back(run);
            self.apply(events, *cursor..at, context.keys);
            self.measure(*cursor..at);
            self.table.keyed.touch_all(events.keys.get(*cursor..at).unwrap_or_default());
            *cursor = at;
            match stop {
                SessionStop::Advance(watermark) => {
                    if !self.advance(watermark, context, out) {
                        return false;
                    }
                }
                SessionStop::Retract(slot) => {
                    let trigger = RowTrigger::of(events, at);
                    if !self.retract(slot, trigger, context.keys, out) {
                        return false;
                    }
                }
                SessionStop::Merge(left, right) => {
                    self.merge_sessions(left, right, context.keys);
                }
                SessionStop::Limit(limit) => {
                    if !self.at_limit(limit, events, cursor, context) {
                        return false;
                    }
                }
                SessionStop::Revise | SessionStop::ApplyFirst => {}
                SessionStop::Full(slot) => {
                    if !self.at_full_window(slot, events, cursor, context) {
                        return false;
                    }
                }
                SessionStop::Drop(reason) => {
                    self.drop_event(events, cursor, reason, context);
                }
                SessionStop::End => break,
            }
        }
        let done = self.advance(events.watermark, context, out);
        if done {
            self.input_watermark = self.input_watermark.max(events.watermark);
            out.watermark = self.output_watermark(self.input_watermark);
        }
        done
    }

    #[inline]
    fn stats(&self, keys: &Keys) -> StageStats {
        let of_slot = |slot| self.accumulators.variable_bytes(slot);
        let variable_bytes = || self.table.slots().map(of_slot).sum();
        StageStats {
            keys: u64::from(self.table.keyed.open_keys()),
            state_bytes: self.table.keyed.bytes(keys, variable_bytes) + self.staging.bytes(),
            open_windows: self.table.len() as u64,
            watermark: Some(self.input_watermark)
                .filter(|watermark| *watermark != NO_WATERMARK && *watermark != END_OF_TIME),
            next_fire: self.next_fire(),
            ..self.stats.clone()
        }
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

    fn check_restored(&self, _: &Keys) -> Result<(), SnapshotError> {
        if self.late.is_some_and(|(slot, _)| slot == NONE) {
            return Err(SnapshotError::Damaged("a late row has no session"));
        }
        self.table.keyed.check_order()
    }

    #[cfg(feature = "custom-aggregators")]
    fn use_own(&mut self, factory: AggregatorFactory) {
        self.add_own(factory);
    }

    #[inline]
    fn partial_state(&mut self) -> Option<&mut dyn PartialState> {
        Some(self)
    }
}
