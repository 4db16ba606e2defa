//! Operations on two numbers at once. Compilers do not vectorize loops over a few events by
//! themselves, so the wasm module uses explicit SIMD instructions. Other targets use the same
//! operations in plain Rust.

/// Two adjacent entries of a column of times.
#[derive(Clone, Copy)]
pub(crate) struct Pair(pair::Lanes);

impl Pair {
    #[inline(always)]
    pub(crate) fn splat(value: i64) -> Self {
        Self(pair::new(value, value))
    }

    /// Returns the entries of a block as four pairs.
    #[inline(always)]
    pub(crate) fn all(block: &[i64; 8]) -> [Self; 4] {
        let [a, b, c, d, e, f, g, h] = *block;
        [pair::new(a, b), pair::new(c, d), pair::new(e, f), pair::new(g, h)].map(Self)
    }

    #[inline(always)]
    pub(crate) fn minus(self, other: Self) -> Self {
        Self(pair::sub(self.0, other.0))
    }

    #[inline(always)]
    pub(crate) fn or(self, other: Self) -> Self {
        Self(pair::or(self.0, other.0))
    }

    /// Returns whether an entry has one of `bits` set.
    #[inline(always)]
    pub(crate) fn any_of(self, bits: i64) -> bool {
        pair::any_of(self.0, bits)
    }
}

/// Returns the lesser number of each lane; `known` if `new` is NaN or equal.
#[inline(always)]
pub(crate) fn least(known: [f64; 2], new: [f64; 2]) -> [f64; 2] {
    pair::least(known, new)
}

/// Returns [`least`] of `known` with `value` and its negation.
#[inline(always)]
pub(crate) fn least_of(known: [f64; 2], value: f64) -> [f64; 2] {
    pair::least_of(known, value)
}

/// Returns whether no value is NaN. It may return `false` if only a sum of them is NaN.
#[inline(never)]
pub(crate) fn are_numbers(values: &[f64]) -> bool {
    let (chunks, rest) = values.as_chunks();
    pair::are_numbers(chunks) && !rest.iter().any(|value| value.is_nan())
}

/// Returns whether all of `values` are finite.
#[inline(never)]
pub(crate) fn are_finite(values: &[f64]) -> bool {
    let (chunks, rest) = values.as_chunks();
    pair::are_finite(chunks) && rest.iter().all(|value| value.is_finite())
}

/// Returns the greatest of `values`, or 0.
#[inline(never)]
pub(crate) fn greatest(values: &[u32]) -> u32 {
    let (chunks, rest) = values.as_chunks();
    rest.iter().copied().fold(pair::greatest(chunks), u32::max)
}

