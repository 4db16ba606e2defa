//! Selection of several ranks at once, which is cheaper than sorting.
//!
//! A quickselect for several ranks. Its loops do not branch on comparisons, and take eight numbers
//! per iteration, as wasmtime checks the deadline in each one.

use core::cell::Cell;

use crate::util::sort;

/// The number of values that one sorting network sorts, and that one loop iteration takes.
const EIGHT: usize = 8;
/// The number of partition boundaries that are remembered.
const MAX_BOUNDARIES: usize = 24;
/// The number of unbalanced partitions after which the rest is sorted.
const MAX_UNBALANCED: u32 = 12;

/// Places at each of `ranks`, which ascend, the value that sorting by [`f64::total_cmp`] would
/// place there.
pub(crate) fn floats(values: &mut [f64], ranks: impl Iterator<Item = usize>) {
    let bits: &mut [i64] = bytemuck::cast_slice_mut(values);
    // Bits without a sign already sort as the floats do.
    let is_signed = bits.iter().fold(0, |all, bits| all | *bits) < 0;
    if is_signed {
        sort::flip_negative(bits);
    }
    integers(bits, ranks);
    if is_signed {
        sort::flip_negative(bits);
    }
}

fn integers(values: &mut [i64], ranks: impl Iterator<Item = usize>) {
    if values.len() <= EIGHT {
        sort_few(values);
        return;
    }
    let mut order =
        KnownOrder { from: 0, boundaries: [values.len(); MAX_BOUNDARIES], known: 1, unbalanced: 0 };
    let count = values.len();
    for rank in ranks.take_while(|rank| *rank < count) {
        order.place_rank(values, rank);
    }
}

/// The known order of the values: those before `from` are in their final places, and no value
/// before a boundary is greater than one after it.
struct KnownOrder {
    from: usize,
    /// The nearest boundary last.
    boundaries: [usize; MAX_BOUNDARIES],
    known: usize,
    unbalanced: u32,
}

impl KnownOrder {
    /// Places the right value at `rank`.
    fn place_rank(&mut self, values: &mut [i64], rank: usize) {
        while rank >= self.from {
            let Some(end) = self.known.checked_sub(1).and_then(|last| self.boundaries.get(last))
            else {
                return;
            };
            let end = *end;
            if rank >= end {
                self.from = end;
                self.known -= 1;
                continue;
            }
            let length = end - self.from;
            if length <= EIGHT {
                // Eight adjacent values, some of which may be in their final places already: these
                // stay there.
                let first = self.from.min(values.len().saturating_sub(EIGHT));
                let eight = values.get_mut(first..).and_then(|values| values.first_chunk_mut());
                if let Some(eight) = eight {
                    *eight = sorted(*eight);
                }
                self.from = end;
                return;
            }
            let Some(part) = values.get_mut(self.from..end) else { return };
            if self.known == MAX_BOUNDARIES || self.unbalanced == MAX_UNBALANCED {
                sort::integers(part);
                self.from = end;
                return;
            }
            let pivot = pivot_of(part);
            let mut less = partition(part, pivot);
            let is_least = less == 0;
            if is_least {
                less = partition(part, pivot.saturating_add(1));
            }
            self.unbalanced += u32::from(less.min(length - less) < length / 8);
            let middle = self.from + less;
            if is_least || rank >= middle {
                // If the pivot is the minimum, all values before the middle equal it.
                self.from = middle;
            } else if let Some(end) = self.boundaries.get_mut(self.known) {
                *end = middle;
                self.known += 1;
            }
        }
    }
}

/// Returns a value near the median. It is not the maximum, unless all sampled values are equal.
fn pivot_of(values: &[i64]) -> i64 {
    let step = values.len() / 6;
    let at = |place: usize| values.get(step * place).copied().unwrap_or(0);
    median([at(1), at(2), at(3), at(4), at(5)])
}

fn median([a, b, c, d, e]: [i64; 5]) -> i64 {
    let ((a, b), (c, d)) = (ordered(a, b), ordered(c, d));
    // Neither the least of four nor their greatest is the median of five.
    let (b, c) = (b.min(d), a.max(c));
    let (low, high) = ordered(b, c);
    e.max(low).min(high)
}

/// Moves the values less than `pivot` to the front, and returns their number.
#[inline(never)]
fn partition(values: &mut [i64], pivot: i64) -> usize {
    let cells = Cell::from_mut(values).as_slice_of_cells();
    let (chunks, rest) = cells.as_chunks::<EIGHT>();
    let mut less = 0;
    for [a, b, c, d, e, f, g, h] in chunks {
        // The destinations of this iteration, which moves at most eight values.
        let Some(front) = cells.get(less..).and_then(|cells| cells.first_chunk()) else { break };
        let mut moved = 0;
        for cell in [a, b, c, d, e, f, g, h] {
            moved = swap_and_advance(front, cell, moved, pivot);
        }
        less += moved;
    }
    for cell in rest {
        let value = cell.get();
        if let Some(first) = cells.get(less) {
            cell.set(first.get());
            first.set(value);
        }
        less += usize::from(value < pivot);
    }
    less
}

