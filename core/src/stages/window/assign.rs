//! From an event to the slot of its window: the look-ups of the hot loop, and opening a window.

use super::{NONE, Slice, WindowStage};
use crate::frame::Events;
use crate::keys::Keys;
use crate::reject::RejectReason;

/// Why a run of events ends.
pub(super) enum Stop {
    /// The next event meets a watermark at which a window fires.
    Advance(i64),
    /// The next event is dropped.
    Drop(RejectReason),
    /// There is no next event.
    End,
}

impl WindowStage {
    /// Fills `self.run` with the slots of the events from `from` on, as far as nothing fires and none is dropped.
    pub(super) fn assign(&mut self, events: &Events<'_>, from: usize, keys: &mut Keys) -> Stop {
        let mut at = from;
        loop {
            let next =
                events.timestamps.get(at).zip(events.watermarks.get(at)).zip(events.keys.get(at));
            let Some(((&timestamp, &watermark), &key)) = next else { return Stop::End };
            if watermark >= self.next_fire {
                return Stop::Advance(watermark);
            }
            let start = self.start_of(timestamp);
            let slot = match self.slices.get(&start) {
                Some(slice) => {
                    let in_slice =
                        Follow { start, size_us: self.plan.size_us, next_fire: self.next_fire };
                    let followed = in_slice.follow(slice.dense(), events, at, &mut self.run);
                    if followed > 0 {
                        at += followed;
                        continue;
                    }
                    slice.slot(key)
                }
                None if self.fires_at(start) <= watermark => return Stop::Drop(RejectReason::Late),
                None => NONE,
            };
            let slot = match slot {
                NONE => match self.open(start, key, keys) {
                    Ok(slot) => slot,
                    Err(reason) => return Stop::Drop(reason),
                },
                slot => slot,
            };
            self.run.push(slot);
            at += 1;
        }
    }

    /// Opens the window of `key` that starts at `start`.
    #[cold]
    fn open(&mut self, start: i64, key: u32, keys: &mut Keys) -> Result<u32, RejectReason> {
        let place = key as usize;
        if self.open_by_key.len() <= place {
            self.open_by_key.resize(keys.id_bound().max(place + 1), 0);
        }
        let open = self.open_by_key.get(place).copied().unwrap_or(0);
        if open == 0 && self.open_keys >= self.plan.max_keys {
            return Err(RejectReason::KeyLimit);
        }
        if open >= self.plan.max_windows_per_key {
            return Err(RejectReason::WindowLimit);
        }
        let slot = self.take_slot(key, keys);
        self.accumulators.reset(slot);
        self.slices.entry(start).or_default().insert(key, slot, keys.id_bound());
        self.next_fire = self.next_fire();
        Ok(slot)
    }

    /// A slot for a window of `key`.
    pub(super) fn take_slot(&mut self, key: u32, keys: &mut Keys) -> u32 {
        keys.retain(key);
        if let Some(open) = self.open_by_key.get_mut(key as usize) {
            self.open_keys += u32::from(*open == 0);
            *open += 1;
        }
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slot_keys.push(NONE);
            u32::try_from(self.slot_keys.len() - 1).unwrap_or(NONE)
        });
        if let Some(entry) = self.slot_keys.get_mut(slot as usize) {
            *entry = key;
        }
        slot
    }

    /// Gives back a slot; its key stays retained, by the row that was made of it.
    pub(super) fn free_slot(&mut self, slot: u32, key: u32) {
        if let Some(open) = self.open_by_key.get_mut(key as usize) {
            *open = open.saturating_sub(1);
            self.open_keys -= u32::from(*open == 0);
        }
        self.free_slots.push(slot);
    }

    pub(super) fn slice(&mut self, start: i64) -> &mut Slice {
        self.slices.entry(start).or_default()
    }
}

/// The window that events are followed through.
struct Follow {
    start: i64,
    size_us: i64,
    next_fire: i64,
}

impl Follow {
    /// The hot loop: appends the slots of the events from `at` on to `run` while they stay in this window, open, and
    /// nothing fires. Returns how many.
    #[inline]
    fn follow(&self, slots: &[u32], events: &Events<'_>, at: usize, run: &mut Vec<u32>) -> usize {
        let size_us = self.size_us.unsigned_abs();
        let timestamps = events.timestamps.get(at..).unwrap_or_default();
        let keys = events.keys.get(at..).unwrap_or_default();
        let watermarks = events.watermarks.get(at..).unwrap_or_default();
        let before = run.len();
        run.extend(timestamps.iter().zip(keys).zip(watermarks).map_while(
            |((timestamp, key), watermark)| {
                let into = timestamp.wrapping_sub(self.start).cast_unsigned();
                if into >= size_us || *watermark >= self.next_fire {
                    return None;
                }
                slots.get(*key as usize).copied().filter(|slot| *slot != NONE)
            },
        ));
        run.len() - before
    }
}
