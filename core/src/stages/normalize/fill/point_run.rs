//! Rows of many gaps of one run in one pass, for the fast path.

use super::Point;
use super::gap::SAFE_DIFFERENCE;
use crate::plan::FillRule;
use crate::spec::Fill;

/// Entries written per gap without knowing its number of rows: short gaps have up to two.
pub(in super::super) const SPARE: usize = 2;

/// Known points of one run with all grid points between them.
pub(in super::super) struct PointRun<'a> {
    /// The last point before the rows, followed by the points that became known.
    pub(in super::super) points: &'a [Point],
    /// For each of the new points: the number of rows up to it.
    pub(in super::super) row_ends: &'a [u32],
    /// Time of the first row.
    pub(in super::super) from: i64,
    /// Time from one row to the next.
    pub(in super::super) interval: i64,
    /// Distance from a point's time to the watermark that closes its slot.
    pub(in super::super) lag: i64,
}

/// Output columns of the rows, with [`SPARE`] more entries.
pub(in super::super) struct RunRows<'a> {
    pub(in super::super) values: &'a mut [f64],
    pub(in super::super) filled: &'a mut [u8],
    pub(in super::super) firing: &'a mut [i64],
}

/// A gap with positions relative to its left point.
struct ShortGap {
    left: f64,
    right: f64,
    length: f64,
}

impl FillRule {
    /// Writes the rows of a point run. The fill must satisfy [`FillRule::is_local`].
    pub(in super::super) fn write_run(
        self,
        is_aligned: bool,
        point_run: &PointRun<'_>,
        rows: &mut RunRows<'_>,
    ) {
        let filled = u8::from(self.fills_gaps());
        match self.fill {
            Fill::Linear if is_aligned => write::<true>(point_run, rows, filled, line),
            Fill::Linear => write::<false>(point_run, rows, filled, line),
            Fill::Forward => write::<true>(point_run, rows, filled, |gap, _| gap.left),
            Fill::Backward => write::<true>(point_run, rows, filled, |gap, _| gap.right),
            Fill::Mean => {
                write::<true>(point_run, rows, filled, |gap, _| super::mean(gap.left, gap.right));
            }
            Fill::Zero => write::<true>(point_run, rows, filled, |_, _| 0.0),
            Fill::None => write::<true>(point_run, rows, filled, |_, _| f64::NAN),
            // Not local.
            Fill::Spline | Fill::Polynomial => {}
        }
    }
}

impl PointRun<'_> {
    /// Writes the watermark that makes each row certain, and returns the number of certain rows.
    /// For fills that need one point after the gap.
    pub(in super::super) fn write_firing(&self, firing: &mut [i64]) -> usize {
        let Some((left, points)) = self.points.split_first() else { return 0 };
        let since = left.time.saturating_sub(self.from);
        // Rows up to the previous point, including rows emitted earlier.
        let mut start = if since < 0 { 0 } else { since / self.interval + 1 };
        let mut done = 0;
        for (point, end) in points.iter().zip(self.row_ends) {
            let end = i64::from(*end);
            let last = self.from.wrapping_add(self.interval.wrapping_mul(end - 1));
            let between = end - start - i64::from(last == point.time);
            // Without a row between two points, there is nothing to wait for.
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

/// Same formula as [`super::gap::Gap::linear`].
#[inline(always)]
fn line(gap: &ShortGap, position: f64) -> f64 {
    let difference = gap.right - gap.left;
    if difference.abs() <= SAFE_DIFFERENCE {
        gap.left + difference * position / gap.length
    } else {
        let part = position / gap.length;
        gap.left * (1.0 - part) + gap.right * part
    }
}

/// Writes the rows. Positions count grid steps if points are `ALIGNED`, otherwise microseconds.
#[inline(never)]
fn write<const ALIGNED: bool>(
    point_run: &PointRun<'_>,
    rows: &mut RunRows<'_>,
    filled_flag: u8,
    value: impl Fn(&ShortGap, f64) -> f64,
) {
    let Some((mut left, points)) = point_run.points.split_first() else { return };
    let interval = point_run.interval;
    let step = if ALIGNED { 1.0 } else { float(interval) };
    let (mut before, mut time) = (0, point_run.from);
    for (right, end) in points.iter().zip(point_run.row_ends) {
        let gap = ShortGap {
            left: left.value,
            right: right.value,
            length: if ALIGNED { f64::from(*end - before) } else { float(right.time - left.time) },
        };
        let first = if ALIGNED { 1.0 } else { float(time - left.time) };
        let due = right.time + point_run.lag;
        let (start, last) = (before as usize, *end as usize);
        let (Some(values), Some(filled), Some(firing)) = (
            rows.values.get_mut(start..).and_then(<[_]>::first_chunk_mut::<SPARE>),
            rows.filled.get_mut(start..).and_then(<[_]>::first_chunk_mut::<SPARE>),
            rows.firing.get_mut(start..).and_then(<[_]>::first_chunk_mut::<SPARE>),
        ) else {
            return;
        };
        // If the gap has fewer rows, the next gap overwrites the surplus.
        *values = [value(&gap, first), value(&gap, first + step)];
        *filled = [filled_flag; SPARE];
        *firing = [due; SPARE];
        if last > start + SPARE {
            let rest = start + SPARE..last;
            let places = rows.values.get_mut(rest.clone()).unwrap_or_default();
            for (place, at) in places.iter_mut().zip(2_i32..) {
                *place = value(&gap, first + step * f64::from(at));
            }
            rows.filled.get_mut(rest.clone()).unwrap_or_default().fill(filled_flag);
            rows.firing.get_mut(rest).unwrap_or_default().fill(due);
        }
        time = point_run.from.wrapping_add(interval.wrapping_mul(i64::from(*end)));
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
