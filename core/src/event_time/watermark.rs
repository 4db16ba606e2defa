//! The watermark generator.

use crate::spec::{OutOfOrderness, PipelineSpec};
use crate::time::{MAX_TIME, MIN_TIME, NULL_TIME};
use crate::util::simd::Pair;

/// No watermark yet: every event is on time.
pub const NO_WATERMARK: i64 = i64::MIN;
/// The watermark after the end of input.
pub const END_OF_TIME: i64 = i64::MAX;

/// Generates the watermark: the greatest event time, less the allowed disorder, less 1 µs.
///
/// The engine has one generator. A host that splits a stream over shards runs another one over the
/// whole stream.
/// ```
/// use stream_processor_core::{PipelineSpec, watermark::Generator};
/// let spec = PipelineSpec::from_json(r#"{"time": {"max_out_of_orderness": "2s"}, "stages": []}"#)?;
/// let mut generator = Generator::new(&spec);
/// generator.observe(10_000_000);
/// generator.observe(9_000_000);
/// assert_eq!(generator.watermark(), 7_999_999);
/// # Ok::<(), stream_processor_core::spec::SpecError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Generator {
    /// The distance between the greatest event time and the watermark, microseconds; `None` if
    /// events do not move it.
    lag_us: Option<i64>,
    watermark: i64,
}

impl Generator {
    /// Creates the generator that `spec.time` describes.
    #[must_use]
    pub fn new(spec: &PipelineSpec) -> Self {
        Self::with_bound(spec.time.max_out_of_orderness)
    }

    pub(crate) fn with_bound(bound: OutOfOrderness) -> Self {
        let lag_us = match bound {
            OutOfOrderness::Bounded(bound) => Some(bound.as_micros().saturating_add(1)),
            OutOfOrderness::Unbounded => None,
        };
        Self { lag_us, watermark: NO_WATERMARK }
    }

    /// Returns the current watermark, microseconds; [`NO_WATERMARK`] before the first event.
    #[must_use]
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    /// Takes an event at `timestamp`, microseconds.
    pub fn observe(&mut self, timestamp: i64) {
        if let Some(lag_us) = self.lag_us {
            self.watermark = self.watermark.max(timestamp.saturating_sub(lag_us));
        }
    }

    /// Takes events one by one and appends to `before` the watermark in effect when each one
    /// arrived.
    pub fn observe_all(&mut self, timestamps: &[i64], before: &mut Vec<i64>) {
        let start = before.len();
        before.resize(start + timestamps.len(), 0);
        self.observe_chunk(timestamps, before.get_mut(start..).unwrap_or_default());
    }

    /// Takes events one by one and stores in `in_effect` the watermark in effect when each one
    /// arrived.
    ///
    /// Returns whether all times are within ±2^62, about half of the valid range: a fast sufficient
    /// check.
    pub(crate) fn observe_chunk(&mut self, timestamps: &[i64], in_effect: &mut [i64]) -> bool {
        // With a limit near the least time, as before the first event, differences to it may
        // overflow.
        let blocks = if self.limit() < -QUARTER { 0 } else { timestamps.len() / 8 * 8 };
        let (timestamps, rest) = timestamps.split_at(blocks);
        let (in_effect, in_effect_rest) = in_effect.split_at_mut(blocks.min(in_effect.len()));
        let (mut timestamps, mut in_effect) =
            (timestamps.as_chunks().0, in_effect.as_chunks_mut().0);
        let mut within = true;
        loop {
            let unmoved = fill_unmoved_blocks(timestamps, in_effect, self.watermark, self.limit());
            let moving = timestamps.get(unmoved..).and_then(<[_]>::split_first);
            let moving_in_effect = in_effect.get_mut(unmoved..).and_then(<[_]>::split_first_mut);
            let (Some((block, later)), Some((block_in_effect, later_in_effect))) =
                (moving, moving_in_effect)
            else {
                break;
            };
            within &= self.observe_block(block, block_in_effect);
            (timestamps, in_effect) = (later, later_in_effect);
        }
        within & self.observe_each(rest, in_effect_rest)
    }

    #[inline(never)]
    fn observe_block(&mut self, block: &[i64; 8], in_effect: &mut [i64; 8]) -> bool {
        self.observe_each(block, in_effect)
    }

