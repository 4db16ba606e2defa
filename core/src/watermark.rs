//! How event time moves: the watermark generator.

use crate::spec::{OutOfOrderness, PipelineSpec};
use crate::time::NULL_TIME;

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
    // Its own function: wasmtime's compiler keeps a loop's variables in registers only in small ones.
    #[inline(never)]
    pub fn observe_all(&mut self, timestamps: &[i64], before: &mut Vec<i64>) {
        let Some(lag_us) = self.lag_us else {
            before.resize(before.len() + timestamps.len(), self.watermark);
            return;
        };
        let start = before.len();
        before.resize(start + timestamps.len(), 0);
        let mut watermark = self.watermark;
        let mut meet = |timestamp: &i64, met: &mut i64| {
            *met = watermark;
            watermark = watermark.max(timestamp.saturating_sub(lag_us));
        };
        let (timestamps, timestamps_rest) = timestamps.as_chunks::<4>();
        let (met, met_rest) = before.get_mut(start..).unwrap_or_default().as_chunks_mut::<4>();
        for (timestamps, met) in timestamps.iter().zip(met) {
            timestamps.iter().zip(met).for_each(|(timestamp, met)| meet(timestamp, met));
        }
        timestamps_rest.iter().zip(met_rest).for_each(|(timestamp, met)| meet(timestamp, met));
        self.watermark = watermark;
    }

    /// Moves the watermark to `watermark`, if that is forward.
    pub fn advance(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(watermark);
    }
}

const _: () = assert!(NULL_TIME == NO_WATERMARK, "both are below every event time");