/// Swaps a value with the first one that is not less than `pivot`. The position of that one
/// advances only if the value is less.
#[inline(always)]
fn swap_and_advance(
    front: &[Cell<i64>; EIGHT],
    cell: &Cell<i64>,
    moved: usize,
    pivot: i64,
) -> usize {
    let value = cell.get();
    if let Some(first) = front.get(moved % EIGHT) {
        cell.set(first.get());
        first.set(value);
    }
    moved + usize::from(value < pivot)
}

/// Sorts up to eight values.
fn sort_few(values: &mut [i64]) {
    let mut eight = [i64::MAX; EIGHT];
    eight.iter_mut().zip(&*values).for_each(|(entry, value)| *entry = *value);
    values.iter_mut().zip(sorted(eight)).for_each(|(entry, value)| *entry = value);
}

/// Sorts eight values with Batcher's odd-even merge network.
#[inline(never)]
fn sorted([a, b, c, d, e, f, g, h]: [i64; EIGHT]) -> [i64; EIGHT] {
    let ((a, b), (c, d), (e, f), (g, h)) =
        (ordered(a, b), ordered(c, d), ordered(e, f), ordered(g, h));
    let ((a, c), (b, d), (e, g), (f, h)) =
        (ordered(a, c), ordered(b, d), ordered(e, g), ordered(f, h));
    let ((b, c), (f, g)) = (ordered(b, c), ordered(f, g));
    let ((a, e), (b, f), (c, g), (d, h)) =
        (ordered(a, e), ordered(b, f), ordered(c, g), ordered(d, h));
    let ((c, e), (d, f)) = (ordered(c, e), ordered(d, f));
    let ((b, c), (d, e), (f, g)) = (ordered(b, c), ordered(d, e), ordered(f, g));
    [a, b, c, d, e, f, g, h]
}

#[inline(always)]
fn ordered(a: i64, b: i64) -> (i64, i64) {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns numbers of several shapes: many equal ones, and patterns that mislead the choice of
    /// pivots.
    fn values() -> impl Strategy<Value = Vec<f64>> {
        let of = |value: BoxedStrategy<f64>, most| prop::collection::vec(value, 0..most);
        let few = (-3..3_i8).prop_map(f64::from).boxed();
        prop_oneof![
            of((-1e6..1e6).boxed(), 700),
            of((0.0..1e6).boxed(), 700),
            of(any::<f64>().boxed(), 60),
            of(few, 700),
            of(any::<f64>().boxed(), 700).prop_map(|mut values| {
                values.sort_by(f64::total_cmp);
                values
            }),
            (1..3000_u32, 1..60_u32).prop_map(|(count, turn)| {
                (0..count).map(|at| f64::from((at % turn) * 1000 + at / turn)).collect()
            }),
        ]
    }

    proptest! {
        #[test]
        fn selected_ranks_match_a_full_sort(
            values in values(),
            mut ranks in prop::collection::vec(0..800_usize, 0..12),
        ) {
            ranks.sort_unstable();
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let mut found = values;
            floats(&mut found, ranks.iter().copied());
            let bits = |value: Option<&f64>| value.map(|value| value.to_bits());
            for rank in ranks {
                prop_assert_eq!(bits(found.get(rank)), bits(sorted.get(rank)));
            }
            found.sort_by(f64::total_cmp);
            prop_assert!(found.iter().map(|v| v.to_bits()).eq(sorted.iter().map(|v| v.to_bits())));
        }
    }

    #[test]
    fn unbalanced_partitions_fall_back_to_sorting() {
        let mut order = KnownOrder {
            from: 0,
            boundaries: [40; MAX_BOUNDARIES],
            known: 1,
            unbalanced: MAX_UNBALANCED,
        };
        let mut values: Vec<i64> = (0..40).map(|at| at * 7 % 40).collect();
        order.place_rank(&mut values, 20);
        assert!(values.is_sorted());
        order = KnownOrder {
            from: 0,
            boundaries: [40; MAX_BOUNDARIES],
            known: MAX_BOUNDARIES,
            unbalanced: 0,
        };
        values.reverse();
        order.place_rank(&mut values, 3);
        assert!(values.is_sorted());
    }

    #[test]
    fn median_of_five_matches_sorting() {
        for at in 0..5_usize.pow(5) {
            let five: [usize; 5] = core::array::from_fn(|place| at / 5_usize.pow(place as u32) % 5);
            let mut sorted = five;
            sorted.sort_unstable();
            assert_eq!(median(five.map(|value| value as i64)), sorted[2] as i64);
        }
    }
}
