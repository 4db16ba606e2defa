//! Firing: when the watermark passes a session's end, and when a late event changes it afterwards.

use super::table::Status;
use super::{NONE, SessionStage};
use crate::data::frame::{Events, Frame, FrameColumn};
use crate::data::stats::StageStats;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::Keys;
use crate::stages::window::accumulator::Accumulators;

/// What makes a row come, and so where it stands among others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause {
    pub(super) watermark: i64,
    /// 0 for rows that come when they are due, as in [`Frame`].
    pub(super) rank: u64,
}

impl Cause {
    /// The event at `at`.
    pub(super) fn of(events: &Events<'_>, at: usize) -> Self {
        Self {
            watermark: events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK),
            rank: events.ordinals.at(at).saturating_add(1),
        }
    }
}

impl SessionStage {
    /// Fires all that `watermark` has passed; false: `out` is full, and this is to be called again.
    pub(super) fn advance(&mut self, watermark: i64, keys: &mut Keys, out: &mut Frame) -> bool {
        while self.emit(keys, out) {
            if !self.is_due(watermark) {
                return true;
            }
            self.collect(keys);
        }
        false
    }

    /// The watermark before which nothing is due.
    pub(super) fn next_due(&mut self) -> i64 {
        self.table.timers.first().map_or(END_OF_TIME, |(time, _)| time)
    }

    /// Whether anything is due at `watermark`.
    pub(super) fn is_due(&mut self, watermark: i64) -> bool {
        while let Some((time, slot)) = self.table.timers.first() {
            if time > watermark {
                return false;
            }
            // Timers are not moved with every event of a session.
            let due = self.due_at(slot);
            if due <= time {
                return true;
            }
            self.table.timers.postpone_first(due);
        }
        false
    }

    /// The watermark at which the session in `slot` fires, or is gone.
    pub(super) fn due_at(&self, slot: u32) -> i64 {
        match self.table.info(slot).status {
            Status::Fired => self.plan.expires_at(self.table.bounds(slot).end).min(END_OF_TIME - 1),
            _ => self.fires_at(slot),
        }
    }

    /// Makes the session in `slot` fire before the next event.
    pub(super) fn make_late(&mut self, slot: u32, cause: Cause) {
        let revision = self.table.info(slot).revision;
        self.table.set_status(slot, Status::Late, revision);
        self.table.timers.clear(slot);
        self.late = Some((slot, cause));
    }

    /// Puts the sessions that fire next into the order of their rows, and forgets those that are gone.
    fn collect(&mut self, keys: &mut Keys) {
        let next = self.next_due();
        while let Some((time, slot)) = self.table.timers.first().filter(|(time, _)| *time == next) {
            let due = self.due_at(slot);
            if due > time {
                self.table.timers.postpone_first(due);
            } else if self.table.info(slot).status == Status::Fired {
                let key = self.table.info(slot).key;
                self.table.remove(slot);
                self.accumulators.release(&[slot]);
                keys.release(key);
            } else {
                self.table.timers.clear(slot);
                self.due.push(slot);
            }
        }
        if self.due.len() > 1 {
            let (table, ranks) = (&self.table, keys.ranks());
            let rank = |slot: u32| ranks.get(table.info(slot).key as usize).copied().unwrap_or(0);
            crate::util::sort::descending_by_times(&mut self.due, |slot| {
                (table.bounds(slot).end, table.bounds(slot).start, rank(slot))
            });
        }
    }

    /// Makes rows of the sessions that have been collected; false: `out` is full.
    pub(super) fn emit(&mut self, keys: &mut Keys, out: &mut Frame) -> bool {
        if self.due.is_empty() {
            return true;
        }
        let mut due = core::mem::take(&mut self.due);
        let left = due.len() - due.len().min(out.room());
        if let Some(rows) = due.get_mut(left..).filter(|rows| !rows.is_empty()) {
            rows.reverse();
            let watermark = rows.first().map_or(NO_WATERMARK, |slot| self.fires_at(*slot));
            self.fire(rows, Cause { watermark, rank: 0 }, keys, out);
        }
        due.truncate(left);
        self.due = due;
        left == 0
    }

    /// Makes the row of the session that an event has just changed; false: `out` is full.
    pub(super) fn revise(&mut self, keys: &mut Keys, out: &mut Frame) -> bool {
        let late = self.late.filter(|(slot, _)| *slot != NONE);
        let Some((slot, cause)) = late else { return true };
        if out.room() == 0 {
            return false;
        }
        self.late = None;
        self.fire(&[slot], cause, keys, out);
        true
    }

