//! Sessions as partial state: they are taken out here, and joined there with those that they touch.

use std::collections::BTreeMap;

use super::assign::Gap;
use super::fire::Cause;
use super::table::{Around, Bounds, Status};
use super::{Context, Keys, NONE, SectionReader, SectionWriter, SessionStage, SnapshotError};
use crate::data::frame::Frame;
use crate::plan::Limit;
use crate::spec::LimitPolicy;
use crate::stages::parts::{COUNTERS, Origin, Parts, add_counters};
use crate::stages::window::accumulator::Accumulators;
use crate::stages::window::staging::{Part, Turning, Unplaced, read_part};
use crate::time::{MAX_TIME, MIN_TIME};

impl Parts for SessionStage {
    fn count_events(&mut self) {
        self.accumulators.count_events();
        self.table.set_slot_bytes(self.accumulators.slot_bytes());
    }

    fn part_keys(&self, name: &mut dyn FnMut(u32)) {
        self.table.slots().for_each(|slot| name(self.table.info(slot).key));
    }

    /// Sessions that begin together stand together.
    fn write_parts(&self, positions: &[u32], writer: &mut SectionWriter<'_>) {
        let mut starts: BTreeMap<i64, Vec<(u32, u32)>> = BTreeMap::new();
        for slot in self.table.slots() {
            let key = self.table.info(slot).key as usize;
            let position = positions.get(key).copied().unwrap_or(NONE);
            starts.entry(self.table.bounds(slot).start).or_default().push((position, slot));
        }
        writer.length(starts.len());
        for (start, mut sessions) in starts {
            sessions.sort_unstable();
            let slots: Vec<u32> = sessions.iter().map(|(_, slot)| *slot).collect();
            writer.i64(start);
            writer.length(sessions.len());
            writer.u32s(sessions.iter().map(|(position, _)| *position));
            writer.i64s(slots.iter().map(|slot| self.table.bounds(*slot).end));
            self.accumulators.save(&slots, writer);
        }
    }

    fn clear_parts(&mut self, keys: &mut Keys) {
        self.table.slots().for_each(|slot| keys.release(self.table.info(slot).key));
        let mut empty = Self::new(self.index, self.plan.clone());
        empty.count_events();
        empty.met = self.met;
        empty.stats = core::mem::take(&mut self.stats);
        *self = empty;
    }

    fn take_parts(
        &mut self,
        origin: Origin<'_>,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<u64, SnapshotError> {
        let empty = self.empty_part();
        let gap = Gap::new(self.plan.gap_us);
        let mut parts: Vec<(i64, Part)> = Vec::new();
        let mut taken = 0_u64;
        for _ in 0..reader.length()? {
            let start = reader.i64()?;
            let ascends = parts.last().is_none_or(|(before, _)| *before < start);
            let ordinal = origin.ordinal.saturating_add(taken);
            let mut part = read_part(ordinal, reader, ids, &empty, true)?;
            let ends = gap.behind(start)..=gap.behind(MAX_TIME);
            let is_session = |end| (MIN_TIME..=MAX_TIME).contains(&start) && ends.contains(end);
            if !ascends || !part.ends.iter().all(is_session) {
                return Err(SnapshotError::Damaged("a part of a time that no session has"));
            }
            part.values.forget_places();
            taken = taken.saturating_add(part.keys.len() as u64);
            parts.push((start, part));
        }
        for (start, part) in parts {
            part.keys.iter().for_each(|key| keys.retain(*key));
            self.staging.push((start, origin.source.into(), origin.sequence), part);
        }
        Ok(taken)
    }

    fn add_counters(&mut self, counters: [u64; COUNTERS]) {
        add_counters(&mut self.stats, counters);
    }
}

impl SessionStage {
    /// What parts are read into.
    pub(super) fn empty_part(&self) -> Accumulators {
        let mut empty = self.accumulators.empty(0);
        empty.count_events();
        empty
    }

    /// The watermark at which the first of the parts that wait fires, if nothing joins it.
    pub(super) fn staged_fire(&self) -> Option<i64> {
        self.staging.first_end().map(|end| self.plan.fires_at(end))
    }

    /// Whether the first part is needed at `watermark`: sessions that it may touch fire or are gone from then on, and so may
    /// what comes later be that touches it.
    fn needs_part(&self, watermark: i64) -> bool {
        let at_once = self.staging.waiting() > self.plan.caps.max_keys as usize;
        let is_near = |start: i64| at_once || start.saturating_sub(1) <= watermark;
        self.staging.first().is_some_and(is_near)
    }

