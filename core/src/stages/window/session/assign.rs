//! Assignment: finds the session of each event, which the event extends, opens, or merges with
//! another.

use super::SessionStage;
use super::fire::RowTrigger;
use super::table::{Bounds, SessionStatus};
use crate::data::frame::Events;
use crate::data::reject::RejectReason;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;
use crate::plan::Limit;
use crate::stages::window::windows::Windows;

/// The reason why a run of events ends.
pub(super) enum SessionStop {
    /// The next event arrives under a watermark at which a session is due.
    Advance(i64),
    /// The next event changes the bounds of this session, which has fired.
    Retract(u32),
    /// The last event merges the session in the first slot with the one in the second, which starts
    /// later.
    Merge(u32, u32),
    /// The last event changes the row of a session that has ended.
    Revise,
    /// The next event needs more room than this limit leaves.
    Limit(Limit),
    /// The events so far must be applied first, because their values count toward the byte limit.
    ApplyFirst,
    /// The next event falls into the session in this slot, which has no room for its values.
    Full(u32),
    /// The next event is dropped.
    Drop(RejectReason),
    /// There is no next event.
    End,
}

/// The placement of an event that the fast path does not handle.
enum Placement {
    /// The event is in the session in this slot.
    In(u32),
    /// The event is in the session in this slot, and the run ends after it.
    InAndStop(u32, SessionStop),
    /// The run ends before the event.
    StopBefore(SessionStop),
}

impl SessionStage {
    /// Writes the slot of each event from `from` on into `run`, until something else must be done
    /// first.
    ///
    /// Returns the index of the event before which it stopped, and the reason.
    pub(super) fn assign(
        &mut self,
        events: &Events<'_>,
        from: usize,
        run: &mut [u32],
        keys: &mut Keys,
    ) -> (usize, SessionStop) {
        let mut at = from;
        let mut quiet_until = at;
        let mut run_end = self.run_end(at);
        loop {
            if at >= quiet_until {
                let Some(&watermark) = events.watermarks.get(at) else {
                    return (at, SessionStop::End);
                };
                if self.is_due(watermark) {
                    return (at, SessionStop::Advance(watermark));
                }
                quiet_until = self.first_due(events, at);
            }
            if at >= run_end {
                return (at, SessionStop::ApplyFirst);
            }
            if !self.values_exceed_limit() {
                let fast_end = quiet_until.min(run_end);
                at += self.assign_fast(
                    events.timestamps.get(at..fast_end).unwrap_or_default(),
                    events.keys.get(at..fast_end).unwrap_or_default(),
                    run.get_mut(at..fast_end).unwrap_or_default(),
                );
                if at >= fast_end {
                    continue;
                }
            }
            let opened_before = self.table.len();
            let (slot, stop) = match self.place_event(events, at, at == from, keys) {
                Placement::In(slot) => (slot, None),
                Placement::InAndStop(slot, stop) => (slot, Some(stop)),
                Placement::StopBefore(stop) => return (at, stop),
            };
            if let Some(entry) = run.get_mut(at) {
                *entry = slot;
            }
            if self.table.len() > opened_before {
                run_end = self.run_end(at);
            }
            at += 1;
            if let Some(stop) = stop {
                return (at, stop);
            }
            let watermark = events.watermarks.get(quiet_until.saturating_sub(1)).copied();
            if watermark.is_some_and(|watermark| self.next_due() <= watermark) {
                quiet_until = self.first_due(events, at);
            }
        }
    }

    /// Assigns events while each falls into the latest open session of its key. Returns the number
    /// of events assigned.
    fn assign_fast(&mut self, timestamps: &[i64], keys: &[u32], run: &mut [u32]) -> usize {
        let gap = Gap::new(self.plan.gap_us);
        assign_fast(gap, &self.table.latest, &mut self.table.bounds, timestamps, keys, run)
    }

    /// Returns the index of the first event from `from` on whose watermark makes something due.
    /// Watermarks never decrease.
    fn first_due(&mut self, events: &Events<'_>, from: usize) -> usize {
        let next_due = self.next_due();
        let rest = events.watermarks.get(from..).unwrap_or_default();
        from + rest.partition_point(|watermark| *watermark < next_due)
    }

    /// Places the event at `at`, whatever its effect on sessions. If `is_first_of_run`, all events
    /// before it are applied already.
    fn place_event(
        &mut self,
        events: &Events<'_>,
        at: usize,
        is_first_of_run: bool,
        keys: &mut Keys,
    ) -> Placement {
        let event = events.timestamps.get(at).zip(events.keys.get(at));
        let Some((&time, &key)) = event else { return Placement::StopBefore(SessionStop::End) };
        let watermark = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
        let end = Gap::new(self.plan.gap_us).end_after(time);
        let bounds = Bounds { start: time, end };
        let neighbours = self.table.neighbours(key, bounds);
        let slot = match neighbours.slots().first() {
            None => {
                if self.plan.expires_at(end) <= watermark {
                    return Placement::StopBefore(SessionStop::Drop(RejectReason::Late));
                }
                if !is_first_of_run && self.tracks_value_bytes() {
                    return Placement::StopBefore(SessionStop::ApplyFirst);
                }
                match self.open(key, bounds, keys) {
                    Ok(slot) => slot,
                    Err(limit) => return Placement::StopBefore(SessionStop::Limit(limit)),
                }
            }
            Some(first) => {
                if self.is_full(events, at, *first) {
                    return Placement::StopBefore(SessionStop::Full(*first));
                }
                if let Some(slot) = self.first_to_retract(neighbours.slots(), bounds) {
                    return Placement::StopBefore(SessionStop::Retract(slot));
                }
                self.unite(neighbours.slots(), bounds);
                *first
            }
        };
        let is_late = self.plan.kept_us > 0 && self.fires_at(slot) <= watermark;
        if is_late {
            self.make_late(slot, RowTrigger::of(events, at));
        } else {
            self.schedule(slot);
        }
        match neighbours.slots() {
            [left, right] => Placement::InAndStop(slot, SessionStop::Merge(*left, *right)),
            _ if is_late => Placement::InAndStop(slot, SessionStop::Revise),
            _ => Placement::In(slot),
        }
    }

