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
        writer.count(self.count);
        writer.f64s([self.mean, self.m2].into_iter());
    }

    pub(crate) fn load(reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError> {
        Ok(Self { count: reader.count()?, mean: reader.f64()?, m2: reader.f64()? })
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
