//! How event time moves: the watermark generator.

use crate::lanes::Pair;
use crate::spec::{OutOfOrderness, PipelineSpec};
use crate::time::{MAX_TIME, MIN_TIME, NULL_TIME};

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
    // Its own function, which calls nothing: so wasmtime's compiler keeps the variables of its loop in registers.
    #[inline(never)]
    pub(crate) fn judge(&mut self, timestamps: &[i64], met: &mut [i64]) -> bool {
        const HALF: i64 = 1 << 62;
        const { assert!(MAX_TIME > HALF && MIN_TIME < -HALF) };
        let (blocks, rest) = timestamps.as_chunks::<8>();
        let (met_blocks, met_rest) = met.as_chunks_mut::<8>();
        let mut outside = Pair::splat(0);
        let mut moving = Moving {
            lag_us: self.lag_us.unwrap_or_default(),
            watermark: self.watermark,
            limit: self.limit(),
        };
        for (block, met) in blocks.iter().zip(met_blocks) {
            let (limit, mut beyond) = (Pair::splat(moving.limit), Pair::splat(0));
            for pair in Pair::all(block) {
                // An addition and an `or` for each: the sign bit stays where one is outside.
                outside = outside.or(pair.plus(Pair::splat(HALF)));
                beyond = beyond.or(pair.beyond(limit));
            }
            // Out of order or within one millisecond, most events move nothing: one branch for all of them.
            if beyond.any_negative() {
                moving.judge(block, met);
            } else {
                *met = [moving.watermark; 8];
            }
        }
        moving.judge(rest, met_rest);
        self.watermark = moving.watermark;
        let outside_rest = rest.iter().fold(0, |all, time| all | time.wrapping_add(HALF));
        !outside.or(Pair::splat(outside_rest)).any_negative()
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

/// A watermark that moves, for one loop.
struct Moving {
    lag_us: i64,
    watermark: i64,
    /// Only times beyond this move it.
    limit: i64,
}

impl Moving {
    /// Writes to `met` what each event meets.
    #[inline(always)]
    fn judge(&mut self, timestamps: &[i64], met: &mut [i64]) {
        for (time, met) in timestamps.iter().zip(met) {
            *met = self.watermark;
            if *time > self.limit {
                // Beyond the limit, the difference does not overflow.
                (self.watermark, self.limit) = (time.wrapping_sub(self.lag_us), *time);
            }
        }
    }
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
