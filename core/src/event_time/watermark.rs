//! How event time moves: the watermark generator.

use crate::spec::{OutOfOrderness, PipelineSpec};
use crate::time::{MAX_TIME, MIN_TIME, NULL_TIME};
use crate::util::simd::Pair;

/// No watermark yet: everything is on time.
pub const NO_WATERMARK: i64 = i64::MIN;
/// The watermark after the end of input.
pub const END_OF_TIME: i64 = i64::MAX;

/// Follows the greatest event time: the watermark is that, less the allowed disorder, less 1 µs.
///
/// The engine has one; a host that splits a stream over shards runs another over the whole stream.
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
    /// Microseconds that the watermark stays behind; `None`: it does not move.
    lag_us: Option<i64>,
    watermark: i64,
}

impl Generator {
    /// The generator of `spec.time`.
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

    /// The watermark as it stands, microseconds; [`NO_WATERMARK`] before the first event.
    #[must_use]
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    /// Takes note of an event at `timestamp`, microseconds.
    pub fn observe(&mut self, timestamp: i64) {
        if let Some(lag_us) = self.lag_us {
            self.watermark = self.watermark.max(timestamp.saturating_sub(lag_us));
        }
    }

    /// Takes note of events one by one and appends to `before` the watermark that each of them met.
    pub fn observe_all(&mut self, timestamps: &[i64], before: &mut Vec<i64>) {
        let start = before.len();
        before.resize(start + timestamps.len(), 0);
        self.judge(timestamps, before.get_mut(start..).unwrap_or_default());
    }

    /// Takes note of events one by one and writes to `met` the watermark that each of them met.
    ///
    /// Returns whether all times are within ±2^62, about half of what is allowed: the quick part of checking them.
    pub(crate) fn judge(&mut self, timestamps: &[i64], met: &mut [i64]) -> bool {
        // Where the limit is as far back as before the first event, differences to it may overflow.
        let blocks = if self.limit() < -QUARTER { 0 } else { timestamps.len() / 8 * 8 };
        let (timestamps, rest) = timestamps.split_at(blocks);
        let (met, met_rest) = met.split_at_mut(blocks.min(met.len()));
        let (mut timestamps, mut met) = (timestamps.as_chunks().0, met.as_chunks_mut().0);
        let mut within = true;
        loop {
            let still = judge_still(timestamps, met, self.watermark, self.limit());
            let moving = timestamps.get(still..).and_then(<[_]>::split_first);
            let moving_met = met.get_mut(still..).and_then(<[_]>::split_first_mut);
            let (Some((block, later)), Some((block_met, later_met))) = (moving, moving_met) else {
                break;
            };
            within &= self.judge_block(block, block_met);
            (timestamps, met) = (later, later_met);
        }
        within & self.judge_each(rest, met_rest)
    }

    #[inline(never)]
    fn judge_block(&mut self, block: &[i64; 8], met: &mut [i64; 8]) -> bool {
        self.judge_each(block, met)
    }

    #[inline(always)]
    fn judge_each(&mut self, timestamps: &[i64], met: &mut [i64]) -> bool {
        let lag_us = self.lag_us.unwrap_or_default();
        let (mut watermark, mut limit, mut outside) = (self.watermark, self.limit(), 0);
        for (time, met) in timestamps.iter().zip(met) {
            *met = watermark;
            if *time > limit {
                // Beyond the limit, the difference does not overflow.
                (watermark, limit) = (time.wrapping_sub(lag_us), *time);
            }
            // An addition and an `or` for each: the sign bit stays where one is outside.
            outside |= time.wrapping_add(HALF);
        }
        self.watermark = watermark;
        outside >= 0
    }

    /// Only times beyond this move the watermark.
    fn limit(&self) -> i64 {
        self.lag_us.map_or(i64::MAX, |lag_us| self.watermark.saturating_add(lag_us))
    }

    /// Moves the watermark to `watermark`, if that is forward.
    pub fn advance(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(watermark);
    }
}

const _: () = assert!(NULL_TIME == NO_WATERMARK, "both are below every event time");

/// About half of the times that are allowed, and half of that.
const HALF: i64 = 1 << 62;
const QUARTER: i64 = HALF / 2;
const _: () = assert!(MAX_TIME > HALF && MIN_TIME < -HALF);

/// Blocks that [`judge_still`] takes in one turn of its loop: at each turn of any loop, wasmtime looks at the deadline, and
/// stores and loads again all that the loop has in registers.
const TURN: usize = 4;

/// Writes `watermark` to `met`, block by block, until a time is beyond `limit` or far behind it; returns how many blocks
/// these are. Out of order or within one millisecond, most events move nothing.
// Its own function, which calls nothing: so wasmtime's compiler keeps the variables of its loop in registers.
#[inline(never)]
fn judge_still(blocks: &[[i64; 8]], met: &mut [[i64; 8]], watermark: i64, limit: i64) -> usize {
    let limit = Pair::splat(limit);
    let judge = |block: &[i64; 8], met: &mut [i64; 8]| {
        // The upper bits of a difference say both that a time is beyond and that it is far behind.
        let behind = Pair::all(block)
            .into_iter()
            .fold(Pair::splat(0), |all, pair| all.or(limit.minus(pair)));
        let is_still = !behind.any_of(!(QUARTER - 1));
        if is_still {
            *met = [watermark; 8];
        }
        is_still
    };
    let mut still = 0;
    let (turns, rest) = blocks.as_chunks::<TURN>();
    let (met_turns, met_rest) = met.as_chunks_mut::<TURN>();
    for (blocks, met) in turns.iter().zip(met_turns) {
        for (block, met) in blocks.iter().zip(met) {
            if !judge(block, met) {
                return still;
            }
            still += 1;
        }
    }
    for (block, met) in rest.iter().zip(met_rest) {
        if !judge(block, met) {
            break;
        }
        still += 1;
    }
    still
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(bound: OutOfOrderness, timestamps: &[i64]) -> (Vec<i64>, i64, bool) {
        let mut generator = Generator::with_bound(bound);
        let mut met = vec![0; timestamps.len()];
        let within = generator.judge(timestamps, &mut met);
        (met, generator.watermark(), within)
    }

    #[test]
    fn judging_many_is_observing_one_by_one() {
        let times: Vec<i64> = (0..100).map(|at: i64| at * at % 37 * 1_000 - 5_000).collect();
        for bound in ["0s", "3ms", "unbounded"] {
            let bound: OutOfOrderness = bound.parse().unwrap();
            for length in 0..times.len() {
                let mut one_by_one = Generator::with_bound(bound);
                let mut met = Vec::new();
                for time in &times[..length] {
                    met.push(one_by_one.watermark());
                    one_by_one.observe(*time);
                }
                assert_eq!(judge(bound, &times[..length]), (met, one_by_one.watermark(), true));
            }
        }
    }

    #[test]
    fn times_that_are_too_far_away_are_noticed() {
        for (time, within) in
            [(0, true), (1 << 61, true), (-(1 << 62), true), (1 << 62, false), (i64::MIN, false)]
        {
            for at in [0, 7, 9] {
                let mut times = [5; 10];
                times[at] = time;
                assert_eq!(judge(OutOfOrderness::default(), &times).2, within, "{time}");
            }
        }
    }
}
