//! Different values, each with how often it came.

/// Different values that are kept exactly where there are more values than are kept one by one.
pub(super) const MAX_DISTINCT: usize = 256;

/// Whether `values` are more than [`MAX_DISTINCT`] different ones: cheaper to know than by sorting them.
pub(super) fn has_many_distinct(values: &[f64]) -> bool {
    const PLACES: usize = MAX_DISTINCT * 4;
    let mut seen = [f64::NAN; PLACES];
    let mut distinct = 0;
    for value in values {
        let spread = value.to_bits().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let mut place = usize::try_from(spread).unwrap_or(0) % PLACES;
        while let Some(known) = seen.get_mut(place).filter(|known| **known != *value) {
            if known.is_nan() {
                *known = *value;
                distinct += 1;
                break;
            }
            place = (place + 1) % PLACES;
        }
        if distinct > MAX_DISTINCT {
            return true;
        }
    }
    false
}

/// The pairs of both, ascending as they are.
pub(super) fn united(left: &[(f64, u64)], right: &[(f64, u64)]) -> Vec<(f64, u64)> {
    let mut merged = Vec::with_capacity(left.len().max(right.len()));
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    loop {
        let from_left = match (left.peek(), right.peek()) {
            (Some((a, _)), Some((b, _))) => a <= b,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return merged,
        };
        let next = if from_left { left.next() } else { right.next() };
        let Some((value, mut times)) = next.copied() else { return merged };
        if let Some((_, more)) = right.next_if(|(other, _)| from_left && *other == value) {
            times = times.saturating_add(*more);
        }
        merged.push((value, times));
    }
}
