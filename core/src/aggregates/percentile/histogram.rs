//! A histogram of both signs with logarithmic buckets: 64 for each octave. Values can be removed.

use super::half_histogram::HalfHistogram;
use super::value_range::ValueRange;
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};

/// Bytes counted for a histogram without octaves.
const FIXED_BYTES: u64 = 160;

/// Counts of values by logarithmic bucket, with exact count, minimum and maximum. After removals,
/// minimum and maximum are too wide until [`Histogram::set_range`].
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Histogram {
    count: u64,
    zeros: u64,
    min: f64,
    max: f64,
    /// Boxed, because most fields have no negative values.
    negative: Option<Box<HalfHistogram>>,
    positive: HalfHistogram,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self {
            count: 0,
            zeros: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            negative: None,
            positive: HalfHistogram::default(),
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn range(&self) -> ValueRange {
        ValueRange::of(self.min, self.max)
    }

    /// Sets minimum and maximum to those of `range`.
    pub(super) fn set_range(&mut self, range: ValueRange) {
        (self.min, self.max) = (range.min(), range.max());
    }

    /// Returns the number of values below the octaves that are kept.
    pub(super) fn folded(&self) -> u64 {
        let negative = self.negative.as_ref().map_or(0, |half| half.folded());
        negative.saturating_add(self.positive.folded())
    }

    /// Adds `value` `times`; a bucket counts up to 2^32 − 1.
    #[inline]
    pub(super) fn add(&mut self, value: f64, times: u64) {
        self.count = self.count.saturating_add(times);
        self.min = if value < self.min { value } else { self.min };
        self.max = if value > self.max { value } else { self.max };
        self.add_to_bucket(value, times);
    }

    /// Adds `value` `times` to its bucket only.
    #[inline]
    fn add_to_bucket(&mut self, value: f64, times: u64) {
        if value > 0.0 {
            self.positive.add(value.to_bits(), times);
        } else if value < 0.0 {
            self.negative.get_or_insert_default().add((-value).to_bits(), times);
        } else {
            self.zeros = self.zeros.saturating_add(times);
        }
    }

    /// Adds each of `values` once. In 2 ns a value, half the time of [`Histogram::add`]: minimum
    /// and maximum are found four values at a time.
    pub(super) fn add_all(&mut self, values: &[f64]) {
        self.count = self.count.saturating_add(values.len() as u64);
        let (chunks, rest) = values.as_chunks::<4>();
        let (mut least, mut greatest) = ([self.min; 4], [self.max; 4]);
        for chunk in chunks {
            for ((least, greatest), value) in least.iter_mut().zip(&mut greatest).zip(chunk) {
                *least = if value < least { *value } else { *least };
                *greatest = if value > greatest { *value } else { *greatest };
            }
        }
        self.min = least.iter().chain(rest).fold(f64::INFINITY, |a, b| if *b < a { *b } else { a });
        self.max =
            greatest.iter().chain(rest).fold(f64::NEG_INFINITY, |a, b| if *b > a { *b } else { a });
        for value in values {
            if !self.positive.add_normal(value.to_bits()) {
                self.add_to_bucket(*value, 1);
            }
        }
    }

    /// Creates a histogram of value/count pairs.
    pub(super) fn from_pairs(pairs: &[(f64, u64)]) -> Self {
        let mut histogram = Self::new();
        histogram.add_pairs(pairs);
        histogram
    }

    pub(super) fn add_pairs(&mut self, pairs: &[(f64, u64)]) {
        pairs.iter().for_each(|(value, times)| self.add(*value, *times));
    }

    /// Merges `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.min = if other.min < self.min { other.min } else { self.min };
        self.max = if other.max > self.max { other.max } else { self.max };
        if let Some(negative) = &other.negative {
            self.negative.get_or_insert_default().merge(negative);
        }
        self.positive.merge(&other.positive);
    }

    /// Returns true if removals are exact. The octave of a folded value is unknown, and a bucket may
    /// have reached its greatest count.
    pub(super) fn can_remove(&self) -> bool {
        self.count < u64::from(u32::MAX) && self.folded() == 0
    }

    /// Removes `value`, which was added before, `times`.
    #[inline]
    pub(super) fn remove(&mut self, value: f64, times: u64) {
        self.count = self.count.saturating_sub(times);
        if value > 0.0 {
            self.positive.remove(value.to_bits(), times);
        } else if value < 0.0 {
            if let Some(negative) = &mut self.negative {
                negative.remove((-value).to_bits(), times);
            }
        } else {
            self.zeros = self.zeros.saturating_sub(times);
        }
    }

    /// Removes the values of `other`, which was merged before.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.count = self.count.saturating_sub(other.count);
        self.zeros = self.zeros.saturating_sub(other.zeros);
        if let (Some(negative), Some(other)) = (&mut self.negative, &other.negative) {
            negative.subtract(other);
        }
        self.positive.subtract(&other.positive);
    }

    /// Returns the number of buckets of both signs that have values.
    pub(super) fn nonzero_buckets(&self) -> usize {
        let negative = self.negative.as_ref().map_or(0, |half| half.nonzero_buckets());
        negative + self.positive.nonzero_buckets()
    }

    /// Returns the estimate at `rank`, and the number of values from that rank on with the same
    /// estimate.
    pub(super) fn at(&self, mut rank: u64) -> (f64, u64) {
        let (value, remaining) = self
            .negative
            .as_ref()
            .and_then(|half| half.at_from_above(&mut rank))
            .map(|(magnitude, remaining)| (-magnitude, remaining))
            .or_else(|| {
                let near_zero = self.folded().saturating_add(self.zeros);
                match near_zero.checked_sub(rank).filter(|remaining| *remaining > 0) {
                    Some(remaining) => Some((0.0, remaining)),
                    None => {
                        rank -= near_zero;
                        None
                    }
                }
            })
            .or_else(|| self.positive.at_from_below(&mut rank))
            .unwrap_or((self.max, 1));
        (self.range().clamp(value), remaining)
    }

    /// The greatest value of [`Histogram::counted_bytes`].
    pub(super) const MAX_BYTES: u64 = FIXED_BYTES + 2 * HalfHistogram::MAX_BYTES;

    /// Returns the bytes for the memory budget.
    pub(super) fn counted_bytes(&self) -> u64 {
        let negative = self.negative.as_ref().map_or(0, |half| half.counted_bytes());
        FIXED_BYTES + negative + self.positive.counted_bytes()
    }

    /// Returns true if adding `value` adds to the counted bytes.
    pub(super) fn grows(&self, value: f64) -> bool {
        let half = if value < 0.0 { self.negative.as_deref() } else { Some(&self.positive) };
        value != 0.0 && half.is_none_or(|half| half.grows(value.abs().to_bits()))
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let negative =
            self.negative.as_ref().map_or(0, |half| size_of::<HalfHistogram>() + half.bytes());
        size_of::<Self>() + negative + self.positive.bytes()
    }

    #[inline]
    pub(super) fn save(&self, writer: &mut SectionWriter<'_>) {
        writer.u64(self.zeros);
        writer.f64s([self.min, self.max].into_iter());
        self.negative.as_deref().unwrap_or(&HalfHistogram::default()).save(writer);
        self.positive.save(writer);
    }

    /// Reads what [`Histogram::save`] wrote of `count` values.
    #[inline]
    pub(super) fn load(count: u64, reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError> {
        let zeros = reader.count()?;
        let (min, max) = (reader.f64()?, reader.f64()?);
        if !(min.is_finite() && max.is_finite() && min <= max) {
            return Err(SnapshotError::Damaged(
                "a histogram has values, but no minimum and maximum",
            ));
        }
        let (negative, positive) = (HalfHistogram::load(reader)?, HalfHistogram::load(reader)?);
        let negative = (negative != HalfHistogram::default()).then(|| Box::new(negative));
        Ok(Self { count, zeros, min, max, negative, positive })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Histogram {
        let mut histogram = Histogram::new();
        values.iter().for_each(|value| histogram.add(*value, 1));
        histogram
    }

    #[test]
    fn ranks_ascend_from_minimum_to_maximum() {
        let values = [-100.0, -1.0, -1.0, 0.0, 0.0, 0.5, 7.0, 7.0, 1e300];
        let histogram = of(&values);
        for (rank, value) in (0..).zip(values) {
            let (found, _) = histogram.at(rank);
            assert!((found - value).abs() <= value.abs() / 128.0, "{rank}: {found} {value}");
        }
        assert_eq!(histogram.at(1).1, 2);
        assert_eq!(histogram.at(3).1, 2);
    }

    #[test]
    fn greatest_octaves_are_kept_in_any_order() {
        let mut values: Vec<f64> =
            (0..100_u64).map(|octave| f64::from_bits((octave * 9 + 100) << 52)).collect();
        values.extend(values.clone().iter().map(|value| -value));
        let due = of(&values);
        assert_eq!(due.folded(), 72);
        assert_eq!(due.positive.kept().0, 64);
        for step in [3, 7, 11] {
            let shuffled: Vec<f64> =
                (0..values.len()).map(|at| values[at * step % values.len()]).collect();
            let found = of(&shuffled);
            assert_eq!(found.folded(), 72);
            assert!((0..200).all(|rank| found.at(rank) == due.at(rank)));
            assert_eq!(found.positive.kept(), due.positive.kept());
        }
        assert_eq!(due.at(100).0, 0.0);
    }

    #[test]
    fn values_added_together_give_the_histogram_of_values_added_one_by_one() {
        let normal = |at: u64| f64::from_bits((at * 13 % 90 + 980) << 52 | (at * 7_919) << 38);
        let mut values: Vec<f64> = (0..400).map(normal).collect();
        values.extend([0.0, -1.5, 5e-324, -5e-324, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 0.0]);
        values.extend((0..100).map(|at| -normal(at)));
        let due = of(&values);
        assert!(due.positive.folded() > 0);
        for length in [1, 3, 4, 7, 64, values.len()] {
            let mut found = Histogram::new();
            values.chunks(length).for_each(|values| found.add_all(values));
            assert_eq!(found, due, "{length} at a time");
        }
    }

    /// Asserts equal counts; minimum and maximum of `found` need not be set.
    fn assert_same(mut found: Histogram, due: &Histogram) {
        found.set_range(due.range());
        assert_eq!((found.count, found.zeros), (due.count, due.zeros));
        assert_eq!(found.counted_bytes(), due.counted_bytes());
        assert_eq!(found.nonzero_buckets(), due.nonzero_buckets());
        assert!((0..due.count).all(|rank| found.at(rank) == due.at(rank)));
    }

    #[test]
    fn removal_leaves_the_histogram_of_the_other_values() {
        // Both lists have octaves of their own: lowest, highest and between those of the other.
        let stay = [-3.0, -3.1, 0.0, 0.01, 5.0, 5.0, 70.0, 1e6, 3e6];
        let leave = [-1e9, -3.0, 0.0, 0.0, 1e-7, 0.3, 5.0, 5.1, 700.0, 800.0, 1e9];
        let mut all = of(&stay);
        all.merge(&of(&leave));
        assert!(all.can_remove());
        let mut subtracted = all.clone();
        subtracted.subtract(&of(&leave));
        assert_same(subtracted, &of(&stay));
        leave.iter().for_each(|value| all.remove(*value, 1));
        assert_same(all.clone(), &of(&stay));
        stay.iter().for_each(|value| all.remove(*value, 1));
        assert_same(all.clone(), &Histogram::new());
        leave.iter().for_each(|value| all.add(*value, 1));
        assert_same(all, &of(&leave));
    }

    #[test]
    fn folded_values_and_full_buckets_cannot_be_removed() {
        let octaves: Vec<f64> =
            (0..65_u64).map(|octave| f64::from_bits((octave + 100) << 52)).collect();
        assert!(of(&octaves[..64]).can_remove());
        assert!(!of(&octaves).can_remove());
        let mut full = of(&[7.0]);
        full.add(7.0, u64::from(u32::MAX));
        assert!(!full.can_remove());
    }
}
