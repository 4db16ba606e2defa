//! Firing: when the watermark reaches a session's end, and when a late event changes the session
//! afterwards.

use super::table::SessionStatus;
use super::{NONE, SessionStage};
use crate::aggregates::Accumulators;
use crate::data::frame::{Events, Frame, FrameColumn};
use crate::data::schema::ColumnRole;
use crate::data::stats::StageStats;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::Keys;
use crate::stages::Context;
use crate::stages::work::take_last;

/// The trigger of a row, by which rows are ordered: first the watermark, then the rank.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowTrigger {
    pub(super) watermark: i64,
    /// 0 for rows that are on time, as in [`Frame`].
    pub(super) rank: u64,
}

impl RowTrigger {
    /// Returns the trigger of a row that the event at `at` changes.
    pub(super) fn of(events: &Events<'_>, at: usize) -> Self {
        Self {
            watermark: events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK),
            rank: events.ordinals.at(at).saturating_add(1),
        }
    }
}

impl SessionStage {
    /// Fires everything that is due at `watermark`. Returns false if `out` is full or the work of
    /// the call is spent; the next call continues.
    pub(super) fn advance(
        &mut self,
        watermark: i64,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        while self.emit(context, out) {
            if !self.is_due(watermark) {
                return true;
            }
            if context.work.is_spent() {
                return false;
            }
            self.collect(context);
        }
        false
    }

    /// Returns the watermark before which nothing is due.
    pub(super) fn next_due(&mut self) -> i64 {
        self.table.timers.first().map_or(END_OF_TIME, |(time, _)| time)
    }

    /// Returns true if anything is due at `watermark`.
    pub(super) fn is_due(&mut self, watermark: i64) -> bool {
        while let Some((time, slot)) = self.table.timers.first() {
            if time > watermark {
                return false;
            }
            // Events extend sessions without moving their timers.
            let due = self.due_at(slot);
            if due <= time {
                return true;
            }
            self.table.timers.postpone_first(due);
        }
        false
    }

    /// Returns the watermark at which the session in `slot` fires or, if it has fired, expires.
    pub(super) fn due_at(&self, slot: u32) -> i64 {
        match self.table.info(slot).status {
            SessionStatus::Fired => {
                self.plan.expires_at(self.table.bounds(slot).end).min(END_OF_TIME - 1)
            }
            _ => self.fires_at(slot),
        }
    }

    /// Makes the session in `slot` fire before the next event.
    pub(super) fn make_late(&mut self, slot: u32, trigger: RowTrigger) {
        let revision = self.table.info(slot).revision;
        self.table.set_status(slot, SessionStatus::Late, revision);
        self.table.timers.clear(slot);
        self.late = Some((slot, trigger));
    }

    /// Collects the sessions that fire next, in the order of their rows, and removes those that
    /// have expired.
    fn collect(&mut self, context: &mut Context<'_>) {
        let keys = &mut *context.keys;
        let next = self.next_due();
        while let Some((time, slot)) = self.table.timers.first().filter(|(time, _)| *time == next) {
            let due = self.due_at(slot);
            if due > time {
                self.table.timers.postpone_first(due);
            } else if self.table.info(slot).status == SessionStatus::Fired {
                let key = self.table.info(slot).key;
                self.table.remove(slot);
                self.accumulators.release(&[slot]);
                keys.release(key);
            } else {
                self.table.timers.clear(slot);
                self.due.push(slot);
            }
        }
        context.work.spend(1 + self.due.len() as u64);
        if self.due.len() > 1 {
            let (table, due) = (&self.table, &self.due);
            let key_of = |slot: &u32| table.info(*slot).key;
            let ranks = keys.ranks_of(due.len(), || due.iter().map(key_of).collect());
            let rank = |slot: u32| ranks.get(table.info(slot).key as usize).copied().unwrap_or(0);
            crate::util::sort::descending_by_times(&mut self.due, |slot| {
                (table.bounds(slot).end, table.bounds(slot).start, rank(slot))
            });
        }
    }

    /// Emits rows of the collected sessions. Returns false if `out` is full or the work of the call
    /// is spent before all are emitted.
    pub(super) fn emit(&mut self, context: &mut Context<'_>, out: &mut Frame) -> bool {
        if self.due.is_empty() {
            return true;
        }
        let mut due = core::mem::take(&mut self.due);
        let mut taken = due.len().min(out.room());
        if self.accumulators.have_variable_bytes() {
            let last = due.get(due.len() - taken..).unwrap_or_default();
            taken = take_last(last, context.work, |slot| self.accumulators.work_of(slot));
        }
        let left = due.len() - taken;
        if let Some(rows) = due.get_mut(left..).filter(|rows| !rows.is_empty()) {
            rows.reverse();
            let watermark = rows.first().map_or(NO_WATERMARK, |slot| self.fires_at(*slot));
            self.fire(rows, RowTrigger { watermark, rank: 0 }, context.keys, out);
        }
        due.truncate(left);
        self.due = due;
        left == 0
    }

