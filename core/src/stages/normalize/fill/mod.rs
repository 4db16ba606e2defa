//! Fills: the values at grid points between two known points of a run.
//!
//! - [`Gap`] is the space between two known points; `gap` also has the linear fill.
//! - `pchip` and `polynomial` are the fills that need more than two points.
//! - [`PointRun`] writes the rows of many gaps in one pass, for the fast path.
//!
//! ```text
//! known points    *         *       * |        *      | = not joined: a new run
//! grid points     o . . . . . . o . . |  . . . o
//!                 \__ gap _/\_ gap _/   nothing is filled across the end of a run
//! ```

mod gap;
mod pchip;
mod point_run;
mod polynomial;

pub(super) use self::point_run::{PointRun, RunRows, SPARE};

use self::gap::Gap;
use super::grid::Grid;
use crate::plan::FillRule;
use crate::spec::{Fill, FillNeeds};

/// A known point of one field of one key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) time: i64,
    pub(super) value: f64,
    /// True if the gap to the previous point may be filled: both are in the same run.
    pub(super) joined: bool,
    /// True if the value is an outlier.
    pub(super) outlier: bool,
}

/// Output columns of consecutive grid points; initially null, not filled and no outliers.
pub(super) struct GridEntries<'a> {
    pub(super) values: &'a mut [f64],
    pub(super) filled: &'a mut [u8],
    /// As long as `values`, or empty if the column is not requested.
    pub(super) outliers: &'a mut [u8],
}

impl FillRule {
    /// Returns the time up to which values are certain, whatever points may still join `known`.
    pub(super) fn certain_until(self, grid: &Grid, known: &[Point]) -> i64 {
        let Some(last) = known.last() else { return i64::MAX };
        let open = match self.needs {
            FillNeeds::Nothing => return i64::MAX,
            FillNeeds::GapEnds => return last.time,
            // The gap before the last point needs the point after it.
            FillNeeds::OneMorePoint => points_in_run(known, 2),
            FillNeeds::DegreePoints => match points_in_run(known, self.degree + 1) {
                enough if enough > self.degree => self.degree.div_ceil(2),
                // With too few points on the left, more are taken from the right.
                all => all,
            },
        };
        let mut certain = known.iter().skip(known.len() - open).map(|point| point.time);
        let first = certain.next().unwrap_or(i64::MAX);
        // Without a grid point between two points, there is nothing to wait for.
        let follows = |last: i64, time: i64| grid.ceil(last.saturating_add(1)) >= time;
        certain
            .try_fold(first, |last, time| follows(last, time).then_some(time).ok_or(last))
            .unwrap_or_else(|last| last)
    }

    /// Writes the values at the grid points from `from` on; `points_before` of the `known` points are
    /// before it.
    ///
    /// All these values must be certain, or no further point may join the run.
    pub(super) fn write(
        self,
        grid: &Grid,
        known: &[Point],
        points_before: usize,
        from: i64,
        entries: &mut GridEntries<'_>,
    ) {
        let count = entries.values.len();
        let mut left = points_before.checked_sub(1).and_then(|at| known.get(at));
        // Index of the first row after the left point.
        let mut first = 0;
        for (right, point) in known.iter().enumerate().skip(points_before) {
            let since = point.time.saturating_sub(from).cast_unsigned();
            let interval = grid.interval.cast_unsigned();
            let before = since / interval;
            let is_row = before * interval == since;
            let index =
                usize::try_from(before).unwrap_or(usize::MAX).saturating_add(usize::from(!is_row));
            let index = index.min(count);
            if let Some(left) = left.filter(|_| point.joined && first < index) {
                let gap = Gap::new(grid, known, right, left, point, self.lookback_points());
                if let Some(values) = entries.values.get_mut(first..index) {
                    self.fill(&gap, gap.position(grid.at(from, first)), values);
                    self.mark_filled(
                        values,
                        entries.filled.get_mut(first..index).unwrap_or_default(),
                    );
                }
            }
            if index == count {
                return;
            }
            if is_row {
                if let Some(value) = entries.values.get_mut(index) {
                    *value = point.value;
                }
                if let Some(outlier) = entries.outliers.get_mut(index) {
                    *outlier = u8::from(point.outlier);
                }
            }
            first = index + usize::from(is_row);
            left = Some(point);
        }
    }

    /// Marks which `values` of a gap are filled.
    fn mark_filled(self, values: &[f64], filled: &mut [u8]) {
        match self.needs {
            FillNeeds::Nothing => {}
            FillNeeds::DegreePoints => {
                for (filled, value) in filled.iter_mut().zip(values) {
                    *filled = u8::from(!value.is_nan());
                }
            }
            // Values between those of two points are never NaN.
            FillNeeds::GapEnds | FillNeeds::OneMorePoint => filled.fill(1),
        }
    }

    /// Writes the values of `gap` from position `first` on.
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

/// Returns the number of points in the last point's run, at most `most`.
fn points_in_run(known: &[Point], most: usize) -> usize {
    let last = known.iter().rev().take(most);
    last.clone().position(|point| !point.joined).map_or(last.len(), |at| at + 1)
}

/// Returns the mean of two finite numbers, which is finite.
pub(super) fn mean(a: f64, b: f64) -> f64 {
    let sum = a + b;
    if sum.is_finite() { sum / 2.0 } else { a / 2.0 + b / 2.0 }
}
