//! Assignment: finds or opens the window of each event's key.

use super::{CountStage, CountWindow, DueRow, NONE};
use crate::data::frame::Events;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;
use crate::plan::Limit;
use crate::stages::window::windows::Windows;

/// The reason why a run of events ends.
pub(super) enum CountStop {
    /// Rows are due, or the events so far must be applied first, or there is no next event.
    ApplyFirst,
    /// The next event needs more room than this limit leaves.
    Limit(Limit),
    /// The next event falls into the window in this slot, which has no room for its values.
    Full(u32),
}

impl CountStage {
    /// Writes the slot of each event from `from` on into `run`, until `room` windows are full.
    ///
    /// Returns the index of the event before which it stopped, and the reason.
    pub(super) fn assign(
        &mut self,
        events: &Events<'_>,
        from: usize,
        run: &mut [u32],
        room: usize,
        keys: &mut Keys,
    ) -> (usize, CountStop) {
        let mut at = from;
        let mut run_end = self.run_end(at);
        while let Some((&time, &key)) = events.timestamps.get(at).zip(events.keys.get(at)) {
            if at >= run_end {
                break;
            }
            if !self.plan.passes_watermarks && !self.values_exceed_limit() {
                let fast_end = events.timestamps.len().min(run_end);
                let assigned = assign_fast(
                    self.plan.count.unwrap_or(u64::MAX),
                    &self.slots,
                    self.windows.items_mut(),
                    events.timestamps.get(at..fast_end).unwrap_or_default(),
                    events.keys.get(at..fast_end).unwrap_or_default(),
                    run.get_mut(at..).unwrap_or_default(),
                );
                if assigned > 0 {
                    at += assigned;
                    continue;
                }
            }
            let watermark = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
            self.advance_output_watermark(watermark);
            let slot = match self.slots.get(key as usize).copied().unwrap_or(NONE) {
                // The values of the events so far are not counted toward the byte limit yet.
                NONE if at > from && self.tracks_value_bytes() => {
                    return (at, CountStop::ApplyFirst);
                }
                NONE => match self.open(key, time, keys) {
                    Ok(slot) => {
                        run_end = self.run_end(at);
                        slot
                    }
                    Err(limit) => return (at, CountStop::Limit(limit)),
                },
                slot if self.is_full(events, at, slot) => return (at, CountStop::Full(slot)),
                slot => slot,
            };
            if let Some(entry) = run.get_mut(at) {
                *entry = slot;
            }
            if self.add(slot, time) {
                let rank = events.ordinals.at(at).saturating_add(1);
                self.close(slot);
                self.full.push(DueRow {
                    slot,
                    firing: watermark,
                    rank,
                    output_watermark: self.output_watermark,
                });
            }
            at += 1;
            if self.full.len() >= room {
                break;
            }
        }
        (at, CountStop::ApplyFirst)
    }

    /// Counts an event at `time` in the window in `slot`. Returns true if the window is full.
    fn add(&mut self, slot: u32, time: i64) -> bool {
        let Some(window) = self.windows.get_mut(slot) else { return false };
        window.count = window.count.saturating_add(1);
        window.first = window.first.min(time);
        window.last = window.last.max(time);
        self.plan.count.is_some_and(|count| window.count >= count)
    }

    /// Opens a window of `key`, which it retains, if there is room.
    pub(super) fn open(&mut self, key: u32, time: i64, keys: &mut Keys) -> Result<u32, Limit> {
        if let Some(limit) = self.keyed.limit(key, keys) {
            return Err(limit);
        }
        keys.retain(key);
        let window = CountWindow { key, count: 0, first: time, last: time };
        Ok(self.insert(window, keys))
    }

    /// Stores an open window in a slot.
    pub(super) fn insert(&mut self, window: CountWindow, keys: &Keys) -> u32 {
        let slot = self.windows.take(window);
        let index = window.key as usize;
        if self.slots.len() <= index {
            self.slots.resize(keys.id_bound().max(index + 1), NONE);
        }
        if let Some(known) = self.slots.get_mut(index) {
            *known = slot;
        }
        self.accumulators.reset(slot);
        self.keyed.open(window.key, keys);
        if self.plan.passes_watermarks {
            self.watermark_holds.set(slot, window.last.saturating_sub(1));
        }
        slot
    }

    /// Detaches the window in `slot` from its key; its values stay until the row is written.
    pub(super) fn close(&mut self, slot: u32) {
        let key = self.window(slot).key;
        if let Some(known) = self.slots.get_mut(key as usize) {
            *known = NONE;
        }
        self.watermark_holds.clear(slot);
        self.keyed.close(key, slot);
    }
}

/// The hot loop: assigns events while each falls into an open window and does not fill it. Returns
/// the number of events assigned.
// A separate function: wasmtime's compiler keeps a loop's variables in registers only in small
// ones.
#[inline(never)]
fn assign_fast(
    count: u64,
    slots: &[u32],
    windows: &mut [CountWindow],
    timestamps: &[i64],
    keys: &[u32],
    run: &mut [u32],
) -> usize {
    let mut assigned = 0;
    for ((time, key), entry) in timestamps.iter().zip(keys).zip(run) {
        let Some(&slot) = slots.get(*key as usize) else { break };
        let Some(window) = windows.get_mut(slot as usize) else { break };
        if window.count.saturating_add(1) >= count {
            break;
        }
        window.count += 1;
        window.first = window.first.min(*time);
        window.last = window.last.max(*time);
        *entry = slot;
        assigned += 1;
    }
    assigned
}
