//! Partial state of sessions: they are exported, and merged with the sessions they touch in another
//! engine.

use std::collections::BTreeMap;

use super::assign::Gap;
use super::fire::RowTrigger;
use super::table::{Bounds, Neighbours, SessionStatus};
use super::{Context, Keys, NONE, SectionReader, SectionWriter, SessionStage, SnapshotError};
use crate::aggregates::Accumulators;
use crate::data::frame::Frame;
use crate::plan::Limit;
use crate::spec::LimitPolicy;
use crate::stages::partial::{COUNTER_COUNT, PartialOrigin, PartialState, add_counters};
use crate::stages::window::staging::{DroppedPartial, NotAdded, StagedPartial, read_partial};
use crate::time::{MAX_TIME, MIN_TIME};

impl PartialState for SessionStage {
    fn count_events(&mut self) {
        self.accumulators.count_events();
        self.table.set_slot_bytes(self.accumulators.slot_bytes());
    }

    fn for_each_key(&self, name: &mut dyn FnMut(u32)) {
        self.table.slots().for_each(|slot| name(self.table.info(slot).key));
    }

    /// Sessions are grouped by their start.
    fn write_partial(&self, positions: &[u32], writer: &mut SectionWriter<'_>) {
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

    fn clear_windows(&mut self, keys: &mut Keys) {
        self.table.slots().for_each(|slot| keys.release(self.table.info(slot).key));
        let mut empty = Self::new(self.index, self.plan.clone());
        empty.count_events();
        empty.input_watermark = self.input_watermark;
        empty.stats = core::mem::take(&mut self.stats);
        *self = empty;
    }

    fn stage_partial(
        &mut self,
        origin: PartialOrigin<'_>,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<u64, SnapshotError> {
        let empty = self.empty_accumulators();
        let gap = Gap::new(self.plan.gap_us);
        let mut partials: Vec<(i64, StagedPartial)> = Vec::new();
        let mut taken = 0_u64;
        for _ in 0..reader.length()? {
            let start = reader.i64()?;
            let ascends = partials.last().is_none_or(|(before, _)| *before < start);
            let ordinal = origin.ordinal.saturating_add(taken);
            let mut partial = read_partial(ordinal, reader, ids, &empty, true)?;
            let ends = gap.end_after(start)..=gap.end_after(MAX_TIME);
            let is_session = |end| (MIN_TIME..=MAX_TIME).contains(&start) && ends.contains(end);
            if !ascends || !partial.ends.iter().all(is_session) {
                return Err(SnapshotError::Damaged("a part of a time that no session has"));
            }
            partial.values.forget_ordinals();
            taken = taken.saturating_add(partial.keys.len() as u64);
            partials.push((start, partial));
        }
        for (start, partial) in partials {
            partial.keys.iter().for_each(|key| keys.retain(*key));
            self.staging.push((start, origin.source.into(), origin.sequence), partial);
        }
        Ok(taken)
    }

    fn add_counters(&mut self, counters: [u64; COUNTER_COUNT]) {
        add_counters(&mut self.stats, counters);
    }
}

impl SessionStage {
    /// Returns empty accumulators to read partials into.
    pub(super) fn empty_accumulators(&self) -> Accumulators {
        let mut empty = self.accumulators.empty(0);
        empty.count_events();
        empty
    }

    /// Returns the watermark at which the first staged session fires if nothing merges with it.
    pub(super) fn next_staged_fire(&self) -> Option<i64> {
        self.staging.first_end().map(|end| self.plan.fires_at(end))
    }

    /// Returns true if the first partial must be merged before `watermark`: from then on, sessions
    /// that it may touch fire or expire.
    fn needs_partial(&self, watermark: i64) -> bool {
        let at_once = self.staging.waiting_keys() > self.plan.caps.max_keys as usize;
        let is_near = |start: i64| at_once || start.saturating_sub(1) <= watermark;
        self.staging.first().is_some_and(is_near)
    }

