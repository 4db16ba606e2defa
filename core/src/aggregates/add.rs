//! The hot loop of ingestion: adds each value of a batch to the accumulator of its slot.

use crate::util::simd::are_numbers;

/// Adds each value that is not missing (NaN) to the accumulator of its slot.
#[inline(always)]
pub(super) fn add_present<A>(
    accumulators: &mut [A],
    slots: &[u32],
    values: &[f64],
    add: impl Fn(&mut A, f64) + Copy,
) {
    if are_numbers(values) {
        add_each(accumulators, slots, values, add);
    } else {
        add_each(accumulators, slots, values, |accumulator, value| {
            if !value.is_nan() {
                add(accumulator, value);
            }
        });
    }
}

/// Adds each value to the accumulator of its slot; skips values of unknown slots.
#[inline(always)]
pub(super) fn add_each<A>(
    accumulators: &mut [A],
    slots: &[u32],
    values: &[f64],
    add: impl Fn(&mut A, f64) + Copy,
) {
    let mut from = 0;
    while let (Some(slots), Some(values)) = (slots.get(from..), values.get(from..)) {
        let added = add_run(accumulators, slots, values, add);
        if added >= slots.len().min(values.len()) {
            break;
        }
        from += added + 1;
    }
}

/// The hot loop: adds values until one has an unknown slot, and returns how many were added.
///
/// Unrolled by eight: an iteration alone costs as much as an addition, because wasmtime checks the
/// deadline in each, and spills and reloads all registers for it.
// A separate function: wasmtime's compiler keeps the variables of a loop in registers only in small
// functions.
#[inline(never)]
fn add_run<A>(
    accumulators: &mut [A],
    slots: &[u32],
    values: &[f64],
    add: impl Fn(&mut A, f64) + Copy,
) -> usize {
    let (chunks, slots) = slots.as_chunks::<8>();
    let (value_chunks, values) = values.as_chunks::<8>();
    let mut added = 0;
    for (slots, values) in chunks.iter().zip(value_chunks) {
        let [a, b, c, d, e, f, g, h] = *slots;
        let [value_a, value_b, value_c, value_d, value_e, value_f, value_g, value_h] = *values;
        let first = [(a, value_a), (b, value_b), (c, value_c), (d, value_d)];
        let count = add_four(accumulators, first, add);
        if count < 4 {
            return added + count;
        }
        let second = [(e, value_e), (f, value_f), (g, value_g), (h, value_h)];
        let count = add_four(accumulators, second, add);
        if count < 4 {
            return added + 4 + count;
        }
        added += 8;
    }
    for (slot, value) in slots.iter().zip(values) {
        if !add_one(accumulators, *slot, *value, add) {
            break;
        }
        added += 1;
    }
    added
}

/// Adds up to four values, and returns how many were added. Unrolled by hand, because compilers
/// keep such short loops as loops. Returning at an unknown slot, instead of skipping it, lets the
/// compiler compute addresses once for four values.
#[inline(always)]
fn add_four<A>(
    accumulators: &mut [A],
    [a, b, c, d]: [(u32, f64); 4],
    add: impl Fn(&mut A, f64) + Copy,
) -> usize {
    if !add_one(accumulators, a.0, a.1, add) {
        return 0;
    }
    if !add_one(accumulators, b.0, b.1, add) {
        return 1;
    }
    if !add_one(accumulators, c.0, c.1, add) {
        return 2;
    }
    if !add_one(accumulators, d.0, d.1, add) {
        return 3;
    }
    4
}

/// Adds `value` to the accumulator of `slot`; returns false if there is none.
#[inline(always)]
fn add_one<A>(accumulators: &mut [A], slot: u32, value: f64, add: impl Fn(&mut A, f64)) -> bool {
    let accumulator = accumulators.get_mut(slot as usize);
    let is_there = accumulator.is_some();
    if let Some(accumulator) = accumulator {
        add(accumulator, value);
    }
    is_there
}
