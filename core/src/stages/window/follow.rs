//! The hot loop of windows: follows events through two neighbouring slices, as long as nothing unusual happens.

use super::NONE;
use crate::frame::Events;

/// Events that the loop takes at once: it has one branch for all of them.
const UNROLL: usize = 4;

/// What the loop knows. Disorder makes events change between two neighbouring slices, so it has both.
pub(super) struct Follow<'a> {
    /// The length of a slice, microseconds.
    pub(super) size_us: u64,
    /// The watermark from which something fires.
    pub(super) next_fire: i64,
    /// The slice of the next event.
    pub(super) here: Track<'a>,
    /// A slice beside it; without slots if there is none.
    pub(super) beside: Track<'a>,
}

/// A slice as the loop sees it.
pub(super) struct Track<'a> {
    pub(super) start: i64,
    /// The slots by key id.
    pub(super) slots: &'a [u32],
}

impl Follow<'_> {
    /// Writes the slots of the events from `at` on to `run` while they stay in these slices, their windows are open, and
    /// nothing fires. Returns how many.
    pub(super) fn follow(&self, events: &Events<'_>, at: usize, run: &mut [u32]) -> usize {
        let (timestamps, timestamps_rest) = chunks(events.timestamps, at);
        let (keys, keys_rest) = chunks(events.keys, at);
        let (watermarks, watermarks_rest) = chunks(events.watermarks, at);
        let run = run.get_mut(at..events.timestamps.len()).unwrap_or_default();
        let (run, run_rest) = run.as_chunks_mut::<UNROLL>();
        let mut followed = 0;
        for (((timestamps, keys), watermarks), run) in
            timestamps.iter().zip(keys).zip(watermarks).zip(run)
        {
            let mut all = true;
            for (((timestamp, key), watermark), entry) in
                timestamps.iter().zip(keys).zip(watermarks).zip(run.iter_mut())
            {
                // What is written for an event that does not stay is written again later.
                *entry = self.slot(*timestamp, *key, *watermark);
                all &= *entry != NONE;
            }
            if !all {
                return followed + run.iter().take_while(|slot| **slot != NONE).count();
            }
            followed += UNROLL;
        }
        for (((timestamp, key), watermark), entry) in
            timestamps_rest.iter().zip(keys_rest).zip(watermarks_rest).zip(run_rest)
        {
            *entry = self.slot(*timestamp, *key, *watermark);
            if *entry == NONE {
                break;
            }
            followed += 1;
        }
        followed
    }

    /// The slot of an event; [`NONE`] where it leaves the loop.
    #[inline(always)]
    fn slot(&self, timestamp: i64, key: u32, watermark: i64) -> u32 {
        let within =
            |track: &Track<'_>| timestamp.wrapping_sub(track.start).cast_unsigned() < self.size_us;
        let here = within(&self.here);
        let slots = if here { self.here.slots } else { self.beside.slots };
        let slot = slots.get(key as usize).copied().unwrap_or(NONE);
        if (here | within(&self.beside)) & (watermark < self.next_fire) { slot } else { NONE }
    }
}

/// What is in `list` from `at` on, in chunks, and the rest.
fn chunks<T>(list: &[T], at: usize) -> (&[[T; UNROLL]], &[T]) {
    list.get(at..).unwrap_or_default().as_chunks()
}
