//! Value/count pairs: the different values in ascending order, each with its count.

use crate::error::SnapshotError;
use crate::snapshot::{MAX_COUNT, SectionReader};

/// Maximum number of different values that are kept exactly, if there are more values than are kept
/// one by one.
pub(super) const MAX_DISTINCT: usize = 256;

/// Returns true if there are more than [`MAX_DISTINCT`] different `values`. Cheaper than sorting
/// them.
pub(super) fn has_many_distinct(values: &[f64]) -> bool {
    const PLACES: usize = MAX_DISTINCT * 4;
    let mut seen = [f64::NAN; PLACES];
    let mut distinct = 0;
    for value in values {
        let spread = value.to_bits().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let mut position = usize::try_from(spread).unwrap_or(0) % PLACES;
        while let Some(known) = seen.get_mut(position).filter(|known| **known != *value) {
            if known.is_nan() {
                *known = *value;
                distinct += 1;
                break;
            }
            position = (position + 1) % PLACES;
        }
        if distinct > MAX_DISTINCT {
            return true;
        }
    }
    false
}

/// Merges two lists of ascending pairs.
pub(super) fn merge_pairs(left: &[(f64, u64)], right: &[(f64, u64)]) -> Vec<(f64, u64)> {
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

/// Returns the sum of the counts.
pub(super) fn count(pairs: &[(f64, u64)]) -> u64 {
    pairs.iter().fold(0, |all, (_, times)| all.saturating_add(*times))
}

/// Adds `value` to ascending pairs `more` times.
pub(super) fn add(pairs: &mut Vec<(f64, u64)>, value: f64, more: u64) {
    match position(pairs, value) {
        Ok(position) => {
            if let Some((_, times)) = pairs.get_mut(position) {
                *times = times.saturating_add(more);
            }
        }
        Err(position) => pairs.insert(position, (value, more)),
    }
}

/// Removes `value`, which was added before, from ascending pairs `less` times.
pub(super) fn remove(pairs: &mut Vec<(f64, u64)>, value: f64, less: u64) {
    let Ok(position) = position(pairs, value) else { return };
    let Some((_, times)) = pairs.get_mut(position) else { return };
    *times = times.saturating_sub(less);
    if *times == 0 {
        pairs.remove(position);
    }
}

/// Returns the index of `value`, or the index at which to insert it.
fn position(pairs: &[(f64, u64)], value: f64) -> Result<usize, usize> {
    pairs.binary_search_by(|(known, _)| known.total_cmp(&value))
}

/// Sorts pairs, and merges those of the same value.
pub(super) fn from_unsorted(pairs: &[(f64, u64)]) -> Vec<(f64, u64)> {
    let mut pairs = crate::util::sort::by_float(pairs, |(value, _)| *value);
    pairs.dedup_by(|(value, more), (kept, times)| {
        let same = value == kept;
        if same {
            *times = times.saturating_add(*more);
        }
        same
    });
    pairs
}

/// Returns the value at `rank` of all `count`, and the number of equal values from that rank on.
pub(super) fn at(pairs: &[(f64, u64)], mut rank: u64, count: u64) -> (f64, u64) {
    if count == pairs.len() as u64 {
        // All values are different.
        let value = usize::try_from(rank).ok().and_then(|rank| pairs.get(rank));
        return (value.map_or(f64::NAN, |(value, _)| *value), 1);
    }
    for (value, times) in pairs {
        if rank < *times {
            return (*value, times - rank);
        }
        rank -= times;
    }
    (f64::NAN, 1)
}

/// Reads pairs from a snapshot; `None` if they are not valid.
#[inline]
pub(super) fn load(
    reader: &mut SectionReader<'_>,
) -> Result<Option<Vec<(f64, u64)>>, SnapshotError> {
    let length = reader.length()?;
    let values: Vec<f64> = reader.f64s(length)?.collect();
    let pairs: Vec<_> = values.into_iter().zip(reader.counts(length)?).collect();
    let ascend = pairs.is_sorted_by(|(a, _), (b, _)| a < b);
    let finite = pairs.iter().all(|(value, _)| value.is_finite());
    let total = pairs.iter().map(|(_, times)| *times).fold(0, u64::saturating_add);
    let counted = pairs.iter().all(|(_, times)| *times > 0) && total <= MAX_COUNT;
    Ok((ascend && finite && counted && length <= MAX_DISTINCT).then_some(pairs))
}
