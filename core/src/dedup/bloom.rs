//! The memory of identities in Bloom filters: small, never forgetful within the ttl, at times wrong about what is new.

use super::Seen;
use super::sizes::{BLOCK_BITS, Sizes};
use crate::batch::{Identity, NO_IDENTITY};

/// Identities that are looked up together.
const AHEAD: usize = 16;

/// As long as a line of the caches, and where one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(64))]
struct Block([u64; (BLOCK_BITS / 64) as usize]);

/// The bits of an identity: its block by `first`, its places in that by the others.
#[derive(Debug, Clone, Copy, Default)]
struct Hashes {
    first: u64,
    mask: [u64; 8],
}

/// A filter of one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    generation: i64,
    /// When all in it is over.
    until: i64,
    count: u32,
    blocks: Vec<Block>,
}

/// Remembers identities by generation: pieces of time, each with a filter or, where more come than expected, several.
#[derive(Debug)]
pub(crate) struct Bloom {
    sizes: Sizes,
    ttl_us: Option<i64>,
    /// The length of a generation.
    span_us: i64,
    refresh: bool,
    /// In the order in which they were begun.
    filters: Vec<Filter>,
    evicted: u64,
}

/// A piece of a filter, for snapshots.
pub(crate) struct FilterPart {
    pub(crate) generation: i64,
    pub(crate) count: u32,
    /// The number of its first block.
    pub(crate) first: usize,
    pub(crate) words: Vec<u64>,
}

impl Hashes {
    /// Mixed from the whole identity by fixed numbers: what is taken for a duplicate must not depend on a seed.
    #[inline]
    fn of(identity: Identity, bits: u32) -> Self {
        let [low, high] = identity;
        let first = fold(low ^ 0x2d35_8dcc_aa6c_78a5, high ^ 0x8bb8_4b93_962e_acc9);
        let mut mask = [0; 8];
        let mut left = fold(high ^ 0x4b33_a62e_d433_d4a3, low ^ 0x4d5a_2da5_1de1_aa47);
        let (mut taken, mut word) = (0, left);
        while taken < bits {
            if taken > 0 && taken.is_multiple_of(7) {
                left = fold(left ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db ^ first);
                word = left;
            }
            if let Some(of_mask) = mask.get_mut((word >> 6 & 7) as usize) {
                *of_mask |= 1 << (word & 63);
            }
            word >>= 9;
            taken += 1;
        }
        Self { first, mask }
    }
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the halves of a product")]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

impl Filter {
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "less than the number of blocks")]
    fn place(&self, hashes: &Hashes) -> usize {
        ((u128::from(hashes.first) * self.blocks.len() as u128) >> 64) as usize
    }

    #[inline]
    fn holds(&self, hashes: &Hashes) -> bool {
        let Some(Block(words)) = self.blocks.get(self.place(hashes)) else { return false };
        let missing =
            words.iter().zip(&hashes.mask).fold(0, |all, (word, mask)| all | (mask & !word));
        missing == 0
    }

    #[inline]
    fn insert(&mut self, hashes: &Hashes) {
        let place = self.place(hashes);
        if let Some(Block(words)) = self.blocks.get_mut(place) {
            words.iter_mut().zip(&hashes.mask).for_each(|(word, mask)| *word |= mask);
            self.count = self.count.saturating_add(1);
        }
    }

    #[inline]
    fn touch(&self, hashes: &Hashes) -> u64 {
        self.blocks.get(self.place(hashes)).map_or(0, |Block([first, ..])| *first)
    }
}

impl Bloom {
    pub(crate) fn new(sizes: Sizes, ttl_us: Option<i64>, refresh: bool) -> Self {
        let span_us = ttl_us.map_or(i64::MAX, |ttl| (ttl / i64::from(sizes.generations)).max(1));
        Self { sizes, ttl_us, span_us, refresh, filters: Vec::new(), evicted: 0 }
    }

    /// Identities in it.
    pub(crate) fn len(&self) -> u64 {
        self.filters.iter().map(|filter| u64::from(filter.count)).sum()
    }

    /// Bytes of all filters.
    pub(crate) fn bytes(&self) -> u64 {
        let blocks: u64 = self.filters.iter().map(|filter| filter.blocks.len() as u64).sum();
        blocks * size_of::<Block>() as u64
    }

