//! Sorting by numbers. All sorts share one compiled sort, as each further element type adds tens of
//! kilobytes of code.

/// Sorts numbers in ascending order.
#[inline(never)]
pub(crate) fn integers(values: &mut [i64]) {
    values.sort_unstable();
}

/// Sorts numbers in ascending order.
pub(crate) fn unsigned(values: &mut [u64]) {
    let values: &mut [i64] = bytemuck::cast_slice_mut(values);
    let flip = |values: &mut [i64]| values.iter_mut().for_each(|value| *value ^= i64::MIN);
    flip(values);
    integers(values);
    flip(values);
}

/// Sorts numbers in the order of [`f64::total_cmp`].
pub(crate) fn floats(values: &mut [f64]) {
    let bits: &mut [i64] = bytemuck::cast_slice_mut(values);
    flip_negative(bits);
    integers(bits);
    flip_negative(bits);
}

/// Maps the bits of floats to integers with the same order, and back.
pub(crate) fn flip_negative(bits: &mut [i64]) {
    for bits in bits {
        *bits ^= (*bits >> 63) & i64::MAX;
    }
}

/// Sorts pairs by their first number, then by their second.
pub(crate) fn pairs(pairs: &mut [(u32, u32)]) {
    let mut keys: Vec<i64> = pairs.iter().map(|(first, second)| joined(*first, *second)).collect();
    integers(&mut keys);
    for (pair, key) in pairs.iter_mut().zip(keys) {
        *pair = parts(key);
    }
}

/// Sorts ids by `rank`, in descending order.
pub(crate) fn descending_by(ids: &mut [u32], rank: impl Fn(u32) -> u32) {
    let mut keys: Vec<i64> = ids.iter().map(|id| joined(rank(*id), *id)).collect();
    integers(&mut keys);
    for (id, key) in ids.iter_mut().zip(keys.iter().rev()) {
        *id = parts(*key).1;
    }
}

/// Does the same for ranks that are distinct and below `bound`: with a table by rank where the ids
/// are dense.
pub(crate) fn descending_by_place(ids: &mut [u32], rank: impl Fn(u32) -> u32, bound: usize) {
    const ABSENT: u32 = u32::MAX;
    if ids.len() < bound / 8 {
        descending_by(ids, rank);
        return;
    }
    let mut table = vec![ABSENT; bound];
    for id in &*ids {
        if let Some(entry) = table.get_mut(rank(*id) as usize) {
            *entry = *id;
        }
    }
    let found = table.into_iter().rev().filter(|id| *id != ABSENT);
    for (id, found) in ids.iter_mut().zip(found) {
        *id = found;
    }
}

/// Sorts ids by the two times and the rank that `of` returns, in descending order.
pub(crate) fn descending_by_times(ids: &mut [u32], of: impl Fn(u32) -> (i64, i64, u32)) {
    let mut keys: Vec<_> = ids.iter().map(|id| (of(*id), *id)).collect();
    keys.sort_unstable();
    for (id, (_, found)) in ids.iter_mut().zip(keys.iter().rev()) {
        *id = *found;
    }
}

/// Returns one number that sorts as the pair does.
fn joined(first: u32, second: u32) -> i64 {
    (i64::from(first) << 32 | i64::from(second)) ^ i64::MIN
}

fn parts(joined: i64) -> (u32, u32) {
    halves(joined.cast_unsigned() ^ (1 << 63))
}

/// Returns the upper and the lower half of a number.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "each half keeps only its own bits")]
pub(crate) fn halves(number: u64) -> (u32, u32) {
    ((number >> 32) as u32, number as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sorts_match_the_standard_library(
            values in prop::collection::vec(any::<u64>(), 0..80),
            floats_of in prop::collection::vec(any::<f64>(), 0..80),
        ) {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let mut found = values;
            unsigned(&mut found);
            prop_assert_eq!(found, sorted);
            let mut sorted = floats_of.clone();
            sorted.sort_by(f64::total_cmp);
            let mut found = floats_of;
            floats(&mut found);
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&found), bits(&sorted));
        }

        #[test]
        fn ids_sort_by_rank(
            ranks in prop::collection::vec(prop_oneof![any::<u32>(), 0..9_u32], 0..80),
        ) {
            let all: Vec<(u32, u32)> = ranks.iter().copied().zip(0..).collect();
            let mut sorted = all.clone();
            sorted.sort_unstable();
            let mut found = all;
            found.reverse();
            pairs(&mut found);
            prop_assert_eq!(&found, &sorted);
            sorted.reverse();
            let descending: Vec<u32> = sorted.iter().map(|(_, id)| *id).collect();
            let mut ids: Vec<u32> = (0..).take(ranks.len()).collect();
            let rank = |id: u32| ranks[id as usize];
            descending_by(&mut ids, rank);
            prop_assert_eq!(&ids, &descending);
            ids.reverse();
            let distinct = |id: u32| found.iter().position(|(_, other)| *other == id).unwrap() as u32;
            let mut dense = ids.clone();
            descending_by_place(&mut dense, distinct, ids.len());
            prop_assert_eq!(&dense, &descending);
            descending_by_place(&mut dense, distinct, ids.len() * 9);
            prop_assert_eq!(&dense, &descending);
            descending_by_times(&mut ids, |id| (0, i64::from(rank(id)), 0));
            prop_assert_eq!(ids, descending);
        }
    }
}
