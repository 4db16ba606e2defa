//! Evaluates expressions: one loop over a whole batch for each operation.

use super::{Binary, Step, Unary};

/// Evaluates `steps` for `len` events; `column` returns the numbers of a column. NaN means missing,
/// in input and output.
pub(crate) fn compute<'a>(
    steps: &[Step],
    len: usize,
    column: impl Fn(usize) -> &'a [f64],
) -> Vec<f64> {
    let mut stack: Vec<Vec<f64>> = Vec::new();
    for step in steps {
        match step {
            Step::Constant(value) => stack.push(vec![*value; len]),
            Step::Column(place) => {
                let mut values = column(*place).to_vec();
                values.resize(len, f64::NAN);
                stack.push(values);
            }
            Step::Unary(operation) => {
                if let Some(values) = stack.last_mut() {
                    apply(*operation, values);
                }
            }
            Step::Binary(operation) => {
                let right = stack.pop().unwrap_or_default();
                if let Some(left) = stack.last_mut() {
                    combine(*operation, left, &right);
                }
            }
        }
    }
    let mut values = stack.pop().unwrap_or_default();
    for value in &mut values {
        *value = if value.is_finite() { *value } else { f64::NAN };
    }
    values
}

/// Applies a unary operation to all values, with a separate loop for each operation.
fn apply(operation: Unary, values: &mut [f64]) {
    match operation {
        Unary::Negate => values.iter_mut().for_each(|value| *value = -*value),
        Unary::Abs => values.iter_mut().for_each(|value| *value = value.abs()),
        Unary::Ceil => values.iter_mut().for_each(|value| *value = value.ceil()),
        Unary::Floor => values.iter_mut().for_each(|value| *value = value.floor()),
        // Half up, as everywhere in this engine.
        Unary::Round => values.iter_mut().for_each(|value| {
            let floor = value.floor();
            *value = if *value - floor >= 0.5 { floor + 1.0 } else { floor };
        }),
        Unary::Sqrt => values.iter_mut().for_each(|value| *value = value.sqrt()),
    }
}

fn combine(operation: Binary, left: &mut [f64], right: &[f64]) {
    let both = left.iter_mut().zip(right);
    match operation {
        Binary::Add => both.for_each(|(left, right)| *left += right),
        Binary::Subtract => both.for_each(|(left, right)| *left -= right),
        Binary::Multiply => both.for_each(|(left, right)| *left *= right),
        Binary::Divide => both.for_each(|(left, right)| *left /= right),
        Binary::Max => both.for_each(|(left, right)| *left = select(*left, *right, *right > *left)),
        Binary::Min => both.for_each(|(left, right)| *left = select(*left, *right, *right < *left)),
        Binary::Coalesce => {
            both.for_each(|(left, right)| *left = if left.is_nan() { *right } else { *left });
        }
    }
}

/// Returns `right` if `is_right` or if it is missing, else `left`.
fn select(left: f64, right: f64, is_right: bool) -> f64 {
    if is_right || right.is_nan() { right } else { left }
}
