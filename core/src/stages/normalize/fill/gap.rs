//! Two known points and the grid points between them.

use super::super::grid::Grid;
use super::Point;

/// Differences up to this, times as many steps as there may be, are finite.
const SAFE_DIFFERENCE: f64 = 1e280;

/// A power of two that takes any number to where sums and products with it are finite.
const SMALL: f64 = f64::from_bits((1023 - 100) << 52);

/// What lies between two neighbouring known points of a run.
pub(super) struct Gap<'a> {
    pub(super) left: &'a Point,
    pub(super) right: &'a Point,
    /// All known points, and the place of the right one among them.
    known: &'a [Point],
    at: usize,
    /// From one grid point to the next, in the unit in which positions are counted.
    pub(super) step: f64,
    unit: i64,
}

impl<'a> Gap<'a> {
    /// The gap before the point at `at`.
    pub(super) fn new(grid: &Grid, known: &'a [Point], at: usize) -> Option<Self> {
        let unit = grid.unit();
        let step = float(grid.interval / unit);
        Some(Self { left: known.get(at - 1)?, right: known.get(at)?, known, at, step, unit })
    }

    /// Where `time` lies, counted from the left point.
    pub(super) fn position(&self, time: i64) -> f64 {
        float(time.saturating_sub(self.left.time) / self.unit)
    }

    /// From the left to the right point.
    pub(super) fn length(&self) -> f64 {
        self.position(self.right.time)
    }

    /// The points of the run up to the left one, and those from the right one on.
    pub(super) fn sides(&self) -> (&'a [Point], &'a [Point]) {
        let (left, right) = self.known.split_at(self.at);
        let start = left.iter().rposition(|point| !point.joined).unwrap_or(0);
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
