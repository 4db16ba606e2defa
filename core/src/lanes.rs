//! Two numbers at once. Compilers do not find vector instructions for blocks of a few events by themselves, so the module
//! has them spelled out; elsewhere the same is plain Rust.

/// Two neighbouring entries of a column of times.
#[derive(Clone, Copy)]
pub(crate) struct Pair(pair::Lanes);

impl Pair {
    #[inline(always)]
    pub(crate) fn splat(value: i64) -> Self {
        Self(pair::new(value, value))
    }

    /// The entries of a block, two by two.
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

    /// Whether an entry has one of `bits`.
    #[inline(always)]
    pub(crate) fn any_of(self, bits: i64) -> bool {
        pair::any_of(self.0, bits)
    }
}

/// The lesser one of each two: `known` where `new` is none or equal.
#[inline(always)]
pub(crate) fn least(known: [f64; 2], new: [f64; 2]) -> [f64; 2] {
    pair::least(known, new)
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod pair {
    use core::arch::wasm32::{
        f64x2, f64x2_extract_lane, f64x2_pmin, i64x2_splat, v128_and, v128_any_true,
    };
    pub(super) use core::arch::wasm32::{
        i64x2 as new, i64x2_sub as sub, v128 as Lanes, v128_or as or,
    };

    #[inline(always)]
    pub(super) fn any_of(lanes: Lanes, bits: i64) -> bool {
        v128_any_true(v128_and(lanes, i64x2_splat(bits)))
    }

    #[inline(always)]
    pub(super) fn least([a, b]: [f64; 2], [c, d]: [f64; 2]) -> [f64; 2] {
        let least = f64x2_pmin(f64x2(a, b), f64x2(c, d));
        [f64x2_extract_lane::<0>(least), f64x2_extract_lane::<1>(least)]
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod pair {
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
}
