//! Two times at once. Compilers do not find vector instructions for these blocks by themselves: the module has its own.

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
    pub(crate) fn plus(self, other: Self) -> Self {
        Self(pair::add(self.0, other.0))
    }

    #[inline(always)]
    pub(crate) fn minus(self, other: Self) -> Self {
        Self(pair::sub(self.0, other.0))
    }

    #[inline(always)]
    pub(crate) fn or(self, other: Self) -> Self {
        Self(pair::or(self.0, other.0))
    }

    /// Negative where an entry is beyond that of `other`.
    #[inline(always)]
    pub(crate) fn beyond(self, other: Self) -> Self {
        Self(pair::greater(self.0, other.0))
    }

    #[inline(always)]
    pub(crate) fn any_negative(self) -> bool {
        pair::any_negative(self.0)
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod pair {
    pub(super) use core::arch::wasm32::{
        i64x2 as new, i64x2_add as add, i64x2_gt as greater, i64x2_sub as sub, v128 as Lanes,
        v128_or as or,
    };

    #[inline(always)]
    pub(super) fn any_negative(lanes: Lanes) -> bool {
        core::arch::wasm32::i64x2_bitmask(lanes) != 0
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
    pub(super) fn add([a, b]: Lanes, [c, d]: Lanes) -> Lanes {
        [a.wrapping_add(c), b.wrapping_add(d)]
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
    pub(super) fn greater([a, b]: Lanes, [c, d]: Lanes) -> Lanes {
        [-i64::from(a > c), -i64::from(b > d)]
    }

    #[inline(always)]
    pub(super) fn any_negative([a, b]: Lanes) -> bool {
        a | b < 0
    }
}
