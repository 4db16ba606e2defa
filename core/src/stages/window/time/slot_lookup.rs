//! The hot loop of windows: assigns slots to events of the current and one adjacent slice, while
//! all keys are known.

use super::NONE;
use crate::plan::within;
use crate::util::simd::Pair;

/// Events per chunk; the loop has one branch for all of them.
const UNROLL: usize = 8;

/// Chunks per loop iteration. At the end of each iteration wasmtime checks the deadline, and spills
/// and reloads all registers of the loop.
const CHUNKS_PER_ITERATION: usize = 2;

/// The fast path for the current and one adjacent slice, between which out-of-order events
/// alternate.
pub(super) struct SlotLookup<'a> {
    /// The length of a slice, microseconds.
    size_us: u64,
    current: SliceSlots<'a>,
    adjacent: SliceSlots<'a>,
}

/// The slots of one slice.
#[derive(Clone, Copy)]
pub(super) struct SliceSlots<'a> {
    pub(super) start: i64,
    /// The slots by key id.
    pub(super) slots: &'a [u32],
}

impl<'a> SlotLookup<'a> {
    /// Creates a lookup in `current` and, if there is one, in an `adjacent` slice.
    pub(super) fn new(
        size_us: u64,
        current: SliceSlots<'a>,
        adjacent: Option<SliceSlots<'a>>,
    ) -> Self {
        Self { size_us, current, adjacent: adjacent.unwrap_or(current) }
    }

    /// Writes the slots of the events to `run`, up to the first event outside both slices or
    /// without a slot. Returns the number of slots written.
    pub(super) fn assign(&self, timestamps: &[i64], keys: &[u32], run: &mut [u32]) -> usize {
        let length = timestamps.len().min(keys.len()).min(run.len());
        let (timestamps, timestamps_left) = chunks(timestamps, length);
        let (keys, keys_left) = chunks(keys, length);
        let (run, run_left) = run.get_mut(..length).unwrap_or_default().as_chunks_mut::<UNROLL>();
        let mut at = 0;
        while at < timestamps.len() {
            let (timestamps, keys) = (timestamps.get(at..), keys.get(at..));
            let (Some(timestamps), Some(keys), Some(run)) = (timestamps, keys, run.get_mut(at..))
            else {
                break;
            };
            let chunks_done = self.assign_in_current(timestamps, keys, run);
            at += chunks_done;
            let (Some(timestamps), Some(keys), Some(run)) =
                (timestamps.get(chunks_done), keys.get(chunks_done), run.get_mut(chunks_done))
            else {
                break;
            };
            let assigned = self.assign_in_both(timestamps, keys, run);
            if assigned < UNROLL {
                return at * UNROLL + assigned;
            }
            at += 1;
        }
        at * UNROLL + self.assign_in_both(timestamps_left, keys_left, run_left)
    }

    /// Handles chunks of events that all fall into the current slice, and returns the number of
    /// chunks handled.
    // A separate function without calls, so that wasmtime's compiler keeps the loop's variables in
    // registers.
    #[inline(never)]
    fn assign_in_current(
        &self,
        timestamps: &[[i64; UNROLL]],
        keys: &[[u32; UNROLL]],
        run: &mut [[u32; UNROLL]],
    ) -> usize {
        let SliceSlots { start, slots } = self.current;
        let last = start.wrapping_add_unsigned(self.size_us - 1);
        let (start, last) = (Pair::splat(start), Pair::splat(last));
        let stays = |timestamps: &[i64; UNROLL], keys: &[u32; UNROLL], run: &mut [u32; UNROLL]| {
            // Sign bits are combined instead of branching for each event: for a time outside, one
            // difference is negative, and so is NONE. A slot written for a chunk that is not
            // handled is overwritten later.
            let outside = Pair::all(timestamps)
                .into_iter()
                .fold(Pair::splat(0), |all, pair| all.or(pair.minus(start)).or(last.minus(pair)));
            if outside.any_of(i64::MIN) {
                return false;
            }
            let mut all = 0;
            for (entry, key) in run.iter_mut().zip(keys) {
                *entry = slots.get(*key as usize).copied().unwrap_or(NONE);
                all |= *entry;
            }
            all.cast_signed() >= 0
        };
        let mut chunks_done = 0;
        let (turns, timestamps) = timestamps.as_chunks::<CHUNKS_PER_ITERATION>();
        let (key_turns, keys) = keys.as_chunks::<CHUNKS_PER_ITERATION>();
        let (run_turns, run) = run.as_chunks_mut::<CHUNKS_PER_ITERATION>();
        for ((timestamps, keys), run) in turns.iter().zip(key_turns).zip(run_turns) {
            for ((timestamps, keys), run) in timestamps.iter().zip(keys).zip(run) {
                if !stays(timestamps, keys, run) {
                    return chunks_done;
                }
                chunks_done += 1;
            }
        }
        for ((timestamps, keys), run) in timestamps.iter().zip(keys).zip(run) {
            if !stays(timestamps, keys, run) {
                break;
            }
            chunks_done += 1;
        }
        chunks_done
    }

    /// Handles events one by one, in either of the two slices, and returns the number of events
    /// handled.
    #[inline(never)]
    fn assign_in_both(&self, timestamps: &[i64], keys: &[u32], run: &mut [u32]) -> usize {
        let mut assigned = 0;
        for ((timestamp, key), entry) in timestamps.iter().zip(keys).zip(run) {
            let is_current = within(*timestamp, self.current.start, self.size_us);
            let slice = if is_current { self.current } else { self.adjacent };
            let slot = slice.slots.get(*key as usize).copied().unwrap_or(NONE);
            let stays = is_current || within(*timestamp, self.adjacent.start, self.size_us);
            *entry = if stays { slot } else { NONE };
            if *entry == NONE {
                break;
            }
            assigned += 1;
        }
        assigned
    }
}

/// Splits the first `length` entries of `list` into chunks and a remainder.
fn chunks<T>(list: &[T], length: usize) -> (&[[T; UNROLL]], &[T]) {
    list.get(..length).unwrap_or_default().as_chunks()
}
