//! Samples that wait for their slot to close, and the reduction of several samples to one value.

use super::fill::mean;
use crate::spec::Reduce;
use crate::statistics::Sum;
use crate::util::front_queue::FrontQueue;

/// A sample, or what is kept of all samples of one slot.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct BufferedSample {
    /// Slot that the sample counts in.
    pub(super) slot: i64,
    /// Event time of the sample, microseconds.
    pub(super) time: i64,
    pub(super) value: f64,
}

/// Buffered samples of one field of one key, ordered by slot.
#[derive(Debug, Default)]
pub(super) struct SampleBuffer {
    pub(super) samples: FrontQueue<BufferedSample>,
}

impl SampleBuffer {
    /// Adds a sample. Merges it with the slot's earlier sample where `reduce` needs only one.
    pub(super) fn add(&mut self, reduce: Reduce, sample: BufferedSample) {
        let is_before = |kept: &BufferedSample| kept.slot <= sample.slot;
        self.samples.insert(sample, is_before, |kept| {
            kept.slot == sample.slot && merge(reduce, kept, sample)
        });
    }

    /// Removes the samples of `slot`, which must be the first slot, and reduces them to one value.
    /// Returns `None` if there are none or the result is not finite.
    pub(super) fn take_reduced(&mut self, reduce: Reduce, slot: i64) -> Option<f64> {
        let first = *self.samples.first().filter(|first| first.slot == slot)?;
        self.samples.pop();
        if self.samples.first().is_none_or(|second| second.slot != slot) {
            return Some(first.value);
        }
        let mut samples = vec![first];
        while self.samples.first().is_some_and(|next| next.slot == slot) {
            samples.extend(self.samples.pop());
        }
        // A fixed order makes floating-point sums independent of the order of arrival.
        crate::util::sort::by(&mut samples, |a, b| {
            a.time.cmp(&b.time).then(a.value.total_cmp(&b.value))
        });
        let values = samples.iter().map(|sample| sample.value);
        let result = match reduce {
            Reduce::Sum => compensated_sum(values),
            Reduce::Mean => average(values),
            _ => median(values.collect()),
        };
        Some(result).filter(|result| result.is_finite())
    }
}

/// Returns true if `reduce` needs all samples of a slot until it closes.
pub(super) fn keeps_all_samples(reduce: Reduce) -> bool {
    matches!(reduce, Reduce::Mean | Reduce::Sum | Reduce::Median)
}

/// Merges a sample into the kept sample of its slot. Returns false if both must be kept.
pub(super) fn merge(reduce: Reduce, kept: &mut BufferedSample, sample: BufferedSample) -> bool {
    let replaces = match reduce {
        // Among samples of one time, the one that arrived last wins.
        Reduce::Last => sample.time >= kept.time,
        Reduce::First => sample.time < kept.time,
        Reduce::Min => sample.value.total_cmp(&kept.value).is_lt(),
        Reduce::Max => sample.value.total_cmp(&kept.value).is_gt(),
        Reduce::Mean | Reduce::Sum | Reduce::Median => return false,
    };
    if replaces {
        *kept = sample;
    }
    true
}

/// Power of two that scales values down where their sum overflows.
const DOWNSCALE: f64 = f64::from_bits((1023 - 70) << 52);

/// Returns the compensated sum.
fn compensated_sum(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let plain = values.clone().collect::<Sum>().total();
    // The sum may be finite even if an intermediate sum overflows.
    if plain.is_finite() {
        plain
    } else {
        values.map(|value| value * DOWNSCALE).collect::<Sum>().total() / DOWNSCALE
    }
}

fn average(values: impl ExactSizeIterator<Item = f64> + Clone) -> f64 {
    let count = f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX));
    let sum = compensated_sum(values.clone());
    if sum.is_finite() { sum / count } else { compensated_sum(values.map(|value| value / count)) }
}

fn median(mut values: Vec<f64>) -> f64 {
    crate::util::sort::floats(&mut values);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 { at(middle) } else { mean(at(middle - 1), at(middle)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reduces samples, given as time and value, all in slot 0.
    fn reduced(reduce: Reduce, samples: &[(i64, f64)]) -> Option<f64> {
        let mut buffer = SampleBuffer::default();
        buffer.add(reduce, BufferedSample { slot: 9, time: 9, value: 99.0 });
        for (time, value) in samples {
            buffer.add(reduce, BufferedSample { slot: 0, time: *time, value: *value });
        }
        let result = buffer.take_reduced(reduce, 0);
        assert_eq!(buffer.samples.len(), 1);
        result
    }

    #[test]
    fn samples_of_one_slot_reduce_to_one_value() {
        let samples = [(3, 5.0), (1, 2.0), (4, 3.0), (1, 7.0), (4, 4.0)];
        for (reduce, result) in [
            (Reduce::Last, 4.0),
            (Reduce::First, 2.0),
            (Reduce::Min, 2.0),
            (Reduce::Max, 7.0),
            (Reduce::Sum, 21.0),
            (Reduce::Mean, 4.2),
            (Reduce::Median, 4.0),
        ] {
            assert_eq!(reduced(reduce, &samples), Some(result), "{reduce:?}");
            assert_eq!(reduced(reduce, &samples[..1]), Some(5.0));
            assert_eq!(reduced(reduce, &[]), None);
        }
        assert_eq!(reduced(Reduce::Median, &samples[..2]), Some(3.5));
    }

    #[test]
    fn reduction_ignores_order_of_arrival() {
        let mut samples: Vec<(i64, f64)> = (0..20)
            .map(|at| (at, f64::from(at as u32) * 0.1 - 1e9 * f64::from(at as u32 % 3)))
            .collect();
        let all = [Reduce::Sum, Reduce::Mean, Reduce::Median, Reduce::Last, Reduce::First];
        let before = all.map(|reduce| reduced(reduce, &samples));
        samples.reverse();
        assert_eq!(all.map(|reduce| reduced(reduce, &samples)), before);
    }

    #[test]
    fn finite_sum_survives_intermediate_overflow() {
        let huge = [(0, 1.5e308), (1, 1.5e308), (2, -1.5e308)];
        assert_eq!(reduced(Reduce::Sum, &huge), Some(1.5e308));
        assert_eq!(reduced(Reduce::Mean, &huge[..2]), Some(1.5e308));
        assert_eq!(reduced(Reduce::Median, &huge[..2]), Some(1.5e308));
        assert_eq!(reduced(Reduce::Sum, &huge[..2]), None, "not finite: missing");
    }
}
