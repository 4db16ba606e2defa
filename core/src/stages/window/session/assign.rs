//! From an event to the slot of its session, which it extends, opens, or joins with another.

use super::fire::Cause;
use super::table::{Around, Bounds, Status};
use super::{NONE, SessionStage};
use crate::data::frame::Events;
use crate::data::reject::RejectReason;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;
use crate::plan::Limit;

/// Why a run of events ends.
pub(super) enum Stop {
    /// The next event meets a watermark at which a session is due.
    Advance(i64),
    /// The next event changes the bounds of this session, which has fired.
    Retract(u32),
    /// The last event joins the session in the first slot with the one in the second, which begins later.
    Join(u32, u32),
    /// The last event changes the row of a session that has ended.
    Revise,
    /// The next event needs more than this limit leaves.
    Limit(Limit),
    /// Before the next event is taken, those before it have to be added.
    Settle,
    /// The next event is dropped.
    Drop(RejectReason),
    /// There is no next event.
    End,
}

/// What becomes of an event that is not just one more of the session that it is expected in.
enum Placed {
    /// It is in the session in this slot.
    In(u32),
    /// The same, and then the run ends.
    AndThen(u32, Stop),
    /// Something comes before it.
    First(Stop),
}

impl SessionStage {
    /// Writes the slot of each event from `from` on into `run`, as far as nothing else is to be done.
    ///
    /// Returns the event before which it stopped, and why.
    pub(super) fn assign(
        &mut self,
        events: &Events<'_>,
        from: usize,
        run: &mut [u32],
        keys: &mut Keys,
    ) -> (usize, Stop) {
        let mut at = from;
        let mut calm_until = at;
        loop {
            if at >= calm_until {
                let Some(&watermark) = events.watermarks.get(at) else { return (at, Stop::End) };
                if self.is_due(watermark) {
                    return (at, Stop::Advance(watermark));
                }
                calm_until = self.first_due(events, at);
            }
            at += self.follow(
                events.timestamps.get(at..calm_until).unwrap_or_default(),
                events.keys.get(at..calm_until).unwrap_or_default(),
                run.get_mut(at..calm_until).unwrap_or_default(),
            );
            if at >= calm_until {
                continue;
            }
            let (slot, stop) = match self.place(events, at, at == from, keys) {
                Placed::In(slot) => (slot, None),
                Placed::AndThen(slot, stop) => (slot, Some(stop)),
                Placed::First(stop) => return (at, stop),
            };
            if let Some(entry) = run.get_mut(at) {
                *entry = slot;
            }
            at += 1;
            if let Some(stop) = stop {
                return (at, stop);
            }
            let watermark = events.watermarks.get(calm_until.saturating_sub(1)).copied();
            if watermark.is_some_and(|watermark| self.next_due() <= watermark) {
                calm_until = self.first_due(events, at);
            }
        }
    }

    /// The hot loop: follows events as long as each falls into the session that it is expected in. Returns how many do.
    fn follow(&mut self, timestamps: &[i64], keys: &[u32], run: &mut [u32]) -> usize {
        let gap = Gap::new(self.plan.gap_us);
        follow(gap, &self.table.latest, &mut self.table.bounds, timestamps, keys, run)
    }

    /// The first event from `from` on that meets a watermark at which something is due: watermarks never go back.
    fn first_due(&mut self, events: &Events<'_>, from: usize) -> usize {
        let next_due = self.next_due();
        let rest = events.watermarks.get(from..).unwrap_or_default();
        from + rest.partition_point(|watermark| *watermark < next_due)
    }