    /// Merges the partials that are due at `watermark`, judged by the previous watermark. Returns
    /// false if `out` is full; the next call continues.
    pub(super) fn add_partials(
        &mut self,
        watermark: i64,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let watermark = watermark.max(self.input_watermark);
        loop {
            if !self.revise(context.keys, out) || !self.emit(context.keys, out) {
                return false;
            }
            if !self.needs_partial(watermark) {
                return true;
            }
            let Some((staging_key, mut partial)) = self.staging.take_first() else { return true };
            let from = partial.added;
            let is_done = self.add_next(staging_key.0, &mut partial, context, out);
            self.staging.put_back(staging_key, partial, from);
            if !is_done {
                return false;
            }
        }
    }

    /// Merges the session of the next key of `partial`. Returns false if `out` is full, or if it
    /// had no room and the call must end.
    fn add_next(
        &mut self,
        start: i64,
        partial: &mut StagedPartial,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let Some(entry) = partial.next() else { return true };
        let Some(end) = entry.end else { return true };
        let (key, bounds) = (entry.key, Bounds { start, end });
        let trigger =
            RowTrigger { watermark: self.input_watermark, rank: entry.ordinal.saturating_add(1) };
        let overlapping = self.table.overlapping(key, bounds);
        if !self.retract_all(&overlapping, bounds, trigger, context.keys, out) {
            return false;
        }
        partial.added += 1;
        let slot = match overlapping.first() {
            None if self.plan.expires_at(end) <= self.input_watermark => Err(NotAdded::Late),
            None => self.open_for_partial(key, bounds, context.keys).map_err(NotAdded::Limit),
            Some(first) => {
                self.merge_overlapping(&overlapping, bounds, context.keys);
                Ok(*first)
            }
        };
        let continues = match slot {
            Ok(slot) => {
                self.accumulators.merge(&[slot], &partial.values.pick(&[entry.slot]));
                if self.tracks_value_bytes() {
                    self.measure_slot(slot);
                }
                self.table.touch(&[key]);
                if self.plan.kept_us > 0 && self.fires_at(slot) <= self.input_watermark {
                    self.make_late(slot, trigger);
                } else {
                    self.schedule(slot);
                }
                true
            }
            Err(why) => {
                let (stage, caps, stats) = (self.index, &self.plan.caps, &mut self.stats);
                let (watermark, window_end) = (self.input_watermark, Some(end));
                DroppedPartial { stage, caps, stats, watermark, window_end }
                    .report(entry, why, context)
            }
        };
        context.keys.release(key);
        continues
    }

    /// Retracts the rows of those of `overlapping` that have fired and whose bounds will change.
    /// Returns false if `out` is full.
    fn retract_all(
        &mut self,
        overlapping: &[u32],
        bounds: Bounds,
        trigger: RowTrigger,
        keys: &mut Keys,
        out: &mut Frame,
    ) -> bool {
        let keeps_bounds = |known: Bounds| {
            overlapping.len() == 1 && known.start <= bounds.start && bounds.end <= known.end
        };
        overlapping.iter().all(|slot| {
            let has_fired = self.table.info(*slot).status == SessionStatus::Fired;
            let stays = !has_fired || keeps_bounds(self.table.bounds(*slot));
            stays || self.retract(*slot, trigger, keys, out)
        })
    }

    /// Opens a session that touches no other, evicting if the policy says so.
    fn open_for_partial(
        &mut self,
        key: u32,
        bounds: Bounds,
        keys: &mut Keys,
    ) -> Result<u32, Limit> {
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

    /// Merges all sessions of `overlapping` into the first one, and extends it to `bounds`.
    fn merge_overlapping(&mut self, overlapping: &[u32], bounds: Bounds, keys: &mut Keys) {
        let Some((&slot, later)) = overlapping.split_first() else { return };
        let (start, end) = (bounds.start, bounds.end);
        let alone = Neighbours { left: slot, right: NONE };
        self.extend(slot, alone, start, end);
        for next in later {
            let key = self.table.info(*next).key;
            self.extend(slot, Neighbours { left: slot, right: *next }, start, end);
            self.merge_sessions(slot, *next, key, keys);
        }
    }
}
