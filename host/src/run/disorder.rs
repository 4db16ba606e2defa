//! The disorder of a run's input: how far events came behind the greatest event time.

use stream_processor_core::PipelineSpec;
use stream_processor_core::spec::{Duration, MAX_DURATION_US};

/// Measures how far events come behind the greatest event time before them, over all keys.
///
/// It measures every event that the parser accepts, so a bound of this size makes none of them
/// late.
#[derive(Debug, Clone)]
pub(super) struct Disorder {
    greatest: i64,
    max_behind_us: i64,
}

impl Default for Disorder {
    fn default() -> Self {
        Self { greatest: i64::MIN, max_behind_us: 0 }
    }
}

impl Disorder {
    /// Takes the times of the next events, in microseconds.
    pub(super) fn observe(&mut self, timestamps: &[i64]) {
        let Self { greatest, max_behind_us } = self;
        for time in timestamps {
            *greatest = (*greatest).max(*time);
            *max_behind_us = (*max_behind_us).max(greatest.saturating_sub(*time));
        }
    }

    /// Returns the furthest distance, or `None` if the watermark of the pipeline does not follow
    /// the greatest event time: each partition has its own, and events in the future do not count.
    pub(super) fn max_behind(&self, spec: &PipelineSpec) -> Option<Duration> {
        let follows = spec.source.partition.is_none() && spec.time.max_future_skew.is_none();
        let micros = self.max_behind_us.min(MAX_DURATION_US);
        Duration::from_micros(micros).filter(|_| follows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn max_behind(batches: &[&[i64]], spec: &str) -> Option<i64> {
        let mut disorder = Disorder::default();
        batches.iter().for_each(|times| disorder.observe(times));
        let spec = PipelineSpec::from_json(spec).unwrap();
        disorder.max_behind(&spec).map(Duration::as_micros)
    }

    #[test]
    fn distance_to_the_greatest_time_is_measured_across_batches() {
        let stream = r#"{"stages": []}"#;
        assert_eq!(max_behind(&[], stream), Some(0));
        assert_eq!(max_behind(&[&[1, 2, 2, 9]], stream), Some(0));
        assert_eq!(max_behind(&[&[1, 9], &[4, 20, 18], &[2]], stream), Some(18));
        assert_eq!(max_behind(&[&[i64::MAX, i64::MIN + 1]], stream), Some(MAX_DURATION_US));
    }

    #[test]
    fn distance_is_unknown_with_partitions_or_a_bound_of_the_future() {
        for spec in [
            r#"{"source": {"partition": "p"}, "stages": []}"#,
            r#"{"time": {"max_future_skew": "1h"}, "stages": []}"#,
        ] {
            assert_eq!(max_behind(&[&[9, 1]], spec), None);
        }
    }
}