    /// Emits the row of the session that a late event has just changed. Returns false if `out` is
    /// full.
    pub(super) fn revise(&mut self, keys: &mut Keys, out: &mut Frame) -> bool {
        let late = self.late.filter(|(slot, _)| *slot != NONE);
        let Some((slot, trigger)) = late else { return true };
        if out.room() == 0 {
            return false;
        }
        self.late = None;
        self.fire(&[slot], trigger, keys, out);
        true
    }

    /// Retracts the row of the session in `slot`. Returns false if `out` is full.
    pub(super) fn retract(
        &mut self,
        slot: u32,
        trigger: RowTrigger,
        keys: &mut Keys,
        out: &mut Frame,
    ) -> bool {
        if out.room() == 0 {
            return false;
        }
        self.write_copy(&[slot], trigger, true, out);
        let info = self.table.info(slot);
        keys.retain(info.key);
        self.table.set_status(slot, SessionStatus::Retracted, info.revision.saturating_add(1));
        self.table.timers.clear(slot);
        true
    }

    /// Emits a row of each session in `slots`. Sessions that may still change are kept.
    fn fire(&mut self, slots: &[u32], trigger: RowTrigger, keys: &mut Keys, out: &mut Frame) {
        if self.plan.kept_us > 0 {
            self.write_copy(slots, trigger, false, out);
            for slot in slots {
                let info = self.table.info(*slot);
                keys.retain(info.key);
                self.table.set_status(*slot, SessionStatus::Fired, info.revision);
                self.table.clear_latest(*slot);
                self.table.timers.set(*slot, self.due_at(*slot));
            }
            return;
        }
        self.accumulators.seal(slots, &mut self.stats);
        self.write(slots, &self.accumulators, slots, (trigger, false), out);
        self.stats.rows += slots.len() as u64;
        self.accumulators.release(slots);
        // The rows take over the references to the keys.
        slots.iter().for_each(|slot| self.table.remove(*slot));
    }

    /// Writes rows from a copy of the values in `slots`, to which events are still added.
    fn write_copy(&mut self, slots: &[u32], trigger: RowTrigger, retracted: bool, out: &mut Frame) {
        let mut copy = self.accumulators.pick(slots);
        let value_slots: Vec<u32> = (0..).take(slots.len()).collect();
        let mut again = StageStats::default();
        copy.seal(&value_slots, if retracted { &mut again } else { &mut self.stats });
        self.write(slots, &copy, &value_slots, (trigger, retracted), out);
        self.stats.rows += slots.len() as u64;
    }

    /// Writes rows of the sessions in `slots`, whose results are in the slots `value_slots` of
    /// `accumulators`.
    fn write(
        &self,
        slots: &[u32],
        accumulators: &Accumulators,
        value_slots: &[u32],
        (trigger, retracted): (RowTrigger, bool),
        out: &mut Frame,
    ) {
        let taken = slots.len();
        let bounds = || slots.iter().map(|slot| self.table.bounds(*slot));
        out.keys.extend(slots.iter().map(|slot| self.table.info(*slot).key));
        out.timestamps.extend(bounds().map(|bounds| bounds.end.saturating_sub(1)));
        out.firing.resize(out.firing.len() + taken, trigger.watermark);
        out.ranks.resize(out.ranks.len() + taken, trigger.rank);
        // The next stage judges the row under the watermark just below the one that fires it.
        let output_watermark = self.output_watermark(trigger.watermark.saturating_sub(1));
        out.watermarks.resize(out.watermarks.len() + taken, output_watermark);
        let rows = self.stats.rows;
        out.ordinals.extend(rows..rows + taken as u64);
        for (role, column) in self.plan.aggregates.layout.roles().zip(&mut out.columns) {
            match (role, column) {
                (ColumnRole::WindowStart, FrameColumn::Time(times)) => {
                    times.extend(bounds().map(|bounds| bounds.start));
                }
                (ColumnRole::WindowEnd, FrameColumn::Time(times)) => {
                    times.extend(bounds().map(|bounds| bounds.end));
                }
                (ColumnRole::Aggregation(output), FrameColumn::Number(numbers)) => {
                    let is_written = accumulators.results(output, value_slots.iter(), numbers);
                    if !is_written {
                        let lengths =
                            bounds().map(|bounds| bounds.end.saturating_sub(bounds.start));
                        let value_slots = value_slots.iter().zip(lengths);
                        let result = |(slot, length): (&u32, i64)| {
                            accumulators.result(output, *slot, length)
                        };
                        numbers.extend(value_slots.map(result));
                    }
                }
                (ColumnRole::Revision, FrameColumn::Number(revisions)) => {
                    let revision = |slot: &u32| f64::from(self.table.info(*slot).revision);
                    revisions.extend(slots.iter().map(revision));
                }
                (ColumnRole::Retracted, FrameColumn::Bool(flags)) => {
                    flags.resize(flags.len() + taken, u8::from(retracted));
                }
                _ => {}
            }
        }
    }
}
