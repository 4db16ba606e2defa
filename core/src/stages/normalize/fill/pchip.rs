//! PCHIP: the monotone cubic of Fritsch and Carlson with the slopes of Fritsch and Butland, as in
//! scipy.

use super::Point;
use super::gap::Gap;

/// Writes the values of `gap` from position `first` on. They stay in the range of its two points.
pub(super) fn fill(gap: &Gap<'_>, first: f64, values: &mut [f64]) {
    let (left, right) = gap.sides(2);
    let before = left.len().checked_sub(2).and_then(|at| left.get(at));
    let after = right.get(1);
    let around = [before, Some(gap.left), Some(gap.right), after];
    let scale = gap.scale(around.into_iter().flatten().map(|point| point.value));
    let between = |a: &Point, b: &Point| Segment {
        length: gap.position(b.time) - gap.position(a.time),
        slope: (b.value * scale - a.value * scale) / (gap.position(b.time) - gap.position(a.time)),
    };
    let here = between(gap.left, gap.right);
    let before = before.map(|before| between(before, gap.left));
    let after = after.map(|after| between(gap.right, after));
    let start = match (before, after) {
        (Some(before), _) => inner_slope(before, here),
        (None, Some(after)) => end_slope(here, after),
        (None, None) => here.slope,
    };
    let end = match (after, before) {
        (Some(after), _) => inner_slope(here, after),
        (None, Some(before)) => end_slope(here, before),
        (None, None) => here.slope,
    };
    let (a, b) = (gap.left.value, gap.right.value);
    let square = (3.0 * here.slope - 2.0 * start - end) / here.length;
    let cube = (start + end - 2.0 * here.slope) / (here.length * here.length);
    let (low, high) = (a.min(b), a.max(b));
    let base = a * scale;
    let back = 1.0 / scale;
    for (x, value) in gap.positions(first).zip(values) {
        let cubic = base + x * (start + x * (square + x * cube));
        *value = (cubic * back).max(low).min(high);
    }
}

/// The line between two neighbouring points.
#[derive(Clone, Copy)]
struct Segment {
    length: f64,
    slope: f64,
}

/// Returns the slope at an inner point: the weighted harmonic mean of both sides, 0 at an extremum.
fn inner_slope(left: Segment, right: Segment) -> f64 {
    if left.slope == 0.0 || right.slope == 0.0 || (left.slope < 0.0) != (right.slope < 0.0) {
        return 0.0;
    }
    let (a, b) = (2.0 * right.length + left.length, right.length + 2.0 * left.length);
    1.0 / ((a / left.slope + b / right.slope) / (a + b))
}

/// Returns the slope at the end of a run from its last segment and the `next` one. It is the slope
/// of the parabola through the three points, limited to preserve the shape.
fn end_slope(here: Segment, next: Segment) -> f64 {
    let Segment { length, slope } = here;
    let end = ((2.0 * length + next.length) * slope - length * next.slope) / (length + next.length);
    let sign = |x: f64| if x == 0.0 { 0.0 } else { x.signum() };
    if sign(end) != sign(slope) {
        0.0
    } else if sign(slope) != sign(next.slope) && end.abs() > 3.0 * slope.abs() {
        3.0 * slope
    } else {
        end
    }
}
