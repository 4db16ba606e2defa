//! Windows of all events of a key as partial state.

use super::{Context, CountStage, Keys, NONE, SectionReader, SectionWriter, SnapshotError, Window};
use crate::event_time::watermark::END_OF_TIME;
use crate::plan::Limit;
use crate::spec::LimitPolicy;
use crate::stages::parts::{COUNTERS, Origin, Parts, add_counters};
use crate::stages::window::accumulator::Accumulators;
use crate::stages::window::staging::{Part, Turning, Unplaced, read_part};
use crate::time::{MAX_TIME, MIN_TIME};

/// The start of windows that have none.
const NO_START: i64 = 0;

impl Parts for CountStage {
    fn count_events(&mut self) {
        self.accumulators.count_events();
    }

    fn part_keys(&self, name: &mut dyn FnMut(u32)) {
        self.open_slots().for_each(|slot| name(self.window(slot).key));
    }

    fn write_parts(&self, positions: &[u32], writer: &mut SectionWriter<'_>) {
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

    fn clear_parts(&mut self, keys: &mut Keys) {
        self.open_slots().for_each(|slot| keys.release(self.window(slot).key));
        let mut empty = Self::new(self.index, self.plan.clone());
        empty.count_events();
        empty.passed = self.passed;
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
        let mut part = read_part(origin.ordinal, reader, ids, &self.empty_part(), true)?;
        if !part.ends.iter().all(|last| (MIN_TIME..=MAX_TIME).contains(last)) {
            return Err(SnapshotError::Damaged("a part of a time that no event has"));
        }
        part.values.forget_places();
        let taken = part.keys.len();
        if taken > 0 {
            part.keys.iter().for_each(|key| keys.retain(*key));
            self.staging.push((NO_START, origin.source.into(), origin.sequence), part);
        }
        Ok(taken as u64)
    }

    fn add_counters(&mut self, counters: [u64; COUNTERS]) {
        add_counters(&mut self.stats, counters);
    }
}

impl CountStage {
    /// What parts are read into.
    pub(super) fn empty_part(&self) -> Accumulators {
        let mut empty = self.accumulators.empty(0);
        empty.count_events();
        empty
    }

    /// Adds the parts that are needed at `watermark`: all at the end, and at once those that hold watermarks back. False: one
    /// found no room, and that is to be said.
    pub(super) fn add_parts(&mut self, watermark: i64, context: &mut Context<'_>) -> bool {
        let at_once = watermark == END_OF_TIME
            || self.plan.passes_watermarks
            || self.staging.waiting() > self.plan.caps.max_keys as usize;
        if !at_once {
            return true;
        }
        while let Some((place, mut part)) = self.staging.take_first() {
            let from = part.done;
            let mut goes_on = true;
            while goes_on && part.done < part.keys.len() {
                goes_on = self.add_next(&mut part, context);
            }
            self.staging.put_back(place, part, from);
            if !goes_on {
                return false;
            }
        }
        true
    }

    /// Adds what `part` holds of its next key; false: it found no room, and that is to be said.
    fn add_next(&mut self, part: &mut Part, context: &mut Context<'_>) -> bool {
        let Some(entry) = part.next() else { return true };
        part.done += 1;
        let (key, events) = (entry.key, entry.events);
        let Some(last) = entry.end else { return true };
        let goes_on = match self.open_part(key, last, context.keys) {
            Ok(slot) => {
                if let Some(window) = self.windows.get_mut(slot as usize) {
                    let Window { count, first, last: known, .. } = *window;
                    let (first, last) = (first.min(last), known.max(last));
                    *window = Window { key, count: count.saturating_add(events), first, last };
                }
                self.accumulators.merge(&[slot], &part.values.pick(&[entry.place]));
                if self.measures_values() {
                    self.measure_slot(slot);
                }
                self.touch(&[key]);
                true
            }
            Err(limit) => {
                let (stage, caps, stats) = (self.index, &self.plan.caps, &mut self.stats);
                let turning = Turning { stage, caps, stats, met: self.passed, window_end: None };
                turning.drop(entry, Unplaced::Limit(limit), context)
            }
        };
        context.keys.release(key);
        goes_on
    }

    /// The slot of the window of `key`, which is opened where there is none; others may have to make room.
    fn open_part(&mut self, key: u32, last: i64, keys: &mut Keys) -> Result<u32, Limit> {
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
