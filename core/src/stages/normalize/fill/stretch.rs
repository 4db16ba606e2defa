//! The rows of many gaps in one pass: all of one run, each behind the one before.

use super::Point;
use super::gap::SAFE_DIFFERENCE;
use crate::plan::FillRule;
use crate::spec::Fill;

/// Entries that are written before it is known whether there are as many rows: two, as short gaps have.
pub(in super::super) const SPARE: usize = 2;

/// Known points of one run with all grid points between them.
pub(in super::super) struct Stretch<'a> {
    /// The last point that is behind the rows, then those that have become known.
    pub(in super::super) points: &'a [Point],
    /// For each of these, how many rows there are up to it.
    pub(in super::super) ends: &'a [u32],
    /// The time of the first row,
    pub(in super::super) from: i64,
    /// and from one row to the next.
    pub(in super::super) interval: i64,
    /// What is added to the time of a point for the watermark that its rows have waited for.
    pub(in super::super) lag: i64,
}

/// The entries of the rows, and [`SPARE`] more.
pub(in super::super) struct Rows<'a> {
    pub(in super::super) values: &'a mut [f64],
    pub(in super::super) filled: &'a mut [u8],
    pub(in super::super) firing: &'a mut [i64],
}

/// A gap, its positions counted from the left point.
struct Short {
    left: f64,
    right: f64,
    length: f64,
}

impl FillRule {
    /// Whether the rows between two points depend on these alone.
    pub(in super::super) fn is_local(self) -> bool {
        !matches!(self.fill, Fill::Spline | Fill::Polynomial)
    }

    /// Writes the rows of a stretch; for fills that [`FillRule::is_local`] says.
    pub(in super::super) fn write_steady(
        self,
        is_aligned: bool,
        stretch: &Stretch<'_>,
        rows: &mut Rows<'_>,
    ) {
        let filled = u8::from(self.fill != Fill::None);
        match self.fill {
            Fill::Linear if is_aligned => write::<true>(stretch, rows, filled, line),
            Fill::Linear => write::<false>(stretch, rows, filled, line),
            Fill::Forward => write::<true>(stretch, rows, filled, |gap, _| gap.left),
            Fill::Backward => write::<true>(stretch, rows, filled, |gap, _| gap.right),
            Fill::Mean => {
                write::<true>(stretch, rows, filled, |gap, _| super::mean(gap.left, gap.right));
            }
            Fill::Zero => write::<true>(stretch, rows, filled, |_, _| 0.0),
            _ => write::<true>(stretch, rows, filled, |_, _| f64::NAN),
        }
    }
}

impl Stretch<'_> {
    /// For fills where a row is certain once there is a point behind the gap that it is in: writes the watermarks that rows
    /// have waited for, and returns how many are certain.
    pub(in super::super) fn settle(&self, firing: &mut [i64]) -> usize {
        let Some((left, points)) = self.points.split_first() else { return 0 };
        let since = left.time.saturating_sub(self.from);
        // Rows up to the point before, and those that were certain.
        let mut start = if since < 0 { 0 } else { since / self.interval + 1 };
        let mut done = 0;
        for (point, end) in points.iter().zip(self.ends) {
            let end = i64::from(*end);
            let last = self.from.wrapping_add(self.interval.wrapping_mul(end - 1));
            let between = end - start - i64::from(last == point.time);
            // Where there is no row between two points, there is nothing to wait for.
            let certain = if between > 0 { start } else { end };
            let certain = usize::try_from(certain).unwrap_or(0).max(done);
            let due = point.time + self.lag;
            let Some(rows) = firing.get_mut(done..certain + SPARE) else { return done };
            rows.fill(due);
            (start, done) = (end, certain);
        }
        done
    }
}

/// As [`super::gap::Gap::linear`] has it.
#[inline(always)]
fn line(gap: &Short, position: f64) -> f64 {
    let difference = gap.right - gap.left;
    if difference.abs() <= SAFE_DIFFERENCE {
        gap.left + difference * position / gap.length
    } else {
        let part = position / gap.length;
        gap.left * (1.0 - part) + gap.right * part
    }
}

/// Writes rows; positions are counted in steps of the grid where points are `ALIGNED`, else in microseconds.
#[inline(never)]
fn write<const ALIGNED: bool>(
    stretch: &Stretch<'_>,
    rows: &mut Rows<'_>,
    flag: u8,
    value: impl Fn(&Short, f64) -> f64,
) {
    let Some((mut left, points)) = stretch.points.split_first() else { return };
    let interval = stretch.interval;
    let step = if ALIGNED { 1.0 } else { float(interval) };
    let (mut before, mut time) = (0, stretch.from);
    for (right, end) in points.iter().zip(stretch.ends) {
        let gap = Short {
            left: left.value,
            right: right.value,
            length: if ALIGNED { f64::from(*end - before) } else { float(right.time - left.time) },
        };
        let first = if ALIGNED { 1.0 } else { float(time - left.time) };
        let due = right.time + stretch.lag;
        let (start, last) = (before as usize, *end as usize);
        let (Some(values), Some(filled), Some(firing)) = (
            rows.values.get_mut(start..).and_then(<[_]>::first_chunk_mut::<SPARE>),
            rows.filled.get_mut(start..).and_then(<[_]>::first_chunk_mut::<SPARE>),
            rows.firing.get_mut(start..).and_then(<[_]>::first_chunk_mut::<SPARE>),
        ) else {
            return;
        };
        // Where there are fewer, the next gap overwrites them.
        *values = [value(&gap, first), value(&gap, first + step)];
        *filled = [flag; SPARE];
        *firing = [due; SPARE];
        if last > start + SPARE {
            let rest = start + SPARE..last;
            let places = rows.values.get_mut(rest.clone()).unwrap_or_default();
            for (place, at) in places.iter_mut().zip(2_i32..) {
                *place = value(&gap, first + step * f64::from(at));
            }
            rows.filled.get_mut(rest.clone()).unwrap_or_default().fill(flag);
            rows.firing.get_mut(rest).unwrap_or_default().fill(due);
        }
        time = stretch.from.wrapping_add(interval.wrapping_mul(i64::from(*end)));
        if right.time == time.wrapping_sub(interval)
            && let Some(last) = last.checked_sub(1)
            && let (Some(place), Some(filled)) =
                (rows.values.get_mut(last), rows.filled.get_mut(last))
        {
            (*place, *filled) = (right.value, 0);
        }
        (left, before) = (right, *end);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a span of time as a factor")]
fn float(span: i64) -> f64 {
    span as f64
}