    /// Opens a session of `key` that touches no other, if there is room.
    pub(super) fn open(&mut self, key: u32, bounds: Bounds, keys: &mut Keys) -> Result<u32, Limit> {
        let slot = self.table.open(key, bounds, keys)?;
        self.accumulators.reset(slot);
        Ok(slot)
    }

    /// Returns the first of the sessions `touched` that has fired and whose bounds change once they
    /// are united with `bounds`.
    pub(super) fn first_to_retract(&self, touched: &[u32], bounds: Bounds) -> Option<u32> {
        let keeps_bounds = |known: Bounds| {
            touched.len() == 1 && known.start <= bounds.start && bounds.end <= known.end
        };
        let must_retract = |slot: &u32| {
            self.table.info(*slot).status == SessionStatus::Fired
                && !keeps_bounds(self.table.bounds(*slot))
        };
        touched.iter().copied().find(must_retract)
    }

    /// Unites the sessions `touched` with `bounds`: the first takes over the bounds and the
    /// revision of all, the others are removed from the table. Their values still have to be
    /// merged.
    pub(super) fn unite(&mut self, touched: &[u32], mut bounds: Bounds) {
        let Some((first, later)) = touched.split_first() else { return };
        let mut revision = 0;
        for slot in touched {
            let (info, known) = (self.table.info(*slot), self.table.bounds(*slot));
            let replaces = u32::from(info.status == SessionStatus::Fired);
            revision = revision.max(info.revision.saturating_add(replaces));
            bounds.start = bounds.start.min(known.start);
            bounds.end = bounds.end.max(known.end);
        }
        later.iter().for_each(|slot| self.table.remove(*slot));
        self.table.set_bounds(*first, bounds);
        self.table.set_status(*first, SessionStatus::Open, revision);
    }

    /// Schedules the firing of the session in `slot`.
    pub(super) fn schedule(&mut self, slot: u32) {
        self.table.make_latest(slot);
        let due = self.fires_at(slot);
        if self.table.timers.get(slot).is_none_or(|known| due < known) {
            self.table.timers.set(slot, due);
        }
    }
}

/// The gap that ends a session.
#[derive(Clone, Copy)]
pub(super) struct Gap {
    gap_us: i64,
    /// The latest time whose session end is in range.
    max_time: i64,
}

impl Gap {
    /// Creates a gap of `gap_us` microseconds.
    pub(super) fn new(gap_us: i64) -> Self {
        Self { gap_us, max_time: i64::MAX - gap_us }
    }

    /// Returns the end of a session whose last event is at `time`.
    #[inline(always)]
    pub(super) fn end_after(self, time: i64) -> i64 {
        time.min(self.max_time).wrapping_add(self.gap_us)
    }
}

/// Events per iteration of [`assign_fast`]. At the end of each iteration wasmtime checks the
/// deadline, and spills and reloads all registers of the loop.
const EVENTS_PER_ITERATION: usize = 8;

/// The hot loop of [`SessionStage::assign_fast`].
// A separate function: wasmtime's compiler keeps a loop's variables in registers only in small
// ones.
#[inline(never)]
fn assign_fast(
    gap: Gap,
    latest: &[u32],
    bounds: &mut [Bounds],
    timestamps: &[i64],
    keys: &[u32],
    run: &mut [u32],
) -> usize {
    let mut stays = |time: &i64, key: &u32, entry: &mut u32| {
        let Some(&slot) = latest.get(*key as usize) else { return false };
        let Some(bounds) = bounds.get_mut(slot as usize) else { return false };
        if *time < bounds.start || *time > bounds.end {
            return false;
        }
        bounds.end = bounds.end.max(gap.end_after(*time));
        *entry = slot;
        true
    };
    let (time_turns, timestamps) = timestamps.as_chunks::<EVENTS_PER_ITERATION>();
    let (key_turns, keys) = keys.as_chunks::<EVENTS_PER_ITERATION>();
    let (run_turns, run) = run.as_chunks_mut::<EVENTS_PER_ITERATION>();
    let mut assigned = 0;
    for ((timestamps, keys), run) in time_turns.iter().zip(key_turns).zip(run_turns) {
        for ((time, key), entry) in timestamps.iter().zip(keys).zip(run) {
            if !stays(time, key, entry) {
                return assigned;
            }
            assigned += 1;
        }
    }
    for ((time, key), entry) in timestamps.iter().zip(keys).zip(run) {
        if !stays(time, key, entry) {
            break;
        }
        assigned += 1;
    }
    assigned
}
