//! All sorts of the crate. They share few compiled sorts, as each further element type or comparison
//! adds 5 to 35 kilobytes of code.
//!
//! - Hot sorts map their elements to numbers: [`integers`], [`timed`], [`ranked`].
//! - Others call [`by`], which sorts any elements by any comparison, through a function pointer.

use core::cmp::Ordering;

/// The length up to which [`by`] inserts elements one by one.
const MAX_INSERTED: usize = 16;

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
    let key = |id: &u32| {
        let (first, second, rank) = of(*id);
        (first, second.cast_unsigned() ^ 1 << 63, rank, *id)
    };
    let mut keys: Vec<_> = ids.iter().map(key).collect();
    ranked(&mut keys);
    for (id, (.., found)) in ids.iter_mut().zip(keys.iter().rev()) {
        *id = *found;
    }
}

/// Returns `values` in the order of [`f64::total_cmp`] of what `float` returns for them. Equal ones
/// keep their order.
pub(crate) fn by_float<T: Copy>(values: &[T], float: impl Fn(&T) -> f64) -> Vec<T> {
    let bits = |value: &T| {
        let mut bits = [float(value).to_bits().cast_signed()];
        flip_negative(&mut bits);
        let [bits] = bits;
        bits
    };
    let mut keys: Vec<(i64, u32)> = values.iter().map(bits).zip(0..).collect();
    timed(&mut keys);
    keys.iter().filter_map(|(_, index)| values.get(*index as usize)).copied().collect()
}

/// Sorts pairs of a time and a number.
#[inline(never)]
pub(crate) fn timed(entries: &mut [(i64, u32)]) {
    entries.sort_unstable();
}

/// Sorts by a time, a number, a rank and an index.
#[inline(never)]
pub(crate) fn ranked(keys: &mut [(i64, u64, u32, u32)]) {
    keys.sort_unstable();
}

/// Sorts by `compare`. Equal elements keep their order.
pub(crate) fn by<T>(values: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let len = values.len();
    let compare = |a: usize, b: usize, values: &[T]| match (values.get(a), values.get(b)) {
        (Some(a), Some(b)) => compare(a, b),
        _ => Ordering::Equal,
    };
    if len <= MAX_INSERTED {
        for next in 1..len {
            let mut at = next;
            while at > 0 && compare(at - 1, at, values) == Ordering::Greater {
                values.swap(at - 1, at);
                at -= 1;
            }
        }
        return;
    }
    let mut order = sorted_order(len, &|a, b| compare(a, b, values));
    // Follows each cycle of the permutation once.
    for start in 0..len {
        let mut at = start;
        while let Some(from) = order.get_mut(at) {
            let from = core::mem::replace(from, at);
            if from == start || from == at {
                break;
            }
            values.swap(at, from);
            at = from;
        }
    }
}

/// Returns the indices below `len` in the order of `compare`, and equal ones in ascending order.
#[inline(never)]
fn sorted_order(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_unstable_by(|a, b| compared(*a, *b, compare));
    order
}

/// Compares two indices. A call of its own: the sort has a hundred places that compare.
#[inline(never)]
fn compared(a: usize, b: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Ordering {
    compare(a, b).then(a.cmp(&b))
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
        fn any_elements_sort_stably(
            values in prop::collection::vec(prop_oneof![0..5_u8, any::<u8>()], 0..80),
        ) {
            let texts: Vec<(String, usize)> =
                values.iter().enumerate().map(|(index, value)| (value.to_string(), index)).collect();
            let mut sorted = texts.clone();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            let mut found = texts;
            by(&mut found, |a, b| a.0.cmp(&b.0));
            prop_assert_eq!(found, sorted);
        }

        #[test]
        fn keys_with_times_sort_in_descending_order(
            times in prop::collection::vec((-3..3_i64, prop_oneof![any::<i64>(), -2..2_i64]), 0..80),
        ) {
            let mut ids: Vec<u32> = (0..).take(times.len()).collect();
            let of = |id: u32| (times[id as usize].0, times[id as usize].1, id % 3);
            let mut expected = ids.clone();
            expected.sort_by_key(|id| core::cmp::Reverse((of(*id), *id)));
            descending_by_times(&mut ids, of);
            prop_assert_eq!(ids, expected);
        }

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