    /// Finds a place for the event at `at`, whatever it does to sessions; `is_first`: all before it are added.
    fn place(&mut self, events: &Events<'_>, at: usize, is_first: bool, keys: &mut Keys) -> Placed {
        let event = events.timestamps.get(at).zip(events.keys.get(at));
        let Some((&time, &key)) = event else { return Placed::First(Stop::End) };
        let watermark = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
        let end = Gap::new(self.plan.gap_us).behind(time);
        let around = self.table.around(key, time, end);
        let slot = match around {
            Around { left: NONE, right: NONE } => {
                if self.plan.expires_at(end) <= watermark {
                    return Placed::First(Stop::Drop(RejectReason::Late));
                }
                if !is_first && self.measures_values() {
                    return Placed::First(Stop::Settle);
                }
                let bounds = Bounds { start: time, end };
                match self.table.open(key, bounds, &self.plan.caps, keys) {
                    Ok(slot) => {
                        self.accumulators.reset(slot);
                        slot
                    }
                    Err(limit) => return Placed::First(Stop::Limit(limit)),
                }
            }
            Around { left, right } => match self.fired(around, time, end) {
                Some(slot) => return Placed::First(Stop::Retract(slot)),
                None => {
                    let slot = if left == NONE { right } else { left };
                    self.widen(slot, around, time, end);
                    slot
                }
            },
        };
        let is_late = self.plan.kept_us > 0 && self.fires_at(slot) <= watermark;
        if is_late {
            self.make_late(slot, Cause::of(events, at));
        } else {
            self.expect(slot);
        }
        match around {
            Around { left, right } if left != NONE && right != NONE => {
                Placed::AndThen(slot, Stop::Join(left, right))
            }
            _ if is_late => Placed::AndThen(slot, Stop::Revise),
            _ => Placed::In(slot),
        }
    }

    /// A session that has fired and whose bounds the event at `time` changes; alone it would be one until `end`.
    fn fired(&self, Around { left, right }: Around, time: i64, end: i64) -> Option<u32> {
        let keeps_bounds = |slot: u32| {
            let bounds = self.table.bounds(slot);
            right == NONE && bounds.start <= time && end <= bounds.end
        };
        let has_fired = |slot: &u32| {
            *slot != NONE && self.table.info(*slot).status == Status::Fired && !keeps_bounds(*slot)
        };
        [left, right].into_iter().find(has_fired)
    }

    /// Extends the session in `slot`, one of `around`, by an event at `time`, and has it take the place of both.
    pub(super) fn widen(&mut self, slot: u32, Around { left, right }: Around, time: i64, end: i64) {
        let mut bounds = Bounds { start: time, end };
        let mut revision = 0;
        for part in [left, right].into_iter().filter(|part| *part != NONE) {
            let (info, part) = (self.table.info(part), self.table.bounds(part));
            let replaces = u32::from(info.status == Status::Fired);
            revision = revision.max(info.revision.saturating_add(replaces));
            bounds.start = bounds.start.min(part.start);
            bounds.end = bounds.end.max(part.end);
        }
        if left != NONE && right != NONE {
            self.table.remove(right);
        }
        self.table.set_bounds(slot, bounds);
        self.table.set_status(slot, Status::Open, revision);
    }

    /// Waits for the end of the session in `slot`.
    pub(super) fn expect(&mut self, slot: u32) {
        self.table.expect(slot);
        let due = self.fires_at(slot);
        if self.table.timers.get(slot).is_none_or(|known| due < known) {
            self.table.timers.set(slot, due);
        }
    }
}

/// How far a session reaches beyond its events.
#[derive(Clone, Copy)]
pub(super) struct Gap {
    gap_us: i64,
    /// Beyond this the end of a session would be out of range.
    latest: i64,
}

impl Gap {
    pub(super) fn new(gap_us: i64) -> Self {
        Self { gap_us, latest: i64::MAX - gap_us }
    }

    /// The end of a session whose last event is at `time`.
    #[inline(always)]
    pub(super) fn behind(self, time: i64) -> i64 {
        time.min(self.latest).wrapping_add(self.gap_us)
    }
}

/// Events that one turn of [`follow`] takes: at each, wasmtime looks at the deadline, and stores and loads again all that
/// the loop has in registers.
const TURN: usize = 8;

/// See [`SessionStage::follow`].
// Its own function: wasmtime's compiler keeps a loop's variables in registers only in small ones.
#[inline(never)]
fn follow(
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
        bounds.end = bounds.end.max(gap.behind(*time));
        *entry = slot;
        true
    };
    let (time_turns, timestamps) = timestamps.as_chunks::<TURN>();
    let (key_turns, keys) = keys.as_chunks::<TURN>();
    let (run_turns, run) = run.as_chunks_mut::<TURN>();
    let mut followed = 0;
    for ((timestamps, keys), run) in time_turns.iter().zip(key_turns).zip(run_turns) {
        for ((time, key), entry) in timestamps.iter().zip(keys).zip(run) {
            if !stays(time, key, entry) {
                return followed;
            }
            followed += 1;
        }
    }
    for ((time, key), entry) in timestamps.iter().zip(keys).zip(run) {
        if !stays(time, key, entry) {
            break;
        }
        followed += 1;
    }
    followed
}
