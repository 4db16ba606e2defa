//! The hot loop of windows: follows events through two neighbouring slices, as long as nothing unusual happens.

use super::NONE;

/// Events that the loop takes at once: it has one branch for all of them.
const UNROLL: usize = 4;

/// What the loop knows. Disorder makes events change between two neighbouring slices, so it has both.
pub(super) struct Follow<'a> {
    /// The length of a slice, microseconds.
    size_us: u64,
    here: Track<'a>,
    beside: Track<'a>,
}

/// A slice as the loop sees it.
#[derive(Clone, Copy)]
pub(super) struct Track<'a> {
    pub(super) start: i64,
    /// The slots by key id.
    pub(super) slots: &'a [u32],
}

impl<'a> Follow<'a> {
    /// Through `here` and, if there is one, a slice beside it. Both are cut to one length, so that there is one bound.
    pub(super) fn new(size_us: u64, here: Track<'a>, beside: Option<Track<'a>>) -> Self {
        let beside = beside.filter(|beside| !beside.slots.is_empty()).unwrap_or(here);
        let length = here.slots.len().min(beside.slots.len());
        let cut = |track: Track<'a>| Track {
            slots: track.slots.get(..length).unwrap_or_default(),
            ..track
        };
        Self { size_us, here: cut(here), beside: cut(beside) }
    }

    /// Writes the slots of the events to `run`, from the first on, while they stay in these slices and their windows are
    /// open. Returns how many.
    // Its own function: wasmtime's compiler keeps a loop's variables in registers only in small ones.
    #[inline(never)]
    pub(super) fn follow(&self, timestamps: &[i64], keys: &[u32], run: &mut [u32]) -> usize {
        let length = timestamps.len().min(keys.len()).min(run.len());
        let (timestamps, timestamps_rest) = chunks(timestamps, length);
        let (keys, keys_rest) = chunks(keys, length);
        let (run, run_rest) = run.get_mut(..length).unwrap_or_default().as_chunks_mut::<UNROLL>();
        let (size_us, here, beside) = (self.size_us, self.here.start, self.beside.start);
        let bound = self.here.slots.len();
        let slots_here = self.here.slots.get(..bound).unwrap_or_default();
        let slots_beside = self.beside.slots.get(..bound).unwrap_or_default();
        let slot = |timestamp: i64, key: u32| {
            let is_here = timestamp.wrapping_sub(here).cast_unsigned() < size_us;
            let is_beside = timestamp.wrapping_sub(beside).cast_unsigned() < size_us;
            let slots = if is_here { slots_here } else { slots_beside };
            let slot = slots.get(key as usize).copied().unwrap_or(NONE);
            // All ones where it is in neither.
            slot | u32::from(is_here | is_beside).wrapping_sub(1)
        };
        let mut followed = 0;
        for ((timestamps, keys), run) in timestamps.iter().zip(keys).zip(run) {
            let mut all = true;
            for ((timestamp, key), entry) in timestamps.iter().zip(keys).zip(run.iter_mut()) {
                // What is written for an event that does not stay is written again later.
                *entry = slot(*timestamp, *key);
                all &= *entry != NONE;
            }
            if !all {
                return followed + run.iter().take_while(|slot| **slot != NONE).count();
            }
            followed += UNROLL;
        }
        for ((timestamp, key), entry) in timestamps_rest.iter().zip(keys_rest).zip(run_rest) {
            *entry = slot(*timestamp, *key);
            if *entry == NONE {
                break;
            }
            followed += 1;
        }
        followed
    }
}

/// The first `length` entries of `list` in chunks, and the rest of them.
fn chunks<T>(list: &[T], length: usize) -> (&[[T; UNROLL]], &[T]) {
    list.get(..length).unwrap_or_default().as_chunks()
}