/// The number of values in one loop iteration. In each iteration, wasmtime checks the deadline, and
/// stores and reloads all loop variables held in registers.
const PER_ITERATION: usize = 32;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod pair {
    use core::arch::wasm32::{
        f64x2, f64x2_add, f64x2_extract_lane, f64x2_mul, f64x2_ne, f64x2_pmin, f64x2_splat,
        i64x2_splat, u32x4, u32x4_extract_lane, u32x4_max, v128_and, v128_any_true, v128_xor,
    };
    pub(super) use core::arch::wasm32::{
        i64x2 as new, i64x2_sub as sub, v128 as Lanes, v128_or as or,
    };

    use super::PER_ITERATION;

    #[inline(always)]
    pub(super) fn any_of(lanes: Lanes, bits: i64) -> bool {
        v128_any_true(v128_and(lanes, i64x2_splat(bits)))
    }

    #[inline(always)]
    pub(super) fn least([a, b]: [f64; 2], [c, d]: [f64; 2]) -> [f64; 2] {
        let least = f64x2_pmin(f64x2(a, b), f64x2(c, d));
        [f64x2_extract_lane::<0>(least), f64x2_extract_lane::<1>(least)]
    }

    #[inline(always)]
    pub(super) fn least_of([a, b]: [f64; 2], value: f64) -> [f64; 2] {
        // Flips the sign bit with one instruction: a negation would first build its constant.
        let both = v128_xor(f64x2_splat(value), new(0, i64::MIN));
        let least = f64x2_pmin(f64x2(a, b), both);
        [f64x2_extract_lane::<0>(least), f64x2_extract_lane::<1>(least)]
    }

    #[inline(always)]
    pub(super) fn are_numbers(chunks: &[[f64; PER_ITERATION]]) -> bool {
        is_number_of(chunks, |sum, two| f64x2_add(sum, two))
    }

    #[inline(always)]
    pub(super) fn are_finite(chunks: &[[f64; PER_ITERATION]]) -> bool {
        // The product of a non-finite number with zero is NaN.
        is_number_of(chunks, |sum, two| f64x2_add(sum, f64x2_mul(two, f64x2_splat(0.0))))
    }

    /// Returns whether folding all values into four sums gives no NaN: a sum that is NaN stays NaN.
    #[inline(always)]
    fn is_number_of(chunks: &[[f64; PER_ITERATION]], fold: impl Fn(Lanes, Lanes) -> Lanes) -> bool {
        let mut sums = [f64x2_splat(0.0); 4];
        for chunk in chunks {
            for eight in chunk.as_chunks::<8>().0 {
                let [a, b, c, d, e, f, g, h] = *eight;
                let twos = [f64x2(a, b), f64x2(c, d), f64x2(e, f), f64x2(g, h)];
                for (sum, two) in sums.iter_mut().zip(twos) {
                    *sum = fold(*sum, two);
                }
            }
        }
        let [a, b, c, d] = sums;
        let sum = f64x2_add(f64x2_add(a, b), f64x2_add(c, d));
        !v128_any_true(f64x2_ne(sum, sum))
    }

    #[inline(always)]
    pub(super) fn greatest(chunks: &[[u32; PER_ITERATION]]) -> u32 {
        let mut greatest = [i64x2_splat(0); 2];
        for chunk in chunks {
            for eight in chunk.as_chunks::<8>().0 {
                let [a, b, c, d, e, f, g, h] = *eight;
                for (greatest, four) in
                    greatest.iter_mut().zip([u32x4(a, b, c, d), u32x4(e, f, g, h)])
                {
                    *greatest = u32x4_max(*greatest, four);
                }
            }
        }
        let [a, b] = greatest;
        let four = u32x4_max(a, b);
        let left = u32x4_extract_lane::<0>(four).max(u32x4_extract_lane::<1>(four));
        left.max(u32x4_extract_lane::<2>(four)).max(u32x4_extract_lane::<3>(four))
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod pair {
    use super::PER_ITERATION;

    pub(super) type Lanes = [i64; 2];

    #[inline(always)]
    pub(super) fn new(first: i64, second: i64) -> Lanes {
        [first, second]
    }

    #[inline(always)]
    pub(super) fn sub([a, b]: Lanes, [c, d]: Lanes) -> Lanes {
        [a.wrapping_sub(c), b.wrapping_sub(d)]
    }

    #[inline(always)]
    pub(super) fn or([a, b]: Lanes, [c, d]: Lanes) -> Lanes {
        [a | c, b | d]
    }

    #[inline(always)]
    pub(super) fn any_of([a, b]: Lanes, bits: i64) -> bool {
        (a | b) & bits != 0
    }

    #[inline(always)]
    pub(super) fn least([a, b]: [f64; 2], [c, d]: [f64; 2]) -> [f64; 2] {
        [if c < a { c } else { a }, if d < b { d } else { b }]
    }

    #[inline(always)]
    pub(super) fn least_of(known: [f64; 2], value: f64) -> [f64; 2] {
        least(known, [value, -value])
    }

    // Plain loops without branches, which compilers vectorize.

    #[inline(always)]
    pub(super) fn are_numbers(chunks: &[[f64; PER_ITERATION]]) -> bool {
        const INFINITY: u64 = 0x7ff << 52;
        let beyond = |value: &f64| INFINITY.wrapping_sub(value.to_bits() & MAGNITUDE);
        chunks.as_flattened().iter().fold(0, |all, value| all | beyond(value)) >> 63 == 0
    }

    #[inline(always)]
    pub(super) fn are_finite(chunks: &[[f64; PER_ITERATION]]) -> bool {
        // Adding one to the exponent sets the sign bit of non-finite numbers.
        const EXPONENT_ONE: u64 = 1 << 52;
        let bits = |value: &f64| (value.to_bits() & MAGNITUDE) + EXPONENT_ONE;
        chunks.as_flattened().iter().fold(0, |all, value| all | bits(value)) >> 63 == 0
    }

    const MAGNITUDE: u64 = !(1 << 63);

    #[inline(always)]
    pub(super) fn greatest(chunks: &[[u32; PER_ITERATION]]) -> u32 {
        chunks.as_flattened().iter().fold(0, |greatest, value| greatest.max(*value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns some numbers, with `value` at index `at`.
    fn with(value: f64, at: usize) -> Vec<f64> {
        let mut values: Vec<f64> = (0..150).map(|value| f64::from(value) - 70.5).collect();
        values[at] = value;
        values
    }

    #[test]
    fn nan_and_infinity_are_detected_at_every_index() {
        for at in [0, 1, 63, 64, 127, 128, 149] {
            for value in [0.0, -0.0, 1.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324] {
                assert!(are_finite(&with(value, at)) && are_numbers(&with(value, at)), "{value}");
            }
            for value in [f64::INFINITY, f64::NEG_INFINITY] {
                assert!(!are_finite(&with(value, at)) && are_numbers(&with(value, at)), "{value}");
            }
            for value in [f64::NAN, -f64::NAN] {
                assert!(!are_finite(&with(value, at)) && !are_numbers(&with(value, at)));
            }
        }
    }

    #[test]
    fn greatest_finds_the_maximum_at_every_index() {
        assert_eq!(greatest(&[]), 0);
        for at in 0..150 {
            let mut values: Vec<u32> = (0..150).collect();
            values[at] = u32::MAX - 1;
            assert_eq!(greatest(&values), u32::MAX - 1);
        }
    }
}