    /// Identities that a limit has pushed out.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) fn restore_evicted(&mut self, evicted: u64) {
        self.evicted = evicted;
    }

    /// Takes note of `identities` in order, each at its time and under its watermark; `seen` is told whether each was there.
    pub(crate) fn see_all(
        &mut self,
        identities: &[Identity],
        moments: impl Fn(usize) -> (i64, i64),
        mut seen: impl FnMut(usize, Seen),
    ) {
        let mut all = [Hashes::default(); AHEAD];
        for (group, identities) in identities.chunks(AHEAD).enumerate() {
            let mut fetched = 0;
            for (hashes, identity) in all.iter_mut().zip(identities) {
                *hashes = Hashes::of(*identity, self.sizes.bits);
            }
            for filter in &self.filters {
                for (hashes, _) in all.iter().zip(identities) {
                    fetched |= filter.touch(hashes);
                }
            }
            core::hint::black_box(fetched);
            for (at, (hashes, identity)) in (group * AHEAD..).zip(all.iter().zip(identities)) {
                if *identity == NO_IDENTITY {
                    seen(at, Seen::Unidentified);
                    continue;
                }
                let (time, watermark) = moments(at);
                seen(
                    at,
                    if self.see(hashes, time, watermark) { Seen::Before } else { Seen::First },
                );
            }
        }
    }

    #[inline]
    fn see(&mut self, hashes: &Hashes, time: i64, watermark: i64) -> bool {
        let now = time.max(watermark);
        // The newest ones know most duplicates.
        let there =
            self.filters.iter().rev().any(|filter| filter.holds(hashes) && now < filter.until);
        if !there || self.refresh {
            self.insert(hashes, there, time, watermark);
        }
        there
    }

    #[inline]
    fn insert(&mut self, hashes: &Hashes, there: bool, time: i64, watermark: i64) {
        let generation = self.generation(time);
        let per_filter = self.sizes.per_filter;
        match self.filters.iter_mut().rev().find(|filter| filter.generation == generation) {
            Some(filter) if there && filter.holds(hashes) => {}
            Some(filter) if filter.count < per_filter => filter.insert(hashes),
            _ => {
                self.begin(generation, watermark);
                self.filters.iter_mut().last().into_iter().for_each(|filter| filter.insert(hashes));
            }
        }
    }

    #[inline]
    fn generation(&self, time: i64) -> i64 {
        if self.ttl_us.is_some() { time.div_euclid(self.span_us) } else { 0 }
    }

    /// Begins a filter of `generation`.
    #[cold]
    fn begin(&mut self, generation: i64, watermark: i64) {
        self.expire(watermark);
        let most = self.sizes.max_identities(self.ttl_us.is_some());
        if self.len() >= most || self.filters.len() >= self.sizes.max_filters() {
            self.evicted += u64::from(self.filters.remove(0).count);
        }
        self.filters.push(self.filter(generation));
    }

    fn filter(&self, generation: i64) -> Filter {
        let until = self.ttl_us.map_or(i64::MAX, |ttl| {
            let end = generation.saturating_add(1).saturating_mul(self.span_us);
            end.saturating_sub(1).saturating_add(ttl)
        });
        let blocks = vec![Block([0; 8]); self.sizes.blocks as usize];
        Filter { generation, until, count: 0, blocks }
    }

    /// Forgets what is over when the watermark is `watermark`.
    pub(crate) fn expire(&mut self, watermark: i64) {
        self.filters.retain(|filter| watermark < filter.until);
    }

    /// The filters, block by block: the part from `from` on, at most `blocks` of one filter, and
    /// where to go on.
    pub(crate) fn part(&self, from: u64, blocks: usize) -> (Option<FilterPart>, Option<u64>) {
        let (mut number, first) = parts_of(from);
        let mut filters = self.filters.iter().skip(number);
        let Some(filter) = filters.next() else { return (None, None) };
        let part = filter.blocks.iter().skip(first).take(blocks);
        let words = part.flat_map(|Block(words)| words).copied().collect();
        let mut next = first + blocks;
        if next >= filter.blocks.len() {
            (number, next) = (number + 1, 0);
        }
        let more = next > 0 || filters.next().is_some();
        let part = FilterPart { generation: filter.generation, count: filter.count, first, words };
        (Some(part), more.then_some((number as u64) << 32 | next as u64))
    }

    /// Puts back what [`Bloom::part`] gave, in that order; false: it cannot have been in there.
    pub(crate) fn restore(&mut self, part: &FilterPart) -> bool {
        if part.first == 0 {
            let fits = self.filters.len() < self.sizes.max_filters();
            if !fits || part.count == 0 || part.count > self.sizes.per_filter {
                return false;
            }
            let filter = Filter { count: part.count, ..self.filter(part.generation) };
            self.filters.push(filter);
        }
        let Some(filter) = self.filters.last_mut() else { return false };
        let same = filter.generation == part.generation && filter.count == part.count;
        let (words, rest) = part.words.as_chunks::<8>();
        let place = part.first..part.first + words.len();
        match filter.blocks.get_mut(place) {
            Some(blocks) if same && rest.is_empty() && !words.is_empty() => {
                blocks.iter_mut().zip(words).for_each(|(block, words)| *block = Block(*words));
                true
            }
            _ => false,
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the halves of a place")]
fn parts_of(place: u64) -> (usize, usize) {
    ((place >> 32) as usize, place as u32 as usize)
}
