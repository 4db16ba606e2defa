//! Fills: what stands at the grid points between two known points.

mod gap;
mod pchip;
mod polynomial;

use self::gap::Gap;
use super::grid::Grid;
use crate::plan::FillRule;
use crate::spec::Fill;

/// A known point of one field of one key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) time: i64,
    pub(super) value: f64,
    /// Whether what lies between it and the point before may be filled: they are of one run.
    pub(super) joined: bool,
    /// Whether its value is an outlier.
    pub(super) outlier: bool,
}

/// The entries of consecutive grid points in the output, null and neither filled nor outliers so far.
pub(super) struct Entries<'a> {
    pub(super) values: &'a mut [f64],
    pub(super) filled: &'a mut [u8],
    /// As long as the others, or empty where nobody asks.
    pub(super) outliers: &'a mut [u8],
}

impl FillRule {
    /// How many known points that are behind the values to come may still depend on.
    pub(super) fn reach(self) -> usize {
        match self.fill {
            Fill::Polynomial => self.degree,
            Fill::Spline => 2,
            _ => 1,
        }
    }

    /// Until when the values are certain, whatever points may still join those of `known`.
    pub(super) fn settled(self, grid: &Grid, known: &[Point]) -> i64 {
        if known.is_empty() {
            return i64::MAX;
        }
        let run = known.iter().rposition(|point| !point.joined).unwrap_or(0);
        let in_run = known.len() - run;
        let open = match self.fill {
            Fill::None => return i64::MAX,
            // The slope at a point needs its other neighbour.
            Fill::Spline => in_run.min(2),
            Fill::Polynomial if in_run > self.degree => self.degree.div_ceil(2),
            // Until there are enough of them, more may be taken from the right.
            Fill::Polynomial => in_run,
            _ => 1,
        };
        let mut certain = known.iter().skip(known.len() - open).map(|point| point.time);
        let first = certain.next().unwrap_or(i64::MAX);
        // Where there is no grid point between two of them, there is nothing to wait for.
        let follows = |last: i64, time: i64| grid.ceil(last.saturating_add(1)) >= time;
        certain
            .try_fold(first, |last, time| follows(last, time).then_some(time).ok_or(last))
            .unwrap_or_else(|last| last)
    }

    /// Writes what is known about the grid points from `from` on. All of it must be settled, or be as good as settled
    /// because no other point will join.
    pub(super) fn write(self, grid: &Grid, known: &[Point], from: i64, entries: &mut Entries<'_>) {
        let behind = known.partition_point(|point| point.time < from);
        let count = entries.values.len();
        for right in behind..known.len() {
            let Some(point) = known.get(right) else { return };
            let place = steps(grid, from, point.time).min(count);
            if right > 0
                && point.joined
                && let Some(gap) = Gap::new(grid, known, right)
            {
                let left = grid.floor(gap.left.time).saturating_add(grid.interval).max(from);
                let first = steps(grid, from, left);
                if let Some(values) = entries.values.get_mut(first..place) {
                    self.fill(&gap, gap.position(left), values);
                    for (filled, value) in entries.filled.iter_mut().skip(first).zip(values) {
                        *filled = u8::from(!value.is_nan());
                    }
                }
            }
            if place == count {
                return;
            }
            if grid.floor(point.time) == point.time {
                if let Some(value) = entries.values.get_mut(place) {
                    *value = point.value;
                }
                if let Some(outlier) = entries.outliers.get_mut(place) {
                    *outlier = u8::from(point.outlier);
                }
            }
        }
    }

    /// Writes the values in `gap` from the position `first` on.
    fn fill(self, gap: &Gap<'_>, first: f64, values: &mut [f64]) {
        match self.fill {
            Fill::None => {}
            Fill::Forward => values.fill(gap.left.value),
            Fill::Backward => values.fill(gap.right.value),
            Fill::Zero => values.fill(0.0),
            Fill::Mean => values.fill(mean(gap.left.value, gap.right.value)),
            Fill::Linear => gap.linear(first, values),
            Fill::Spline => pchip::fill(gap, first, values),
            Fill::Polynomial => polynomial::fill(gap, self.degree, first, values),
        }
    }
}

/// Steps of the grid from `from` to the first point at `time` or later.
fn steps(grid: &Grid, from: i64, time: i64) -> usize {
    let distance = grid.ceil(time).saturating_sub(from).max(0);
    usize::try_from(distance / grid.interval).unwrap_or(usize::MAX)
}

/// The mean of two finite numbers, which is finite.
pub(super) fn mean(a: f64, b: f64) -> f64 {
    let sum = a + b;
    if sum.is_finite() { sum / 2.0 } else { a / 2.0 + b / 2.0 }
}
