//! Sizing of blocked Bloom filters for a capacity and a false-positive rate.

use super::interleaved_bits::{MAX_COLUMNS, MAX_WORDS, MIN_COLUMNS};

/// Maximum number of bits set per identity.
const MAX_BITS: u32 = 21;
/// Factor by which filters may grow so that a look-up reads fewer lines.
const LARGER_FOR_SPEED: f64 = 1.6;
/// A block with this false-positive rate counts as full.
const FULL_RATE: f64 = 0.97;

/// Blocks of at most this many words are sized by the distribution of set bits, larger ones by the
/// mean.
const MAX_COUNTED_WORDS: usize = 2;

/// Sizes of the filters of one [`super::BloomSet`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BloomSizes {
    pub(crate) generations: u32,
    /// Capacity of one filter, identities.
    pub(crate) per_filter: u32,
    /// Filters interleaved in one group.
    pub(crate) columns: usize,
    /// Blocks of one filter. All bits of an identity are in one block.
    pub(crate) blocks: u32,
    /// Words of a block.
    pub(crate) words: usize,
    /// Bits set per identity.
    pub(crate) bits: u32,
}

impl BloomSizes {
    /// Sizes filters for `capacity` identities within a ttl of `generations` generations, with
    /// false-positive rate `rate`.
    ///
    /// Up to two more generations exist at a time, and each may give a false positive.
    pub(crate) fn new(capacity: u32, rate: f64, generations: u32) -> Self {
        let per_filter = capacity.div_ceil(generations).max(1);
        let rate = rate / f64::from(generations + 2);
        let columns =
            (generations as usize + 2).next_power_of_two().clamp(MIN_COLUMNS, MAX_COLUMNS);
        let of = |words, rates_of| {
            let (blocks, bits) = best_for(per_filter, words, rate, rates_of);
            Self { generations, per_filter, columns, blocks, words, bits }
        };
        let smallest = of(MAX_WORDS, rates_by_mean);
        let fits = |sizes: &Self| sizes.size() <= LARGER_FOR_SPEED * smallest.size();
        let mut words = MAX_COLUMNS / columns;
        while words < MAX_WORDS {
            // The mean is fast and never overestimates.
            let quick = Some(of(words, rates_by_mean)).filter(fits);
            let counted =
                if words > MAX_COUNTED_WORDS { quick } else { quick.map(|_| of(words, rates_of)) };
            if let Some(sizes) = counted.filter(fits) {
                return sizes;
            }
            words *= 2;
        }
        smallest
    }

    /// Returns the words of one filter.
    fn size(&self) -> f64 {
        let words = u32::try_from(self.words).unwrap_or_default();
        f64::from(self.blocks) * f64::from(words)
    }

    /// Returns the maximum number of identities; beyond it filters are evicted. If time passes, one
    /// more generation is expiring and one is filling.
    pub(crate) fn max_identities(&self, timed: bool) -> u64 {
        let generations = u64::from(self.generations) + if timed { 2 } else { 0 };
        generations * u64::from(self.per_filter)
    }

    /// Returns the maximum bytes of all filters.
    pub(crate) fn most_bytes(&self) -> u64 {
        self.max_filters() as u64 * self.filter_bytes()
    }

    /// Returns the bytes of one filter.
    pub(crate) fn filter_bytes(&self) -> u64 {
        u64::from(self.blocks) * self.words as u64 * size_of::<u64>() as u64
    }

    /// Returns the maximum number of filters. Each generation may leave one that is not full.
    pub(crate) fn max_filters(&self) -> usize {
        3 * self.generations as usize + 4
    }
}

/// Returns how often 1 must be halved to reach `rate`, rounded up.
fn bits_for(rate: f64) -> u32 {
    let mut bits = 1;
    let mut left = 0.5;
    while left > rate && bits < 2 * MAX_BITS {
        left /= 2.0;
        bits += 1;
    }
    bits
}

