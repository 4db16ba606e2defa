//! Two known points and the grid points between them.

use super::super::grid::Grid;
use super::Point;

/// Differences up to this, times as many steps as there may be, are finite.
pub(super) const SAFE_DIFFERENCE: f64 = 1e280;

/// A power of two that takes any number to where sums and products with it are finite.
const SMALL: f64 = f64::from_bits((1023 - 100) << 52);

/// What lies between two neighbouring known points of a run.
pub(super) struct Gap<'a> {
    pub(super) left: &'a Point,
    pub(super) right: &'a Point,
    /// The points from as far to the left on as any fill looks, and the place of the right one among them.
    near: &'a [Point],
    at: usize,
    /// From one grid point to the next, in the unit in which positions are counted.
    step: f64,
    unit: i64,
}

impl<'a> Gap<'a> {
    /// The gap between `left` and `right`, the point at `at` of the `known` ones; its values depend on `reach` points to the
    /// left at most.
    pub(super) fn new(
        grid: &Grid,
        known: &'a [Point],
        at: usize,
        left: &'a Point,
        right: &'a Point,
        reach: usize,
    ) -> Self {
        let first = at.saturating_sub(reach);
        let near = known.get(first..).unwrap_or_default();
        let (step, unit) = grid.step_and_unit();
        Self { left, right, near, at: at - first, step: float(step), unit }
    }

    /// Where `time` lies, counted from the left point.
    pub(super) fn position(&self, time: i64) -> f64 {
        let since = time.saturating_sub(self.left.time);
        float(if self.unit == 1 { since } else { since / self.unit })
    }

    /// From the left to the right point.
    pub(super) fn length(&self) -> f64 {
        self.position(self.right.time)
    }

    /// The points of the run up to the left one, and those from the right one on, `most` of them.
    pub(super) fn sides(&self, most: usize) -> (&'a [Point], &'a [Point]) {
        let (left, right) = self.near.split_at(self.at);
        let start = left.iter().rposition(|point| !point.joined).unwrap_or(0);
        let right = right.get(..most.min(right.len())).unwrap_or_default();
        let end = right.iter().skip(1).position(|point| !point.joined);
        let end = end.map_or(right.len(), |end| end + 1);
        (left.get(start..).unwrap_or_default(), right.get(..end).unwrap_or_default())
    }

    /// What values are multiplied by for the arithmetic, so that nothing on the way overflows: a power of two.
    pub(super) fn scale(&self, points: impl Iterator<Item = f64>) -> f64 {
        let greatest = points.fold(0.0, |greatest: f64, value| greatest.max(value.abs()));
        if greatest > SAFE_DIFFERENCE { SMALL } else { 1.0 }
    }

    /// The straight line, from the position `first` on.
    pub(super) fn linear(&self, first: f64, values: &mut [f64]) {
        let (a, b, length) = (self.left.value, self.right.value, self.length());
        let difference = b - a;
        if difference.abs() <= SAFE_DIFFERENCE {
            for (position, value) in self.positions(first).zip(values) {
                *value = a + difference * position / length;
            }
        } else {
            for (position, value) in self.positions(first).zip(values) {
                let part = position / length;
                *value = a * (1.0 - part) + b * part;
            }
        }
    }

    /// The positions of grid points from `first` on.
    pub(super) fn positions(&self, first: f64) -> impl Iterator<Item = f64> + use<> {
        let step = self.step;
        // Signed: that is what processors convert in one instruction. Far fewer are emitted at once.
        (0_i32..i32::MAX).map(move |at| first + step * f64::from(at))
    }
}

/// Rounded to the nearest where it is beyond 2^53.
#[expect(clippy::cast_precision_loss, reason = "a span of time as a factor")]
fn float(span: i64) -> f64 {
    span as f64
}
