//! Partial state of global windows, which hold all events of a key.

use super::{
    Context, CountStage, CountWindow, Keys, NONE, SectionReader, SectionWriter, SnapshotError,
};
use crate::aggregates::Accumulators;
use crate::event_time::watermark::END_OF_TIME;
use crate::plan::Limit;
use crate::spec::LimitPolicy;
use crate::stages::partial::{COUNTER_COUNT, PartialOrigin, PartialState, add_counters};
use crate::stages::window::staging::{DroppedPartial, NotAdded, StagedPartial, read_partial};
use crate::time::{MAX_TIME, MIN_TIME};

/// The place of partials in the staging order: global windows have no start.
const NO_SLICE_START: i64 = 0;

impl PartialState for CountStage {
    fn count_events(&mut self) {
        self.accumulators.count_events();
    }

    fn for_each_key(&self, name: &mut dyn FnMut(u32)) {
        self.open_slots().for_each(|slot| name(self.window(slot).key));
    }

    fn write_partial(&self, positions: &[u32], writer: &mut SectionWriter<'_>) {
        let position = |slot: u32| {
            let key = self.window(slot).key;
            (positions.get(key as usize).copied().unwrap_or(NONE), slot)
        };
        let mut windows: Vec<(u32, u32)> = self.open_slots().map(position).collect();
        windows.sort_unstable();
        let slots: Vec<u32> = windows.iter().map(|(_, slot)| *slot).collect();
        writer.length(windows.len());
        writer.u32s(windows.iter().map(|(position, _)| *position));
        writer.i64s(slots.iter().map(|slot| self.window(*slot).last));
        self.accumulators.save(&slots, writer);
    }

    fn clear_windows(&mut self, keys: &mut Keys) {
        self.open_slots().for_each(|slot| keys.release(self.window(slot).key));
        let mut empty = Self::new(self.index, self.plan.clone());
        empty.count_events();
        empty.output_watermark = self.output_watermark;
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
        let mut partial =
            read_partial(origin.ordinal, reader, ids, &self.empty_accumulators(), true)?;
        if !partial.ends.iter().all(|last| (MIN_TIME..=MAX_TIME).contains(last)) {
            return Err(SnapshotError::Damaged("a part of a time that no event has"));
        }
        partial.values.forget_ordinals();
        let taken = partial.keys.len();
        if taken > 0 {
            partial.keys.iter().for_each(|key| keys.retain(*key));
            self.staging.push((NO_SLICE_START, origin.source.into(), origin.sequence), partial);
        }
        Ok(taken as u64)
    }

    fn add_counters(&mut self, counters: [u64; COUNTER_COUNT]) {
        add_counters(&mut self.stats, counters);
    }
}

impl CountStage {
    /// Returns empty accumulators to read partials into.
    pub(super) fn empty_accumulators(&self) -> Accumulators {
        let mut empty = self.accumulators.empty(0);
        empty.count_events();
        empty
    }

    /// Merges the partials that are due at `watermark`: all at the end of input, and all at once if
    /// watermarks are passed on. Returns false if one had no room and the call must end.
    pub(super) fn add_partials(&mut self, watermark: i64, context: &mut Context<'_>) -> bool {
        let at_once = watermark == END_OF_TIME
            || self.plan.passes_watermarks
            || self.staging.waiting_keys() > self.plan.caps.max_keys as usize;
        if !at_once {
            return true;
        }
        while let Some((staging_key, mut partial)) = self.staging.take_first() {
            let from = partial.added;
            let mut continues = true;
            while continues && partial.added < partial.keys.len() {
                continues = self.add_next(&mut partial, context);
            }
            self.staging.put_back(staging_key, partial, from);
            if !continues {
                return false;
            }
        }
        true
    }

    /// Merges the next key of `partial`. Returns false if it had no room and the call must end.
    fn add_next(&mut self, partial: &mut StagedPartial, context: &mut Context<'_>) -> bool {
        let Some(entry) = partial.next() else { return true };
        partial.added += 1;
        let (key, events) = (entry.key, entry.events);
        let Some(last) = entry.end else { return true };
        let continues = match self.open_for_partial(key, last, context.keys) {
            Ok(slot) => {
                if let Some(window) = self.windows.get_mut(slot as usize) {
                    let CountWindow { count, first, last: known, .. } = *window;
                    let (first, last) = (first.min(last), known.max(last));
                    *window = CountWindow { key, count: count.saturating_add(events), first, last };
                }
                self.accumulators.merge(&[slot], &partial.values.pick(&[entry.slot]));
                if self.tracks_value_bytes() {
                    self.measure_slot(slot);
                }
                self.touch(&[key]);
                true
            }
            Err(limit) => {
                let (stage, caps, stats) = (self.index, &self.plan.caps, &mut self.stats);
                let dropped = DroppedPartial {
                    stage,
                    caps,
                    stats,
                    watermark: self.output_watermark,
                    window_end: None,
                };
                dropped.report(entry, NotAdded::Limit(limit), context)
            }
        };
        context.keys.release(key);
        continues
    }

    /// Returns the slot of the window of `key`, opening it if necessary and evicting if the policy
    /// says so.
    fn open_for_partial(&mut self, key: u32, last: i64, keys: &mut Keys) -> Result<u32, Limit> {
        if let Some(slot) = self.slots.get(key as usize).filter(|slot| **slot != NONE) {
            return Ok(*slot);
        }
        loop {
            match self.open(key, last, keys) {
                Err(limit)
                    if self.plan.caps.policy(limit) == LimitPolicy::Evict
                        && self.make_room(limit, keys) => {}
                opened => return opened,
            }
        }
    }
}