    /// Adds the parts that are needed at `watermark`; false: `out` is full, and this is to be called again. They are judged
    /// by the watermark before that.
    pub(super) fn add_parts(
        &mut self,
        watermark: i64,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let watermark = watermark.max(self.met);
        loop {
            if !self.revise(context.keys, out) || !self.emit(context.keys, out) {
                return false;
            }
            if !self.needs_part(watermark) {
                return true;
            }
            let Some((place, mut part)) = self.staging.take_first() else { return true };
            let from = part.done;
            let is_done = self.add_next(place.0, &mut part, context, out);
            self.staging.put_back(place, part, from);
            if !is_done {
                return false;
            }
        }
    }

    /// Adds the session of the next key of `part`; false: `out` is full, or there is no room and that is to be said.
    fn add_next(
        &mut self,
        start: i64,
        part: &mut Part,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let Some(entry) = part.next() else { return true };
        let Some(end) = entry.end else { return true };
        let (key, bounds) = (entry.key, Bounds { start, end });
        let cause = Cause { watermark: self.met, rank: entry.ordinal.saturating_add(1) };
        let touched = self.table.touched(key, bounds);
        if !self.retract_all(&touched, bounds, cause, context.keys, out) {
            return false;
        }
        part.done += 1;
        let slot = match touched.first() {
            None if self.plan.expires_at(end) <= self.met => Err(Unplaced::Late),
            None => self.open_part(key, bounds, context.keys).map_err(Unplaced::Limit),
            Some(first) => {
                self.unite(&touched, bounds, context.keys);
                Ok(*first)
            }
        };
        let goes_on = match slot {
            Ok(slot) => {
                self.accumulators.merge(&[slot], &part.values.pick(&[entry.place]));
                if self.measures_values() {
                    self.measure_slot(slot);
                }
                self.table.touch(&[key]);
                if self.plan.kept_us > 0 && self.fires_at(slot) <= self.met {
                    self.make_late(slot, cause);
                } else {
                    self.expect(slot);
                }
                true
            }
            Err(why) => {
                let (stage, caps, stats) = (self.index, &self.plan.caps, &mut self.stats);
                let (met, window_end) = (self.met, Some(end));
                Turning { stage, caps, stats, met, window_end }.drop(entry, why, context)
            }
        };
        context.keys.release(key);
        goes_on
    }

    /// Takes back the rows of those of `touched` that have fired and are to have other bounds; false: `out` is full.
    fn retract_all(
        &mut self,
        touched: &[u32],
        bounds: Bounds,
        cause: Cause,
        keys: &mut Keys,
        out: &mut Frame,
    ) -> bool {
        let keeps_bounds = |known: Bounds| {
            touched.len() == 1 && known.start <= bounds.start && bounds.end <= known.end
        };
        touched.iter().all(|slot| {
            let has_fired = self.table.info(*slot).status == Status::Fired;
            let stays = !has_fired || keeps_bounds(self.table.bounds(*slot));
            stays || self.retract(*slot, cause, keys, out)
        })
    }

    /// Opens a session that touches no other, for which others may have to make room.
    fn open_part(&mut self, key: u32, bounds: Bounds, keys: &mut Keys) -> Result<u32, Limit> {
        loop {
            match self.table.open(key, bounds, &self.plan.caps, keys) {
                Err(limit)
                    if self.plan.caps.policy(limit) == LimitPolicy::Evict
                        && self.make_room(limit, key, bounds.start, keys) => {}
                opened => {
                    let slot = opened?;
                    self.accumulators.reset(slot);
                    return Ok(slot);
                }
            }
        }
    }

    /// Has the first session of `touched` take the place of them all, and reach over `bounds`.
    fn unite(&mut self, touched: &[u32], bounds: Bounds, keys: &mut Keys) {
        let Some((&slot, later)) = touched.split_first() else { return };
        let (start, end) = (bounds.start, bounds.end);
        let alone = Around { left: slot, right: NONE };
        self.widen(slot, alone, start, end);
        for next in later {
            let key = self.table.info(*next).key;
            self.widen(slot, Around { left: slot, right: *next }, start, end);
            self.join(slot, *next, key, keys);
        }
    }
}
