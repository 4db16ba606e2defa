//! How large a Bloom filter has to be.

/// Bits of a block: all bits of an identity stand in one.
pub(super) const BLOCK_BITS: u32 = 512;
/// Bits of an identity, at most.
const MAX_BITS: u32 = 21;

/// The sizes of the filters of one memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sizes {
    pub(crate) generations: u32,
    /// Identities that one filter is made for.
    pub(crate) per_filter: u32,
    /// Its blocks.
    pub(crate) blocks: u32,
    /// Bits that an identity sets.
    pub(crate) bits: u32,
}

impl Sizes {
    /// For `capacity` identities within a ttl that is cut into `generations`, of which `rate` may be taken for others.
    ///
    /// Beside those of the ttl there may be two generations more, and each may err.
    pub(crate) fn new(capacity: u32, rate: f64, generations: u32) -> Self {
        let per_filter = capacity.div_ceil(generations).max(1);
        let rate = rate / f64::from(generations + 2);
        let mut best = Self { generations, per_filter, blocks: u32::MAX, bits: 1 };
        let ideal = bits_for(rate);
        for bits in ideal.saturating_sub(3).max(1)..=(ideal + 1).min(MAX_BITS) {
            let blocks = blocks_for(per_filter, bits, rate);
            if blocks < best.blocks {
                best = Self { blocks, bits, ..best };
            }
        }
        best
    }

    /// Identities at most; with more, filters are given up. Where time passes, one generation is on its way out and one on
    /// its way in.
    pub(crate) fn max_identities(&self, timed: bool) -> u64 {
        let generations = u64::from(self.generations) + if timed { 2 } else { 0 };
        generations * u64::from(self.per_filter)
    }

    /// The bytes of as many filters as one memory may have.
    pub(crate) fn most_bytes(&self) -> u64 {
        self.max_filters() as u64 * u64::from(self.blocks) * u64::from(BLOCK_BITS / 8)
    }

    /// Filters at most. Each generation leaves one that is not full.
    pub(crate) fn max_filters(&self) -> usize {
        3 * self.generations as usize + 4
    }
}

/// How often 1 is to be halved to reach `rate`, rounded up.
fn bits_for(rate: f64) -> u32 {
    let mut bits = 1;
    let mut left = 0.5;
    while left > rate && bits < MAX_BITS {
        left /= 2.0;
        bits += 1;
    }
    bits
}

/// The least number of blocks with which `count` identities of `bits` bits keep to `rate`.
fn blocks_for(count: u32, bits: u32, rate: f64) -> u32 {
    let (mut too_few, mut enough) = (0, count.div_ceil(2).max(1));
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if rate_of(count, middle, bits) <= rate {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    if rate_of(count, enough, bits) <= rate { enough } else { u32::MAX }
}

/// The share of other identities that a filter of `blocks` with `count` in it takes for its own.
///
/// Only + − × ÷, in a fixed order: the same on every machine. The number of identities in a block is binomial.
fn rate_of(count: u32, blocks: u32, bits: u32) -> f64 {
    let (count, blocks) = (f64::from(count), f64::from(blocks));
    if count / blocks > 600.0 {
        return 1.0;
    }
    let other = if blocks > 1.0 { 1.0 / (blocks - 1.0) } else { 0.0 };
    // With one block all are in it.
    let mut share = if blocks > 1.0 { power(1.0 - 1.0 / blocks, count) } else { 0.0 };
    let unset_by_one = power(1.0 - 1.0 / f64::from(BLOCK_BITS), f64::from(bits));
    if blocks <= 1.0 {
        return power(1.0 - power(unset_by_one, count), f64::from(bits));
    }
    let (mut rate, mut unset, mut inside) = (0.0, 1.0, 0.0);
    while inside <= count && inside < 1500.0 {
        rate += share * power(1.0 - unset, f64::from(bits));
        unset *= unset_by_one;
        share *= (count - inside) / (inside + 1.0) * other;
        inside += 1.0;
    }
    rate
}

/// `base` to the power of the whole number `exponent`.
fn power(base: f64, exponent: f64) -> f64 {
    let (mut result, mut square, mut left) = (1.0, base, exponent);
    while left >= 1.0 {
        let half = (left / 2.0).floor();
        if left > 2.0 * half {
            result *= square;
        }
        square *= square;
        left = half;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_little_larger_than_the_best_ones() {
        for (rate, least, most) in
            [(0.5, 1.0, 6.0), (0.01, 9.5, 16.0), (0.001, 14.0, 22.0), (1e-6, 28.0, 64.0)]
        {
            let sizes = Sizes::new(1_000_000, rate, 4);
            let per_identity =
                f64::from(sizes.blocks) * f64::from(BLOCK_BITS) / f64::from(sizes.per_filter);
            assert!((least..most).contains(&per_identity), "{rate}: {per_identity} {sizes:?}");
        }
    }

    #[test]
    fn any_option_gives_a_size() {
        for capacity in [1, 2, 10, 1 << 28] {
            for rate in [1e-6, 0.01, 0.5] {
                for generations in [1, 4, 64] {
                    let sizes = Sizes::new(capacity, rate, generations);
                    assert!(
                        sizes.blocks < u32::MAX && (1..=MAX_BITS).contains(&sizes.bits),
                        "{sizes:?}"
                    );
                }
            }
        }
    }
}
