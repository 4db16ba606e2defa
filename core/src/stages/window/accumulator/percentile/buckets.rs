//! Values counted in logarithmic buckets: 64 to an octave, found by the bits of the number.

use super::range::Range;
use super::side::Side;
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};

/// What is left of many values: how many fell into each bucket.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Buckets {
    count: u64,
    zeros: u64,
    min: f64,
    max: f64,
    /// Most values have no sign: without negative ones this takes no room.
    negative: Option<Box<Side>>,
    positive: Side,
}

impl Buckets {
    pub(super) fn new() -> Self {
        Self {
            count: 0,
            zeros: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            negative: None,
            positive: Side::default(),
        }
    }

    /// Of `count` values and so many zeros, within `range`, by the sign of the others.
    pub(super) fn of_sides(
        (count, zeros): (u64, u64),
        range: Range,
        negative: Side,
        positive: Side,
    ) -> Self {
        let (min, max) = (range.min(), range.max());
        Self { count, zeros, min, max, negative: boxed(negative), positive }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn zeros(&self) -> u64 {
        self.zeros
    }

    /// The other values: the negative ones and the positive ones.
    pub(super) fn sides(&self) -> (Option<&Side>, &Side) {
        (self.negative.as_deref(), &self.positive)
    }

    pub(super) fn range(&self) -> Range {
        Range::of(self.min, self.max)
    }

    /// Values below the octaves that are kept.
    pub(super) fn folded(&self) -> u64 {
        let negative = self.negative.as_ref().map_or(0, |side| side.folded());
        negative.saturating_add(self.positive.folded())
    }

    /// Counts `value` `times`; a bucket counts to 2^32 − 1.
    #[inline]
    pub(super) fn add(&mut self, value: f64, times: u64) {
        self.count = self.count.saturating_add(times);
        self.min = if value < self.min { value } else { self.min };
        self.max = if value > self.max { value } else { self.max };
        if value > 0.0 {
            self.positive.add(value.to_bits(), times);
        } else if value < 0.0 {
            self.negative.get_or_insert_default().add((-value).to_bits(), times);
        } else {
            self.zeros = self.zeros.saturating_add(times);
        }
    }

    /// Of different values, each with how often it came.
    pub(super) fn of_pairs(pairs: &[(f64, u64)]) -> Self {
        let mut buckets = Self::new();
        buckets.add_pairs(pairs);
        buckets
    }

    pub(super) fn add_pairs(&mut self, pairs: &[(f64, u64)]) {
        pairs.iter().for_each(|(value, times)| self.add(*value, *times));
    }

    /// Adds what `other` has counted.
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

    /// What stands for the values around rank `rank`, and how many from that rank on it stands for.
    pub(super) fn at(&self, mut rank: u64) -> (f64, u64) {
        let (value, left) = self
            .negative
            .as_ref()
            .and_then(|side| side.at_from_above(&mut rank))
            .map(|(magnitude, left)| (-magnitude, left))
            .or_else(|| {
                let near_zero = self.folded().saturating_add(self.zeros);
                match near_zero.checked_sub(rank).filter(|left| *left > 0) {
                    Some(left) => Some((0.0, left)),
                    None => {
                        rank -= near_zero;
                        None
                    }
                }
            })
            .or_else(|| self.positive.at_from_below(&mut rank))
            .unwrap_or((self.max, 1));
        (value.clamp(self.min, self.max), left)
    }

    /// What it counts for in the bytes of a stage.
    pub(super) fn counted_bytes(&self) -> u64 {
        let negative = self.negative.as_ref().map_or(0, |side| side.counted_bytes());
        160 + negative + self.positive.counted_bytes()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let negative = self.negative.as_ref().map_or(0, |side| size_of::<Side>() + side.bytes());
        size_of::<Self>() + negative + self.positive.bytes()
    }

    pub(super) fn save(&self, writer: &mut SectionWriter<'_>) {
        writer.u64(self.zeros);
        writer.f64s([self.min, self.max].into_iter());
        self.negative.as_deref().unwrap_or(&Side::default()).save(writer);
        self.positive.save(writer);
    }

    /// Reads what [`Buckets::save`] wrote of `count` values.
    pub(super) fn load(count: u64, reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError> {
        let zeros = reader.u64()?;
        let [min, max] = [(); 2].map(|()| reader.u64().map(f64::from_bits));
        let (min, max) = (min?, max?);
        if !(min.is_finite() && max.is_finite() && min <= max) {
            return Err(SnapshotError::Damaged("a sketch without extremes"));
        }
        let (negative, positive) = (Side::load(reader)?, Side::load(reader)?);
        Ok(Self { count, zeros, min, max, negative: boxed(negative), positive })
    }
}

fn boxed(side: Side) -> Option<Box<Side>> {
    (side != Side::default()).then(|| Box::new(side))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Buckets {
        let mut buckets = Buckets::new();
        values.iter().for_each(|value| buckets.add(*value, 1));
        buckets
    }

    #[test]
    fn ranks_go_from_the_least_to_the_greatest() {
        let values = [-100.0, -1.0, -1.0, 0.0, 0.0, 0.5, 7.0, 7.0, 1e300];
        let buckets = of(&values);
        for (rank, value) in (0..).zip(values) {
            let (found, _) = buckets.at(rank);
            assert!((found - value).abs() <= value.abs() / 128.0, "{rank}: {found} {value}");
        }
        assert_eq!(buckets.at(1).1, 2);
        assert_eq!(buckets.at(3).1, 2);
    }

    #[test]
    fn the_greatest_octaves_are_kept_whatever_the_order() {
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
}
