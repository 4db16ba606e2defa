//! Fills: what stands at the grid points between two known points.

mod gap;
mod pchip;
mod polynomial;
mod stretch;

pub(super) use self::stretch::{Rows, SPARE, Stretch};

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
        let Some(last) = known.last() else { return i64::MAX };
        let open = match self.fill {
            Fill::None => return i64::MAX,
            // The slope at a point needs its other neighbour.
            Fill::Spline => in_run(known, 2),
            Fill::Polynomial => match in_run(known, self.degree + 1) {
                enough if enough > self.degree => self.degree.div_ceil(2),
                // Until there are enough of them, more may be taken from the right.
                all => all,
            },
            _ => return last.time,
        };
        let mut certain = known.iter().skip(known.len() - open).map(|point| point.time);
        let first = certain.next().unwrap_or(i64::MAX);
        // Where there is no grid point between two of them, there is nothing to wait for.
        let follows = |last: i64, time: i64| grid.ceil(last.saturating_add(1)) >= time;
        certain
            .try_fold(first, |last, time| follows(last, time).then_some(time).ok_or(last))
            .unwrap_or_else(|last| last)
    }

    /// Writes what is known about the grid points from `from` on; `behind` of the `known` points are before that. All of it must
    /// be settled, or be as good as settled because no other point will join.
    pub(super) fn write(
        self,
        grid: &Grid,
        known: &[Point],
        behind: usize,
        from: i64,
        entries: &mut Entries<'_>,
    ) {
        let count = entries.values.len();
        let mut left = behind.checked_sub(1).and_then(|at| known.get(at));
        // The first row behind the left point.
        let mut first = 0;
        for (right, point) in known.iter().enumerate().skip(behind) {
            let since = point.time.saturating_sub(from).cast_unsigned();
            let interval = grid.interval.cast_unsigned();
            let before = since / interval;
            let is_row = before * interval == since;
            let place =
                usize::try_from(before).unwrap_or(usize::MAX).saturating_add(usize::from(!is_row));
            let place = place.min(count);
            if let Some(left) = left.filter(|_| point.joined && first < place) {
                let gap = Gap::new(grid, known, right, left, point, self.reach());
                if let Some(values) = entries.values.get_mut(first..place) {
                    self.fill(&gap, gap.position(grid.at(from, first)), values);
                    self.flag(values, entries.filled.get_mut(first..place).unwrap_or_default());
                }
            }
            if place == count {
                return;
            }
            if is_row {
                if let Some(value) = entries.values.get_mut(place) {
                    *value = point.value;
                }
                if let Some(outlier) = entries.outliers.get_mut(place) {
                    *outlier = u8::from(point.outlier);
                }
            }
            first = place + usize::from(is_row);
            left = Some(point);
        }
    }

    /// Writes which of the `values` of a gap are filled.
    fn flag(self, values: &[f64], filled: &mut [u8]) {
        match self.fill {
            Fill::None => {}
            Fill::Polynomial => {
                for (filled, value) in filled.iter_mut().zip(values) {
                    *filled = u8::from(!value.is_nan());
                }
            }
            // Those never leave the range of what they are between.
            _ => filled.fill(1),
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

/// Points in the run of the last one, where `most` or more are as good as `most`.
fn in_run(known: &[Point], most: usize) -> usize {
    let last = known.iter().rev().take(most);
    last.clone().position(|point| !point.joined).map_or(last.len(), |at| at + 1)
}

/// The mean of two finite numbers, which is finite.
pub(super) fn mean(a: f64, b: f64) -> f64 {
    let sum = a + b;
    if sum.is_finite() { sum / 2.0 } else { a / 2.0 + b / 2.0 }
}