    /// Takes the row of the session in `slot` back; false: `out` is full.
    pub(super) fn retract(
        &mut self,
        slot: u32,
        cause: Cause,
        keys: &mut Keys,
        out: &mut Frame,
    ) -> bool {
        if out.room() == 0 {
            return false;
        }
        self.write_copy(&[slot], cause, true, out);
        let info = self.table.info(slot);
        keys.retain(info.key);
        self.table.set_status(slot, Status::Retracted, info.revision.saturating_add(1));
        self.table.timers.clear(slot);
        true
    }

    /// Makes a row of each session in `slots`. If it may still change, it stays.
    fn fire(&mut self, slots: &[u32], cause: Cause, keys: &mut Keys, out: &mut Frame) {
        if self.plan.kept_us > 0 {
            self.write_copy(slots, cause, false, out);
            for slot in slots {
                let info = self.table.info(*slot);
                keys.retain(info.key);
                self.table.set_status(*slot, Status::Fired, info.revision);
                self.table.expect_none(*slot);
                self.table.timers.set(*slot, self.due_at(*slot));
            }
            return;
        }
        self.accumulators.seal(slots, &mut self.stats);
        self.write(slots, &self.accumulators, slots, (cause, false), out);
        self.stats.rows += slots.len() as u64;
        self.accumulators.release(slots);
        // Their rows retain the keys from here on.
        slots.iter().for_each(|slot| self.table.remove(*slot));
    }

    /// Makes rows of what `slots` hold now; events are still added to them.
    fn write_copy(&mut self, slots: &[u32], cause: Cause, retracted: bool, out: &mut Frame) {
        let mut copy = self.accumulators.pick(slots);
        let places: Vec<u32> = (0..).take(slots.len()).collect();
        let mut again = StageStats::default();
        copy.seal(&places, if retracted { &mut again } else { &mut self.stats });
        self.write(slots, &copy, &places, (cause, retracted), out);
        self.stats.rows += slots.len() as u64;
    }

    /// Makes rows of the sessions in `slots`, whose results are at `places` of `accumulators`.
    fn write(
        &self,
        slots: &[u32],
        accumulators: &Accumulators,
        places: &[u32],
        (cause, retracted): (Cause, bool),
        out: &mut Frame,
    ) {
        let taken = slots.len();
        let bounds = || slots.iter().map(|slot| self.table.bounds(*slot));
        out.keys.extend(slots.iter().map(|slot| self.table.info(*slot).key));
        out.timestamps.extend(bounds().map(|bounds| bounds.end.saturating_sub(1)));
        out.firing.resize(out.firing.len() + taken, cause.watermark);
        out.ranks.resize(out.ranks.len() + taken, cause.rank);
        // The next stage judges the row under the watermark just below the one that fires it.
        let passed_on = self.passed_on(cause.watermark.saturating_sub(1));
        out.watermarks.resize(out.watermarks.len() + taken, passed_on);
        let rows = self.stats.rows;
        out.ordinals.extend(rows..rows + taken as u64);
        let outputs = self.plan.aggregates.outputs.len();
        for (place, column) in out.columns.iter_mut().enumerate() {
            match column {
                FrameColumn::Time(times) if place == 0 => {
                    times.extend(bounds().map(|bounds| bounds.start));
                }
                FrameColumn::Time(times) => times.extend(bounds().map(|bounds| bounds.end)),
                FrameColumn::Number(numbers) if place < outputs + 2 => {
                    let output = place - 2;
                    if !accumulators.results(output, places.iter(), numbers) {
                        let lengths =
                            bounds().map(|bounds| bounds.end.saturating_sub(bounds.start));
                        let places = places.iter().zip(lengths);
                        let result = |(slot, length): (&u32, i64)| {
                            accumulators.result(output, *slot, length)
                        };
                        numbers.extend(places.map(result));
                    }
                }
                FrameColumn::Number(revisions) => {
                    let revision = |slot: &u32| f64::from(self.table.info(*slot).revision);
                    revisions.extend(slots.iter().map(revision));
                }
                FrameColumn::Bool(bools) => {
                    bools.resize(bools.len() + taken, u8::from(retracted));
                }
            }
        }
    }
}
