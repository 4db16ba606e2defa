//! The hot loop of windows: follows events through two neighbouring slices, as long as nothing unusual happens.

use super::NONE;
use crate::plan::within;
use crate::util::simd::Pair;

/// Events that the loop takes at once: it has one branch for all of them.
const UNROLL: usize = 8;

/// As many of these make one turn of the loop: at each, wasmtime looks at the deadline, and stores and loads again all that
/// the loop has in registers.
const TURN: usize = 2;

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
    /// Through `here` and, if there is one, a slice beside it.
    pub(super) fn new(size_us: u64, here: Track<'a>, beside: Option<Track<'a>>) -> Self {
        Self { size_us, here, beside: beside.unwrap_or(here) }
    }

    /// Writes the slots of the events to `run`, from the first on, while they stay in these slices and their windows are
    /// open. Returns how many.
    pub(super) fn follow(&self, timestamps: &[i64], keys: &[u32], run: &mut [u32]) -> usize {
        let length = timestamps.len().min(keys.len()).min(run.len());
        let (timestamps, timestamps_rest) = chunks(timestamps, length);
        let (keys, keys_rest) = chunks(keys, length);
        let (run, run_rest) = run.get_mut(..length).unwrap_or_default().as_chunks_mut::<UNROLL>();
        let mut at = 0;
        while at < timestamps.len() {
            let (timestamps, keys) = (timestamps.get(at..), keys.get(at..));
            let (Some(timestamps), Some(keys), Some(run)) = (timestamps, keys, run.get_mut(at..))
            else {
                break;
            };
            let stayed = self.follow_here(timestamps, keys, run);
            at += stayed;
            let (Some(timestamps), Some(keys), Some(run)) =
                (timestamps.get(stayed), keys.get(stayed), run.get_mut(stayed))
            else {
                break;
            };
            let followed = self.follow_both(timestamps, keys, run);
            if followed < UNROLL {
                return at * UNROLL + followed;
            }
            at += 1;
        }
        at * UNROLL + self.follow_both(timestamps_rest, keys_rest, run_rest)
    }

    /// The same for blocks of events that all stay in one slice; returns how many these are.
    // Its own function, which calls nothing: so wasmtime's compiler keeps the variables of its loop in registers.
    #[inline(never)]
    fn follow_here(
        &self,
        timestamps: &[[i64; UNROLL]],
        keys: &[[u32; UNROLL]],
        run: &mut [[u32; UNROLL]],
    ) -> usize {
        let Track { start, slots } = self.here;
        let last = start.wrapping_add_unsigned(self.size_us - 1);
        let (start, last) = (Pair::splat(start), Pair::splat(last));
        let stays = |timestamps: &[i64; UNROLL], keys: &[u32; UNROLL], run: &mut [u32; UNROLL]| {
            // Sign bits are gathered instead of branching for each event: times outside have one in a difference,
            // and so has NONE. What is written for an event that does not stay is written again later.
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
        let mut stayed = 0;
        let (turns, timestamps) = timestamps.as_chunks::<TURN>();
        let (key_turns, keys) = keys.as_chunks::<TURN>();
        let (run_turns, run) = run.as_chunks_mut::<TURN>();
        for ((timestamps, keys), run) in turns.iter().zip(key_turns).zip(run_turns) {
            for ((timestamps, keys), run) in timestamps.iter().zip(keys).zip(run) {
                if !stays(timestamps, keys, run) {
                    return stayed;
                }
                stayed += 1;
            }
        }
        for ((timestamps, keys), run) in timestamps.iter().zip(keys).zip(run) {
            if !stays(timestamps, keys, run) {
                break;
            }
            stayed += 1;
        }
        stayed
    }

    /// The same, event by event, where they change between the two slices.
    #[inline(never)]
    fn follow_both(&self, timestamps: &[i64], keys: &[u32], run: &mut [u32]) -> usize {
        let mut followed = 0;
        for ((timestamp, key), entry) in timestamps.iter().zip(keys).zip(run) {
            let is_here = within(*timestamp, self.here.start, self.size_us);
            let track = if is_here { self.here } else { self.beside };
            let slot = track.slots.get(*key as usize).copied().unwrap_or(NONE);
            let stays = is_here || within(*timestamp, self.beside.start, self.size_us);
            *entry = if stays { slot } else { NONE };
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
