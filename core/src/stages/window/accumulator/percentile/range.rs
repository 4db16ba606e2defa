//! The least and the greatest of some values.

use super::super::slots::Cell;
use super::group::Group;
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::statistics::rank::End;
use crate::util::simd::least;

/// The least value and the greatest, negated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Range([f64; 2]);

impl Range {
    /// That of no values.
    pub(super) const NONE: Self = Self([f64::INFINITY; 2]);

    pub(super) fn of(min: f64, max: f64) -> Self {
        Self([min, -max])
    }

    /// That of what `group` holds.
    pub(super) fn of_group(group: &Group) -> Self {
        match group {
            Group::Values(values) => {
                let ends = |ends, value: &f64| least(ends, [*value, -*value]);
                Self(values.iter().fold(Self::NONE.0, ends))
            }
            Group::Pairs(pairs) => match (pairs.first(), pairs.last()) {
                (Some((min, _)), Some((max, _))) => Self::of(*min, *max),
                _ => Self::NONE,
            },
            Group::Buckets(buckets) => buckets.range(),
        }
    }

    pub(super) fn min(self) -> f64 {
        let Self([min, _]) = self;
        min
    }

    pub(super) fn max(self) -> f64 {
        let Self([_, negated]) = self;
        -negated
    }

    /// Returns the value at `end`.
    pub(super) fn at(self, end: End) -> f64 {
        match end {
            End::Least => self.min(),
            End::Greatest => self.max(),
        }
    }

    /// The nearest number to `value` within it.
    pub(super) fn clamp(self, value: f64) -> f64 {
        let value = if value < self.min() { self.min() } else { value };
        if value > self.max() { self.max() } else { value }
    }
}

impl Cell for Range {
    const EMPTY: Self = Self::NONE;

    #[inline(always)]
    fn merge(&mut self, later: &Self) {
        self.0 = least(self.0, later.0);
    }

    // Ranges are of windows while they fire: they come from values that are saved themselves.
    fn save(_: impl Iterator<Item = Self> + Clone, _: &mut SectionWriter<'_>) {}

    fn load(count: usize, _: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        Ok(vec![Self::NONE; count])
    }
}
