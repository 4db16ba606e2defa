//! How large a Bloom filter has to be.

use super::lanes::{MAX_LANES, MAX_WORDS, MIN_LANES};

/// Bits of an identity, at most.
const MAX_BITS: u32 = 21;
/// How much larger filters may get so that a look into them reads fewer lines.
const LARGER_FOR_SPEED: f64 = 1.6;
/// A block that takes so many others for its own counts as full.
const FULL: f64 = 0.97;

/// Words of a block in which every number of set bits is reckoned with.
const MOST_COUNTED: usize = 2;

/// The sizes of the filters of one memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sizes {
    pub(crate) generations: u32,
    /// Identities that one filter is made for.
    pub(crate) per_filter: u32,
    /// Filters that stand side by side.
    pub(crate) lanes: usize,
    /// Its blocks: all bits of an identity stand in one.
    pub(crate) blocks: u32,
    /// Words of a block.
    pub(crate) words: usize,
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
        let lanes = (generations as usize + 2).next_power_of_two().clamp(MIN_LANES, MAX_LANES);
        let of = |words, rates_of| {
            let (blocks, bits) = best_for(per_filter, words, rate, rates_of);
            Self { generations, per_filter, lanes, blocks, words, bits }
        };
        let smallest = of(MAX_WORDS, rates_by_mean);
        let fits = |sizes: &Self| sizes.size() <= LARGER_FOR_SPEED * smallest.size();
        let mut words = MAX_LANES / lanes;
        while words < MAX_WORDS {
            // The mean is quick, and never says too much.
            let quick = Some(of(words, rates_by_mean)).filter(fits);
            let counted =
                if words > MOST_COUNTED { quick } else { quick.map(|_| of(words, rates_of)) };
            if let Some(sizes) = counted.filter(fits) {
                return sizes;
            }
            words *= 2;
        }
        smallest
    }

    /// Words of one filter.
    fn size(&self) -> f64 {
        let words = u32::try_from(self.words).unwrap_or_default();
        f64::from(self.blocks) * f64::from(words)
    }

    /// Identities at most; with more, filters are given up. Where time passes, one generation is on its way out and one on
    /// its way in.
    pub(crate) fn max_identities(&self, timed: bool) -> u64 {
        let generations = u64::from(self.generations) + if timed { 2 } else { 0 };
        generations * u64::from(self.per_filter)
    }

    /// The bytes of as many filters as one memory may have.
    pub(crate) fn most_bytes(&self) -> u64 {
        self.max_filters() as u64 * self.filter_bytes()
    }

    /// The bytes of one filter.
    pub(crate) fn filter_bytes(&self) -> u64 {
        u64::from(self.blocks) * self.words as u64 * size_of::<u64>() as u64
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
    while left > rate && bits < 2 * MAX_BITS {
        left /= 2.0;
        bits += 1;
    }
    bits
}

/// The least number of blocks of `words` with which `count` identities keep to `rate`, and the bits of each for that.
///
/// Small blocks are best with fewer bits than filters without blocks, which are best with [`bits_for`].
fn best_for(count: u32, words: usize, rate: f64, rates_of: fn(f64, u32) -> Vec<f64>) -> (u32, u32) {
    let places = f64::from(u32::try_from(words).unwrap_or_default() * u64::BITS);
    let ideal = bits_for(rate);
    let choices = (ideal * 9 / 16).max(1)..=(ideal * 13 / 16 + 1);
    let of = |bits: u32| (blocks_for(count, &rates_of(places, bits), rate), bits);
    choices.map(|bits| of(bits.min(MAX_BITS))).min().unwrap_or((u32::MAX, 1))
}

/// The least number of blocks with which `count` identities keep to `rate`; `rates` is that of a block by what is in it.
fn blocks_for(count: u32, rates: &[f64], rate: f64) -> u32 {
    let (mut too_few, mut enough) = (0, count.max(1));
    while rate_of(count, enough, rates) > rate && enough < 1 << 31 {
        (too_few, enough) = (enough, enough * 2);
    }
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if rate_of(count, middle, rates) <= rate {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    enough
}

/// The share of other identities that a block of `places` takes for its own, by how many are in it, up to where it is full.
///
/// Only + − × ÷, in a fixed order: the same on every machine.
fn rates_of(places: f64, bits: u32) -> Vec<f64> {
    // How probable each number of set bits is.
    let mut set = vec![1.0];
    let mut rates = vec![0.0];
    while rates.last().is_some_and(|rate| *rate < FULL) {
        for _ in 0..bits {
            set = one_more(&set, places);
        }
        let (mut rate, mut number) = (0.0, 0.0);
        for probable in &set {
            rate += probable * power(number / places, f64::from(bits));
            number += 1.0;
        }
        rates.push(rate);
    }
    rates
}

/// The same by how many bits are set on average, which is close in large blocks, and computed sooner.
fn rates_by_mean(places: f64, bits: u32) -> Vec<f64> {
    let left_by_one = power(1.0 - 1.0 / places, f64::from(bits));
    let (mut rates, mut unset) = (vec![0.0], 1.0);
    while rates.last().is_some_and(|rate| *rate < FULL) {
        unset *= left_by_one;
        rates.push(power(1.0 - unset, f64::from(bits)));
    }
    rates
}

/// How probable each number of set bits among `places` is after one more has been set, which may be set already.
fn one_more(set: &[f64], places: f64) -> Vec<f64> {
    let mut more = Vec::with_capacity(set.len() + 1);
    let (mut number, mut from_below) = (0.0, 0.0);
    for probable in set {
        more.push(from_below + probable * (number / places));
        from_below = probable * ((places - number) / places);
        number += 1.0;
    }
    if from_below > 0.0 {
        more.push(from_below);
    }
    more
}

/// The share of other identities that a filter of `blocks` with `count` in it takes for its own.
///
/// The number of identities in a block is binomial.
fn rate_of(in_all: u32, blocks: u32, rates: &[f64]) -> f64 {
    let (count, blocks) = (f64::from(in_all), f64::from(blocks));
    if blocks <= 1.0 {
        // All are in it.
        let all = rates.get(usize::try_from(in_all).unwrap_or(usize::MAX));
        return all.copied().unwrap_or(1.0);
    }
    // Far more than fit, which would not be far from 0 in what follows.
    if count / blocks > 600.0 {
        return 1.0;
    }
    let other = 1.0 / (blocks - 1.0);
    let mut share = power(1.0 - 1.0 / blocks, count);
    let (mut rate, mut known, mut inside) = (0.0, 0.0, 0.0);
    for of_block in rates {
        rate += share * of_block;
        known += share;
        share *= (count - inside).max(0.0) / (inside + 1.0) * other;
        inside += 1.0;
        // What is left adds nothing that could be seen.
        if share < 1e-18 && inside * blocks > count {
            break;
        }
    }
    rate + (1.0 - known).max(0.0)
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
            [(0.5, 1.0, 6.0), (0.01, 9.5, 23.0), (0.001, 14.0, 30.0), (1e-6, 28.0, 96.0)]
        {
            let sizes = Sizes::new(1_000_000, rate, 4);
            let per_identity = sizes.size() * 64.0 / f64::from(sizes.per_filter);
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
                        sizes.blocks < 1 << 31 && (1..=MAX_BITS).contains(&sizes.bits),
                        "{sizes:?}"
                    );
                    let words = sizes.words * sizes.lanes;
                    assert!(words >= MAX_WORDS && words.is_power_of_two(), "{sizes:?}");
                }
            }
        }
    }
}
