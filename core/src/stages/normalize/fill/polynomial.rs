//! The polynomial through the nearest known points, in Newton's form.

use super::gap::Gap;
use crate::spec::MAX_DEGREE;

/// Writes the values of `gap` from position `first` on; NaN if not finite.
pub(super) fn fill(gap: &Gap<'_>, degree: usize, first: f64, values: &mut [f64]) {
    let (left, right) = gap.sides(degree + 1);
    let points = degree + 1;
    // Takes half of the points from each side, and more from one side if the other has fewer.
    let from_left = points.div_ceil(2).min(left.len());
    let from_right = (points - from_left).min(right.len());
    let from_left = (points - from_right).min(left.len());
    let nearest = || {
        let left = left.iter().skip(left.len() - from_left);
        left.chain(right.iter().take(from_right))
    };
    let scale = gap.scale(nearest().map(|point| point.value));
    let (mut positions, mut factors) = ([0.0; MAX_DEGREE + 1], [0.0; MAX_DEGREE + 1]);
    for ((point, position), factor) in nearest().zip(&mut positions).zip(&mut factors) {
        *position = gap.position(point.time);
        *factor = point.value * scale;
    }
    let count = from_left + from_right;
    let positions = positions.get(..count).unwrap_or_default();
    let factors = factors.get_mut(..count).unwrap_or_default();
    divide_differences(positions, factors);
    for (x, value) in gap.positions(first).zip(values) {
        let mut sum = 0.0;
        for (position, factor) in positions.iter().zip(factors.iter()).rev() {
            sum = sum * (x - position) + factor;
        }
        let result = sum / scale;
        *value = if result.is_finite() { result } else { f64::NAN };
    }
}

/// Turns values into the coefficients of Newton's form (divided differences).
fn divide_differences(positions: &[f64], values: &mut [f64]) {
    for order in 1..values.len() {
        for at in (order..values.len()).rev() {
            let spans = positions.get(at).zip(positions.get(at - order));
            let pair = values.get(at).zip(values.get(at - 1));
            let (Some((to, from)), Some((upper, lower))) = (spans, pair) else { continue };
            let quotient = (upper - lower) / (to - from);
            if let Some(value) = values.get_mut(at) {
                *value = quotient;
            }
        }
    }
}
