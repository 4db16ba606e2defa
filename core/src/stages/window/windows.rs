//! The common part of all kinds of windows: slots with values, and the bytes counted for them.

use core::ops::Range;

use super::staging::Staging;
use crate::aggregates::Accumulators;
#[cfg(feature = "custom-aggregators")]
use crate::aggregation::AggregatorFactory;
use crate::data::frame::Events;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::{Keys, NONE};
use crate::plan::Limit;
use crate::stages::Context;
use crate::stages::keyed::limits::Limited;
use crate::stages::keyed::state::KeyedState;

/// The state that all kinds of windows have.
pub(super) struct WindowParts<'a> {
    pub(super) keyed: &'a mut KeyedState,
    /// The values of all open windows, by slot.
    pub(super) accumulators: &'a mut Accumulators,
    /// Partial state from other engines, not merged yet.
    pub(super) staging: &'a mut Staging,
}

/// Windows of one kind.
pub(super) trait Windows: Limited {
    /// Bytes counted for a window in addition to its accumulators: its entries in the tables.
    const WINDOW_BYTES: u64;

    /// Returns the state that all kinds of windows have.
    fn parts(&mut self) -> WindowParts<'_>;

    /// Returns the keys that have windows.
    fn keyed(&self) -> &KeyedState;

    /// Returns the partial state that is not merged yet.
    fn staging(&self) -> &Staging;

    /// Returns the values of all open windows, by slot.
    fn accumulators(&self) -> &Accumulators;

    /// Returns the columns of the accumulators' fields.
    fn fields(&self) -> &[usize];

    /// Returns the slots of the events of the frame.
    fn run(&self) -> &Run;

    /// Returns the key of the window in `slot`, [`NONE`] if the slot is free.
    fn key_in(&self, slot: u32) -> u32;

    /// Counts the events of every window, even if no output needs the count; there must be no
    /// windows yet.
    fn count_events(&mut self) {
        let WindowParts { keyed, accumulators, .. } = self.parts();
        accumulators.count_events();
        keyed.set_entry_bytes(Self::WINDOW_BYTES + accumulators.slot_bytes());
    }

    /// Returns true if the staged partial state exceeds a limit, so that it is merged at once: more
    /// keys than the stage may have, or half of its bytes. Open windows do not count, as they change
    /// while a call that has paused fires them.
    fn staging_is_full(&self) -> bool {
        let (caps, staging) = (self.caps(), self.staging());
        staging.waiting_keys() > caps.max_keys as usize || staging.bytes() > caps.max_bytes / 2
    }

    /// Makes the windows run the aggregators of `factory`; there must be no windows yet.
    #[cfg(feature = "custom-aggregators")]
    fn add_own(&mut self, factory: AggregatorFactory) {
        let WindowParts { keyed, accumulators, .. } = self.parts();
        accumulators.add_own(factory);
        keyed.set_entry_bytes(Self::WINDOW_BYTES + accumulators.slot_bytes());
    }

    /// Returns true if added values change the bytes counted.
    fn tracks_value_bytes(&self) -> bool {
        self.keyed().limits_bytes() && self.accumulators().have_variable_bytes()
    }

    /// Returns the end of the longest run of events from `from` on that certainly keeps within the
    /// byte limit up to its last event. The values of a run are counted after it.
    fn run_end(&self, from: usize) -> usize {
        if !self.tracks_value_bytes() {
            return usize::MAX;
        }
        let events = self.keyed().bytes_left() / self.accumulators().max_growth().max(1);
        from.saturating_add(usize::try_from(events).unwrap_or(usize::MAX).max(1))
    }

    /// Returns true if values have taken the bytes beyond the limit.
    fn values_exceed_limit(&self) -> bool {
        self.keyed().exceeds_bytes() && self.accumulators().have_variable_bytes()
    }

    /// Returns true if the bytes exceed the limit and the event at `at`, which falls into the window
    /// in `slot`, would add to them. All events before it must be counted.
    fn is_full(&self, events: &Events<'_>, at: usize, slot: u32) -> bool {
        self.values_exceed_limit()
            && self.accumulators().grow(slot, |field| {
                let column = self.fields().get(field).copied().unwrap_or_default();
                events.numbers(column).get(at).copied().unwrap_or(f64::NAN)
            })
    }

    /// Makes room for the values of the event at `cursor` in the window in `slot`, or applies the
    /// policy of the byte limit to the event. Returns false if the call must end.
    #[cold]
    fn at_full_window(
        &mut self,
        slot: u32,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
    ) -> bool {
        if self.parts().accumulators.shrink(slot) {
            self.measure_slot(slot);
            return true;
        }
        self.at_limit(Limit::Bytes, events, cursor, context)
    }

    /// Updates the bytes counted for the slots of the events of `range`, if added values change
    /// them.
    fn measure(&mut self, range: Range<usize>) {
        if !self.tracks_value_bytes() {
            return;
        }
        let slots = self.run().slots(range).to_vec();
        slots.into_iter().for_each(|slot| self.measure_slot(slot));
    }

    /// Updates the bytes counted for `slot`, if it has an open window.
    fn measure_slot(&mut self, slot: u32) {
        if self.key_in(slot) != NONE {
            let WindowParts { keyed, accumulators, .. } = self.parts();
            keyed.measure(slot, || accumulators.variable_bytes(slot));
        }
    }
}

/// The slots of the events of a frame, as far as they are assigned.
#[derive(Default)]
pub(super) struct Run {
    slots: Vec<u32>,
}

impl Run {
    /// Removes the slots of a frame of `events` events, to be assigned and put back.
    pub(super) fn take(&mut self, events: usize) -> Vec<u32> {
        let mut slots = core::mem::take(&mut self.slots);
        if slots.len() < events {
            slots.resize(events, NONE);
        }
        slots
    }

    /// Puts back the assigned slots.
    pub(super) fn put_back(&mut self, slots: Vec<u32>) {
        self.slots = slots;
    }

    /// Returns the slots of the events of `range`.
    pub(super) fn slots(&self, range: Range<usize>) -> &[u32] {
        self.slots.get(range).unwrap_or_default()
    }

    /// Adds the values of the events of `range` to their slots: `fields` are the columns of the
    /// accumulators' fields. Returns the watermark under which the last of the events arrived.
    pub(super) fn apply(
        &self,
        events: &Events<'_>,
        range: Range<usize>,
        fields: &[usize],
        accumulators: &mut Accumulators,
        keys: &Keys,
    ) -> Option<i64> {
        let slots = self.slots(range.clone());
        if slots.is_empty() {
            return None;
        }
        accumulators.open_own(slots, events.keys.get(range.clone()).unwrap_or_default(), keys);
        accumulators.count(slots);
        for (field, column) in fields.iter().enumerate() {
            let values = events.numbers(*column).get(range.clone()).unwrap_or_default();
            accumulators.add(field, slots, values, events.order(range.clone()));
        }
        events.watermarks.get(range.end - 1).copied()
    }
}

/// Returns the watermark of the stage after one that is at `watermark` and holds it back by
/// `lag_us`.
pub(super) fn held_back(watermark: i64, lag_us: i64) -> i64 {
    match watermark {
        NO_WATERMARK | END_OF_TIME => watermark,
        watermark => watermark.saturating_sub(lag_us),
    }
}
