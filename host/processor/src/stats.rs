//! Counters of a processor, and the histogram of its latencies.

use chrono::{DateTime, Utc};

use crate::engine;

/// Counters of a [`crate::StreamProcessor`] since it was built.
///
/// ```
/// # use processor::{StreamProcessorBuilder, aggregation::CountAggregator};
/// # use chrono::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> anyhow::Result<()> {
/// let processor = StreamProcessorBuilder::new()
///     .build_tumbling(Duration::minutes(5), |_key: &str| CountAggregator::new());
/// processor.process_event("a", "2024-05-01T12:01:00Z".parse()?, 1.0).await?;
/// let stats = processor.stats().await;
/// assert_eq!((stats.events_processed, stats.active_windows), (1, 1));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ProcessorStats {
    /// Events that were accepted, including late ones.
    pub events_processed: u64,
    /// Events that were too late for all of their windows.
    pub events_late: u64,
    /// Events that are in no window: late, or dropped at a limit.
    pub events_dropped: u64,
    /// Windows that fired on time, counted once for each key.
    pub windows_fired: u64,
    /// Open windows of all keys, with those kept for late events. Sliding windows count slices.
    pub active_windows: u64,
    /// The watermark; `None` before the first event and after the end.
    pub watermark: Option<DateTime<Utc>>,
    /// The median time of a call of `process_event`, in milliseconds. The percentiles are within
    /// 2 %.
    pub latency_p50_ms: f64,
    /// The 95th percentile.
    pub latency_p95_ms: f64,
    /// The 99th percentile.
    pub latency_p99_ms: f64,
    /// The longest time.
    pub latency_max_ms: f64,
    /// The counters of the engine, summed over the shapes of aggregators.
    pub engine: engine::Stats,
}

/// Bits of a duration that select the bucket within an octave.
const FRACTION_BITS: u32 = 5;
const BUCKETS: usize = (64 - FRACTION_BITS as usize + 1) << FRACTION_BITS;

/// Counts durations in buckets, 32 for each power of two: a bucket spans at most 3.2 % of its
/// durations.
#[derive(Debug, Clone)]
pub(crate) struct LatencyHistogram {
    counts: Box<[u64]>,
    total: u64,
    max_ns: u64,
}

impl LatencyHistogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS].into_boxed_slice(), total: 0, max_ns: 0 }
    }

    pub(crate) fn record(&mut self, ns: u64) {
        if let Some(count) = self.counts.get_mut(bucket(ns)) {
            *count += 1;
        }
        self.total += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// Returns the percentile in milliseconds: the middle of the bucket of its rank; 0 before the
    /// first duration.
    pub(crate) fn percentile_ms(&self, percent: f64) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let rank = percent / 100.0 * self.total as f64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
            if *count > 0 && seen as f64 >= rank {
                return ms(middle(index).min(self.max_ns));
            }
        }
        0.0
    }

    pub(crate) fn max_ms(&self) -> f64 {
        ms(self.max_ns)
    }
}

fn bucket(ns: u64) -> usize {
    let octave = 64 - (ns >> FRACTION_BITS).leading_zeros();
    let shift = octave.saturating_sub(1);
    ((octave as usize) << FRACTION_BITS) + (ns >> shift) as usize % (1 << FRACTION_BITS)
}

/// Returns the middle of a bucket.
fn middle(bucket: usize) -> u64 {
    let (octave, fraction) = (bucket >> FRACTION_BITS, bucket as u64 % (1 << FRACTION_BITS));
    match octave.checked_sub(1) {
        None => fraction,
        Some(shift) => (((1 << FRACTION_BITS) + fraction) << shift) + ((1 << shift) >> 1),
    }
}

#[allow(clippy::cast_precision_loss, reason = "rounds to the nearest double")]
fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middle_of_a_bucket_is_within_2_percent() {
        for ns in (0..64).map(|bit| 1_u64 << bit).flat_map(|ns| [ns - 1, ns, ns + ns / 3]) {
            let middle = middle(bucket(ns));
            assert!(middle.abs_diff(ns) <= ns / 50, "{ns} is in the bucket of {middle}");
        }
    }

    #[test]
    fn percentiles_follow_the_ranks() {
        let mut histogram = LatencyHistogram::new();
        assert_eq!(histogram.percentile_ms(99.0), 0.0);
        (1..=1000).for_each(|us| histogram.record(us * 1000));
        for (percent, expected) in [(50.0, 0.5), (95.0, 0.95), (99.0, 0.99)] {
            let found = histogram.percentile_ms(percent);
            assert!((found / expected - 1.0).abs() < 0.02, "p{percent} is {found}");
        }
        assert_eq!(histogram.max_ms(), 1.0);
        assert!(histogram.percentile_ms(100.0) <= 1.0);
    }
}
