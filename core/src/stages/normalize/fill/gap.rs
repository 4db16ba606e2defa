//! A gap: two known points of a run and the grid points between them.

use super::super::grid::Grid;
use super::Point;

/// Differences up to this, times the maximum number of steps, are finite.
pub(super) const SAFE_DIFFERENCE: f64 = 1e280;

/// Power of two that scales any number so that sums and products with it are finite.
const SMALL: f64 = f64::from_bits((1023 - 100) << 52);

/// The gap between two neighbouring known points of a run.
pub(super) struct Gap<'a> {
    pub(super) left: &'a Point,
    pub(super) right: &'a Point,
    /// Known points from the first one that a fill may use, and the index of the right point among
    /// them.
    near: &'a [Point],
    at: usize,
    /// Distance of grid points in units, and the length of the unit in microseconds.
    step: f64,
    unit: i64,
}

impl<'a> Gap<'a> {
    /// Makes the gap between `left` and `right`, where `right` is `known[at]`. Fills use at most
    /// `lookback` points before it.
    pub(super) fn new(
        grid: &Grid,
        known: &'a [Point],
        at: usize,
        left: &'a Point,
        right: &'a Point,
        lookback: usize,
    ) -> Self {
        let first = at.saturating_sub(lookback);
        let near = known.get(first..).unwrap_or_default();
        let (step, unit) = grid.step_and_unit();
        Self { left, right, near, at: at - first, step: float(step), unit }
    }

    /// Returns the position of `time` relative to the left point, in units.
    pub(super) fn position(&self, time: i64) -> f64 {
        let since = time.saturating_sub(self.left.time);
        float(if self.unit == 1 { since } else { since / self.unit })
    }

    /// Returns the length of the gap, in units.
    pub(super) fn length(&self) -> f64 {
        self.position(self.right.time)
    }

    /// Returns the points of the run up to the left one, and at most `most` from the right one on.
    pub(super) fn sides(&self, most: usize) -> (&'a [Point], &'a [Point]) {
        let (left, right) = self.near.split_at(self.at);
        let start = left.iter().rposition(|point| !point.joined).unwrap_or(0);
        let right = right.get(..most.min(right.len())).unwrap_or_default();
        let end = right.iter().skip(1).position(|point| !point.joined);
        let end = end.map_or(right.len(), |end| end + 1);
        (left.get(start..).unwrap_or_default(), right.get(..end).unwrap_or_default())
    }

    /// Returns a power of two to multiply values by, so that no intermediate result overflows.
    pub(super) fn scale(&self, points: impl Iterator<Item = f64>) -> f64 {
        let greatest = points.fold(0.0, |greatest: f64, value| greatest.max(value.abs()));
        if greatest > SAFE_DIFFERENCE { SMALL } else { 1.0 }
    }

    /// Writes the straight line from position `first` on.
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

    /// Returns the positions of grid points from `first` on.
    pub(super) fn positions(&self, first: f64) -> impl Iterator<Item = f64> + use<> {
        let step = self.step;
        // Signed integers convert to floats in one instruction. Far fewer rows are emitted at once.
        (0_i32..i32::MAX).map(move |at| first + step * f64::from(at))
    }
}

/// Converts a span; rounds to nearest beyond 2^53.
#[expect(clippy::cast_precision_loss, reason = "a span of time as a factor")]
fn float(span: i64) -> f64 {
    span as f64
}