    #[inline(always)]
    fn observe_each(&mut self, timestamps: &[i64], in_effect: &mut [i64]) -> bool {
        let lag_us = self.lag_us.unwrap_or_default();
        let (mut watermark, mut limit, mut outside) = (self.watermark, self.limit(), 0);
        for (time, in_effect) in timestamps.iter().zip(in_effect) {
            *in_effect = watermark;
            if *time > limit {
                // Beyond the limit, the difference does not overflow.
                (watermark, limit) = (time.wrapping_sub(lag_us), *time);
            }
            // One addition and one `or` per event: the sign bit stays set if one is outside.
            outside |= time.wrapping_add(HALF);
        }
        self.watermark = watermark;
        outside >= 0
    }

    /// Returns the time that an event must exceed to move the watermark.
    fn limit(&self) -> i64 {
        self.lag_us.map_or(i64::MAX, |lag_us| self.watermark.saturating_add(lag_us))
    }

    /// Moves the watermark to `watermark`, if that is forward.
    pub fn advance(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(watermark);
    }
}

const _: () = assert!(NULL_TIME == NO_WATERMARK, "both are below every event time");

/// About half of the valid range of times, and half of that.
const HALF: i64 = 1 << 62;
const QUARTER: i64 = HALF / 2;
const _: () = assert!(MAX_TIME > HALF && MIN_TIME < -HALF);

/// The number of blocks in one iteration of [`fill_unmoved_blocks`]. In each loop iteration,
/// wasmtime checks the deadline, and stores and reloads all loop variables held in registers.
const BLOCKS_PER_ITERATION: usize = 4;

/// Fills `in_effect` with `watermark`, block by block, until a time is beyond `limit` or far behind
/// it. Returns the number of filled blocks. In streams with disorder, or with many events per
/// millisecond, most events do not move the watermark.
// A separate function without calls: wasmtime's compiler then keeps the loop variables in
// registers.
#[inline(never)]
fn fill_unmoved_blocks(
    blocks: &[[i64; 8]],
    in_effect: &mut [[i64; 8]],
    watermark: i64,
    limit: i64,
) -> usize {
    let limit = Pair::splat(limit);
    let fill_if_unmoved = |block: &[i64; 8], in_effect: &mut [i64; 8]| {
        // The upper bits of a difference are set both for times beyond the limit and for times far
        // behind.
        let behind = Pair::all(block)
            .into_iter()
            .fold(Pair::splat(0), |all, pair| all.or(limit.minus(pair)));
        let is_unmoved = !behind.any_of(!(QUARTER - 1));
        if is_unmoved {
            *in_effect = [watermark; 8];
        }
        is_unmoved
    };
    let mut unmoved = 0;
    let (turns, rest) = blocks.as_chunks::<BLOCKS_PER_ITERATION>();
    let (in_effect_turns, in_effect_rest) = in_effect.as_chunks_mut::<BLOCKS_PER_ITERATION>();
    for (blocks, in_effect) in turns.iter().zip(in_effect_turns) {
        for (block, in_effect) in blocks.iter().zip(in_effect) {
            if !fill_if_unmoved(block, in_effect) {
                return unmoved;
            }
            unmoved += 1;
        }
    }
    for (block, in_effect) in rest.iter().zip(in_effect_rest) {
        if !fill_if_unmoved(block, in_effect) {
            break;
        }
        unmoved += 1;
    }
    unmoved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(bound: OutOfOrderness, timestamps: &[i64]) -> (Vec<i64>, i64, bool) {
        let mut generator = Generator::with_bound(bound);
        let mut in_effect = vec![0; timestamps.len()];
        let within = generator.observe_chunk(timestamps, &mut in_effect);
        (in_effect, generator.watermark(), within)
    }

    #[test]
    fn observing_a_chunk_equals_observing_one_by_one() {
        let times: Vec<i64> = (0..100).map(|at: i64| at * at % 37 * 1_000 - 5_000).collect();
        for bound in ["0s", "3ms", "unbounded"] {
            let bound: OutOfOrderness = bound.parse().unwrap();
            for length in 0..times.len() {
                let mut one_by_one = Generator::with_bound(bound);
                let mut in_effect = Vec::new();
                for time in &times[..length] {
                    in_effect.push(one_by_one.watermark());
                    one_by_one.observe(*time);
                }
                assert_eq!(
                    observed(bound, &times[..length]),
                    (in_effect, one_by_one.watermark(), true)
                );
            }
        }
    }

    #[test]
    fn observe_chunk_reports_times_outside_the_fast_range() {
        for (time, within) in
            [(0, true), (1 << 61, true), (-(1 << 62), true), (1 << 62, false), (i64::MIN, false)]
        {
            for at in [0, 7, 9] {
                let mut times = [5; 10];
                times[at] = time;
                assert_eq!(observed(OutOfOrderness::default(), &times).2, within, "{time}");
            }
        }
    }
}