/// Returns the minimum number of blocks of `words` words that keep `count` identities within
/// `rate`, and the bits per identity for it.
///
/// Small blocks need fewer bits than filters without blocks, for which [`bits_for`] is best.
fn best_for(count: u32, words: usize, rate: f64, rates_of: fn(f64, u32) -> Vec<f64>) -> (u32, u32) {
    let places = f64::from(u32::try_from(words).unwrap_or_default() * u64::BITS);
    let ideal = bits_for(rate);
    let choices = (ideal * 9 / 16).max(1)..=(ideal * 13 / 16 + 1);
    let of = |bits: u32| (blocks_for(count, &rates_of(places, bits), rate), bits);
    choices.map(|bits| of(bits.min(MAX_BITS))).min().unwrap_or((u32::MAX, 1))
}

/// Returns the minimum number of blocks that keep `count` identities within `rate`. `rates` is the
/// false-positive rate of a block by its number of identities.
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

/// Returns the false-positive rate of a block of `places` bits by its number of identities, up to
/// full.
///
/// Uses only + − × ÷ in a fixed order, so that results are the same on every machine.
fn rates_of(places: f64, bits: u32) -> Vec<f64> {
    // Probability of each number of set bits.
    let mut set = vec![1.0];
    let mut rates = vec![0.0];
    while rates.last().is_some_and(|rate| *rate < FULL_RATE) {
        for _ in 0..bits {
            set = add_bit(&set, places);
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

/// Returns the same from the mean number of set bits: close for large blocks, and faster.
fn rates_by_mean(places: f64, bits: u32) -> Vec<f64> {
    let left_by_one = power(1.0 - 1.0 / places, f64::from(bits));
    let (mut rates, mut unset) = (vec![0.0], 1.0);
    while rates.last().is_some_and(|rate| *rate < FULL_RATE) {
        unset *= left_by_one;
        rates.push(power(1.0 - unset, f64::from(bits)));
    }
    rates
}

/// Returns the probability of each number of set bits after setting one more, possibly set already.
fn add_bit(set: &[f64], places: f64) -> Vec<f64> {
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

/// Returns the false-positive rate of a filter with `blocks` blocks and `count` identities.
///
/// The number of identities in a block is binomial.
fn rate_of(in_all: u32, blocks: u32, rates: &[f64]) -> f64 {
    let (count, blocks) = (f64::from(in_all), f64::from(blocks));
    if blocks <= 1.0 {
        // A single block holds all identities.
        let all = rates.get(usize::try_from(in_all).unwrap_or(usize::MAX));
        return all.copied().unwrap_or(1.0);
    }
    // Far beyond capacity; the share would underflow below.
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
        // The remaining terms are below the precision of the result.
        if share < 1e-18 && inside * blocks > count {
            break;
        }
    }
    rate + (1.0 - known).max(0.0)
}

/// Returns `base` to the power of the integer `exponent`.
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
    fn filter_size_is_close_to_optimal() {
        for (rate, least, most) in
            [(0.5, 1.0, 6.0), (0.01, 9.5, 23.0), (0.001, 14.0, 30.0), (1e-6, 28.0, 96.0)]
        {
            let sizes = BloomSizes::new(1_000_000, rate, 4);
            let per_identity = sizes.size() * 64.0 / f64::from(sizes.per_filter);
            assert!((least..most).contains(&per_identity), "{rate}: {per_identity} {sizes:?}");
        }
    }

    #[test]
    fn every_option_gives_a_valid_size() {
        for capacity in [1, 2, 10, 1 << 28] {
            for rate in [1e-6, 0.01, 0.5] {
                for generations in [1, 4, 64] {
                    let sizes = BloomSizes::new(capacity, rate, generations);
                    assert!(
                        sizes.blocks < 1 << 31 && (1..=MAX_BITS).contains(&sizes.bits),
                        "{sizes:?}"
                    );
                    let words = sizes.words * sizes.columns;
                    assert!(words >= MAX_WORDS && words.is_power_of_two(), "{sizes:?}");
                }
            }
        }
    }
}
