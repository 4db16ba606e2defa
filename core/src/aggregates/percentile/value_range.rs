//! Minimum and maximum of values.

use super::value_set::ValueSet;
use crate::aggregates::State;
use crate::aggregates::slots::{Accumulator, FieldAccumulator};
use crate::data::frame::Order;
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::statistics::rank::Extreme;
use crate::util::simd::least;

/// The minimum, and the maximum negated: one SIMD minimum updates both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct ValueRange([f64; 2]);

impl ValueRange {
    /// The range without values.
    pub(super) const NONE: Self = Self([f64::INFINITY; 2]);

    pub(super) fn of(min: f64, max: f64) -> Self {
        Self([min, -max])
    }

    /// Returns the range of the values of `set`.
    pub(super) fn of_set(set: &ValueSet) -> Self {
        match set {
            ValueSet::Values(values) => {
                let min_and_neg_max =
                    |min_and_neg_max, value: &f64| least(min_and_neg_max, [*value, -*value]);
                Self(values.iter().fold(Self::NONE.0, min_and_neg_max))
            }
            ValueSet::Pairs(pairs) => match (pairs.first(), pairs.last()) {
                (Some((min, _)), Some((max, _))) => Self::of(*min, *max),
                _ => Self::NONE,
            },
            ValueSet::Histogram(histogram) => histogram.range(),
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

    /// Returns the value at `extreme`.
    pub(super) fn at(self, extreme: Extreme) -> f64 {
        match extreme {
            Extreme::Min => self.min(),
            Extreme::Max => self.max(),
        }
    }

    /// Returns the number within the range that is nearest to `value`.
    pub(super) fn clamp(self, value: f64) -> f64 {
        let value = if value < self.min() { self.min() } else { value };
        if value > self.max() { self.max() } else { value }
    }
}

impl Accumulator for ValueRange {
    const EMPTY: Self = Self::NONE;

    #[inline(always)]
    fn merge(&mut self, later: &Self) {
        self.0 = least(self.0, later.0);
    }

    // Ranges exist only while windows fire, and are derived from values that are saved themselves.
    #[inline]
    fn save(_: impl Iterator<Item = Self> + Clone, _: &mut SectionWriter<'_>) {}

    #[inline]
    fn load(count: usize, _: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        Ok(vec![Self::NONE; count])
    }
}

/// A column of ranges stands in for sketches in nodes of the aggregate tree. No output is computed
/// from it, and nodes are copied and merged, but take no values.
impl FieldAccumulator for ValueRange {
    const STATES: &[State] = &[];
    const SLOT_BYTES: u64 = 0;

    fn add(_: &mut [Self], _: &[u32], _: &[f64], _: Order<'_>) {}

    fn result(&self, _: &WindowOutput) -> f64 {
        f64::NAN
    }
}
