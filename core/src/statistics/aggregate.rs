//! Aggregates that are merged from the parts of a series, and never subtracted.

use super::OnlineVariance;
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};

/// An aggregate of consecutive values that supports insertion and merging, but not removal.
pub(crate) trait Aggregate: Copy {
    /// The input of one event.
    type Item: Copy;

    /// The aggregate without values.
    const EMPTY: Self;

    /// Adds one event.
    fn add(&mut self, item: Self::Item);

    /// Merges `later`, whose values came after the ones here.
    fn merge(&mut self, later: &Self);
}

impl OnlineVariance {
    pub(crate) fn save(&self, writer: &mut SectionWriter<'_>) {
        writer.u64(self.count);
        writer.f64s([self.mean, self.m2].into_iter());
    }

    pub(crate) fn load(reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError> {
        let (count, mean, m2) = (reader.u64()?, reader.u64()?, reader.u64()?);
        // Far beyond any real count, and small enough that counting on cannot overflow.
        let count = Some(count).filter(|count| *count < 1 << 62);
        let count =
            count.ok_or(SnapshotError::Damaged("the count of a variance is not below 2^62"))?;
        Ok(Self { count, mean: f64::from_bits(mean), m2: f64::from_bits(m2) })
    }
}

impl Aggregate for OnlineVariance {
    type Item = f64;

    const EMPTY: Self = Self::new();

    #[inline(always)]
    fn add(&mut self, value: f64) {
        Self::add(self, value);
    }

    #[inline(always)]
    fn merge(&mut self, later: &Self) {
        Self::merge(self, later);
    }
}

/// Minimum and maximum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extremes {
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Aggregate for Extremes {
    type Item = f64;

    const EMPTY: Self = Self { min: f64::INFINITY, max: f64::NEG_INFINITY };

    #[inline(always)]
    fn add(&mut self, value: f64) {
        self.merge(&Self { min: value, max: value });
    }

    #[inline(always)]
    fn merge(&mut self, later: &Self) {
        self.min = if later.min < self.min { later.min } else { self.min };
        self.max = if later.max > self.max { later.max } else { self.max };
    }
}
